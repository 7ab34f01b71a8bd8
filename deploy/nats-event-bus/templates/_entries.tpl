{{/*
What entries of the permissions have to do with the site: their accounts, and MQTT in them (lib/site/permissions.c).
What else there is to an entry is in _policy.tpl.
*/}}

{{/* (list READING SITE) */}}
{{- define "eventbus.check.entries" -}}
  {{- $r := index . 0 -}}
  {{- $s := index . 1 -}}
  {{- range $section := list "oauth2" "mtls" "nkey" -}}
    {{- $entries := index $s.permissions $section -}}
    {{- if kindIs "map" $entries -}}
      {{- range $name, $entry := $entries -}}
        {{- $path := include "eventbus.path" (list (printf "auth.permissions.%s" $section) (include "eventbus.plain" $name)) -}}
        {{- include "eventbus.check.entry" (list $r $s $entry $path $section) -}}
        {{- if and (eq $section "nkey") (hasPrefix "nats-" $name) -}}
          {{- include "eventbus.report" (list $r "errors" $path
              "names that begin with nats- are kept for the keys of the site's own servers and services" "name it otherwise") -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- include "eventbus.check.entry" (list $r $s $s.permissions.noauth "auth.permissions.noauth" "noauth") -}}
{{- end -}}

{{/* (list READING SITE ENTRY PATH SECTION) */}}
{{- define "eventbus.check.entry" -}}
  {{- $r := index . 0 -}}
  {{- $s := index . 1 -}}
  {{- $entry := index . 2 -}}
  {{- $path := index . 3 -}}
  {{- if and (kindIs "map" $entry) $s.type -}}
    {{- if and (eq (include "eventbus.kind" $entry.account) "scalar") (include "eventbus.text" $entry.account) -}}
      {{- $account := include "eventbus.text" $entry.account -}}
      {{- include "eventbus.check.account" (list $r $s $account (printf "%s.account" $path)) -}}
      {{- range $extra := $s.extras -}}
        {{- if and $extra.enabled (eq $extra.name $account) -}}
          {{- if eq (index $ 4) "mtls" -}}
            {{- include "eventbus.report" (list $r "errors" (printf "%s.account" $path)
                "certificates are presented to the mTLS server, which has no extra accounts"
                "give it the site's own account, or another kind of credential") -}}
          {{- else if and (kindIs "slice" $entry.connections) (not (include "eventbus.hasMqtt" (list $s $extra))) -}}
            {{- if has "mqtt" $entry.connections -}}
              {{- $mend := ternary "write jetstream: true at the extra account, or leave mqtt out"
                  "leave mqtt out: its MQTT clients connect to the CSC"
                  (eq $s.type "csc") -}}
              {{- include "eventbus.report" (list $r "errors" (printf "%s.connections" $path) (printf
                  "MQTT needs JetStream in the account, and `%s` has none at this site: a login would hang for 5 s and fail" $account) $mend) -}}
            {{- end -}}
          {{- end -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list SITE EXTRA): "true" where MQTT clients may be in that extra account: a CPC has no JetStream in its ones. */}}
{{- define "eventbus.hasMqtt" -}}
  {{- if and (index . 1).enabled (index . 1).jetstream (eq (index . 0).type "csc") -}}true{{- end -}}
{{- end -}}

{{/* (list READING SITE ACCOUNT PATH): the account must be one of the site. SYS, AUTHX and AUTH are judged with the entry. */}}
{{- define "eventbus.check.account" -}}
  {{- $r := index . 0 -}}
  {{- $s := index . 1 -}}
  {{- $account := index . 2 -}}
  {{- $path := index . 3 -}}
  {{- $known := list $s.account -}}
  {{- $disabled := false -}}
  {{- range $extra := $s.extras -}}
    {{- if $extra.enabled -}}{{- $known = append $known $extra.name -}}
    {{- else if eq $extra.name $account -}}{{- $disabled = true -}}
    {{- end -}}
  {{- end -}}
  {{- if has $account $known -}}
  {{- else if contains "${" $account -}}
    {{- include "eventbus.report" (list $r "errors" $path
        "accounts are not taken from the environment in a site document: what an entry may do depends on its account, and is written here"
        "write the account's name") -}}
  {{- else if has $account (list "SYS" "AUTHX" "AUTH") -}}
  {{- else if and (eq $s.type "cpc") (eq $account "CSC") -}}
    {{- include "eventbus.report" (list $r "errors" $path
        "the account CSC at a CPC is the link's alone: what its users publish would count as the CSC's" "write `CPC`") -}}
  {{- else if $disabled -}}
    {{- include "eventbus.report" (list $r "errors" $path (printf "the extra account %s is not enabled" (include "eventbus.quote" $account))
        (printf "write enabled: true at extraAccounts.%s" $account)) -}}
  {{- else -}}
    {{- $nearest := include "eventbus.nearest" (list $account $known) -}}
    {{- $mend := printf "write `%s`" $s.account -}}
    {{- if and $nearest (gt (len $known) 1) -}}{{- $mend = printf "write `%s`" $nearest -}}
    {{- else if gt (len $known) 1 -}}{{- $mend = printf "accounts here: `%s`" (join "`, `" $known) -}}
    {{- end -}}
    {{- include "eventbus.report" (list $r "errors" $path (printf "%s is no account of this site" (include "eventbus.quote" $account)) $mend) -}}
  {{- end -}}
{{- end -}}
