{{/* The service's configuration: serviceConfig, and the paths of what this chart mounts. What serviceConfig says wins. */}}

{{- define "auth-callout.configFolder" -}}/etc/auth-callout{{- end -}}
{{- define "auth-callout.hotFolder" -}}/etc/auth-callout-hot{{- end -}}
{{- define "auth-callout.mtlsFolder" -}}/etc/auth-callout-mtls{{- end -}}
{{- define "auth-callout.streamsFolder" -}}/etc/auth-callout-streams{{- end -}}

{{/* JSON of the whole. */}}
{{- define "auth-callout.config" -}}
{{- $given := (include "auth-callout.tpl" (dict "value" .Values.serviceConfig "context" .) | fromJson).v -}}
{{- $own := dict "permissions" (dict "file" (printf "%s/permissions.yaml" (include "auth-callout.configFolder" .))) -}}
{{- $keys := .Values.keys -}}
{{- $nats := dict -}}
{{- if $keys.nkeySeed -}}
{{- $_ := set $nats "nkey-seed-file" (printf "%s/%s" $keys.path $keys.nkeySeed) -}}
{{- end -}}
{{- range $option, $names := dict "issuer-seed-file" $keys.issuerSeeds "xkey-seed-file" $keys.xkeySeeds -}}
{{- $files := list -}}
{{- range $names -}}
{{- $files = append $files (printf "%s/%s" $keys.path .) -}}
{{- end -}}
{{- if $files -}}
{{- $_ := set $nats $option (ternary (first $files) $files (eq (len $files) 1)) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $own "nats" $nats -}}
{{- $kube := dict -}}
{{- if .Values.kubernetesTokens.enabled -}}
{{- $_ := set $kube "in-cluster" true -}}
{{- $_ := set $kube "token-review" .Values.kubernetesTokens.tokenReview -}}
{{- if .Values.cache.enabled -}}
{{- $_ := set $kube "cache-file" (printf "%s/kubernetes.json" .Values.cache.path) -}}
{{- end -}}
{{- $_ := set $own "kubernetes" $kube -}}
{{- end -}}
{{- if and .Values.cache.enabled ($given.jwks).url -}}
{{- $_ := set $own "jwks" (dict "cache-file" (printf "%s/jwks.json" .Values.cache.path)) -}}
{{- end -}}
{{- mergeOverwrite $own $given | toJson -}}
{{- end -}}

{{/*
What of it the service takes at its next start only, as JSON: its checksum is an annotation of the pods, so that such a change replaces
them, and no other does. The options that are left out here are those that `auth-callout generate-config` does not mark with "Takes effect
at a restart", files excepted: one in a new folder needs a restart, since the sandbox has been set up.
*/}}
{{- define "auth-callout.restartConfig" -}}
{{- $config := include "auth-callout.config" . | fromJson -}}
{{- $hot := dict
  "jwks" (list "issuer" "audience" "audience-none" "signing-algorithms" "client-claims" "scope-claims")
  "kubernetes" (list "issuer" "audience" "signing-algorithms" "account" "allowed-accounts" "token-review")
  "nats" (list "issuer-account")
  "mtls" (list "allow-org-identity")
  "noauth" (list "accept-unrecognized")
  "session" (list "expire-with-credential" "max-age")
  "readiness" (list "require") -}}
{{- range $block, $options := $hot -}}
{{- $found := index $config $block -}}
{{- if kindIs "map" $found -}}
{{- range $options -}}
{{- $_ := unset $found . -}}
{{- end -}}
{{- if not $found -}}
{{- $_ := unset $config $block -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $observability := $config.observability | default dict -}}
{{- if kindIs "map" $observability.logging -}}
{{- $_ := unset $observability.logging "level" -}}
{{- if not $observability.logging -}}
{{- $_ := unset $observability "logging" -}}
{{- end -}}
{{- if not $observability -}}
{{- $_ := unset $config "observability" -}}
{{- end -}}
{{- end -}}
{{- $_ := unset $config "allowed-accounts" -}}
{{- $config | toJson -}}
{{- end -}}

{{/* Ports as the service will listen; 0 is off. */}}
{{- define "auth-callout.healthPort" -}}
{{- $config := include "auth-callout.config" . | fromJson -}}
{{- if hasKey ($config.host | default dict) "port" -}}{{ $config.host.port | int }}{{- else -}}8080{{- end -}}
{{- end -}}
{{- define "auth-callout.metricsPort" -}}
{{- $config := include "auth-callout.config" . | fromJson -}}
{{- $prometheus := (($config.observability).metrics).prometheus | default dict -}}
{{- if hasKey $prometheus "port" -}}{{ $prometheus.port | int }}{{- else -}}9090{{- end -}}
{{- end -}}

{{- define "auth-callout.permissionsName" -}}
{{- tpl .Values.permissions.existingConfigMap . | default (include "auth-callout.nameWith" (list . "-permissions")) -}}
{{- end -}}
