{{/* Pods that run the command line `eventbus` as the login nats-streams: the supervisor, and the test of `helm test`. */}}

{{/* (dict "root" $ "name" NAME "args" LIST): the container. */}}
{{- define "eventbus.command.container" -}}
name: {{ .name }}
image: {{ include "eventbus.image" .root | quote }}
imagePullPolicy: {{ include "eventbus.pullPolicy" .root }}
command: [/usr/bin/eventbus]
args:
  {{- range .args }}
  - {{ . }}
  {{- end }}
  - --site
  - /etc/event-bus/site.json
  - --server
  - nats://event-bus:4222
  - --seed-file
  - /etc/event-bus-keys/{{ include "eventbus.secretKey" (dict "root" .root "name" "nats-streams" "key" "seed") }}
securityContext:
  {{- include "eventbus.containerSecurity" .root | nindent 2 }}
volumeMounts:
  # the folder, not the file: only so does a changed document come through
  - {name: site, mountPath: /etc/event-bus, readOnly: true}
  - {name: keys, mountPath: /etc/event-bus-keys, readOnly: true}
{{- end -}}

{{- define "eventbus.command.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: false
securityContext:
  {{- include "eventbus.podSecurity" . | nindent 2 }}
{{- with include "eventbus.pullSecrets" . | fromJsonArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: site
    configMap: {name: event-bus-site}
  - name: keys
    secret:
      secretName: {{ include "eventbus.secretName" (dict "root" . "name" "nats-streams") | quote }}
      defaultMode: 288 # 0440
      items:
        {{- $key := include "eventbus.secretKey" (dict "root" . "name" "nats-streams" "key" "seed") }}
        - {key: {{ $key | quote }}, path: {{ $key | quote }}}
{{- end -}}
