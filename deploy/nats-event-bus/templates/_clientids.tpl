{{/* MQTT client ids that entries bind (lib/policy/client_id.c): an id that one binds is nobody else's. */}}

{{/* (list READING SECTION NAME ENTRY PATH KINDS SEEN): checks one, and keeps it for the comparison. */}}
{{- define "eventbus.policy.clientId" -}}
  {{- $r := index . 0 -}}
  {{- $section := index . 1 -}}
  {{- $entry := index . 3 -}}
  {{- $path := index . 4 -}}
  {{- $connections := (index . 5).connections -}}
  {{- $seen := index . 6 -}}
  {{- $at := printf "%s.mqtt_client_id" $path -}}
  {{- $id := include "eventbus.policy.text" (list $r $entry $path "mqtt_client_id") -}}
  {{- if $id -}}
    {{- if gt (len $id) 128 -}}
      {{- include "eventbus.report" (list $r "errors" $at "more than 128 bytes" "shorten it with `*`") -}}
    {{- else if regexMatch "[.> ]" $id -}}
      {{- include "eventbus.report" (list $r "errors" $at "nats-server takes no such client id"
          "write it without `.`, `>` and blanks; `*` stands for any text") -}}
    {{- else if regexMatch "^\\*+$" $id -}}
      {{- include "eventbus.report" (list $r "errors" $at "the pattern would bind every client id"
          "leave the key out: any id that nobody else binds may be used then") -}}
    {{- else -}}
      {{- $_ := set $seen "clientIds" (append $seen.clientIds (dict "id" $id "name" (index . 2) "at" $at)) -}}
    {{- end -}}
    {{- if not (has "mqtt" $connections) -}}
      {{- include "eventbus.report" (list $r "errors" $at "the connections of the entry leave mqtt out"
          "add mqtt to connections, or leave it out") -}}
    {{- else if eq $section "nkey" -}}
      {{- include "eventbus.report" (list $r "warnings" $at "an MQTT client cannot log in with an nkey" "leave it out") -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/*
(list READING IDS): what two of them bind. Those with a `*` come first, by the length of what is before it, then the
others; each is compared with what stands before it.
*/}}
{{- define "eventbus.policy.clientIds" -}}
  {{- $r := index . 0 -}}
  {{- $ids := index . 1 -}}
  {{- $byPrefix := dict -}}
  {{- $literals := list -}}
  {{- range $one := $ids -}}
    {{- if contains "*" $one.id -}}
      {{- $n := printf "%03d" (len (regexFind "^[^*]*" $one.id)) -}}
      {{- $_ := set $byPrefix $n (append (index $byPrefix $n | default list) $one) -}}
    {{- else -}}{{- $literals = append $literals $one -}}
    {{- end -}}
  {{- end -}}
  {{- $kept := list -}}
  {{- range $n := keys $byPrefix | sortAlpha -}}
    {{- range $one := index $byPrefix $n -}}
      {{- $other := include "eventbus.policy.clientIdTaken" (list $kept $one.id) -}}
      {{- if $other -}}{{- include "eventbus.policy.clientIdReport" (list $r $one (fromJson $other)) -}}
      {{- else -}}{{- $kept = append $kept $one -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $same := dict -}}
  {{- range $one := $literals -}}
    {{- if hasKey $same $one.id -}}
      {{- include "eventbus.policy.clientIdReport" (list $r $one (index $same $one.id)) -}}
    {{- else -}}
      {{- $other := include "eventbus.policy.clientIdTaken" (list $kept $one.id) -}}
      {{- if $other -}}{{- include "eventbus.policy.clientIdReport" (list $r $one (fromJson $other)) -}}
      {{- else -}}{{- $_ := set $same $one.id $one -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/*
(list PATTERNS ID): the first pattern that can match a text that ID matches too, as JSON. Where both have a `*`, their
starts and their ends alone tell: what is in the middle of both can stand one behind the other.
*/}}
{{- define "eventbus.policy.clientIdTaken" -}}
  {{- $id := index . 1 -}}
  {{- $start := regexFind "^[^*]*" $id -}}
  {{- $end := regexFind "[^*]*$" $id -}}
  {{- range $other := index . 0 -}}
    {{- if contains "*" $id -}}
      {{- $otherStart := regexFind "^[^*]*" $other.id -}}
      {{- $otherEnd := regexFind "[^*]*$" $other.id -}}
      {{- if and (or (hasPrefix $start $otherStart) (hasPrefix $otherStart $start)) (or (hasSuffix $end $otherEnd) (hasSuffix $otherEnd $end)) -}}
        {{- toJson $other -}}{{- break -}}
      {{- end -}}
    {{- else if regexMatch (printf "(?s)^%s$" (regexQuoteMeta $other.id | replace "\\*" ".*")) $id -}}
      {{- toJson $other -}}{{- break -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING ONE OTHER) */}}
{{- define "eventbus.policy.clientIdReport" -}}
  {{- $other := index . 2 -}}
  {{- include "eventbus.report" (list (index . 0) "errors" (index . 1).at (printf
      "some client id is bound by this and by %s of entry `%s` at once" (include "eventbus.quote" $other.id) $other.name)
      "write patterns that no id fits both of") -}}
{{- end -}}
