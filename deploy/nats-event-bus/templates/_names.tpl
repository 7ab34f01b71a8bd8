{{/* Names, labels and the image of what this chart itself starts. The names are fixed: see nats.fullnameOverride in values.yaml. */}}

{{- define "eventbus.labels" -}}
helm.sh/chart: {{ printf "nats-event-bus-%s" (index .root.Chart.Version) | replace "+" "_" }}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: event-bus
{{- end -}}

{{- define "eventbus.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* global.image, by which all charts that know it take a mirror: registry, pullPolicy, pullSecretNames. As JSON. */}}
{{- define "eventbus.sharedImage" -}}{{- (.Values.global).image | default dict | toJson -}}{{- end -}}

{{/* Only from the umbrella: the image of auth-callout has `eventbus`, too. */}}
{{- define "eventbus.image" -}}
{{- $own := (include "eventbus.bus" . | fromJson).image | default dict -}}
{{- $callout := (index .Values "auth-callout").image | default dict -}}
{{- $repository := $own.repository -}}
{{- if not $repository -}}
{{- $repository = $callout.repository | default "auth-callout" -}}
{{- with $callout.registry | default (include "eventbus.sharedImage" . | fromJson).registry -}}{{- $repository = printf "%s/%s" . $repository -}}{{- end -}}
{{- end -}}
{{- $digest := $own.digest | default (ternary "" $callout.digest (not (empty $own.tag))) -}}
{{- $repository -}}
{{- if $digest -}}@{{ $digest }}{{- else -}}:{{ $own.tag | default $callout.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- define "eventbus.pullPolicy" -}}
{{- $own := ((include "eventbus.bus" . | fromJson).image | default dict).pullPolicy -}}
{{- $callout := ((index .Values "auth-callout").image | default dict).pullPolicy -}}
{{- $own | default $callout | default (include "eventbus.sharedImage" . | fromJson).pullPolicy | default "IfNotPresent" -}}
{{- end -}}

{{/* What to pull it with, as a JSON list of {name}: its own Secrets, or, as the image itself, those of auth-callout. */}}
{{- define "eventbus.pullSecrets" -}}
{{- $found := list -}}
{{- range ((include "eventbus.bus" . | fromJson).image | default dict).pullSecrets -}}{{- $found = append $found (dict "name" .) -}}{{- end -}}
{{- if not $found -}}
{{- range (include "eventbus.sharedImage" . | fromJson).pullSecretNames -}}{{- $found = append $found (dict "name" .) -}}{{- end -}}
{{- $found = concat $found ((index .Values "auth-callout").imagePullSecrets | default list) | uniq -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The restricted Pod Security Standard, with more: for pods and for containers. */}}
{{- define "eventbus.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}
{{- define "eventbus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}
