{{/*
What the servers are told because a gateway stands before them. NATS speaks first and in clear text: INFO, then TLS. A gateway that looks
for TLS waits for the client's hello, so behind one both sides begin with TLS.

  terminate    the gateway ends TLS, the server gets plain text. Clients ask for TLS first, and most of them stop where INFO does not say that
               TLS can be had: so the server says so, without demanding it.
  passthrough  the gateway reads the name out of the hello and passes TLS on. The server ends it.
  none         bytes are passed; nothing is to be told.
*/}}

{{- define "eventbus.route.tls" -}}
{{- $route := dig "gateway" "routes" .name dict (include "eventbus.bus" .root | fromJson) -}}
{{- if and (kindIs "map" $route) $route.enabled -}}{{- $route.tls | default "none" -}}{{- else -}}none{{- end -}}
{{- end -}}

{{- define "eventbus.clientPassthrough" -}}
{{- if eq (include "eventbus.route.tls" (dict "root" . "name" "natsClient")) "passthrough" -}}true{{- end -}}
{{- end -}}

{{/* Top-level keys of the main servers. auth-callout, NACK and Surveyor connect inside the cluster without TLS in every mode. */}}
{{- define "eventbus.main.clientTLS" -}}
{{- $mode := include "eventbus.route.tls" (dict "root" . "name" "natsClient") -}}
{{- if eq $mode "terminate" -}}
{{- dict "tls" dict "allow_non_tls" true | toJson -}}
{{- else if eq $mode "passthrough" -}}
{{- $dir := "/etc/nats-certs/client" -}}
{{- $cert := include "eventbus.secretKey" (dict "root" . "name" "nats-server-tls" "key" "tls.crt") -}}
{{- $key := include "eventbus.secretKey" (dict "root" . "name" "nats-server-tls" "key" "tls.key") -}}
{{- /* auto: TLS first where a client begins with it within 50 ms, else INFO */ -}}
{{- $tls := dict "cert_file" (printf "%s/%s" $dir $cert) "key_file" (printf "%s/%s" $dir $key) "handshake_first" "auto" -}}
{{- dict "tls" $tls "allow_non_tls" true | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* The leaf listener and the links of the main servers, with TLS before INFO where a gateway passes it through by name. */}}
{{- define "eventbus.main.leafListener" -}}
{{- $leaf := include "eventbus.main.leafnodes" . | fromYaml -}}
{{- if and (eq (include "eventbus.route.tls" (dict "root" . "name" "natsLeafnode")) "passthrough") (kindIs "map" $leaf.tls) -}}
{{- $_ := set $leaf.tls "handshake_first" true -}}
{{- end -}}
{{- toJson $leaf -}}
{{- end -}}

{{/* The links of the mTLS server come to the same listener. */}}
{{- define "eventbus.mtls.leafLinks" -}}
{{- $leaf := include "eventbus.mtls.leafnodes" . | fromYaml -}}
{{- if eq (include "eventbus.route.tls" (dict "root" . "name" "natsLeafnode")) "passthrough" -}}
{{- range $leaf.remotes -}}{{- if kindIs "map" .tls -}}{{- $_ := set .tls "handshake_first" true -}}{{- end -}}{{- end -}}
{{- end -}}
{{- toJson $leaf -}}
{{- end -}}
