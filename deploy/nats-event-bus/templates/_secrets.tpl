{{/*
Secrets are never made here: any pipeline may provide them (`eventbus secrets manifests`, External Secrets, Vault). Their names and keys are
the documented ones, unless global.eventBus.secrets says otherwise:

  secrets: { nats-xkey: { name: bus-xkey, keys: { pubkey: public } } }

Only the global values are used, since the charts below ask, too.
*/}}

{{/* (dict "root" $ "name" "nats-xkey"): the Secret's name. */}}
{{- define "eventbus.secretName" -}}
{{- $secrets := (include "eventbus.bus" .root | fromJson).secrets | default dict -}}
{{- (get $secrets .name | default dict).name | default .name -}}
{{- end -}}

{{/* (dict "root" $ "name" "nats-xkey" "key" "pubkey"): the key in it. */}}
{{- define "eventbus.secretKey" -}}
{{- $secrets := (include "eventbus.bus" .root | fromJson).secrets | default dict -}}
{{- get ((get $secrets .name | default dict).keys | default dict) .key | default .key -}}
{{- end -}}

{{/* The Secrets that a site needs, as JSON {NAME: [KEY…]}: for the notes, and to tell a misspelt name in `secrets`. */}}
{{- define "eventbus.secretTable" -}}
{{- $site := include "eventbus.site" . | fromJson -}}
{{- $bus := include "eventbus.bus" . | fromJson -}}
{{- $need := dict "auth-callout-keys" (list "nkey-seed" "issuer-seed" "xkey-seed") -}}
{{- range list "nats-auth-signing" "nats-authx-user" "nats-auth-watch" "nats-sys-admin" -}}{{- $_ := set $need . (list "pubkey") -}}{{- end -}}
{{- /* the servers want all public keys, whether or not the login is used */ -}}
{{- $seeds := dict
    "nats-surveyor" (list $bus.surveyor "seed")
    "nats-nack-user" (list $bus.nack "nack-user.nk")
    "nats-streams" (list $bus.streamsWatch "seed") -}}
{{- if dig "tests" "enabled" true $bus -}}{{- $_ := set $seeds "nats-streams" (list dict "seed") -}}{{- end -}}
{{- range $name, $of := $seeds -}}
{{- $on := eq (toString (dig "enabled" true (index $of 0 | default dict))) "true" -}}
{{- $_ := set $need $name (ternary (list (index $of 1) "pubkey") (list "pubkey") $on) -}}
{{- end -}}
{{- if not $site.servers.xkey -}}
{{- $_ := set $need "auth-callout-keys" (list "nkey-seed" "issuer-seed") -}}
{{- else -}}
{{- $_ := set $need "nats-xkey" (list "pubkey") -}}
{{- end -}}
{{- if $site.mtls -}}
{{- range list "nats-mtls-leaf" "nats-mtls-authx-leaf" "nats-mtls-sys-leaf" -}}{{- $_ := set $need . (list "seed" "pubkey") -}}{{- end -}}
{{- $_ := set $need "nats-mtls-server-tls" (list "ca.crt" "tls.crt" "tls.key") -}}
{{- $_ := set $need "auth-callout-mtls-ca" (list "ca.crt") -}}
{{- end -}}
{{- $links := list "" -}}
{{- range $site.extras -}}{{- if .enabled -}}{{- $links = append $links (printf "%s-" .lower) -}}{{- end -}}{{- end -}}
{{- range $link := $links -}}
{{- if eq $site.type "cpc" -}}
{{- $_ := set $need (printf "nats-leaf-%scsc" $link) (list "seed") -}}
{{- else -}}
{{- range $site.cpcIds -}}{{- $_ := set $need (printf "nats-leaf-%scpc-%s" $link .) (list "pubkey") -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if include "eventbus.leafFiles" . -}}{{- $_ := set $need "nats-leaf-tls" (include "eventbus.leafFiles" . | splitList " ") -}}{{- end -}}
{{- if include "eventbus.clientPassthrough" . -}}{{- $_ := set $need "nats-server-tls" (list "tls.crt" "tls.key") -}}{{- end -}}
{{- toJson $need -}}
{{- end -}}

{{/* The Secret with the CA of client certificates, "" where there is no mTLS server. */}}
{{- define "eventbus.calloutCA" -}}
{{- if (include "eventbus.site" . | fromJson).mtls -}}{{- include "eventbus.secretName" (dict "root" . "name" "auth-callout-mtls-ca") -}}{{- end -}}
{{- end -}}
