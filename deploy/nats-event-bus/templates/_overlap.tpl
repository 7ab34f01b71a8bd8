{{/*
What a pattern of a cross-layer list may not match (lib/site/overlap.c). All lists meet at a CPC under their bare names,
and at the CSC under `cpc.<id>.`; so two patterns that share a subject make a message cross twice, or come back. And no
list may reach into `cpc.<id>.…`, or into what the servers use themselves.
*/}}

{{/* What is wrong with a pattern by itself, "" for nothing. */}}
{{- define "eventbus.overlap.reserved" -}}
  {{- $first := splitList "." . | first -}}
  {{- if has $first (list "*" ">") -}}begins with a wildcard, so it matches cpc.<id>.…, $… and _INBOX… too
  {{- else if hasPrefix "$" $first -}}reaches into what the servers keep for themselves ($…)
  {{- else if regexMatch "^(_INBOX|_R_|_GR_|_REPLY)" $first -}}reaches into subjects of answers
  {{- else if hasPrefix "cpc." . -}}reaches into cpc.<id>.…, where messages of single CPCs are
  {{- end -}}
{{- end -}}

{{/* (list READING LISTS): LISTS has the patterns of each list in their places, "" where one was reported. */}}
{{- define "eventbus.check.overlap" -}}
  {{- $r := index . 0 -}}
  {{- $lists := index . 1 -}}
  {{- /* Only patterns of the same first token, which is no wildcard in what is compared, and the same second one, or a
  wildcard there, can meet. */ -}}
  {{- $seen := dict -}}
  {{- range $name := list "cscExports" "cscPrefixedExports" "cpcExports" -}}
    {{- range $i, $pattern := index $lists $name -}}
      {{- if $pattern -}}
        {{- $at := printf "crossLayer.%s[%d]" $name $i -}}
        {{- $fault := include "eventbus.overlap.reserved" $pattern -}}
        {{- if $fault -}}
          {{- $mend := ternary "write the bare name: cpc.<id>. is put before it on the way" "begin it with a name of your own, as in sensor.>"
              (hasPrefix "reaches into cpc" $fault) -}}
          {{- include "eventbus.report" (list $r "errors" $at (printf "%s %s" (include "eventbus.quote" $pattern) $fault) $mend) -}}
        {{- else -}}
          {{- $tokens := splitList "." $pattern -}}
          {{- $all := first $tokens -}}
          {{- $second := index (append $tokens "") 1 -}}
          {{- $wild := has $second (list "*" ">") -}}
          {{- $own := printf "%s.%s" $all (ternary "*" $second $wild) -}}
          {{- $this := dict "list" $name "at" $at "pattern" $pattern -}}
          {{- $others := get $seen $all | default list -}}
          {{- if not $wild -}}
            {{- $others = concat (get $seen $own | default list) (get $seen (printf "%s.*" $all) | default list) -}}
          {{- end -}}
          {{- range $other := $others -}}
            {{- if include "eventbus.subject.overlap" (list $other.pattern $pattern) -}}
              {{- include "eventbus.overlap.report" (list $r $other $this) -}}
            {{- end -}}
          {{- end -}}
          {{- range $key := list $all $own -}}
            {{- $_ := set $seen $key (append (get $seen $key | default list) $this) -}}
          {{- end -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING A B): tells what would happen, and what to write instead. */}}
{{- define "eventbus.overlap.report" -}}
  {{- $a := index . 1 -}}
  {{- $b := index . 2 -}}
  {{- $effect := "a CPC could not tell what is for all of them from what is for it alone" -}}
  {{- $mend := "give each list names of its own" -}}
  {{- if eq $a.list $b.list -}}
    {{- $effect = "a message would cross twice" -}}
    {{- if eq $a.pattern $b.pattern -}}{{- $mend = "leave one of them out" -}}
    {{- else if or (include "eventbus.subject.covers" (list $a.pattern $b.pattern)) (include "eventbus.subject.covers" (list $b.pattern
          $a.pattern)) -}}
      {{- $mend = "leave the narrower one out" -}}
    {{- else -}}{{- $mend = "write them so that no subject fits both" -}}
    {{- end -}}
  {{- else if or (eq $a.list "cpcExports") (eq $b.list "cpcExports") -}}
    {{- $effect = "what a CPC got from the CSC it would send back there" -}}
  {{- end -}}
  {{- include "eventbus.report" (list (index . 0) "errors" $b.at (printf "`%s` and `%s` (%s) match the same subjects: %s" $b.pattern
      $a.pattern $a.at $effect) $mend) -}}
{{- end -}}
