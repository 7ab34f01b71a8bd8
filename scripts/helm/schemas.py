"""
Turns Kubernetes' OpenAPI document and CustomResourceDefinitions into the files that kubeconform reads: one JSON Schema for each version of
each kind, GROUP/kind_version.json (of the core group v1/kind_v1.json). They are strict: a key that the API would drop in silence is a finding.

  schemas.py OUT_DIR FILE...    of two files with the same version of a kind the first counts
"""
import json
import sys
from pathlib import Path

import yaml

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
ANYTHING = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"
class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.1 has a type of its own for a bare `=`, which an enum of the Prometheus operator has as text."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)

META = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


def strict(schema, definitions, seen=(), optional=False):
    """The schema with references resolved, unknown keys refused, and null where a key may be left out."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if name == QUANTITY:
            return {"type": ["string", "number", "null"]}
        if name == ANYTHING or name in seen:  # only schemas of schemas go round
            return {}
        return strict(definitions[name], definitions, (*seen, name), optional)
    made = {k: v for k, v in schema.items() if k in ("type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems",
                                                     "maxItems", "required", "default")}
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            made[word] = [partial(one) for one in schema[word]]
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        made["type"] = ["string", "integer"]
        made.pop("anyOf", None)
    loose = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource")
    if "properties" in schema:
        required = schema.get("required", [])
        made["properties"] = {k: strict(v, definitions, seen, k not in required) for k, v in schema["properties"].items()}
        made["additionalProperties"] = bool(loose)
    elif isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = strict(schema["additionalProperties"], definitions, seen)
    if "items" in schema:
        made["items"] = strict(schema["items"], definitions, seen)
    if optional and "type" in made:
        made["type"] = [*(made["type"] if isinstance(made["type"], list) else [made["type"]]), "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    return made


def partial(schema):
    """A branch of anyOf says something of some keys: the others stay allowed."""
    kept = {k: v for k, v in schema.items() if k in ("required", "enum", "pattern", "type", "maximum", "minimum", "maxItems", "minItems")}
    if "properties" in schema:
        kept["properties"] = {k: partial(v) for k, v in schema["properties"].items()}
    if "not" in schema:
        kept["not"] = partial(schema["not"])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            kept[word] = [partial(one) for one in schema[word]]
    return kept


def of_openapi(document):
    definitions = document["definitions"]
    for name, schema in definitions.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            if "properties" in schema and "kind" in schema["properties"] and len(schema["x-kubernetes-group-version-kind"]) == 1:
                yield gvk["group"] or gvk["version"], gvk["kind"], gvk["version"], strict(schema, definitions, (name,))


def of_crd(crd):
    spec = crd["spec"]
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        schema = version["schema"]["openAPIV3Schema"]
        made = strict(schema, {})
        made.setdefault("properties", {}).update(META)
        made["required"] = sorted({*made.get("required", []), "apiVersion", "kind", "metadata"})
        yield spec["group"], spec["names"]["kind"], version["name"], made


def main(out, files):
    n = 0
    for file in files:
        text = Path(file).read_text()
        if file.endswith(".json"):
            found = of_openapi(json.loads(text))
        else:
            found = (one for crd in yaml.load_all(text, Loader=Loader)
                     if crd and crd.get("kind") == "CustomResourceDefinition" for one in of_crd(crd))
        for group, kind, version, schema in found:
            to = Path(out) / group / f"{kind.lower()}_{version}.json"
            to.parent.mkdir(parents=True, exist_ok=True)
            if not to.exists():
                to.write_text(json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **schema}))
                n += 1
    print(f"{n} schemas")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
