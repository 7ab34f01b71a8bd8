{{/*
global.eventBus.servers: how many main servers there are and what each may keep. Key of the chart, not of the site
document: `eventbus render` has a file of its own for where servers run (lib/site/placement.c), with the same words.
*/}}
{{- define "eventbus.read.servers" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $s := index . 2 -}}
  {{- $jetstream := dict "maxMemory" 268435456 "maxFile" 2147483648 -}}
  {{- $servers := dict "replicas" $s.streams.replicas "authTimeout" 50 "xkey" true "debug" false "jetstream" $jetstream "leafUrls" list -}}
  {{- $errors := len $r.errors -}}
  {{- if include "eventbus.given" (list $r $bus "" "servers" "map") -}}
    {{- $map := $bus.servers -}}
    {{- include "eventbus.check.keys" (list $r $map "servers" (list "replicas" "authTimeout" "xkey" "debug" "jetstream" "leafUrls")) -}}
    {{- include "eventbus.check.int" (list $r $map "servers" "replicas" 1 9 $servers) -}}
    {{- include "eventbus.check.int" (list $r $map "servers" "authTimeout" 1 60 $servers) -}}
    {{- include "eventbus.check.bool" (list $r $map "servers" "xkey" $servers) -}}
    {{- include "eventbus.check.bool" (list $r $map "servers" "debug" $servers) -}}
    {{- if include "eventbus.given" (list $r $map "servers" "jetstream" "map") -}}
      {{- include "eventbus.check.keys" (list $r $map.jetstream "servers.jetstream" (list "maxMemory" "maxFile")) -}}
      {{- include "eventbus.check.int" (list $r $map.jetstream "servers.jetstream" "maxMemory" 0 1125899906842624 $jetstream) -}}
      {{- include "eventbus.check.int" (list $r $map.jetstream "servers.jetstream" "maxFile" 1048576 1125899906842624 $jetstream) -}}
    {{- end -}}
    {{- if include "eventbus.given" (list $r $map "servers" "leafUrls" "list") -}}
      {{- $urls := list -}}
      {{- range $i, $url := $map.leafUrls -}}
        {{- $at := printf "servers.leafUrls[%d]" $i -}}
        {{- if eq (include "eventbus.kind" $url) "scalar" -}}
          {{- $urls = append $urls (include "eventbus.text" $url) -}}
          {{- include "eventbus.check.url" (list $r $at (include "eventbus.text" $url)) -}}
        {{- else -}}
          {{- include "eventbus.report" (list $r "errors" $at "no single value" "write nats://HOST:7422") -}}
        {{- end -}}
      {{- end -}}
      {{- $_ := set $servers "leafUrls" $urls -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $s "servers" $servers -}}
  {{- if eq $errors (len $r.errors) -}}{{- /* of numbers that are what they should be */ -}}
    {{- include "eventbus.check.room" (list $r $s) -}}
  {{- end -}}
{{- end -}}

{{/* (list READING SITE): the streams must find room on the servers: what does not fit they would be told one by one. */}}
{{- define "eventbus.check.room" -}}
  {{- $r := index . 0 -}}
  {{- $s := index . 1 -}}
  {{- $servers := int64 $s.servers.replicas -}}
  {{- $replicas := int64 $s.streams.replicas -}}
  {{- if eq $servers 2 -}}
    {{- include "eventbus.report" (list $r "warnings" "servers.replicas" "of two servers both must run: one stops when the other does"
        "write one, or three") -}}
  {{- end -}}
  {{- if gt $replicas $servers -}}
    {{- include "eventbus.report" (list $r "errors" "servers.replicas" (printf
        "the streams have %d replicas (mqttStreams.replicas), and there are %d servers" $replicas $servers)
        "write as many, or fewer replicas there") -}}
  {{- else if and (gt $servers 2) (lt $replicas 3) -}}
    {{- include "eventbus.report" (list $r "warnings" "servers.replicas" "streams with one replica stand still while their server is down"
        "write replicas: 3 at mqttStreams") -}}
  {{- end -}}
  {{- $key := ternary "maxMemory" "maxFile" (eq $s.streams.storage "memory") -}}
  {{- $each := index $s.servers.jetstream $key | int64 -}}
  {{- $bytes := int64 $s.streams.maxBytes -}}
  {{- $want := mul 4 $bytes $replicas -}}
  {{- $have := mul (div $each 4) 3 $servers -}}
  {{- $least := mul (div (sub (add $want (mul $servers 3)) 1) (mul $servers 3)) 4 -}}
  {{- $mend := printf "write at least %d, or a smaller mqttStreams.maxBytes in all sites" (max $least $bytes) -}}
  {{- if gt $want $have -}}
    {{- include "eventbus.report" (list $r "errors" (printf "servers.jetstream.%s" $key) (printf
        "the four streams need %d bytes (mqttStreams.maxBytes, %d replica%s), and three quarters of what the servers have are %d" $want
        $replicas (ternary "" "s" (eq $replicas 1)) $have) $mend) -}}
  {{- else if gt $bytes $each -}}
    {{- include "eventbus.report" (list $r "errors" (printf "servers.jetstream.%s" $key) (printf
        "a stream needs %d bytes on one server (mqttStreams.maxBytes)" $bytes) $mend) -}}
  {{- end -}}
{{- end -}}
