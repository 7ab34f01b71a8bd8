{{/*
Who logs in to the main server without the callout's leave, and with which rights, as narrow as each works
(lib/site/render_logins.c, render_rights.c). The servers' configuration and the permissions document are both written
from this one list, so that they cannot differ.

A login: account; secret, of its key and the name of its entry; file, the Secret's key where that is not pubkey; leaf, where it
comes as a leaf connection; entry, where it is in the permissions document too; unlimited, without permissions in the
configuration; answers, where it may answer each request once; and its rights pub and sub, each {allow, deny}.
*/}}

{{/* SITE: all logins, as a JSON list. */}}
{{- define "eventbus.logins" -}}
  {{- $site := . -}}
  {{- $all := list -}}
  {{- /* SYS */ -}}
  {{- $all = append $all (dict "account" "SYS" "secret" "nats-sys-admin" "entry" true "unlimited" true "pub" (dict "allow" (list ">")) "sub"
      (dict "allow" (list ">"))) -}}
  {{- $all = append $all (dict "account" "SYS" "secret" "nats-surveyor" "entry" true "pub" (dict "allow" (concat (list "$SYS.REQ.SERVER.PING")
      (include "eventbus.rights.reports" . | fromJsonArray))) "sub" (dict "allow" (list "_INBOX.>"))) -}}
  {{- if .mtls -}}
    {{- $all = append $all (merge (dict "account" "SYS" "secret" "nats-mtls-sys-leaf" "entry" true "leaf" true) (include
        "eventbus.rights.sysLeaf" . | fromJson)) -}}
  {{- end -}}
  {{- /* AUTH, where nobody is placed by a callout, and AUTHX */ -}}
  {{- $all = append $all (dict "account" "AUTH" "secret" "nats-auth-watch" "pub" (dict "allow" (list "$SRV.>")) "sub" (dict "allow" (list
      "_INBOX.>" "$SYS.ACCOUNT.CLIENT.AUTH.ERR"))) -}}
  {{- /* auth-callout itself: requests, refused logins, service queries, and whether the streams are there, before MQTT clients are let in */ -}}
  {{- range $file := list "pubkey" "pubkey-old" -}}{{- /* the latter while it is rotated: _env.tpl */ -}}
    {{- $all = append $all (dict "account" "AUTHX" "secret" "nats-authx-user" "file" $file "answers" true "pub" (dict "allow" (include
        "eventbus.streamInfos" $site | fromJsonArray)) "sub" (dict "allow" (list "$SYS.REQ.USER.AUTH" "$SYS.ACCOUNT.CLIENT.AUTH.ERR" "$SRV.>"
        "_INBOX.>"))) -}}
  {{- end -}}
  {{- if .mtls -}}
    {{- $all = append $all (dict "account" "AUTHX" "secret" "nats-mtls-authx-leaf" "entry" true "leaf" true "pub" (dict "allow" (list
        "$SYS.REQ.USER.AUTH" "$SYS.ACCOUNT.CLIENT.AUTH.ERR")) "sub" (dict "allow" (list "$SYS._INBOX.>"))) -}}
    {{- /* data */ -}}
    {{- $all = append $all (dict "account" .account "secret" "nats-mtls-leaf" "entry" true "leaf" true "pub" (dict "allow" (list ">") "deny"
        (list "$SYS.>")) "sub" (dict "allow" (list ">") "deny" (list "$SYS.>"))) -}}
  {{- end -}}
  {{- $all = append $all (merge (dict "account" .account "secret" "nats-streams" "entry" true) (include "eventbus.rights.streams" . | fromJson)) -}}
  {{- $all = append $all (dict "account" .account "secret" "nats-nack-user" "entry" true "pub" (dict "allow" (list "$JS.API.>")) "sub" (dict
      "allow" (list "_INBOX.>"))) -}}
  {{- /* links of the CPCs */ -}}
  {{- range $id := .cpcIds -}}
    {{- $all = append $all (merge (dict "account" $site.account "secret" (printf "nats-leaf-cpc-%s" $id) "entry" true "leaf" true) (include
        "eventbus.rights.cpcLeaf" (list $site $id) | fromJson)) -}}
  {{- end -}}
  {{- range $extra := .extras -}}
    {{- if $extra.enabled -}}
      {{- range $id := $site.cpcIds -}}
        {{- $rights := dict "allow" (list ">") "deny" (list "$SYS.>" "$MQTT.>") -}}
        {{- $all = append $all (dict "account" $extra.name "secret" (printf "nats-leaf-%s-cpc-%s" $extra.lower $id) "entry" true "leaf" true "pub"
            $rights "sub" $rights) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- toJson $all -}}
{{- end -}}

{{/* The questions whether the site's streams are there, which the data account hands to AUTHX. */}}
{{- define "eventbus.streamInfos" -}}
  {{- $subjects := list -}}
  {{- range $stream := list "XL_RETAINED" "$MQTT_msgs" "$MQTT_rmsgs" "$MQTT_qos2in" -}}
    {{- $subjects = append $subjects (printf "$JS.API.STREAM.INFO.%s" $stream) -}}
  {{- end -}}
  {{- toJson $subjects -}}
{{- end -}}

{{/* The reports that a server gives of itself and of accounts, as questions. KICK, LDM, RELOAD and claims are not among them. */}}
{{- define "eventbus.rights.reports" -}}
  {{- $subjects := list -}}
  {{- range $report := list "VARZ" "CONNZ" "SUBSZ" "ROUTEZ" "GATEWAYZ" "LEAFZ" "ACCOUNTZ" "JSZ" "HEALTHZ" "STATSZ" "IDZ" -}}
    {{- $subjects = append $subjects (printf "$SYS.REQ.SERVER.*.%s" $report) -}}{{- /* PING included */ -}}
  {{- end -}}
  {{- range $report := list "CONNZ" "LEAFZ" "SUBSZ" "JSZ" "INFO" "STATZ" -}}
    {{- $subjects = append $subjects (printf "$SYS.REQ.ACCOUNT.*.%s" $report) -}}
  {{- end -}}
  {{- toJson $subjects -}}
{{- end -}}

{{/*
The SYS leaf of the mTLS server: the same questions from the main server, and answers to it. Counts of connections
($SYS.SERVER.ACCOUNT.*.CONNS) are left out: whoever holds the leaf's seed could make the main server believe that an
account is full.
*/}}
{{- define "eventbus.rights.sysLeaf" -}}
  {{- $pub := list "$SYS.SERVER.*.STATSZ" "$SYS.SERVER.*.CLIENT.AUTH.ERR" "$SYS.ACCOUNT.*.CONNECT" "$SYS.ACCOUNT.*.DISCONNECT" "$SYS._INBOX.>"
      "_INBOX.>" "_R_.>" -}}
  {{- $sub := concat (list "$SYS.REQ.SERVER.PING" "$SYS.REQ.SERVER.PING.*") (include "eventbus.rights.reports" . | fromJsonArray) (list
      "$SYS._INBOX.>") -}}
  {{- dict "pub" (dict "allow" $pub) "sub" (dict "allow" $sub) | toJson -}}
{{- end -}}

{{/*
`eventbus streams apply`, `status` and `watch`. The last permissions are for asking the other side whether it answers: a
question for a consumer that it refuses. At the CSC ids are not named, so that a new CPC needs no restart.
*/}}
{{- define "eventbus.rights.streams" -}}
  {{- $pub := list "$JS.API.INFO" "$JS.API.STREAM.INFO.*" -}}
  {{- $sub := list "_INBOX.>" -}}
  {{- range $verb := list "CREATE" "UPDATE" "LEADER.STEPDOWN" -}}
    {{- range $stream := list "XL_RETAINED" "$MQTT_msgs" "$MQTT_rmsgs" "$MQTT_qos2in" -}}
      {{- $pub = append $pub (printf "$JS.API.STREAM.%s.%s" $verb $stream) -}}
    {{- end -}}
  {{- end -}}
  {{- if eq .type "cpc" -}}
    {{- $pub = append $pub "$JS.CSC.API.CONSUMER.CREATE.>" -}}
  {{- else -}}
    {{- $pub = append $pub "$XL.*.api.CONSUMER.CREATE.>" -}}
    {{- $sub = append $sub "$JSC.R.*.>" -}}
  {{- end -}}
  {{- dict "pub" (dict "allow" $pub) "sub" (dict "allow" $sub) | toJson -}}
{{- end -}}

{{/*
(list SITE ID): the link of a CPC at the CSC; publish is CPC to CSC. What crosses live, and for the stored layer the
questions for exactly the sources that the CPC's document has. An allow list alone does not stop $MQTT.> on a leaf link.
*/}}
{{- define "eventbus.rights.cpcLeaf" -}}
  {{- $lists := (index . 0).lists -}}
  {{- $id := index . 1 -}}
  {{- $pub := list -}}
  {{- $sub := list -}}
  {{- range $lists.cpcExports -}}{{- $pub = append $pub (printf "cpc.%s.%s" $id .) -}}{{- end -}}
  {{- range $lists.cscExports -}}{{- $sub = append $sub . -}}{{- end -}}
  {{- range $lists.cscPrefixedExports -}}{{- $sub = append $sub (printf "cpc.%s.%s" $id .) -}}{{- end -}}
  {{- $sources := include "eventbus.sources.down" (list $lists $id) | fromJsonArray -}}
  {{- if $sources -}}{{- /* the CPC asks, is sent messages, and controls their flow */ -}}
    {{- range $sources -}}{{- $pub = append $pub (printf "%s.CONSUMER.CREATE.%s.*.%s" .api .stream .filter) -}}{{- end -}}
    {{- $pub = append $pub "$JS.FC.CSC.>" -}}
    {{- $sub = concat $sub (list (printf "$XL.down.%s.>" $id) "_R_.>") -}}
  {{- end -}}
  {{- if $lists.cpcExports -}}{{- /* and the other way round */ -}}
    {{- $pub = concat $pub (list (printf "$XL.up.%s.>" $id) (printf "$JSC.R.%s.>" $id)) -}}
    {{- $sub = concat $sub (list (printf "$XL.%s.api.CONSUMER.CREATE.>" $id) (printf "$JS.FC.CPC-%s.>" $id)) -}}
  {{- end -}}
  {{- dict "pub" (dict "allow" $pub "deny" (list "$MQTT.>")) "sub" (dict "allow" $sub "deny" (list "$MQTT.>")) | toJson -}}
{{- end -}}
