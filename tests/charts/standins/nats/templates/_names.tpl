{{- define "nats.fullname" -}}
{{- if .Values.fullnameOverride -}}
  {{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
  {{- $name := default .Chart.Name .Values.nameOverride -}}
  {{- if contains $name .Release.Name -}}{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
  {{- else -}}{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nats.meta" -}}
name: {{ .name }}
namespace: {{ default .ctx.Release.Namespace .ctx.Values.namespaceOverride }}
labels:
  {{- include "nats.labels" .ctx | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- end -}}

{{- define "nats.labels" -}}
{{- with .Values.global.labels }}{{ toYaml . }}
{{ end -}}
helm.sh/chart: nats-{{ .Chart.Version }}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "nats.selector" -}}
app.kubernetes.io/name: {{ default .ctx.Chart.Name .ctx.Values.nameOverride }}
app.kubernetes.io/instance: {{ .ctx.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "nats.image" -}}
{{- $global := .ctx.Values.global.image | default dict -}}
{{- if .image.fullImageName -}}
image: {{ .image.fullImageName }}
{{- else -}}
{{- $registry := .image.registry | default $global.registry -}}
image: {{ with $registry }}{{ . }}/{{ end }}{{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag }}{{ end }}
{{- end }}
{{- with .image.pullPolicy | default $global.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end -}}

{{- define "nats.env" -}}
{{- range $name, $value := . }}
{{- if kindIs "string" $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- else if kindIs "map" $value }}
- {{ merge (dict "name" $name) $value | toYaml | nindent 2 | trim }}
{{- else }}
{{- fail (printf "env var %s must be string or map, not %s" $name (kindOf $value)) }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Writes an object: base is YAML. */ -}}
{{- define "nats.object" -}}
{{- $base := fromYaml .base -}}
{{- if hasKey $base "Error" -}}{{- fail (printf "%s\n%s" (get $base "Error") .base) -}}{{- end -}}
{{- include "nats.shape" (dict "base" $base "over" .over) | fromJson | dig "doc" dict | toYaml -}}
{{- end -}}
