{{/*
Findings: what is wrong with the values, where, and what to write instead, in the words of `eventbus check`
(lib/site, lib/policy). Lines are the one thing that is missing: Helm keeps none.

A check is handed a "reading": a dict with the lists `errors` and `warnings`, and `base`, the path of what is judged.
Dicts are handed on by reference, so whoever has the reading can add to it.
*/}}

{{/* A reading without findings yet; as JSON. */}}
{{- define "eventbus.reading" -}}
  {{- dict "base" . "errors" list "warnings" list | toJson -}}
{{- end -}}

{{/* (list READING "errors"|"warnings" PATH TEXT MEND): adds a finding at base + path. */}}
{{- define "eventbus.report" -}}
  {{- $r := index . 0 -}}
  {{- $kind := index . 1 -}}
  {{- $path := include "eventbus.path" (list $r.base (index . 2)) -}}
  {{- $_ := set $r $kind (append (index $r $kind) (dict "path" $path "text" (index . 3) "mend" (index . 4))) -}}
{{- end -}}

{{/* (list PATH KEY): "path.key", and "path[0]" for a place in a list. */}}
{{- define "eventbus.path" -}}
  {{- $path := index . 0 -}}
  {{- $key := index . 1 -}}
  {{- $path -}}{{- if and $path $key (not (hasPrefix "[" $key)) -}}.{{- end -}}{{- $key -}}
{{- end -}}

{{/* A single value as it was written, as far as Helm can tell: numbers arrive as floating point. */}}
{{- define "eventbus.text" -}}
  {{- if kindIs "string" . -}}{{- . -}}{{- else if not (kindIs "invalid" .) -}}{{- toJson . -}}{{- end -}}
{{- end -}}

{{/* A text fit for a path: capped at 80 bytes, a character that was cut left out, no control characters. */}}
{{- define "eventbus.plain" -}}
  {{- $text := . -}}
  {{- if gt (len .) 80 -}}
    {{- $text = regexReplaceAll "\\x{FFFD}+$" (trunc 80 .) "" -}}
  {{- end -}}
  {{- regexReplaceAll "[\\x00-\\x1f\\x7f]" $text "?" -}}
  {{- if gt (len .) 80 -}}…{{- end -}}
{{- end -}}

{{- define "eventbus.quote" -}}
  {{- printf "`%s`" (include "eventbus.plain" (include "eventbus.text" .)) -}}
{{- end -}}

{{/* (list NAME KNOWN): what to write instead of an unknown name. */}}
{{- define "eventbus.known" -}}
  {{- $known := index . 1 -}}
  {{- $nearest := include "eventbus.nearest" . -}}
  {{- if $nearest -}}
    write `{{ $nearest }}`
  {{- else -}}
    known here:
    {{- range $i, $name := $known }}{{ if $i }},{{ end }} `{{ $name }}`{{ end -}}
  {{- end -}}
{{- end -}}

{{/*
(list NAME KNOWN): the known name that is nearest, "" where none is near. Two apart for an edit; where one is how the
other begins (`publish` means `pub`), three at most. Case does not count, and neither does `-` for `_`.
*/}}
{{- define "eventbus.nearest" -}}
  {{- $name := index . 0 | lower | replace "-" "_" -}}
  {{- $best := "" -}}
  {{- $bestApart := 1000000 -}}
  {{- range $candidate := index . 1 -}}
    {{- $other := $candidate | lower | replace "-" "_" -}}
    {{- if and (le (len $name) 64) (le (len $other) 64) -}}
      {{- $most := min $bestApart (add1 (mul 2 (div (add1 (len $other)) 2))) -}}
      {{- $apart := mul 2 (include "eventbus.edits" (list $name $other)) -}}
      {{- $short := min (len $name) (len $other) | int -}}
      {{- if and (gt $apart 3) (ge $short 3) (eq (trunc $short $name) (trunc $short $other)) -}}
        {{- $apart = 3 -}}
      {{- end -}}
      {{- if lt (int64 $apart) (int64 $most) -}}
        {{- $best = $candidate -}}
        {{- $bestApart = $apart -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $best -}}
{{- end -}}

{{/* (list A B): their Levenshtein distance, row by row. */}}
{{- define "eventbus.edits" -}}
  {{- $b := splitList "" (index . 1) -}}
  {{- $row := until (int (add1 (len $b))) -}}
  {{- range $i, $x := splitList "" (index . 0) -}}
    {{- $next := list (add1 $i) -}}
    {{- range $j, $y := $b -}}
      {{- $changed := add (index $row $j) (ternary 0 1 (eq $x $y)) -}}
      {{- $next = append $next (min $changed (add1 (index $row (int (add1 $j)))) (add1 (last $next))) -}}
    {{- end -}}
    {{- $row = $next -}}
  {{- end -}}
  {{- last $row -}}
{{- end -}}
