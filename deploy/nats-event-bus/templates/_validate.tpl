{{/*
All findings of the values together, so that whoever installs mends them in one go.

`eventbus check` refuses the same with the same words, and more: what YAML readers do not tell Helm (keys that stand there
twice, `007` read as 7), and what several documents disagree on. Still others are seen by auth-callout when it starts or
re-reads its permissions, where templates cannot know: values of ${NAME}, address ranges in `src`, issuers that are not
configured, O= and OU= without mtls.allow-org-identity, permissions of more than 256 KiB.
*/}}

{{/*
{errors: [{path, text, mend}], warnings: […], site}. Made once and kept at .Release, the one map that
the contexts of all charts share: some hundred templates ask, and permissions may have thousands of entries.
*/}}
{{- define "eventbus.judged" -}}
  {{- if not (hasKey .Release "eventbus.judged") -}}
    {{- $_ := set .Release "eventbus.judged" (include "eventbus.judge" .) -}}
  {{- end -}}
  {{- get .Release "eventbus.judged" -}}
{{- end -}}

{{- define "eventbus.judge" -}}
  {{- $global := .Values.global -}}
  {{- $r := include "eventbus.reading" "" | fromJson -}}
  {{- $site := dict -}}
  {{- if not (kindIs "map" $global.eventBus) -}}
    {{- $missing := kindIs "invalid" $global.eventBus -}}
    {{- $mend := "write the site below global: and eventBus:" -}}
    {{- range $key, $_ := $global -}}
      {{- if and $missing (include "eventbus.nearest" (list $key (list "eventBus"))) -}}{{- $mend = printf "`%s` may be meant" $key -}}{{- end -}}
    {{- end -}}
    {{- include "eventbus.report" (list $r "errors" "global.eventBus" (ternary "eventBus: is missing" "no mapping" $missing) $mend) -}}
  {{- else -}}
    {{- $_ := set $r "base" "global.eventBus" -}}
    {{- $site = include "eventbus.read" (list $r $global.eventBus) | fromJson -}}
    {{- include "eventbus.check.policy" (list $r $global.eventBus) -}}
  {{- end -}}
  {{- dict "errors" $r.errors "warnings" $r.warnings "site" $site | toJson -}}
{{- end -}}

{{/* {errors, warnings} */}}
{{- define "eventbus.findings" -}}
  {{- pick (include "eventbus.judged" . | fromJson) "errors" "warnings" | toJson -}}
{{- end -}}

{{/* "" or the end of rendering, with every error. */}}
{{- define "eventbus.validate" -}}
  {{- $judged := include "eventbus.judged" . -}}
  {{- if not (hasPrefix "{\"errors\":[]" $judged) -}}
    {{- $errors := (fromJson $judged).errors -}}
    {{- $lines := list -}}
    {{- range $finding := $errors -}}{{- $lines = append $lines (printf "error: %s" (include "eventbus.finding" $finding)) -}}{{- end -}}
    {{- fail (printf "the values are refused\n%s\n%d error%s" (join "\n" $lines) (len $errors) (ternary "" "s" (eq (len $errors) 1))) -}}
  {{- end -}}
{{- end -}}

{{/* What is doubtful, a line each, for the notes. */}}
{{- define "eventbus.warnings" -}}
  {{- range $finding := (include "eventbus.findings" . | fromJson).warnings -}}
    {{- printf "warning: %s\n" (include "eventbus.finding" $finding) -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.finding" -}}
  {{- .path -}}{{- if .path -}}: {{ end -}}{{- .text -}}{{- if .mend -}}; {{ .mend }}{{- end -}}
{{- end -}}
