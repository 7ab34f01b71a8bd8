{{- define "nats.protocols" -}}
{{- $out := dict -}}
{{- range list "nats" "leafnodes" "websocket" "mqtt" "cluster" "monitor" -}}
  {{- $p := get $.Values.config . -}}
  {{- if or (eq . "nats") $p.enabled -}}{{- $_ := set $out . $p.port -}}{{- end -}}
{{- end -}}
{{- $out | toJson -}}
{{- end -}}

{{- /* Volumes of certificates: name → Secret or ConfigMap, and where they are mounted. */ -}}
{{- define "nats.certificates" -}}
{{- $out := list -}}
{{- range $protocol := list "nats" "leafnodes" "websocket" "mqtt" "cluster" -}}
  {{- $p := get $.Values.config $protocol -}}
  {{- if and (or (eq $protocol "nats") $p.enabled) $p.tls.enabled $p.tls.secretName -}}
    {{- $out = append $out (dict "name" (printf "%s-tls" $protocol) "source" (dict "secret" (dict "secretName" $p.tls.secretName)) "dir" $p.tls.dir) -}}
  {{- end -}}
{{- end -}}
{{- with .Values.tlsCA -}}
  {{- if .enabled -}}
    {{- $source := dict -}}
    {{- if .configMapName -}}{{- $_ := set $source "configMap" (dict "name" .configMapName) -}}
    {{- else -}}{{- $_ := set $source "secret" (dict "secretName" .secretName) -}}{{- end -}}
    {{- $out = append $out (dict "name" "tls-ca" "source" $source "dir" .dir) -}}
  {{- end -}}
{{- end -}}
{{- $out | toJson -}}
{{- end -}}

{{- define "nats.container" -}}
name: nats
{{ include "nats.image" (dict "image" .Values.container.image "ctx" .) }}
args: [--config, /etc/nats-config/nats.conf]
env:
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: SERVER_NAME
  value: {{ printf "%s$(POD_NAME)" .Values.config.serverNamePrefix | quote }}
{{- include "nats.env" .Values.container.env }}
ports:
{{- $over := .Values.container.ports }}
{{- range $name, $port := include "nats.protocols" . | fromJson }}
- {{ merge (dict "name" $name "containerPort" $port) (get $over $name | default dict) | toJson }}
{{- end }}
lifecycle:
  preStop:
    exec: {command: [nats-server, -sl=ldm=/var/run/nats/nats.pid]}
{{- if .Values.config.monitor.enabled }}
startupProbe:
  httpGet: {path: /healthz, port: monitor}
  initialDelaySeconds: 10
  timeoutSeconds: 5
  periodSeconds: 10
  successThreshold: 1
  failureThreshold: 90
readinessProbe:
  httpGet: {path: "/healthz?js-server-only=true", port: monitor}
  initialDelaySeconds: 10
  timeoutSeconds: 5
  periodSeconds: 10
  successThreshold: 1
  failureThreshold: 3
livenessProbe:
  httpGet: {path: "/healthz?js-enabled-only=true", port: monitor}
  initialDelaySeconds: 10
  timeoutSeconds: 5
  periodSeconds: 30
  successThreshold: 1
  failureThreshold: 3
{{- end }}
volumeMounts:
- {name: config, mountPath: /etc/nats-config}
- {name: pid, mountPath: /var/run/nats}
{{- with .Values.config.jetstream }}{{ if and .enabled .fileStore.enabled .fileStore.pvc.enabled }}
- {name: {{ default (printf "%s-js" (include "nats.fullname" $)) .fileStore.pvc.name }}, mountPath: {{ .fileStore.dir }}}
{{- end }}{{ end }}
{{- range include "nats.certificates" . | fromJsonArray }}
- {name: {{ .name }}, mountPath: {{ .dir }}}
{{- end }}
{{- end -}}

{{- define "nats.reloader" -}}
{{- $nats := .container -}}
name: reloader
{{ include "nats.image" (dict "image" .ctx.Values.reloader.image "ctx" .ctx) }}
args:
- -pid
- /var/run/nats/nats.pid
- -config
- /etc/nats-config/nats.conf
env:
{{- include "nats.env" .ctx.Values.reloader.env | default " []" }}
volumeMounts:
- {name: pid, mountPath: /var/run/nats}
{{- range $mount := $nats.volumeMounts }}
{{- $wanted := false }}
{{- range $.ctx.Values.reloader.natsVolumeMountPrefixes }}{{ if hasPrefix . $mount.mountPath }}{{ $wanted = true }}{{ end }}{{ end }}
{{- if $wanted }}
- {{ toJson $mount }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "nats.exporter" -}}
name: prom-exporter
{{ include "nats.image" (dict "image" .Values.promExporter.image "ctx" .) }}
ports:
- {name: prom-metrics, containerPort: {{ .Values.promExporter.port }}}
env:
{{- include "nats.env" .Values.promExporter.env | default " []" }}
args: [-port={{ .Values.promExporter.port }}, -connz, -routez, -subz, -varz, -prefix=nats, -use_internal_server_id
  {{- if .Values.config.jetstream.enabled }}, -jsz=all{{ end }}{{ if .Values.config.leafnodes.enabled }}, -leafz{{ end -}}
  , "http://{{ .Values.promExporter.monitorDomain }}:{{ .Values.config.monitor.port }}/"]
{{- end -}}

{{- define "nats.pod" -}}
{{- $container := include "nats.object" (dict "base" (include "nats.container" .) "over" .Values.container) | fromYaml -}}
{{- $containers := list $container -}}
{{- if .Values.reloader.enabled -}}
  {{- $base := include "nats.reloader" (dict "container" $container "ctx" .) -}}
  {{- $containers = append $containers (include "nats.object" (dict "base" $base "over" .Values.reloader) | fromYaml) -}}
{{- end -}}
{{- if .Values.promExporter.enabled -}}
  {{- $containers = append $containers (include "nats.object" (dict "base" (include "nats.exporter" .) "over" .Values.promExporter) | fromYaml) -}}
{{- end -}}
metadata:
  labels:
    {{- include "nats.labels" . | nindent 4 }}
    app.kubernetes.io/component: nats
  annotations:
    {{- if .Values.podTemplate.configChecksumAnnotation }}
    checksum/config: {{ include "nats.conf" . | sha256sum }}
    {{- end }}
spec:
  containers: {{ toJson $containers }}
  {{- with (.Values.global.image | default dict).pullSecretNames }}
  imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
  {{- end }}
  {{- if .Values.serviceAccount.enabled }}
  serviceAccountName: {{ default (include "nats.fullname" .) .Values.serviceAccount.name }}
  {{- end }}
  {{- if .Values.reloader.enabled }}
  shareProcessNamespace: true
  {{- end }}
  terminationGracePeriodSeconds: 60
  {{- with .Values.podTemplate.topologySpreadConstraints }}
  topologySpreadConstraints:
  {{- range $key, $c := . }}
  - {{ merge (dict "topologyKey" $key "labelSelector" (dict "matchLabels" (include "nats.selector" (dict "ctx" $ "component" "nats") | fromYaml))) $c | toJson }}
  {{- end }}
  {{- end }}
  volumes:
  - name: config
    configMap: {name: {{ default (printf "%s-config" (include "nats.fullname" .)) .Values.configMap.name }}}
  - name: pid
    emptyDir: {}
  {{- range include "nats.certificates" . | fromJsonArray }}
  - {{ merge (dict "name" .name) .source | toJson }}
  {{- end }}
{{- end -}}
