{{/*
Names under which the JetStream of an extra account is reached from a CPC (lib/site/render_mapped.c). There the client's
names are mapped to those of the CSC's domain before its permissions are looked at, so an entry that grants the one must
grant the other.
*/}}

{{/* ENTRY as JSON, to each list of whose permissions the mapped forms are added that are not in it. */}}
{{- define "eventbus.mapped" -}}
  {{- $entry := . -}}
  {{- range $name := list "pub" "sub" -}}
    {{- $side := dig "permissions" $name dict $entry -}}
    {{- if kindIs "map" $side -}}
      {{- range $list := list "allow" "deny" -}}
        {{- if index $side $list -}}
          {{- $rules := index $side $list -}}
          {{- range $rule := index $side $list -}}
            {{- range $mapped := include "eventbus.mapped.rule" (list $rule (eq $list "deny")) | fromJsonArray -}}
              {{- if not (has $mapped $rules) -}}{{- $rules = append $rules $mapped -}}{{- end -}}
            {{- end -}}
          {{- end -}}
          {{- $_ := set $side $list $rules -}}
        {{- end -}}
      {{- end -}}
      {{- $closed := include "eventbus.mapped.closed" $side | fromJsonArray -}}
      {{- range $subject := $closed -}}
        {{- if not (has $subject ($side.deny | default
              list)) -}}{{- $_ := set $side "deny" (append ($side.deny | default list) $subject) -}}{{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- toJson $entry -}}
{{- end -}}

{{/*
(list RULE DENY): the mapped forms of a rule, as a JSON list. A queue group stays behind the name. In a deny a wildcard as
first token reaches them too; in an allow list it does not, since JetStream is granted by its name only. `$JS.>` covers the
mapped names as it is.
*/}}
{{- define "eventbus.mapped.rule" -}}
  {{- $rule := include "eventbus.text" (index . 0) -}}
  {{- $any := index . 1 -}}
  {{- $subject := splitList " " $rule | first -}}
  {{- $queue := trimPrefix $subject $rule -}}
  {{- $tokens := splitList "." $subject -}}
  {{- $first := first $tokens -}}
  {{- $wild := and $any (eq $first "*") -}}
  {{- $mapped := list -}}
  {{- if and (gt (len $tokens) 2) (or $wild (eq $first "$JS")) (has (index $tokens 1) (list "API" "*")) -}}
    {{- range include "eventbus.mapped.requests" (slice $tokens 2) |
          fromJsonArray -}}{{- $mapped = append $mapped (printf "%s%s" . $queue) -}}{{- end -}}
  {{- end -}}
  {{- range $root := list "$KV" "$OBJ" -}}
    {{- if and (gt (len $tokens) 1) (or $wild (eq $first $root)) -}}
      {{- $mapped = append $mapped (printf "$JS.CSC.API.%s.%s%s" $root (join "." (slice $tokens 1)) $queue) -}}
    {{- end -}}
  {{- end -}}
  {{- toJson $mapped -}}
{{- end -}}

{{/*
What follows `$JS.API.`, mapped. A wildcard there is written out, request by request: left as it is, it would also match the
names that $KV and $OBJ are mapped to, which a rule for the API says nothing of.
*/}}
{{- define "eventbus.mapped.requests" -}}
  {{- $first := first . -}}
  {{- $below := join "." (rest .) -}}
  {{- $mapped := list -}}
  {{- if not (has $first (list ">" "*")) -}}
    {{- $mapped = list (printf "$JS.CSC.API.%s" (join "." .)) -}}
  {{- else -}}
    {{- if or (eq $first ">") (not $below) -}}{{- $mapped = append $mapped "$JS.CSC.API.INFO" -}}{{- end -}}
    {{- range $request := list "STREAM" "CONSUMER" "DIRECT" "META" "SERVER" "ACCOUNT" -}}
      {{- if eq $first ">" -}}{{- $mapped = append $mapped (printf "$JS.CSC.API.%s.>" $request) -}}
      {{- else if $below -}}{{- $mapped = append $mapped (printf "$JS.CSC.API.%s.%s" $request $below) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- toJson $mapped -}}
{{- end -}}

{{/*
SIDE: denies, as a JSON list, so that an entry gets no more by its mapped rules than by those of the document: `$JS.>` covers
the names that $KV and $OBJ are mapped to. Where no rule is for those, none are granted.
*/}}
{{- define "eventbus.mapped.closed" -}}
  {{- $closed := list -}}
  {{- $wide := false -}}
  {{- $roots := list -}}
  {{- range $rule := .allow -}}
    {{- $rule = include "eventbus.text" $rule -}}
    {{- if has $rule (list "$JS.>" "$JS.*.>" "$JS.*.*.>") -}}{{- $wide = true -}}{{- end -}}
    {{- $roots = append $roots (splitList "." $rule | first) -}}
  {{- end -}}
  {{- if and $wide (not (has "*" $roots)) (not (has ">" $roots)) -}}
    {{- range $root := list "$KV" "$OBJ" -}}
      {{- if not (has $root $roots) -}}{{- $closed = append $closed (printf "$JS.CSC.API.%s.>" $root) -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- toJson $closed -}}
{{- end -}}
