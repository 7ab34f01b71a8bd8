{{- /* nats.conf: a map, shaped part by part, then as a whole; written as JSON with the marks of << >> and $include taken out. */ -}}

{{- define "nats.tls" -}}
{{- $tls := .tls -}}
{{- $base := dict -}}
{{- if $tls.secretName -}}
  {{- $_ := set $base "cert_file" (printf "%s/%s" $tls.dir $tls.cert) -}}
  {{- $_ := set $base "key_file" (printf "%s/%s" $tls.dir $tls.key) -}}
{{- end -}}
{{- with .ca -}}{{- if .enabled -}}{{- $_ := set $base "ca_file" (printf "%s/%s" .dir .key) -}}{{- end -}}{{- end -}}
{{- include "nats.shape" (dict "base" $base "over" $tls) -}}
{{- end -}}

{{- define "nats.config" -}}
{{- $v := .Values -}}
{{- $c := $v.config -}}
{{- $name := include "nats.fullname" . -}}
{{- $conf := dict "server_name" "<< $SERVER_NAME >>" "lame_duck_grace_period" "10s" "lame_duck_duration" "30s" "pid_file" "/var/run/nats/nats.pid" -}}
{{- $_ := set $conf "port" $c.nats.port -}}
{{- if $c.nats.tls.enabled -}}
  {{- $_ := set $conf "tls" (include "nats.tls" (dict "tls" $c.nats.tls "ca" $v.tlsCA) | fromJson | dig "doc" dict) -}}
{{- end -}}
{{- if $c.monitor.enabled -}}{{- $_ := set $conf "http_port" $c.monitor.port -}}{{- end -}}
{{- if $c.jetstream.enabled -}}
  {{- $js := dict "max_memory_store" 0 "max_file_store" 0 -}}
  {{- if $c.jetstream.memoryStore.enabled -}}{{- $_ := set $js "max_memory_store" (printf "<< %s >>" $c.jetstream.memoryStore.maxSize) -}}{{- end -}}
  {{- with $c.jetstream.fileStore -}}
    {{- if .enabled -}}
      {{- $_ := set $js "store_dir" .dir -}}
      {{- $_ := set $js "max_file_store" (printf "<< %s >>" (default .pvc.size .maxSize)) -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $conf "jetstream" (include "nats.shape" (dict "base" $js "over" $c.jetstream) | fromJson | dig "doc" dict) -}}
{{- end -}}
{{- if $c.cluster.enabled -}}
  {{- $routes := list -}}
  {{- $headless := default (printf "%s-headless" $name) $v.headlessService.name -}}
  {{- $scheme := ternary "tls" "nats" $c.cluster.tls.enabled -}}
  {{- range $i := until (int $c.cluster.replicas) -}}
    {{- $host := printf "%s-%d.%s" $name $i $headless -}}
    {{- if $c.cluster.routeURLs.useFQDN -}}
      {{- $host = printf "%s.%s.svc.%s" $host $.Release.Namespace $c.cluster.routeURLs.k8sClusterDomain -}}
    {{- end -}}
    {{- $routes = append $routes (printf "%s://%s:%v" $scheme $host $c.cluster.port) -}}
  {{- end -}}
  {{- $cluster := dict "name" $name "port" $c.cluster.port "no_advertise" $c.cluster.noAdvertise "routes" $routes -}}
  {{- if $c.cluster.tls.enabled -}}
    {{- $_ := set $cluster "tls" (include "nats.tls" (dict "tls" $c.cluster.tls "ca" $v.tlsCA) | fromJson | dig "doc" dict) -}}
  {{- end -}}
  {{- $_ := set $conf "cluster" (include "nats.shape" (dict "base" $cluster "over" $c.cluster) | fromJson | dig "doc" dict) -}}
{{- end -}}
{{- range $protocol := list "leafnodes" "mqtt" "websocket" -}}
  {{- $p := get $c $protocol -}}
  {{- if $p.enabled -}}
    {{- $part := dict "port" $p.port -}}
    {{- if eq $protocol "leafnodes" -}}{{- $_ := set $part "no_advertise" true -}}{{- end -}}
    {{- if $p.tls.enabled -}}
      {{- $_ := set $part "tls" (include "nats.tls" (dict "tls" $p.tls "ca" $v.tlsCA) | fromJson | dig "doc" dict) -}}
    {{- else if eq $protocol "websocket" -}}{{- $_ := set $part "no_tls" true -}}{{- end -}}
    {{- $_ := set $conf $protocol (include "nats.shape" (dict "base" $part "over" $p) | fromJson | dig "doc" dict) -}}
  {{- end -}}
{{- end -}}
{{- include "nats.shape" (dict "base" $conf "over" $c) -}}
{{- end -}}

{{- define "nats.conf" -}}
{{- $text := include "nats.config" . | fromJson | dig "doc" dict | toPrettyJson -}}
{{- $text = $text | replace "\\u003c" "<" | replace "\\u003e" ">" | replace "\\u0026" "&" -}}
{{- $text = regexReplaceAll "\"<<\\s+(.*?)\\s+>>\"" $text "${1}" -}}
{{- regexReplaceAll "\"[^\"]*\\$include\":\\s*\"(.*?)\",?" $text "include ${1};" -}}
{{- end -}}
