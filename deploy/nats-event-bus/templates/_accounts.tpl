{{/*
The accounts of the servers and what they hand each other (lib/site/render_main.c). Public keys come from the environment:
`<< $NAME >>` loses its quotes in nats.conf.
*/}}

{{/* SITE: the accounts of the main servers, as JSON. */}}
{{- define "eventbus.accounts" -}}
  {{- $site := . -}}
  {{- $users := dict -}}
  {{- range $login := include "eventbus.logins" . | fromJsonArray -}}
    {{- $user := include "eventbus.user" (list $site $login) | fromJson -}}
    {{- $_ := set $users $login.account (append (index $users $login.account | default list) $user) -}}
  {{- end -}}
  {{- $accounts := dict "SYS" dict -}}
  {{- /* Callouts arrive in AUTH and are handed to AUTHX, where the service lives. Those of the mTLS server come straight into
  AUTHX by its leaf: they could not be published in AUTH, a server denies that to everybody there. What logins a server refused,
  it tells in AUTH; auth-callout counts them. */ -}}
  {{- $_ := set $accounts "AUTH" (dict "imports" (list (dict "service" (dict "account" "AUTHX" "subject" "$SYS.REQ.USER.AUTH")) (dict
      "service" (dict "account" "AUTHX" "subject" "$SRV.>"))) "exports" (list (dict "stream" "$SYS.ACCOUNT.CLIENT.AUTH.ERR" "accounts" (list
      "AUTHX")))) -}}
  {{- /* auth-callout asks whether the site's streams are there before it lets MQTT clients in */ -}}
  {{- $infos := list -}}
  {{- range include "eventbus.streamInfos" . | fromJsonArray -}}{{- $infos = append $infos (dict "kind" "service" "subject" .) -}}{{- end -}}
  {{- $data := dict "exports" (include "eventbus.links.exports" (list $infos "AUTHX") | fromJsonArray) -}}
  {{- $_ := set $accounts "AUTHX" (dict "exports" (list (dict "service" "$SYS.REQ.USER.AUTH" "accounts" (list "AUTH")) (dict "service"
      "$SRV.>" "response" "stream" "accounts" (list "AUTH")))
      "imports" (append (include "eventbus.links.imports" (list $infos .account) | fromJsonArray) (dict "stream" (dict "account" "AUTH"
      "subject" "$SYS.ACCOUNT.CLIENT.AUTH.ERR")))) -}}
  {{- $_ := set $data "jetstream" (dict "max_memory" (include "eventbus.share" (list $site "maxMemory") | int64) "max_file" (include
      "eventbus.share" (list $site "maxFile") | int64)) -}}
  {{- $_ := set $accounts .account $data -}}
  {{- if eq .type "cpc" -}}
    {{- $links := include "eventbus.links" . | fromJson -}}
    {{- $_ := set $data "exports" (concat $data.exports $links.up) -}}
    {{- $_ := set $data "imports" $links.downImports -}}
    {{- /* The way to the CSC, whose account it joins: what crosses is here, under the CSC's names, and nothing else. Nobody logs
    in to it, since what is published here counts as the site's own. */ -}}
    {{- $_ := set $accounts "CSC" (dict "exports" $links.down "imports" $links.upImports) -}}
  {{- end -}}
  {{- range $extra := .extras -}}
    {{- if $extra.enabled -}}{{- $_ := set $accounts $extra.name (include "eventbus.accounts.extra" (list $site $extra) | fromJson) -}}{{- end -}}
  {{- end -}}
  {{- range $name, $account := $accounts -}}
    {{- with index $users $name -}}{{- $_ := set $account "users" . -}}{{- end -}}
  {{- end -}}
  {{- toJson $accounts -}}
{{- end -}}

{{/* (list SITE "maxMemory"|"maxFile"): the data account's bytes over all servers, three quarters of each; the rest is for
the extra accounts. */}}
{{- define "eventbus.share" -}}
  {{- $servers := (index . 0).servers -}}
  {{- mul (div (int64 (index $servers.jetstream (index . 1))) 4) 3 (int64 $servers.replicas) -}}
{{- end -}}

{{/* (list SITE EXTRA): the CSC owns the JetStream of an extra account; a CPC maps its names to the CSC's domain. */}}
{{- define "eventbus.accounts.extra" -}}
  {{- $site := index . 0 -}}
  {{- $extra := index . 1 -}}
  {{- $account := dict -}}
  {{- if and $extra.jetstream (eq $site.type "csc") -}}
    {{- $n := 0 -}}
    {{- range $site.extras -}}{{- if and .enabled .jetstream -}}{{- $n = add1 $n -}}{{- end -}}{{- end -}}
    {{- $servers := int64 $site.servers.replicas -}}
    {{- $memory := mul (div (div (int64 $site.servers.jetstream.maxMemory) 4) $n) $servers -}}
    {{- $file := mul (div (div (int64 $site.servers.jetstream.maxFile) 4) $n) $servers -}}
    {{- $_ := set $account "jetstream" (dict "max_memory" $memory "max_file" $file) -}}
  {{- else if $extra.jetstream -}}
    {{- $_ := set $account "mappings" (dict "$JS.API.>" "$JS.CSC.API.>" "$KV.>" "$JS.CSC.API.$KV.>" "$OBJ.>" "$JS.CSC.API.$OBJ.>") -}}
  {{- end -}}
  {{- toJson $account -}}
{{- end -}}

{{/* (list SITE LOGIN): a user of an account. */}}
{{- define "eventbus.user" -}}
  {{- $site := index . 0 -}}
  {{- $login := index . 1 -}}
  {{- $user := dict "nkey" (include "eventbus.key" $login) -}}
  {{- if not $login.unlimited -}}
    {{- $permissions := dict "publish" (include "eventbus.user.side" $login.pub | fromJson) "subscribe" (include "eventbus.user.side"
        $login.sub | fromJson) -}}
    {{- if $login.answers -}}
      {{- $_ := set $permissions "allow_responses" (dict "max" 1 "expires" (printf "%ds" (add $site.servers.authTimeout 60))) -}}
    {{- end -}}
    {{- $_ := set $user "permissions" $permissions -}}
    {{- $_ := set $user "allowed_connection_types" (list (ternary "LEAFNODE" "STANDARD" (eq (toString $login.leaf) "true"))) -}}
  {{- end -}}
  {{- toJson $user -}}
{{- end -}}

{{/* An empty allow list would be all: what grants nothing is a deny. */}}
{{- define "eventbus.user.side" -}}
  {{- $side := dict -}}
  {{- with .allow -}}{{- $_ := set $side "allow" . -}}{{- end -}}
  {{- with .deny -}}{{- $_ := set $side "deny" . -}}{{- end -}}
  {{- $side | default (dict "deny" (list ">")) | toJson -}}
{{- end -}}
