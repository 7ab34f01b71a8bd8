{{/*
A value with the templates in its texts rendered: (dict "value" … "context" $) → JSON of {"v": …}. Text by text, so that what a template
renders to can never change the structure around it.
*/}}
{{- define "auth-callout.tpl" -}}
{{- $context := .context -}}
{{- if kindIs "string" .value -}}
{{- dict "v" (tpl .value $context) | toJson -}}
{{- else if kindIs "map" .value -}}
{{- $made := dict -}}
{{- range $key, $value := .value -}}
{{- $_ := set $made $key (include "auth-callout.tpl" (dict "value" $value "context" $context) | fromJson).v -}}
{{- end -}}
{{- dict "v" $made | toJson -}}
{{- else if kindIs "slice" .value -}}
{{- $made := list -}}
{{- range .value -}}
{{- $made = append $made (include "auth-callout.tpl" (dict "value" . "context" $context) | fromJson).v -}}
{{- end -}}
{{- dict "v" $made | toJson -}}
{{- else -}}
{{- dict "v" .value | toJson -}}
{{- end -}}
{{- end -}}

{{/* A list that is templated: (list $ "extraEnv") → JSON of {"v": [...]}. A text renders to the list's YAML. */}}
{{- define "auth-callout.list" -}}
{{- $context := index . 0 -}}
{{- $value := $context.Values -}}
{{- range splitList "." (index . 1) -}}
{{- $value = index $value . -}}
{{- end -}}
{{- if kindIs "string" $value -}}
{{- $made := tpl $value $context | fromYamlArray -}}
{{- range $made -}}
{{- if and (kindIs "string" .) (contains "error" .) -}}
{{- fail (printf "%s: the text does not render to a YAML list: %s" (index $ 1) .) -}}
{{- end -}}
{{- end -}}
{{- dict "v" $made | toJson -}}
{{- else -}}
{{- include "auth-callout.tpl" (dict "value" $value "context" $context) -}}
{{- end -}}
{{- end -}}

{{/* The same as YAML; nothing where the list is empty. */}}
{{- define "auth-callout.yamlList" -}}
{{- $made := (include "auth-callout.list" . | fromJson).v -}}
{{- if $made -}}{{ toYaml $made }}{{- end -}}
{{- end -}}
