{{/*
Fields of the values: their kinds, and what most have in common (lib/site/fields.c). Where a value is null, its key
counts as not given.
*/}}

{{/* "map", "list", "scalar", or "" for null. */}}
{{- define "eventbus.kind" -}}
  {{- if kindIs "map" . -}}map{{- else if kindIs "slice" . -}}list{{- else if not (kindIs "invalid" .) -}}scalar{{- end -}}
{{- end -}}

{{/* "true" for what a chart's default says is not used: null, "", [] or {}. */}}
{{- define "eventbus.blank" -}}
  {{- $kind := include "eventbus.kind" . -}}
  {{- if eq $kind "scalar" -}}{{- if eq (include "eventbus.text" .) "" -}}true{{- end -}}
  {{- else if not . -}}true
  {{- end -}}
{{- end -}}

{{/* "true" for a number: 1, 1.5. */}}
{{- define "eventbus.isNumber" -}}
  {{- if or (kindIs "float64" .) (kindIs "int64" .) (kindIs "int" .) -}}true{{- end -}}
{{- end -}}

{{/* "true" for a text with a control character. */}}
{{- define "eventbus.hasControl" -}}
  {{- if regexMatch "[\\x00-\\x1f\\x7f-\\x{9f}]" . -}}true{{- end -}}
{{- end -}}

{{/* (list READING MAP PATH KNOWN): reports every key that is none of these. */}}
{{- define "eventbus.check.keys" -}}
  {{- $r := index . 0 -}}
  {{- $path := index . 2 -}}
  {{- $known := index . 3 -}}
  {{- if kindIs "map" (index . 1) -}}
    {{- range $key, $_ := index . 1 -}}
      {{- if not (has $key $known) -}}
        {{- $at := include "eventbus.path" (list $path (include "eventbus.plain" $key)) -}}
        {{- include "eventbus.report" (list $r "errors" $at (printf "unknown key %s" (include "eventbus.quote" $key)) (include "eventbus.known"
            (list $key $known))) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING MAP PATH KEY KIND): "true" where the key is given and of that kind; reports another kind. */}}
{{- define "eventbus.given" -}}
  {{- $map := index . 1 -}}
  {{- $key := index . 3 -}}
  {{- $want := index . 4 -}}
  {{- if kindIs "map" $map -}}
    {{- $is := include "eventbus.kind" (index $map $key) -}}
    {{- if eq $is $want -}}true
    {{- else if $is -}}
      {{- $names := dict "map" "a mapping" "list" "a list" "scalar" "a single value" -}}
      {{- $mends := dict "map" "write a mapping: key: value on lines of their own, indented" "list"
          "write a list: [ … ], or lines that begin with `-`" "scalar" "write one value" -}}
      {{- $at := include "eventbus.path" (list (index . 2) $key) -}}
      {{- include "eventbus.report" (list (index . 0) "errors" $at (printf "%s where %s belongs" (index $names $is) (index $names $want)) (index
          $mends $want)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING MAP PATH KEY TO): sets TO.KEY where the key is given and good. */}}
{{- define "eventbus.check.bool" -}}
  {{- $key := index . 3 -}}
  {{- if include "eventbus.given" (append (initial .) "scalar") -}}
    {{- $value := index (index . 1) $key -}}
    {{- if kindIs "bool" $value -}}
      {{- $_ := set (index . 4) $key $value -}}
    {{- else -}}
      {{- $at := include "eventbus.path" (list (index . 2) $key) -}}
      {{- include "eventbus.report" (list (index . 0) "errors" $at (printf "%s is neither true nor false" (include "eventbus.quote" $value))
          "write true or false, without quotes") -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING MAP PATH KEY MIN MAX TO): the same for a whole number. */}}
{{- define "eventbus.check.int" -}}
  {{- $key := index . 3 -}}
  {{- if include "eventbus.given" (list (index . 0) (index . 1) (index . 2) $key "scalar") -}}
    {{- $value := index (index . 1) $key -}}
    {{- $min := index . 4 -}}
    {{- $max := index . 5 -}}
    {{- $good := false -}}
    {{- if include "eventbus.isNumber" $value -}}
      {{- $number := float64 $value -}}
      {{- $good = and (eq (floor $number) $number) (ge $number (float64 $min)) (le $number (float64 $max)) -}}
    {{- end -}}
    {{- if $good -}}
      {{- $_ := set (index . 6) $key (int64 $value) -}}
    {{- else -}}
      {{- $at := include "eventbus.path" (list (index . 2) $key) -}}
      {{- include "eventbus.report" (list (index . 0) "errors" $at (printf "%s is no such number" (include "eventbus.quote" $value)) (printf
          "write a whole number from %d to %d, without quotes" (int64 $min) (int64 $max))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING MAP PATH KEY): the text; "" where it is not given or was reported. */}}
{{- define "eventbus.check.text" -}}
  {{- if include "eventbus.given" (append . "scalar") -}}
    {{- $text := include "eventbus.text" (index (index . 1) (index . 3)) -}}
    {{- $fault := "" -}}
    {{- if gt (len $text) 1024 -}}{{- $fault = "more than 1024 bytes" -}}
    {{- else if include "eventbus.hasControl" $text -}}{{- $fault = "a control character" -}}
    {{- end -}}
    {{- if $fault -}}
      {{- include "eventbus.report" (list (index . 0) "errors" (include "eventbus.path" (list (index . 2) (index . 3))) $fault "write it without") -}}
    {{- else -}}
      {{- $text -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/*
(list READING MAP PATH KEY SERVER TO): a block of ca, cert, key and handshakeFirst into TO.KEY; "true" where any is given.
handshakeFirst: TLS comes before the server's first line, since a gateway before it ends TLS or chooses by name.
*/}}
{{- define "eventbus.check.tls" -}}
  {{- $r := index . 0 -}}
  {{- $key := index . 3 -}}
  {{- $server := index . 4 -}}
  {{- $read := dict -}}
  {{- $_ := set (index . 5) $key $read -}}
  {{- if and (include "eventbus.given" (list $r (index . 1) (index . 2) $key "map")) (index (index . 1) $key) -}}
    {{- $tls := index (index . 1) $key -}}
    {{- $at := include "eventbus.path" (list (index . 2) $key) -}}
    {{- include "eventbus.check.keys" (list $r $tls $at (list "ca" "cert" "key" "handshakeFirst")) -}}
    {{- range $part := list "ca" "cert" "key" -}}
      {{- $file := include "eventbus.check.text" (list $r $tls $at $part) -}}
      {{- if $file -}}
        {{- $_ := set $read $part $file -}}
        {{- if not (hasPrefix "/" $file) -}}
          {{- include "eventbus.report" (list $r "errors" (include "eventbus.path" (list $at $part))
              "the path of a file would depend on where the server is started" "write the whole path, from / on") -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
    {{- include "eventbus.check.bool" (list $r $tls $at "handshakeFirst" $read) -}}
    {{- if ne (hasKey $read "cert") (hasKey $read "key") -}}
      {{- include "eventbus.report" (list $r "errors" $at "a certificate and its key come together" (ternary "write key: too" "write cert: too"
          (hasKey $read "cert"))) -}}
    {{- else if and $server (not $read.cert) -}}
      {{- include "eventbus.report" (list $r "errors" $at "a server needs a certificate of its own"
          "write cert: and key:, or leave the whole block out") -}}
    {{- end -}}
    true
  {{- end -}}
{{- end -}}

{{/* (list READING PATH URL): reports a URL that is none of a leaf listener. */}}
{{- define "eventbus.check.url" -}}
  {{- $url := index . 2 -}}
  {{- $fault := include "eventbus.url.fault" $url -}}
  {{- if $fault -}}
    {{- $mend := "write nats://HOST:7422 or tls://HOST:7422" -}}
    {{- $named := include "eventbus.quote" $url -}}
    {{- if contains "@" $url -}}{{- /* what stands before it may be a password */ -}}
      {{- $named = "the URL" -}}
    {{- end -}}
    {{- if hasPrefix "has a user" $fault -}}
      {{- $mend = "write it without: the link logs in with its nkey" -}}
    {{- else if hasPrefix "is more" $fault -}}
      {{- $mend = "write one; a cluster tells its other addresses itself, or put a name there that stands for all" -}}
    {{- end -}}
    {{- include "eventbus.report" (list (index . 0) "errors" (index . 1) (printf "%s %s" $named $fault) $mend) -}}
  {{- end -}}
{{- end -}}

{{/* What is wrong with a URL, "" for nothing. */}}
{{- define "eventbus.url.fault" -}}
  {{- $rest := . | trimPrefix "nats://" -}}
  {{- if eq $rest . -}}{{- $rest = . | trimPrefix "tls://" -}}{{- end -}}
  {{- /* behind the last colon that is not of an IPv6 address in brackets */ -}}
  {{- $port := regexFind ":[^:\\]]*$" $rest -}}
  {{- $host := trimSuffix $port $rest -}}
  {{- if not (or (hasPrefix "nats://" .) (hasPrefix "tls://" .)) -}}begins with neither nats:// nor tls://
  {{- else if contains "@" $rest -}}has a user or password in it
  {{- else if contains "," $rest -}}is more than one address
  {{- else if not (include "eventbus.url.hostGood" $host) -}}has no host name or address where it belongs
  {{- else if not $port -}}has no port
  {{- else if not (regexMatch "^:[1-9][0-9]{0,4}$" $port) -}}has no port from 1 to 65535 at its end
  {{- else if gt (int (trimPrefix ":" $port)) 65535 -}}has no port from 1 to 65535 at its end
  {{- end -}}
{{- end -}}

{{- define "eventbus.url.hostGood" -}}
  {{- if regexMatch "^\\[[0-9a-fA-F:.]+\\]$" . -}}true
  {{- else if and (le (len .) 253) (regexMatch "^[A-Za-z0-9][A-Za-z0-9.-]*$" .) (not (contains ".." .)) -}}true
  {{- end -}}
{{- end -}}

{{/* Nanoseconds of a duration such as 3h, 1h30m or 1.5s; a number without a unit is seconds. "" where it is none. */}}
{{- define "eventbus.duration" -}}
  {{- $part := "([0-9]+\\.?[0-9]*|\\.[0-9]+)(ns|us|µs|ms|s|m|h)" -}}
  {{- $text := . -}}
  {{- if regexMatch "^([0-9]+\\.?[0-9]*|\\.[0-9]+)$" $text -}}{{- $text = printf "%ss" $text -}}{{- end -}}
  {{- if regexMatch (printf "^(%s)+$" $part) $text -}}
    {{- $units := dict "ns" 1 "us" 1000 "µs" 1000 "ms" 1000000 "s" 1000000000 "m" 60000000000 "h" 3600000000000 -}}
    {{- $ns := 0 -}}
    {{- range $one := regexFindAll $part $text -1 -}}
      {{- $unit := index $units (regexFind "[a-zµ]+$" $one) -}}
      {{- $number := regexFind "^[0-9.]+" $one -}}
      {{- $part := mulf (float64 (trimSuffix "." $number)) $unit -}}
      {{- if gt (addf $ns $part) 9.2e18 -}}{{- /* more than 64 bits hold */ -}}
        {{- $ns = "" -}}
        {{- break -}}
      {{- end -}}
      {{- $ns = add $ns (floor $part | int64) -}}
    {{- end -}}
    {{- $ns -}}
  {{- end -}}
{{- end -}}
