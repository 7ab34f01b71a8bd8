{{/*
The permissions of an entry (lib/policy/subjects.c, grants.c): what is written wrong, and what cannot be granted because
of how nats-server reads it.
*/}}

{{/* (list READING ENTRY PATH KINDS ERRORS): ERRORS is how many there were before the entry. */}}
{{- define "eventbus.policy.rules" -}}
  {{- $r := index . 0 -}}
  {{- $entry := index . 1 -}}
  {{- $path := printf "%s.permissions" (index . 2) -}}
  {{- $d := index . 3 -}}
  {{- if hasKey $entry "permissions" -}}
    {{- $given := $entry.permissions -}}
    {{- /* of each side, the texts of its list in their places */ -}}
    {{- $rules := dict "pub.allow" list "pub.deny" list "sub.allow" list "sub.deny" list -}}
    {{- if kindIs "invalid" $given -}}
      {{- include "eventbus.report" (list $r "errors" $path "no value"
          "write {} to grant nothing, or leave the key out for the account's own subjects") -}}
    {{- else if include "eventbus.policy.mapping" (list $r $given $path (list "pub" "sub" "resp")) -}}
      {{- range $side := list "pub" "sub" -}}
        {{- $part := index $given $side -}}
        {{- $at := printf "%s.%s" $path $side -}}
        {{- if kindIs "invalid" $part -}}
        {{- else if include "eventbus.policy.mapping" (list $r $part $at (list "allow" "deny")) -}}
          {{- range $list := list "allow" "deny" -}}
            {{- $items := include "eventbus.policy.list" (list $r (index $part $list) (printf "%s.%s" $at $list) 1024) | fromJsonArray -}}
            {{- $_ := set $rules (printf "%s.%s" $side $list) $items -}}
          {{- end -}}
        {{- end -}}
      {{- end -}}
      {{- include "eventbus.policy.resp" (list $r $given.resp (printf "%s.resp" $path)) -}}
    {{- end -}}
    {{- $read := len $r.errors -}}
    {{- range $name, $items := $rules -}}
      {{- range $item := $items -}}
        {{- include "eventbus.policy.rule" (list $r $item (printf "%s.%s[%d]" $path $name (int $item.i)) (hasPrefix "pub" $name)) -}}
      {{- end -}}
    {{- end -}}
    {{- if eq $read (len $r.errors) -}}
      {{- range $side := list "pub" "sub" -}}
        {{- include "eventbus.policy.effect" (list $r $rules $path $side) -}}
      {{- end -}}
      {{- if has "mqtt" $d.connections -}}{{- include "eventbus.policy.delivery" (list $r (index $rules "sub.deny") $path) -}}{{- end -}}
    {{- end -}}
    {{- /* what only a good entry is judged by */ -}}
    {{- if and (eq (index . 4) (len $r.errors)) (not $d.internal) -}}
      {{- range $side := list "pub" "sub" -}}
        {{- include "eventbus.policy.beside" (list $r $rules $path $side $d) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING VALUE PATH KNOWN): "true" for a mapping, whose unknown keys are reported. */}}
{{- define "eventbus.policy.mapping" -}}
  {{- $r := index . 0 -}}
  {{- $path := index . 2 -}}
  {{- $known := index . 3 -}}
  {{- if kindIs "map" (index . 1) -}}
    {{- range $key, $_ := index . 1 -}}
      {{- if not (has $key $known) -}}
        {{- include "eventbus.report" (list $r "errors" (printf "%s.%s" $path (include "eventbus.plain" $key)) (printf "unknown key %s" (include
            "eventbus.quote" $key)) (include "eventbus.known" (list $key $known))) -}}
      {{- end -}}
    {{- end -}}
    true
  {{- else -}}
    {{- include "eventbus.report" (list $r "errors" $path "no mapping" "write a mapping, {} for an empty one") -}}
  {{- end -}}
{{- end -}}

{{/* (list READING RESP PATH) */}}
{{- define "eventbus.policy.resp" -}}
  {{- $r := index . 0 -}}
  {{- $resp := index . 1 -}}
  {{- $path := index . 2 -}}
  {{- if kindIs "invalid" $resp -}}
  {{- else if include "eventbus.policy.mapping" (list $r $resp $path (list "max" "ttl")) -}}
    {{- if hasKey $resp "max" -}}
      {{- $max := include "eventbus.text" $resp.max -}}
      {{- $good := false -}}
      {{- if and (eq (include "eventbus.kind" $resp.max) "scalar") (regexMatch "^[0-9]{1,7}$" $max) -}}
        {{- $number := atoi (trimPrefix "-" $max) -}}
        {{- $good = and (ge $number 1) (le $number 1000000) -}}
      {{- end -}}
      {{- if not $good -}}
        {{- include "eventbus.report" (list $r "errors" (printf "%s.max" $path) "no such number"
            "write how many answers one request may get: 1 to 1000000") -}}
      {{- end -}}
    {{- end -}}
    {{- if hasKey $resp "ttl" -}}
      {{- $ns := "" -}}
      {{- if eq (include "eventbus.kind" $resp.ttl)
            "scalar" -}}{{- $ns = include "eventbus.duration" (include "eventbus.text" $resp.ttl) -}}{{- end -}}
      {{- if or (not $ns) (le (int64 $ns) 0) (gt (int64 $ns) 86400000000000) -}}
        {{- include "eventbus.report" (list $r "errors" (printf "%s.ttl" $path) "no duration that can be used"
            "write a duration as 5s or 2m, or a number of seconds, up to 24h") -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING ITEM PATH PUB): one rule; sets ITEM.subject, and ITEM.queue where it names a group. */}}
{{- define "eventbus.policy.rule" -}}
  {{- $r := index . 0 -}}
  {{- $item := index . 1 -}}
  {{- $at := index . 2 -}}
  {{- $pub := index . 3 -}}
  {{- $text := $item.text -}}
  {{- $subject := splitList " " $text | first -}}
  {{- $hasQueue := contains " " $text -}}
  {{- $queue := trimPrefix (printf "%s " $subject) $text -}}
  {{- $quoted := include "eventbus.quote" $text -}}
  {{- $fault := include "eventbus.subject.fault" $subject -}}
  {{- $_ := set $item "subject" $subject -}}
  {{- $_ := set $item "queue" (ternary $queue "" $hasQueue) -}}
  {{- if and $hasQueue $pub -}}
    {{- include "eventbus.report" (list $r "errors" $at (printf "%s has a blank: only a subscription can name a queue group" $quoted)
        "write the subject only") -}}
  {{- else if and $hasQueue (or (not $queue) (gt (len $queue) 128) (contains " " $queue) (include "eventbus.hasControl" $queue)) -}}
    {{- include "eventbus.report" (list $r "errors" $at (printf "%s does not end in the name of a queue group" $quoted)
        "write `subject`, or `subject queue` with one blank") -}}
  {{- else if $fault -}}
    {{- include "eventbus.report" (list $r "errors" $at $fault "") -}}
  {{- else if contains "${" $text -}}
    {{- include "eventbus.report" (list $r "errors" $at (printf "%s: names are replaced in identities, keys and accounts, not in subjects"
        $quoted) "write the subject itself") -}}
  {{- else if include "eventbus.policy.looksLikeMqtt" $subject -}}
    {{- include "eventbus.report" (list $r "errors" $at (printf "%s is written as an MQTT topic; permissions are in NATS form" (include
        "eventbus.quote" $subject)) (include "eventbus.policy.fromMqtt" $subject)) -}}
  {{- end -}}
{{- end -}}

{{/*
"true" for what nobody means in NATS: `+` or `#` as a level, or a `/` that no MQTT topic becomes. (`//` stands for a dot
and `/` alone for an empty level; buckets, `$KV…`, may have it in a key.)
*/}}
{{- define "eventbus.policy.looksLikeMqtt" -}}
  {{- if regexMatch "(^|[./])[+#]([./]|$)" . -}}true
  {{- else if and (contains "/" .) (not (hasPrefix "$" .)) -}}
    {{- if regexMatch "[^/.]/[^/]|[^/]/[^/.]" (printf ".%s." .) -}}true{{- end -}}
  {{- end -}}
{{- end -}}

{{/* What to write instead of an MQTT topic. */}}
{{- define "eventbus.policy.fromMqtt" -}}
  {{- $levels := splitList "/" . -}}
  {{- if not (contains "/" .) -}}
    {{- printf "write `%s`" (. | replace "+" "*" | replace "#" ">") -}}
  {{- else if and (not (contains "." .)) (not (contains "*" .)) (not (contains ">" .)) (regexMatch "^([^+#/]*|\\+)(/([^+#/]*|\\+))*(/#)?$" .) -}}
    {{- $tokens := list -}}
    {{- range $level := $levels -}}{{- $tokens = append $tokens ($level | replace "+" "*" | replace "#" ">" | default "/") -}}{{- end -}}
    {{- printf "write `%s`" (join "." $tokens) -}}
  {{- else -}}
    write `.` between levels, `*` for `+`, and `>` for `#`
  {{- end -}}
{{- end -}}

{{/* (list READING RULES PATH SIDE): warns of rules that grant nothing. */}}
{{- define "eventbus.policy.effect" -}}
  {{- $r := index . 0 -}}
  {{- $path := index . 2 -}}
  {{- $side := index . 3 -}}
  {{- $allow := index (index . 1) (printf "%s.allow" $side) -}}
  {{- $deny := index (index . 1) (printf "%s.deny" $side) -}}
  {{- if and (le (len $allow) 64) (le (len $deny) 64) -}}
    {{- range $a := $allow -}}
      {{- range $b := $deny -}}
        {{- if and (not $b.queue) (include "eventbus.subject.covers" (list $b.subject $a.subject)) -}}
          {{- include "eventbus.report" (list $r "warnings" (printf "%s.%s.allow[%d]" $path $side (int $a.i)) (printf
              "%s has no effect: %s is denied, and deny wins" (include "eventbus.quote" $a.subject) (include "eventbus.quote" $b.subject))
              "leave out one of them") -}}
          {{- break -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if and $deny (not $allow) -}}
    {{- include "eventbus.report" (list $r "warnings" (printf "%s.%s.deny" $path $side) "a deny without an allow: the side grants nothing"
        "add allow: [\">\"] to grant all the others") -}}
  {{- end -}}
{{- end -}}

{{/* (list READING DENY PATH): a deny that reaches the subjects by which nats-server delivers to an MQTT client. */}}
{{- define "eventbus.policy.delivery" -}}
  {{- $r := index . 0 -}}
  {{- $path := index . 2 -}}
  {{- range $item := index . 1 -}}
    {{- if and (hasPrefix "*" $item.subject) (not $item.queue) -}}
      {{- if or (include "eventbus.subject.overlap" (list $item.subject "$MQTT.sub.*")) (include "eventbus.subject.overlap" (list $item.subject
            "$MQTT.deliver.pubrel.*")) -}}
        {{- include "eventbus.report" (list $r "errors" (printf "%s.sub.deny[%d]" $path (int $item.i)) (printf
            "%s would also deny an MQTT client its own delivery ($MQTT.>)" (include "eventbus.quote" $item.subject))
            "begin it with a name, or leave mqtt out of connections") -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/*
(list READING RULES PATH SIDE KINDS): a rule that a wildcard takes away. Whoever may use `>` is denied what the servers
keep for themselves, and deny wins: a rule inside of that, which its owner wants, would be lost (lib/subject/permissions.c).
*/}}
{{- define "eventbus.policy.beside" -}}
  {{- $r := index . 0 -}}
  {{- $path := index . 2 -}}
  {{- $side := index . 3 -}}
  {{- $d := index . 4 -}}
  {{- $allow := index (index . 1) (printf "%s.allow" $side) -}}
  {{- $deny := index (index . 1) (printf "%s.deny" $side) -}}
  {{- $wide := list -}}
  {{- $named := list -}}
  {{- range $item := $allow -}}
    {{- if regexMatch "^(>|\\*|\\*\\..*)$" $item.subject -}}{{- $wide = append $wide $item -}}{{-
          else -}}{{- $named = append $named $item -}}{{- end -}}
  {{- end -}}
  {{- $mqttAlone := not (without $d.connections "mqtt") -}}
  {{- $roots := list "$SYS" "$SRV" "$MQTT" "$JS" "$XL" "$JSC" -}}
  {{- if eq $side "sub" -}}{{- $roots = ternary (list "$XL" "$JSC" "_R_" "_INBOX") (list "$MQTT" "$XL" "$JSC" "_R_") $mqttAlone -}}{{- end -}}
  {{- $nothing := false -}}
  {{- if and $mqttAlone (eq $side "sub") -}}{{- range $item := $deny -}}{{- if eq $item.text
            ">" -}}{{- $nothing = true -}}{{- end -}}{{- end -}}{{- end -}}
  {{- if gt (len $wide) 64 -}}
    {{- include "eventbus.report" (list $r "errors" (printf "%s.%s.allow" $path $side) (printf
        "%d rules begin with a wildcard: at most 64 are taken" (len $wide)) "begin rules with a name") -}}
  {{- else if not $nothing -}}
    {{- range $root := $roots -}}
      {{- range $wildcard := $wide -}}
        {{- $reach := "" -}}
        {{- if eq $wildcard.subject ">" -}}{{- $reach = printf "%s.>" $root -}}
        {{- else if ne $wildcard.subject "*" -}}{{- $reach = printf "%s.%s" $root (trimPrefix "*." $wildcard.subject) -}}
        {{- end -}}
        {{- if $reach -}}
          {{- if not (or (include "eventbus.policy.covered" (list $named $reach)) (include "eventbus.policy.covered" (list $deny $reach))) -}}
            {{- range $item := $named -}}
              {{- if include "eventbus.subject.overlap" (list $item.subject $reach) -}}
                {{- $quoted := include "eventbus.quote" $wildcard.subject -}}
                {{- include "eventbus.report" (list $r "errors" (printf "%s.%s.allow[%d]" $path $side (int $item.i)) (printf
                    "%s cannot be granted beside %s: the wildcard needs a deny of `%s`, and deny wins" (include "eventbus.quote" $item.subject) $quoted
                    $reach) (printf "list the subjects instead of %s, or grant the whole of `%s`" $quoted $reach)) -}}
                {{- break -}}
              {{- end -}}
            {{- end -}}
          {{- end -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list RULES SUBJECT): "true" where one of them, without a queue group, covers it. */}}
{{- define "eventbus.policy.covered" -}}
  {{- $subject := index . 1 -}}
  {{- range $item := index . 0 -}}
    {{- if and (not $item.queue) (include "eventbus.subject.covers" (list $item.subject $subject)) -}}true{{- break -}}{{- end -}}
  {{- end -}}
{{- end -}}
