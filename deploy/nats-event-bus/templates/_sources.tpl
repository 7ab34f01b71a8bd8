{{/*
What is pulled from one site into another (lib/site/sources.c). Stream definitions and the rights of leaf logins are both
made of it, so that they cannot part. A source: the stream it reads, filter and dest of its subjects, api and deliver of
the other site's JetStream, and the stream that it stands in.
*/}}

{{/* SITE: all sources of its streams, as a JSON list. */}}
{{- define "eventbus.sources" -}}
  {{- $all := list -}}
  {{- if eq .type "cpc" -}}
    {{- $all = include "eventbus.sources.down" (list .lists .id) | fromJsonArray -}}
  {{- else -}}
    {{- $lists := .lists -}}
    {{- range $id := .cpcIds -}}
      {{- $all = concat $all (include "eventbus.sources.up" (list $lists $id) | fromJsonArray) -}}
    {{- end -}}
  {{- end -}}
  {{- toJson $all -}}
{{- end -}}

{{/* (list LISTS ID): what the CSC pulls from the CPC of this id. */}}
{{- define "eventbus.sources.up" -}}
  {{- $id := index . 1 -}}
  {{- include "eventbus.sources.route" (dict "patterns" (index . 0).cpcExports "from" "" "to" (printf "cpc.%s." $id) "api" (printf
      "$XL.%s.api" $id) "deliver" (printf "$XL.up.%s" $id)) -}}
{{- end -}}

{{/* (list LISTS ID): what the CPC of this id pulls from the CSC. */}}
{{- define "eventbus.sources.down" -}}
  {{- $lists := index . 0 -}}
  {{- $id := index . 1 -}}
  {{- $deliver := printf "$XL.down.%s" $id -}}
  {{- $all := dict "patterns" $lists.cscExports "from" "" "to" "" "api" "$JS.CSC.API" "deliver" $deliver -}}
  {{- $own := dict "patterns" $lists.cscPrefixedExports "from" (printf "cpc.%s." $id) "to" "" "api" "$JS.CSC.API" "deliver" $deliver -}}
  {{- concat (include "eventbus.sources.route" $all | fromJsonArray) (include "eventbus.sources.route" $own | fromJsonArray) | toJson -}}
{{- end -}}

{{/* For each pattern the messages of QoS 1 and 2, then the copies of retained ones. */}}
{{- define "eventbus.sources.route" -}}
  {{- $sources := list -}}
  {{- $route := . -}}
  {{- range $pattern := .patterns -}}
    {{- $sources = append $sources (dict "stream" "$MQTT_msgs" "into" "$MQTT_msgs" "api" $route.api "deliver" (printf "%s.msgs" $route.deliver)
        "filter" (printf "$MQTT.msgs.%s%s" $route.from $pattern)
        "dest" (printf "$MQTT.msgs.%s%s" $route.to (include "eventbus.transformed" $pattern))) -}}
  {{- end -}}
  {{- range $pattern := .patterns -}}
    {{- $sources = append $sources (dict "stream" "XL_RETAINED" "into" "$MQTT_rmsgs" "api" $route.api "deliver" (printf "%s.rmsgs" $route.deliver)
        "filter" (printf "$XL.r.%s%s" $route.from $pattern) "dest" (printf "$MQTT.rmsgs.%s%s" $route.to (include "eventbus.transformed" $pattern))) -}}
  {{- end -}}
  {{- toJson $sources -}}
{{- end -}}

{{/* A pattern as the destination of a subject transform: each `*` is named by its place. */}}
{{- define "eventbus.transformed" -}}
  {{- $tokens := list -}}
  {{- $wildcards := 0 -}}
  {{- range $token := splitList "." . -}}
    {{- if eq $token "*" -}}
      {{- $wildcards = add1 $wildcards -}}
      {{- $token = printf "{{wildcard(%d)}}" $wildcards -}}
    {{- end -}}
    {{- $tokens = append $tokens $token -}}
  {{- end -}}
  {{- join "." $tokens -}}
{{- end -}}
