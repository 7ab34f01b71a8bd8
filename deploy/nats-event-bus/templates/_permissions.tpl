{{/*
The permissions document of a site: its own entries, and those of its servers and services, which are users of the servers'
configuration too, with the same permissions (lib/site/render_permissions.c). Public keys are named as ${NAME}:
eventbus.callout.env has them.
*/}}

{{- define "eventbus.permissions" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- $document := dict -}}
  {{- range $section := list "oauth2" "mtls" "nkey" -}}
    {{- $entries := dict -}}
    {{- range $name, $entry := index $site.permissions $section -}}
      {{- $_ := set $entries $name (include "eventbus.permissions.fit" (list $site $entry) | fromJson) -}}
    {{- end -}}
    {{- if $entries -}}{{- $_ := set $document $section $entries -}}{{- end -}}
  {{- end -}}
  {{- $keys := $document.nkey | default dict -}}
  {{- range $login := include "eventbus.logins" $site | fromJsonArray -}}
    {{- if $login.entry -}}{{- $_ := set $keys $login.secret (include "eventbus.permissions.login" $login | fromJson) -}}{{- end -}}
  {{- end -}}
  {{- $_ := set $document "nkey" $keys -}}
  {{- with $site.permissions.noauth -}}
    {{- $_ := set $document "noauth" (include "eventbus.permissions.fit" (list $site .) | fromJson) -}}
  {{- end -}}
  {{- toYaml $document -}}
{{- end -}}

{{/*
(list SITE ENTRY): an entry with what its account asks for. MQTT needs JetStream in the account: without `connections`, an
entry is for the other clients then, so that MQTT ones are refused at once, and with that reason.
*/}}
{{- define "eventbus.permissions.fit" -}}
  {{- $site := index . 0 -}}
  {{- $entry := index . 1 -}}
  {{- range $extra := $site.extras -}}
    {{- if and $extra.enabled (eq $extra.name (toString $entry.account)) -}}
      {{- if $extra.jetstream -}}{{- $entry = include "eventbus.mapped" $entry | fromJson -}}{{- end -}}
      {{- if not (or (hasKey $entry "connections") (include "eventbus.hasMqtt" (list $site $extra))) -}}
        {{- $_ := set $entry "connections" (list "nats" "websocket") -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- toJson $entry -}}
{{- end -}}

{{/* LOGIN: its entry. A side that allows nothing is {}, which grants nothing here. */}}
{{- define "eventbus.permissions.login" -}}
  {{- $sides := dict "pub" dict "sub" dict -}}
  {{- range $name, $rights := dict "pub" .pub "sub" .sub -}}
    {{- if $rights.allow -}}
      {{- $side := dict "allow" $rights.allow -}}
      {{- if $rights.deny -}}{{- $_ := set $side "deny" $rights.deny -}}{{- end -}}
      {{- $_ := set $sides $name $side -}}
    {{- end -}}
  {{- end -}}
  {{- $kind := ternary "leaf" "nats" (eq (toString .leaf) "true") -}}
  {{- dict "public_key" (printf "${%s}" (include "eventbus.variable" .secret)) "account" .account "internal" true "connections" (list $kind)
      "permissions" $sides | toJson -}}
{{- end -}}
