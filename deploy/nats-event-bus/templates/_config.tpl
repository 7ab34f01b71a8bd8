{{/*
What the official chart's values take as maps of nats-server's configuration: config.merge, config.mqtt.merge and
config.jetstream.merge of the main servers and of the mTLS server (lib/site/render_main.c, render_mtls.c).
*/}}

{{- define "eventbus.main.config" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- $exempt := list -}}
  {{- range include "eventbus.logins" $site | fromJsonArray -}}{{- $exempt = append $exempt . -}}{{- end -}}
  {{- $config := include "eventbus.config.common" (list $site "AUTH" $exempt) | fromJson -}}
  {{- $_ := set $config "accounts" (include "eventbus.accounts" $site | fromJson) -}}
  {{- toYaml $config -}}
{{- end -}}

{{- define "eventbus.mtls.config" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- $config := include "eventbus.config.common" (list $site "AUTHX" (list "nats-sys-admin")) | fromJson -}}
  {{- /* the callout account here: its leaf ends in AUTHX of the main server, where the service is */ -}}
  {{- $_ := set $config "accounts" (dict "SYS" (dict "users" (list (dict "nkey" (include "eventbus.key" "nats-sys-admin")))) "AUTHX" dict
      $site.account dict) -}}
  {{- toYaml $config -}}
{{- end -}}

{{/* (list SITE ACCOUNT EXEMPT): of both servers; ACCOUNT is where callouts go, EXEMPT whom the callout does not judge, as eventbus.key
takes them. */}}
{{- define "eventbus.config.common" -}}
  {{- $site := index . 0 -}}
  {{- $users := list -}}
  {{- range index . 2 -}}{{- $users = append $users (include "eventbus.key" .) -}}{{- end -}}
  {{- $callout := dict "issuer" (include "eventbus.key" "nats-auth-signing") "account" (index . 1) "auth_users" $users -}}
  {{- if $site.servers.xkey -}}{{- $_ := set $callout "xkey" (include "eventbus.key" "nats-xkey") -}}{{- end -}}
  {{- /* The timer is for the whole way in. A long one costs nothing while auth-callout answers, and lets thousands in at once
  after an outage; the server's own 2 s would not. */ -}}
  {{- $config := dict "system_account" "SYS" "authorization" (dict "timeout" $site.servers.authTimeout "auth_callout" $callout) -}}
  {{- /* a token of several KiB is part of the CONNECT line (default 4096) */ -}}
  {{- $_ := set $config "max_control_line" 65536 -}}
  {{- if $site.servers.debug -}}{{- $_ := set $config "debug" true -}}{{- end -}}
  {{- if or (eq $site.type "cpc") $site.cpcIds -}}
    {{- /* Stored messages cross between the sites (nats-server 2.14 or newer): answers and flow control are named after the
    domain, so that the links can let through each one's own. On all servers. */ -}}
    {{- $_ := set $config "feature_flags" (dict "js_ack_fc_v2" true "js_api_reply_v2" true) -}}
  {{- end -}}
  {{- toJson $config -}}
{{- end -}}

{{- define "eventbus.main.jetstream" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- dict "domain" $site.domain "max_memory_store" (int64 $site.servers.jetstream.maxMemory) "max_file_store" (int64
      $site.servers.jetstream.maxFile) | toYaml -}}
{{- end -}}

{{- define "eventbus.main.mqtt" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- dict "stream_replicas" (int64 $site.streams.replicas) | toYaml -}}
{{- end -}}

{{/* No JetStream at the mTLS server: sessions and stored messages are the main server's, reached by leaf in its domain. */}}
{{- define "eventbus.mtls.mqtt" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- dict "js_domain" $site.domain "stream_replicas" (int64 $site.streams.replicas) | toYaml -}}
{{- end -}}
