{{/*
Leaf listener of the main servers and the links of a site: of a CPC to the CSC, of the mTLS server to the main ones.
*/}}

{{/* Map for config.leafnodes.merge of the main servers. */}}
{{- define "eventbus.main.leafnodes" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- /* Whoever links to this server keeps to the addresses that it was given. Only the timer is in authorization, which runs
  beside that of the callout (nats-server warns of more than 60): users here would bypass it. */ -}}
  {{- $leaf := dict "no_advertise" true "authorization" (dict "timeout" (min 60 (add $site.servers.authTimeout 5))) -}}
  {{- if $site.leafServerTLS -}}
    {{- $_ := set $leaf "tls" (include "eventbus.tls" (list $site.leafServerTLS (hasKey $site.leafServerTLS "ca")) | fromJson) -}}
  {{- end -}}
  {{- if eq $site.type "cpc" -}}
    {{- $remotes := list (include "eventbus.remote" (list $site.endpoint "CSC" "LEAF_CSC" $site.leafClientTLS) | fromJson) -}}
    {{- range $extra := $site.extras -}}
      {{- if $extra.enabled -}}
        {{- $remotes = append $remotes (include "eventbus.remote" (list $site.endpoint $extra.name (printf "LEAF_%s_CSC" (upper $extra.lower))
            $site.leafClientTLS) | fromJson) -}}
      {{- end -}}
    {{- end -}}
    {{- $_ := set $leaf "remotes" $remotes -}}
    {{- /* Short, so that the link is back before the CSC first asks for stored messages after its restart: that question would
    wait 30 s for its answer. */ -}}
    {{- $_ := set $leaf "reconnect" "100ms" -}}
  {{- end -}}
  {{- toYaml $leaf -}}
{{- end -}}

{{/* Map for config.leafnodes.merge of the mTLS server: its links, with the site's own certificate where it has one. */}}
{{- define "eventbus.mtls.leafnodes" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- $urls := $site.servers.leafUrls | default (list "nats://event-bus:7422") -}}
  {{- $remotes := list -}}
  {{- range $link := list (list $site.account "MTLS_LEAF") (list "AUTHX" "MTLS_AUTHX_LEAF") (list "SYS" "MTLS_SYS_LEAF") -}}
    {{- $remotes = append $remotes (include "eventbus.remote" (list $urls (index $link 0) (index $link 1) $site.leafServerTLS) | fromJson) -}}
  {{- end -}}
  {{- dict "remotes" $remotes | toYaml -}}
{{- end -}}

{{/* (list URLS ACCOUNT VARIABLE TLS): a link that logs in with the seed that the variable holds. */}}
{{- define "eventbus.remote" -}}
  {{- $urls := list -}}
  {{- range index . 0 -}}{{- $urls = append $urls (trim .) -}}{{- end -}}
  {{- $remote := dict "urls" $urls "account" (index . 1) "nkey" (printf "<< $%s >>" (index . 2)) -}}
  {{- if index . 3 -}}{{- $_ := set $remote "tls" (include "eventbus.tls" (list (index . 3) false) | fromJson) -}}{{- end -}}
  {{- toJson $remote -}}
{{- end -}}

{{/* (list TLS VERIFY): nats-server's words for a block of paths. */}}
{{- define "eventbus.tls" -}}
  {{- $given := index . 0 -}}
  {{- $tls := dict "timeout" 30 -}}
  {{- range $part, $name := dict "cert" "cert_file" "key" "key_file" "ca" "ca_file" -}}
    {{- with index $given $part -}}{{- $_ := set $tls $name . -}}{{- end -}}
  {{- end -}}
  {{- if index . 1 -}}{{- $_ := set $tls "verify" true -}}{{- end -}}
  {{- if $given.handshakeFirst -}}{{- $_ := set $tls "handshake_first" true -}}{{- end -}}
  {{- toJson $tls -}}
{{- end -}}
