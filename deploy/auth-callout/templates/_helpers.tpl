{{/* Names and labels. All helpers begin with the chart's name: templates of all charts of a release share one space. */}}

{{- define "auth-callout.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "auth-callout.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* A name with something behind it: (list . "-metrics"). The end is never cut off. */}}
{{- define "auth-callout.nameWith" -}}
{{- $suffix := index . 1 -}}
{{- printf "%s%s" (include "auth-callout.fullname" (index . 0) | trunc (int (sub 63 (len $suffix))) | trimSuffix "-") $suffix -}}
{{- end -}}

{{/* Names of what belongs to the whole cluster hold the namespace: two releases of one name may live in two namespaces. */}}
{{- define "auth-callout.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "auth-callout.fullname" .) -}}
{{- end -}}

{{- define "auth-callout.selectorLabels" -}}
app.kubernetes.io/name: {{ include "auth-callout.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "auth-callout.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "auth-callout.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: auth-callout
app.kubernetes.io/part-of: event-bus
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Those of the pods hold no version: a new version of the chart alone replaces no pod. */}}
{{- define "auth-callout.podLabels" -}}
{{- $own := include "auth-callout.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" "auth-callout" -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "event-bus" -}}
{{- merge $own (deepCopy .Values.podLabels) .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "auth-callout.serviceAccountName" -}}
{{- $name := tpl .Values.serviceAccount.name . -}}
{{- if $name -}}{{ $name }}{{- else if .Values.serviceAccount.create -}}{{ include "auth-callout.fullname" . }}{{- else -}}default{{- end -}}
{{- end -}}

{{- define "auth-callout.image" -}}
{{- $shared := (.Values.global).image | default dict -}}
{{- $registry := .Values.image.registry | default $shared.registry -}}
{{- $name := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (not (empty $registry)) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Where Secrets for the registry come from: our own list, and the names that a chart around this one gives to all. */}}
{{- define "auth-callout.pullSecrets" -}}
{{- $found := list -}}
{{- range ((.Values.global).image).pullSecretNames -}}
{{- $found = append $found (dict "name" .) -}}
{{- end -}}
{{- concat $found .Values.imagePullSecrets | uniq | toYaml -}}
{{- end -}}
