{{/*
What the values of this chart hand to the charts `nats` and `nats-mtls` beside the servers' configuration: how many there are, and the
certificates that are mounted. Called in those charts' contexts, so only .Values.global is used. Each gives YAML.
*/}}

{{/* The name of a server: csc-event-bus-0. */}}
{{- define "eventbus.server.env" -}}
{{- dict "EVENT_BUS_SERVER_NAME" (dict "value" (printf "%s-$(POD_NAME)" (include "eventbus.site" . | fromJson).name)) | toJson -}}
{{- end -}}

{{- define "eventbus.main.replicas" -}}{{- (include "eventbus.site" . | fromJson).servers.replicas | int -}}{{- end -}}

{{/* The cluster is called as the site is, since linked clusters may not share a name. Its routes are those of the chart, for as many. */}}
{{- define "eventbus.main.cluster" -}}
{{- $site := include "eventbus.site" . | fromJson -}}
{{- $routes := list -}}
{{- range $i := until (int $site.servers.replicas) -}}
{{- $routes = append $routes (printf "nats://event-bus-%d.event-bus-headless:6222" $i) -}}
{{- end -}}
{{- dict "name" $site.name "routes" $routes | toJson -}}
{{- end -}}

{{/* One server alone is no cluster: JetStream would wait for a second one. */}}
{{- define "eventbus.main.configPatch" -}}
{{- if eq (include "eventbus.main.replicas" .) "1" -}}{{- list (dict "op" "remove" "path" "/cluster") | toJson -}}{{- else -}}[]{{- end -}}
{{- end -}}

{{/* Files of the mTLS server's listener. */}}
{{- define "eventbus.mtls.files" -}}
{{- $files := dict -}}
{{- range $option, $key := dict "cert_file" "tls.crt" "key_file" "tls.key" "ca_file" "ca.crt" -}}
{{- $name := include "eventbus.secretKey" (dict "root" $ "name" "nats-mtls-server-tls" "key" $key) -}}
{{- $_ := set $files $option (printf "/etc/nats-certs/mqtt/%s" $name) -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- define "eventbus.keysRevision" -}}{{- (include "eventbus.bus" . | fromJson).keysRevision | default "" -}}{{- end -}}

{{/* Servers that answer Surveyor: the main ones and the mTLS server, which joins SYS by its leaf. */}}
{{- define "eventbus.serverCount" -}}
{{- $site := include "eventbus.site" . | fromJson -}}
{{- add (int $site.servers.replicas) (ternary 1 0 $site.mtls) -}}
{{- end -}}

{{/* The keys of the Secret nats-leaf-tls that this site's leaf links use: "" for none, else names with blanks. */}}
{{- define "eventbus.leafFiles" -}}
{{- $site := include "eventbus.site" . | fromJson -}}
{{- $tls := ternary $site.leafServerTLS $site.leafClientTLS (eq $site.type "csc") | default dict -}}
{{- $keys := list -}}
{{- range $part, $key := dict "ca" "ca.crt" "cert" "tls.crt" "key" "tls.key" -}}
{{- if hasPrefix "/etc/nats-certs/leaf/" (get $tls $part | default "") -}}{{- $keys = append $keys $key -}}{{- end -}}
{{- end -}}
{{- join " " $keys -}}
{{- end -}}

{{/* (dict "root" $ "leaf" true "client" true "op" "mount"|"volume"): RFC 6902 operations for the certificates of a server. */}}
{{- define "eventbus.certificatePatch" -}}
{{- $root := .root -}}
{{- $ops := list -}}
{{- $of := list -}}
{{- if and .leaf (include "eventbus.leafFiles" $root) -}}
{{- $of = append $of (list "leaf-files" "nats-leaf-tls" "/etc/nats-certs/leaf") -}}
{{- end -}}
{{- if and .client (include "eventbus.clientPassthrough" $root) -}}
{{- $of = append $of (list "client-files" "nats-server-tls" "/etc/nats-certs/client") -}}
{{- end -}}
{{- range $one := $of -}}
{{- $secret := include "eventbus.secretName" (dict "root" $root "name" (index $one 1)) -}}
{{- $mount := dict "name" (index $one 0) "mountPath" (index $one 2) "readOnly" true -}}
{{- $volume := dict "name" (index $one 0) "secret" (dict "secretName" $secret "defaultMode" 288) -}}
{{- if eq $.op "mount" -}}{{- $ops = append $ops (dict "op" "add" "path" "/volumeMounts/-" "value" $mount) -}}
{{- else -}}{{- $ops = append $ops (dict "op" "add" "path" "/spec/volumes/-" "value" $volume) -}}{{- end -}}
{{- end -}}
{{- toJson $ops -}}
{{- end -}}

{{- define "eventbus.main.mountPatch" -}}
{{- include "eventbus.certificatePatch" (dict "root" . "leaf" true "client" true "op" "mount") -}}
{{- end -}}
{{- define "eventbus.main.volumePatch" -}}
{{- include "eventbus.certificatePatch" (dict "root" . "leaf" true "client" true "op" "volume") -}}
{{- end -}}
{{/* The mTLS server shows the site's own leaf certificate at the main server's leaf listener: at the CSC, where that has TLS. */}}
{{- define "eventbus.mtls.mountPatch" -}}
{{- include "eventbus.certificatePatch" (dict "root" . "leaf" (eq (include "eventbus.site" . | fromJson).type "csc") "client" false "op" "mount") -}}
{{- end -}}
{{- define "eventbus.mtls.volumePatch" -}}
{{- include "eventbus.certificatePatch" (dict "root" . "leaf" (eq (include "eventbus.site" . | fromJson).type "csc") "client" false "op" "volume") -}}
{{- end -}}

{{/*
Arguments of the reloader: the certificate that links are dialled with. A server goes on with the one that it read until it is told to reload,
also for new connections, and so until after the old one has ended.
*/}}
{{- define "eventbus.watchPatch" -}}
{{- $site := include "eventbus.site" . | fromJson -}}
{{- $tls := ternary $site.leafServerTLS $site.leafClientTLS (eq $site.type "csc") | default dict -}}
{{- $ops := list -}}
{{- range $part := list "ca" "cert" "key" -}}
{{- with get $tls $part -}}
{{- $ops = concat $ops (list (dict "op" "add" "path" "/args/-" "value" "-config") (dict "op" "add" "path" "/args/-" "value" .)) -}}
{{- end -}}
{{- end -}}
{{- toJson $ops -}}
{{- end -}}

{{/* The main server of a CPC dials the CSC, the mTLS server of the CSC its main server by the same certificate. */}}
{{- define "eventbus.main.watchPatch" -}}
{{- if eq (include "eventbus.site" . | fromJson).type "cpc" -}}{{- include "eventbus.watchPatch" . -}}{{- else -}}[]{{- end -}}
{{- end -}}
{{- define "eventbus.mtls.watchPatch" -}}
{{- if eq (include "eventbus.site" . | fromJson).type "csc" -}}{{- include "eventbus.watchPatch" . -}}{{- else -}}[]{{- end -}}
{{- end -}}
