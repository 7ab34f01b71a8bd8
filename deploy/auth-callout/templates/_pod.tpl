{{/* Environment, mounts and volumes of the pod. What the chart itself mounts stands here in one place, each with its three parts. */}}

{{- /* One that extraEnv names, too, is left to it: two of one name are an error to server-side apply. */ -}}
{{- define "auth-callout.env" -}}
{{- $extra := (include "auth-callout.list" (list . "extraEnv") | fromJson).v | default list -}}
{{- $own := list -}}
{{- if tpl .Values.hotConfig.secretName . -}}
{{- $own = append $own (dict "name" "AUTH_CALLOUT_HOT_CONFIG" "value" (printf "%s/%s" (include "auth-callout.hotFolder" .) .Values.hotConfig.key)) -}}
{{- end -}}
{{- if include "auth-callout.mtlsSource" . -}}
{{- $path := printf "%s/%s" (include "auth-callout.mtlsFolder" .) .Values.mtls.ca.key -}}
{{- $own = append $own (dict "name" "AUTH_CALLOUT_MTLS_CA_PATH" "value" $path) -}}
{{- end -}}
{{- if tpl .Values.mqttStreams.configMapName . -}}
{{- $path := printf "%s/%s" (include "auth-callout.streamsFolder" .) .Values.mqttStreams.key -}}
{{- $own = append $own (dict "name" "AUTH_CALLOUT_MQTT_STREAMS_FILE" "value" $path) -}}
{{- end -}}
{{- $named := list -}}
{{- range $extra -}}
{{- $named = append $named .name -}}
{{- end -}}
{{- $all := list -}}
{{- range $own -}}
{{- if not (has .name $named) -}}
{{- $all = append $all . -}}
{{- end -}}
{{- end -}}
{{- with concat $all $extra -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "auth-callout.mtlsSource" -}}
{{- $secret := tpl .Values.mtls.ca.secretName . -}}
{{- $configMap := tpl .Values.mtls.ca.configMapName . -}}
{{- if $secret -}}
secret:
  secretName: {{ $secret }}
  defaultMode: 0440
{{- else if $configMap -}}
configMap:
  name: {{ $configMap }}
{{- end -}}
{{- end -}}

{{- define "auth-callout.mounts" -}}
{{- /* folders, not single files of them: only so does a change come through */ -}}
- name: config
  mountPath: {{ include "auth-callout.configFolder" . }}
  readOnly: true
{{- if tpl .Values.keys.secretName . }}
- name: keys
  mountPath: {{ .Values.keys.path }}
  readOnly: true
{{- end }}
{{- if tpl .Values.hotConfig.secretName . }}
- name: hot-config
  mountPath: {{ include "auth-callout.hotFolder" . }}
  readOnly: true
{{- end }}
{{- if include "auth-callout.mtlsSource" . }}
- name: mtls-ca
  mountPath: {{ include "auth-callout.mtlsFolder" . }}
  readOnly: true
{{- end }}
{{- if tpl .Values.mqttStreams.configMapName . }}
- name: mqtt-streams
  mountPath: {{ include "auth-callout.streamsFolder" . }}
  readOnly: true
{{- end }}
{{- if .Values.cache.enabled }}
- name: cache
  mountPath: {{ .Values.cache.path }}
{{- end }}
{{- if .Values.kubernetesTokens.enabled }}
- name: api
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}
{{- with include "auth-callout.yamlList" (list . "extraVolumeMounts") }}
{{ . }}
{{- end }}
{{- end -}}

{{- define "auth-callout.volumes" -}}
- name: config
  projected:
    defaultMode: 0444
    sources:
      - configMap:
          name: {{ include "auth-callout.fullname" . }}
      - configMap:
          name: {{ include "auth-callout.permissionsName" . }}
          items:
            - key: {{ .Values.permissions.key }}
              path: permissions.yaml
{{- with tpl .Values.keys.secretName . }}
- name: keys
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with tpl .Values.hotConfig.secretName . }}
- name: hot-config
  secret:
    secretName: {{ . }}
    optional: true
    defaultMode: 0440
    items:
      - key: {{ $.Values.hotConfig.key }}
        path: {{ $.Values.hotConfig.key }}
{{- end }}
{{- with include "auth-callout.mtlsSource" . }}
- name: mtls-ca
  {{- . | nindent 2 }}
    items:
      - key: {{ $.Values.mtls.ca.key }}
        path: {{ $.Values.mtls.ca.key }}
{{- end }}
{{- with tpl .Values.mqttStreams.configMapName . }}
- name: mqtt-streams
  configMap:
    name: {{ . }}
    items:
      - key: {{ $.Values.mqttStreams.key }}
        path: {{ $.Values.mqttStreams.key }}
{{- end }}
{{- if .Values.cache.enabled }}
- name: cache
  emptyDir:
    sizeLimit: {{ .Values.cache.sizeLimit }}
{{- end }}
{{- if .Values.kubernetesTokens.enabled }}
{{- /* what a pod gets by automount, in this one container only */}}
- name: api
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: {{ .Values.kubernetesTokens.expirationSeconds | int64 }}
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}
{{- with include "auth-callout.yamlList" (list . "extraVolumes") }}
{{ . }}
{{- end }}
{{- end -}}

{{/* Spread constraints: one without a selector counts these pods. */}}
{{- define "auth-callout.spread" -}}
{{- $selector := dict "matchLabels" (include "auth-callout.selectorLabels" . | fromYaml) -}}
{{- $made := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $made = append $made (merge (deepCopy .) (dict "labelSelector" $selector)) -}}
{{- end -}}
{{- if $made -}}{{ toYaml $made }}{{- end -}}
{{- end -}}
