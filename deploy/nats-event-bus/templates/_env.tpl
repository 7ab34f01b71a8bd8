{{/*
Keys of the servers and of auth-callout as environment variables from Secrets: public ones, and seeds only of the links
that a server itself dials. nats-server reads the environment at its start and never again, so new keys need a restart.
*/}}

{{/* SECRET, or a login: the variable of its public key. */}}
{{- define "eventbus.variable" -}}
  {{- $login := ternary . (dict "secret" .) (kindIs "map" .) -}}
  {{- printf "%s_%s" $login.secret ($login.file | default "pubkey") | upper | replace "-" "_" -}}
{{- end -}}

{{/* SECRET, or a login: its public key in nats.conf. */}}
{{- define "eventbus.key" -}}
  {{- printf "<< $%s >>" (include "eventbus.variable" .) -}}
{{- end -}}

{{/* (list ROOT SECRET KEY): a variable's source, as JSON. */}}
{{- define "eventbus.env.from" -}}
  {{- $name := include "eventbus.secretName" (dict "root" (index . 0) "name" (index . 1)) -}}
  {{- $key := include "eventbus.secretKey" (dict "root" (index . 0) "name" (index . 1) "key" (index . 2)) -}}
  {{- dict "valueFrom" (dict "secretKeyRef" (dict "name" $name "key" $key)) | toJson -}}
{{- end -}}

{{/*
The Secret nats-authx-user has pubkey-old while the login of auth-callout is rotated, and servers know both. At all other
times the variable is this: nats.conf cannot leave out what is not in the environment, and takes no key twice. The form is that of a
user's key (the number 2), but no point of the curve has these bytes, so there is no seed to it, and no signature is good for it.
*/}}
{{- define "eventbus.nobodysKey" -}}UABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHWN{{- end -}}
{{- define "eventbus.main.envFrom" -}}{{- list (dict "configMapRef" (dict "name" "event-bus-env")) | toJson -}}{{- end -}}

{{/* (list ROOT SECRETS SEEDS): a map for container.env; SECRETS has names of Secrets, and logins, SEEDS is {VARIABLE: SECRET}. */}}
{{- define "eventbus.env" -}}
  {{- $root := index . 0 -}}
  {{- $env := dict -}}
  {{- range $secret := index . 1 -}}
    {{- $login := ternary $secret (dict "secret" $secret) (kindIs "map" $secret) -}}
    {{- $from := include "eventbus.env.from" (list $root $login.secret ($login.file | default "pubkey")) | fromJson -}}
    {{- if eq ($login.file | default "pubkey") "pubkey-old" -}}{{- /* what is not there stays as envFrom has it */ -}}
      {{- $_ := set $from.valueFrom.secretKeyRef "optional" true -}}
    {{- end -}}
    {{- $_ := set $env (include "eventbus.variable" $secret) $from -}}
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
  {{- range include "eventbus.logins" $site | fromJsonArray -}}{{- $secrets = append $secrets . -}}{{- end -}}
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
