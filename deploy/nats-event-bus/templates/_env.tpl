{{/*
Keys of the servers and of auth-callout as environment variables from Secrets: public ones, and seeds only of the links
that a server itself dials. nats-server reads the environment at its start and never again, so new keys need a restart.
*/}}

{{/* SECRET: the variable of its public key. */}}
{{- define "eventbus.variable" -}}
  {{- printf "%s_PUBKEY" (upper . | replace "-" "_") -}}
{{- end -}}

{{/* SECRET: its public key in nats.conf. */}}
{{- define "eventbus.key" -}}
  {{- printf "<< $%s >>" (include "eventbus.variable" .) -}}
{{- end -}}

{{/* (list ROOT SECRET KEY): a variable's source, as JSON. */}}
{{- define "eventbus.env.from" -}}
  {{- $name := include "eventbus.secretName" (dict "root" (index . 0) "name" (index . 1)) -}}
  {{- $key := include "eventbus.secretKey" (dict "root" (index . 0) "name" (index . 1) "key" (index . 2)) -}}
  {{- dict "valueFrom" (dict "secretKeyRef" (dict "name" $name "key" $key)) | toJson -}}
{{- end -}}

{{/* (list ROOT SECRETS SEEDS): a map for container.env; SEEDS is {VARIABLE: SECRET}. */}}
{{- define "eventbus.env" -}}
  {{- $root := index . 0 -}}
  {{- $env := dict -}}
  {{- range $secret := index . 1 -}}
    {{- $_ := set $env (include "eventbus.variable" $secret) (include "eventbus.env.from" (list $root $secret "pubkey") | fromJson) -}}
  {{- end -}}
  {{- range $variable, $secret := index . 2 -}}
    {{- $_ := set $env $variable (include "eventbus.env.from" (list $root $secret "seed") | fromJson) -}}
  {{- end -}}
  {{- toYaml $env -}}
{{- end -}}

{{- define "eventbus.main.env" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- $secrets := list "nats-auth-signing" -}}
  {{- if $site.servers.xkey -}}{{- $secrets = append $secrets "nats-xkey" -}}{{- end -}}
  {{- range include "eventbus.logins" $site | fromJsonArray -}}{{- $secrets = append $secrets .secret -}}{{- end -}}
  {{- $seeds := dict -}}
  {{- if eq $site.type "cpc" -}}
    {{- $_ := set $seeds "LEAF_CSC" "nats-leaf-csc" -}}
    {{- range $site.extras -}}
      {{- if .enabled -}}{{- $_ := set $seeds (printf "LEAF_%s_CSC" (upper .lower)) (printf "nats-leaf-%s-csc" .lower) -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- include "eventbus.env" (list . $secrets $seeds) -}}
{{- end -}}

{{- define "eventbus.mtls.env" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- $secrets := list "nats-auth-signing" "nats-sys-admin" -}}
  {{- if $site.servers.xkey -}}{{- $secrets = append $secrets "nats-xkey" -}}{{- end -}}
  {{- include "eventbus.env" (list . $secrets (dict "MTLS_LEAF" "nats-mtls-leaf" "MTLS_AUTHX_LEAF" "nats-mtls-authx-leaf" "MTLS_SYS_LEAF"
      "nats-mtls-sys-leaf")) -}}
{{- end -}}

{{/*
List for auth-callout's container: the public keys that the permissions document names. Its own seeds are files, mounted
from auth-callout-keys: a file can be had by its owner alone, the environment by whatever starts in the container.
*/}}
{{- define "eventbus.callout.env" -}}
  {{- $root := . -}}
  {{- $env := list -}}
  {{- range include "eventbus.logins" (include "eventbus.site" . | fromJson) | fromJsonArray -}}
    {{- if .entry -}}
      {{- $env = append $env (merge (dict "name" (include "eventbus.variable" .secret)) (include "eventbus.env.from" (list $root .secret
          "pubkey") | fromJson)) -}}
    {{- end -}}
  {{- end -}}
  {{- toYaml $env -}}
{{- end -}}
