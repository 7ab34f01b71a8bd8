{{- /* What values can say: templates in them, merge, and patch. Results go from template to template as JSON, {"doc": …}. */ -}}

{{- /* $tplYaml and $tplYamlSpread, anywhere in doc. */ -}}
{{- define "nats.spread" -}}
{{- $ctx := .ctx -}}
{{- $doc := .doc -}}
{{- if kindIs "map" $doc -}}
  {{- if and (eq (len $doc) 1) (hasKey $doc "$tplYaml") -}}
    {{- $doc = include "nats.text" (dict "text" (get $doc "$tplYaml") "ctx" $ctx) | fromJson | dig "doc" nil -}}
  {{- else -}}
    {{- $out := dict -}}
    {{- range $key, $value := $doc -}}
      {{- if and (kindIs "map" $value) (eq (len $value) 1) (hasKey $value "$tplYamlSpread") -}}
        {{- $map := include "nats.text" (dict "text" (get $value "$tplYamlSpread") "ctx" $ctx) | fromJson | dig "doc" nil -}}
        {{- if $map -}}
          {{- if not (kindIs "map" $map) -}}{{- fail (printf "can only spread a map into a map, at %s" $key) -}}{{- end -}}
          {{- range $k, $v := $map -}}{{- $_ := set $out $k $v -}}{{- end -}}
        {{- end -}}
      {{- else -}}
        {{- $_ := set $out $key (include "nats.spread" (dict "doc" $value "ctx" $ctx) | fromJson | dig "doc" nil) -}}
      {{- end -}}
    {{- end -}}
    {{- $doc = $out -}}
  {{- end -}}
{{- else if kindIs "slice" $doc -}}
  {{- $out := list -}}
  {{- range $value := $doc -}}
    {{- if and (kindIs "map" $value) (eq (len $value) 1) (hasKey $value "$tplYamlSpread") -}}
      {{- $items := include "nats.text" (dict "text" (get $value "$tplYamlSpread") "ctx" $ctx) | fromJson | dig "doc" nil -}}
      {{- if $items -}}
        {{- if not (kindIs "slice" $items) -}}{{- fail "can only spread a list into a list" -}}{{- end -}}
        {{- $out = concat $out $items -}}
      {{- end -}}
    {{- else -}}
      {{- $out = append $out (include "nats.spread" (dict "doc" $value "ctx" $ctx) | fromJson | dig "doc" nil) -}}
    {{- end -}}
  {{- end -}}
  {{- $doc = $out -}}
{{- end -}}
{{- dict "doc" $doc | toJson -}}
{{- end -}}

{{- define "nats.text" -}}
{{- $parsed := printf "doc:\n%s" (tpl .text .ctx | indent 2) | fromYaml -}}
{{- if hasKey $parsed "Error" -}}{{- fail (printf "not YAML: %s: %s" .text (get $parsed "Error")) -}}{{- end -}}
{{- dict "doc" (get $parsed "doc") | toJson -}}
{{- end -}}

{{- /* Once a chart: its values with all templates in them rendered. */ -}}
{{- define "nats.prepare" -}}
{{- if not (hasKey . "natsPrepared") -}}
  {{- $values := include "nats.spread" (dict "doc" (omit .Values "global") "ctx" .) | fromJson | dig "doc" dict -}}
  {{- $_ := set $values "global" .Values.global -}}
  {{- $_ := set . "Values" $values -}}
  {{- $_ := set . "natsPrepared" true -}}
{{- end -}}
{{- end -}}

{{- /* base (a map), merged with .over.merge, patched with .over.patch. Lists and scalars replace. */ -}}
{{- define "nats.shape" -}}
{{- $doc := mustMergeOverwrite (deepCopy .base) (deepCopy (.over.merge | default dict)) -}}
{{- range $op := .over.patch -}}
  {{- $doc = include "nats.patch" (dict "doc" $doc "op" $op) | fromJson | dig "doc" nil -}}
{{- end -}}
{{- dict "doc" $doc | toJson -}}
{{- end -}}

{{- define "nats.tokens" -}}
{{- $out := list -}}
{{- range (rest (splitList "/" .)) -}}{{- $out = append $out (. | replace "~1" "/" | replace "~0" "~") -}}{{- end -}}
{{- $out | toJson -}}
{{- end -}}

{{- define "nats.patch" -}}
{{- $doc := .doc -}}
{{- $op := .op.op -}}
{{- $tokens := include "nats.tokens" .op.path | fromJsonArray -}}
{{- $value := .op.value -}}
{{- if has $op (list "move" "copy") -}}
  {{- $from := include "nats.tokens" .op.from | fromJsonArray -}}
  {{- $value = include "nats.pointer" (dict "doc" $doc "tokens" $from "path" .op.from) | fromJson | dig "doc" nil -}}
  {{- if eq $op "move" -}}
    {{- $doc = include "nats.patchAt" (dict "doc" $doc "tokens" $from "op" "remove" "path" .op.from) | fromJson | dig "doc" nil -}}
  {{- end -}}
  {{- $op = "add" -}}
{{- end -}}
{{- if eq $op "test" -}}
  {{- $found := include "nats.pointer" (dict "doc" $doc "tokens" $tokens "path" .op.path) | fromJson | dig "doc" nil -}}
  {{- if ne (toJson $found) (toJson $value) -}}{{- fail (printf "patch: test of %s failed" .op.path) -}}{{- end -}}
{{- else if has $op (list "add" "replace" "remove") -}}
  {{- $doc = include "nats.patchAt" (dict "doc" $doc "tokens" $tokens "op" $op "value" $value "path" .op.path) | fromJson | dig "doc" nil -}}
{{- else -}}
  {{- fail (printf "patch: unknown op %s" $op) -}}
{{- end -}}
{{- dict "doc" $doc | toJson -}}
{{- end -}}

{{- define "nats.pointer" -}}
{{- $doc := .doc -}}
{{- $path := .path -}}
{{- range .tokens -}}
  {{- if and (kindIs "map" $doc) (hasKey $doc .) -}}{{- $doc = get $doc . -}}
  {{- else if and (kindIs "slice" $doc) (regexMatch "^[0-9]+$" .) (lt (int .) (len $doc)) -}}{{- $doc = index $doc (int .) -}}
  {{- else -}}{{- fail (printf "patch: nothing at %s" $path) -}}{{- end -}}
{{- end -}}
{{- dict "doc" $doc | toJson -}}
{{- end -}}

{{- define "nats.patchAt" -}}
{{- $doc := .doc -}}
{{- $path := .path -}}
{{- if not .tokens -}}
  {{- $doc = .value -}}
{{- else -}}
  {{- $key := first .tokens -}}
  {{- $last := eq (len .tokens) 1 -}}
  {{- if kindIs "map" $doc -}}
    {{- if and $last (eq .op "add") -}}{{- $_ := set $doc $key .value -}}
    {{- else if not (hasKey $doc $key) -}}{{- fail (printf "patch: nothing at %s" $path) -}}
    {{- else if and $last (eq .op "remove") -}}{{- $_ := unset $doc $key -}}
    {{- else if $last -}}{{- $_ := set $doc $key .value -}}
    {{- else -}}
      {{- $inner := dict "doc" (get $doc $key) "tokens" (rest .tokens) "op" .op "value" .value "path" $path -}}
      {{- $_ := set $doc $key (include "nats.patchAt" $inner | fromJson | dig "doc" nil) -}}
    {{- end -}}
  {{- else if kindIs "slice" $doc -}}
    {{- $end := and (eq $key "-") $last (eq .op "add") -}}
    {{- if and (not $end) (not (regexMatch "^[0-9]+$" $key)) -}}{{- fail (printf "patch: nothing at %s" $path) -}}{{- end -}}
    {{- $at := ternary (len $doc) (int $key) $end -}}
    {{- if or (gt $at (len $doc)) (and (eq $at (len $doc)) (not (and $last (eq .op "add")))) -}}
      {{- fail (printf "patch: nothing at %s" $path) -}}
    {{- end -}}
    {{- $before := slice $doc 0 $at -}}
    {{- $after := ternary list (slice $doc $at) (eq $at (len $doc)) -}}
    {{- if and $last (eq .op "add") -}}{{- $doc = concat $before (list .value) $after -}}
    {{- else if and $last (eq .op "remove") -}}{{- $doc = concat $before (rest $after) -}}
    {{- else if $last -}}{{- $doc = concat $before (list .value) (rest $after) -}}
    {{- else -}}
      {{- $inner := dict "doc" (first $after) "tokens" (rest .tokens) "op" .op "value" .value "path" $path -}}
      {{- $doc = concat $before (list (include "nats.patchAt" $inner | fromJson | dig "doc" nil)) (rest $after) -}}
    {{- end -}}
  {{- else -}}
    {{- fail (printf "patch: nothing at %s" $path) -}}
  {{- end -}}
{{- end -}}
{{- dict "doc" $doc | toJson -}}
{{- end -}}
