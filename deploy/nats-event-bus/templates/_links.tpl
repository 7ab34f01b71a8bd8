{{/*
What a CPC's data account and its account CSC, the way to the CSC, hand each other (lib/site/render_links.c).
*/}}

{{/*
SITE: JSON with four lists: up, exported by the data account; upImports, imported by the transit account under the CSC's
names; down, exported by the transit account; downImports, imported by the data account.
*/}}
{{- define "eventbus.links" -}}
  {{- $up := include "eventbus.links.up" . | fromJsonArray -}}
  {{- $down := include "eventbus.links.down" . | fromJsonArray -}}
  {{- dict "up" (include "eventbus.links.exports" (list $up "CSC") | fromJsonArray)
      "upImports" (include "eventbus.links.imports" (list $up .account) | fromJsonArray)
      "down" (include "eventbus.links.exports" (list $down .account) | fromJsonArray)
      "downImports" (include "eventbus.links.imports" (list $down "CSC") | fromJsonArray) | toJson -}}
{{- end -}}

{{/* Crossings {kind, subject, as}: kind "stream" or "service"; as, the name on the other side where it is another one. */}}
{{- define "eventbus.links.up" -}}
  {{- $id := .id -}}
  {{- $all := list -}}
  {{- range .lists.cpcExports -}}{{- $all = append $all (dict "kind" "stream" "subject" . "as" (printf "cpc.%s.%s" $id .)) -}}{{- end -}}
  {{- if .lists.cpcExports -}}
    {{- /* stored messages: they, the questions for them one by one, their flow control */ -}}
    {{- $all = append $all (dict "kind" "stream" "subject" (printf "$XL.up.%s.>" $id)) -}}
    {{- range include "eventbus.sources.up" (list .lists $id) | fromJsonArray -}}
      {{- $question := printf "CONSUMER.CREATE.%s.*.%s" .stream .filter -}}
      {{- $all = append $all (dict "kind" "service" "subject" (printf "$JS.API.%s" $question) "as" (printf "%s.%s" .api $question)) -}}
    {{- end -}}
    {{- $all = append $all (dict "kind" "service" "subject" (printf "$JS.FC.%s.>" .domain)) -}}
  {{- end -}}
  {{- toJson $all -}}
{{- end -}}

{{- define "eventbus.links.down" -}}
  {{- $id := .id -}}
  {{- $all := list -}}
  {{- range .lists.cscExports -}}{{- $all = append $all (dict "kind" "stream" "subject" .) -}}{{- end -}}
  {{- range .lists.cscPrefixedExports -}}{{- $all = append $all (dict "kind" "stream" "subject" (printf "cpc.%s.%s" $id .) "as" .) -}}{{- end -}}
  {{- if $all -}}
    {{- $all = append $all (dict "kind" "stream" "subject" (printf "$XL.down.%s.>" $id)) -}}
    {{- $all = append $all (dict "kind" "service" "subject" "$JS.CSC.API.CONSUMER.CREATE.>") -}}
    {{- $all = append $all (dict "kind" "service" "subject" "$JS.FC.CSC.>") -}}
  {{- end -}}
  {{- toJson $all -}}
{{- end -}}

{{/* (list CROSSINGS TO) */}}
{{- define "eventbus.links.exports" -}}
  {{- $to := index . 1 -}}
  {{- $lines := list -}}
  {{- range index . 0 -}}{{- $lines = append $lines (dict .kind .subject "accounts" (list $to)) -}}{{- end -}}
  {{- toJson $lines -}}
{{- end -}}

{{/* (list CROSSINGS FROM) */}}
{{- define "eventbus.links.imports" -}}
  {{- $from := index . 1 -}}
  {{- $lines := list -}}
  {{- range index . 0 -}}
    {{- $line := dict .kind (dict "account" $from "subject" .subject) -}}
    {{- if .as -}}{{- $_ := set $line "to" .as -}}{{- end -}}
    {{- $lines = append $lines $line -}}
  {{- end -}}
  {{- toJson $lines -}}
{{- end -}}
