{{/* What the schema cannot say. All findings at once, each with where it is and what to write instead. */}}

{{/* Paths of texts that hold a seed: (dict "value" … "path" "serviceConfig") → one a line. The text itself is never repeated. */}}
{{- define "auth-callout.seeds" -}}
{{- $path := .path -}}
{{- if kindIs "string" .value -}}
{{- if regexMatch "S[UAOXNC][A-Z2-7]{56}" .value }}
{{ $path }}
{{- end -}}
{{- else if kindIs "map" .value -}}
{{- range $key, $value := .value -}}
{{- include "auth-callout.seeds" (dict "value" $value "path" (printf "%s.%s" $path $key)) -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $i, $value := .value -}}
{{- include "auth-callout.seeds" (dict "value" $value "path" (printf "%s[%d]" $path $i)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "auth-callout.findings" -}}
{{- $config := include "auth-callout.config" . | fromJson -}}
{{- $nats := $config.nats | default dict -}}
{{- $where := dict "serviceConfig" $config "permissions.document" .Values.permissions.document
  "extraEnv" (include "auth-callout.list" (list . "extraEnv") | fromJson).v -}}
{{- range list "extraArgs" "podAnnotations" "deploymentAnnotations" "initContainers" "extraContainers" "extraObjects" -}}
{{- $_ := set $where . (index $.Values .) -}}
{{- end -}}
{{- range $path, $value := $where -}}
{{- range include "auth-callout.seeds" (dict "value" $value "path" $path) | trim | splitList "\n" -}}
{{- if . }}
{{ . }}: a seed stands here, which everybody who may read the release could see; put it into a Secret and name that in keys or hotConfig
{{- end -}}
{{- end -}}
{{- end -}}
{{- range list "nkey-seed" "issuer-seed" "xkey-seed" "token" -}}
{{- if index $nats . }}
serviceConfig.nats.{{ . }}: a secret has no place in a ConfigMap; use keys for seeds, hotConfig or extraEnv with valueFrom for a token
{{- end -}}
{{- end -}}
{{- range $name, $account := $config.accounts -}}
{{- if index $account "signing-seed" }}
serviceConfig.accounts.{{ $name }}.signing-seed: a secret has no place in a ConfigMap; use signing-seed-file with a mounted Secret, or hotConfig
{{- end -}}
{{- end -}}
{{- $otlp := (($config.observability).tracing).otlp | default dict -}}
{{- if $otlp.headers }}
serviceConfig.observability.tracing.otlp.headers: a secret has no place in a ConfigMap; use headers-file with a mounted Secret
{{- end -}}
{{- $urls := dict "jwks.url" ($config.jwks).url -}}
{{- range list "endpoint" "traces-endpoint" -}}{{- $_ := set $urls (printf "observability.tracing.otlp.%s" .) (get $otlp .) -}}{{- end -}}
{{- range list "api-url" "jwks-url" -}}{{- $_ := set $urls (printf "kubernetes.%s" .) (get ($config.kubernetes | default dict) .) -}}{{- end -}}
{{- range $i, $issuer := $config.issuers -}}
{{- range list "url" "api-url" "jwks-url" -}}{{- $_ := set $urls (printf "issuers[%d].%s" $i .) (get $issuer .) -}}{{- end -}}
{{- end -}}
{{- range $path, $url := $urls -}}
{{- if regexMatch "^[a-zA-Z]+://[^/?#]*@" (toString $url) }}
serviceConfig.{{ $path }}: a user and password in a URL have no place in a ConfigMap; use hotConfig, or extraEnv with valueFrom
{{- end -}}
{{- end -}}
{{- range $url := splitList "," (toString ($nats.url | default "")) -}}
{{- if contains "@" $url }}
serviceConfig.nats.url: a user and password in a URL have no place in a ConfigMap; use keys, or NATS_URL by extraEnv with valueFrom
{{- end -}}
{{- end -}}
{{- if not (or (index $nats "issuer-seed-file") .Values.hotConfig.secretName .Values.extraEnv .Values.extraEnvFrom $config.accounts) }}
keys.issuerSeeds: nobody names the seed that signs; write the key of the Secret, or give the seed by hotConfig
{{- end -}}
{{- if and .Values.mtls.ca.secretName .Values.mtls.ca.configMapName }}
mtls.ca: secretName and configMapName are both given; keep one
{{- end -}}
{{- if and .Values.permissions.existingConfigMap .Values.permissions.document }}
permissions.document: permissions.existingConfigMap is given too, so nobody would read it; keep one
{{- end -}}
{{- if not .Values.kubernetesTokens.enabled -}}
{{- if .Values.kubernetesTokens.tokenReview }}
kubernetesTokens.tokenReview: has no effect without kubernetesTokens.enabled: true
{{- end -}}
{{- if index ($config.kubernetes | default dict) "in-cluster" }}
serviceConfig.kubernetes.in-cluster: the pods have neither a token for the API server nor rights there; set kubernetesTokens.enabled: true
{{- end -}}
{{- range $i, $issuer := $config.issuers -}}
{{- if index $issuer "in-cluster" }}
serviceConfig.issuers[{{ $i }}].in-cluster: the pods have neither a token for the API server nor rights there; set kubernetesTokens.enabled: true
{{- end -}}
{{- end -}}
{{- else if not (or ($config.kubernetes).account .Values.extraEnv .Values.extraEnvFrom .Values.hotConfig.secretName) }}
serviceConfig.kubernetes.account: missing; write the NATS account that ServiceAccounts are placed into
{{- end -}}
{{- if eq (include "auth-callout.healthPort" .) "0" }}
serviceConfig.host.port: 0 switches health off, and kubelet would restart the pods for ever; write a port
{{- end -}}
{{- if eq (include "auth-callout.healthPort" .) (include "auth-callout.metricsPort" .) }}
serviceConfig.observability.metrics.prometheus.port: the same as host.port; write another one
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (or (not .Values.metricsService.enabled) (eq (include "auth-callout.metricsPort" .) "0")) }}
serviceMonitor.enabled: there is no metrics Service to scrape; set metricsService.enabled: true and a metrics port that is not 0
{{- end -}}
{{- if .Values.podDisruptionBudget.enabled -}}
{{- $least := int (ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled) -}}
{{- $stay := .Values.podDisruptionBudget.minAvailable | toString -}}
{{- $away := .Values.podDisruptionBudget.maxUnavailable | toString -}}
{{- if or (eq $stay "100%") (and (regexMatch "^[0-9]+$" $stay) (ge (int $stay) $least) (gt $least 0)) }}
podDisruptionBudget.minAvailable: {{ $stay }} of {{ $least }} must stay, so no node with one of them could be drained; write less, or leave it out
{{- else if and (eq $stay "") (has $away (list "0" "0%")) }}
podDisruptionBudget.maxUnavailable: none may be away, so no node with one of them could be drained; write 1 or more
{{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
autoscaling.minReplicas: more than maxReplicas
{{- end -}}
{{- end -}}

{{- define "auth-callout.validate" -}}
{{- $findings := include "auth-callout.findings" . | trim -}}
{{- if $findings -}}
{{- fail (printf "auth-callout:\n%s" $findings) -}}
{{- end -}}
{{- end -}}
