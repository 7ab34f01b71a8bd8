{{/*
NATS subjects and patterns (lib/subject): tokens between dots, `*` one token, `>` one or more at the end. Two patterns
are compared by what they can match, token by token.
*/}}

{{/* What is wrong with a pattern, "" for nothing. */}}
{{- define "eventbus.subject.fault" -}}
  {{- $quoted := regexReplaceAll "\\x{FFFD}+$" (trunc 80 .) "" -}}
  {{- if not . -}}an empty subject: write tokens with `.` between them, as in `a.b`
  {{- else if gt (len .) 1024 -}}a subject of {{ len . }} bytes: at most 1024 are taken
  {{- else if include "eventbus.hasControl" . -}}a subject with a control character: write it without
  {{- else if contains " " . -}}{{- printf "\"%s\" has a blank: write it without" $quoted -}}
  {{- else -}}
    {{- $tokens := splitList "." . -}}
    {{- range $i, $token := $tokens -}}
      {{- if not $token -}}
        {{- printf "\"%s\" has an empty token: write one `.` between two tokens and none at the ends" $quoted -}}{{- break -}}
      {{- else if and (eq $token ">") (lt (add1 $i) (len $tokens | int64)) -}}
        {{- printf "`>` stands only at the end of \"%s\": write `*` for one token in the middle" $quoted -}}{{- break -}}
      {{- else if and (gt (len $token) 1) (contains "*" $token) -}}
        {{- printf "\"%s\": `*` stands for a whole token only, inside one it is a plain letter: write it as a token of its own, as in `a.*`"
            $quoted -}}{{- break -}}
      {{- else if and (gt (len $token) 1) (contains ">" $token) -}}
        {{- printf "\"%s\": `>` stands for whole tokens only, inside one it is a plain letter: write it as the last token, as in `a.>`"
            $quoted -}}{{- break -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list A B): "true" where some subject is matched by both. */}}
{{- define "eventbus.subject.overlap" -}}
  {{- $a := splitList "." (index . 0) -}}
  {{- $b := splitList "." (index . 1) -}}
  {{- $verdict := eq (len $a) (len $b) -}}
  {{- range $i := until (min (len $a) (len $b) | int) -}}
    {{- $x := index $a $i -}}
    {{- $y := index $b $i -}}
    {{- if or (eq $x ">") (eq $y ">") -}}{{- $verdict = true -}}{{- break -}}{{- end -}}
    {{- if not (or (eq $x $y) (eq $x "*") (eq $y "*")) -}}{{- $verdict = false -}}{{- break -}}{{- end -}}
  {{- end -}}
  {{- if $verdict -}}true{{- end -}}
{{- end -}}

{{/* (list A B): "true" where every subject that B matches is matched by A. */}}
{{- define "eventbus.subject.covers" -}}
  {{- $a := splitList "." (index . 0) -}}
  {{- $b := splitList "." (index . 1) -}}
  {{- $verdict := eq (len $a) (len $b) -}}
  {{- range $i := until (min (len $a) (len $b) | int) -}}
    {{- $x := index $a $i -}}
    {{- $y := index $b $i -}}
    {{- if eq $x ">" -}}{{- $verdict = true -}}{{- break -}}{{- end -}}
    {{- if or (eq $y ">") (not (or (eq $x $y) (eq $x "*"))) -}}{{- $verdict = false -}}{{- break -}}{{- end -}}
  {{- end -}}
  {{- if $verdict -}}true{{- end -}}
{{- end -}}
