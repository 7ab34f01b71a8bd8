{{/*
The permissions as auth-callout reads them (lib/policy): entries by section, their fields, and what no two entries may
share. Entries are taken in the order of their names, since Helm knows no other.
*/}}

{{/* (list READING BUS) */}}
{{- define "eventbus.check.policy" -}}
  {{- $r := index . 0 -}}
  {{- $auth := (index . 1).auth -}}
  {{- if kindIs "map" $auth -}}
    {{- $all := $auth.permissions -}}
    {{- if kindIs "map" $all -}}
      {{- /* places of what was read: identities by their text, client ids in their order */ -}}
      {{- $seen := dict "identities" dict "clientIds" list -}}
      {{- $errors := len $r.errors -}}
      {{- range $section, $entries := $all -}}
        {{- $path := printf "auth.permissions.%s" (include "eventbus.plain" $section) -}}
        {{- if not (has $section (list "oauth2" "mtls" "nkey" "noauth")) -}}
          {{- include "eventbus.report" (list $r "errors" $path (printf "unknown key %s" (include "eventbus.quote" $section)) (include
              "eventbus.known" (list $section (list "oauth2" "mtls" "nkey" "noauth")))) -}}
        {{- else if kindIs "invalid" $entries -}}
        {{- else if eq $section "noauth" -}}
          {{- include "eventbus.policy.entry" (list $r $section "noauth" $entries $path $seen) -}}
        {{- else if not (kindIs "map" $entries) -}}
          {{- include "eventbus.report" (list $r "errors" $path "no mapping of names to entries" "write a mapping: { <name>: { … } }") -}}
        {{- else -}}
          {{- range $name, $entry := $entries -}}
            {{- $named := regexReplaceAll "[\\x00-\\x1f\\x7f]" (trunc 128 $name) "?" -}}
            {{- include "eventbus.policy.entry" (list $r $section $name $entry (printf "%s.%s" $path ($named | default "\"\"")) $seen) -}}
          {{- end -}}
        {{- end -}}
      {{- end -}}
      {{- include "eventbus.policy.clientIds" (list $r $seen.clientIds) -}}
      {{- if and (eq $errors (len $r.errors)) (not (values $all | compact)) -}}
        {{- include "eventbus.report" (list $r "warnings" "auth.permissions" "no entries: every client is refused"
            "add entries for those who shall get in") -}}
      {{- end -}}
    {{- else if not (kindIs "invalid" $all) -}}
      {{- include "eventbus.report" (list $r "errors" "auth.permissions" "the document is no mapping"
          "write a mapping with oauth2, mtls, nkey, noauth, or {} to refuse everybody") -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING SECTION NAME ENTRY PATH SEEN) */}}
{{- define "eventbus.policy.entry" -}}
  {{- $r := index . 0 -}}
  {{- $section := index . 1 -}}
  {{- $name := index . 2 -}}
  {{- $entry := index . 3 -}}
  {{- $path := index . 4 -}}
  {{- $seen := index . 5 -}}
  {{- if not (kindIs "map" $entry) -}}
    {{- include "eventbus.report" (list $r "errors" $path "no mapping with the fields of an entry" "write a mapping: { account: …, … }") -}}
  {{- else -}}
    {{- $errors := len $r.errors -}}
    {{- include "eventbus.policy.keys" (list $r $section $entry $path) -}}
    {{- include "eventbus.policy.name" (list $r $name $path) -}}
    {{- $d := include "eventbus.policy.kinds" (list $r $section $entry $path) | fromJson -}}
    {{- include "eventbus.policy.account" (list $r $section $entry $path $d) -}}
    {{- $identity := include "eventbus.policy.identity" (list $r $section $entry $path) -}}
    {{- if $identity -}}
      {{- if hasKey $seen.identities $identity -}}
        {{- include "eventbus.report" (list $r "errors" $path (printf "entry `%s` has the same identity" (get $seen.identities $identity))
            "keep one of them, with the permissions of both") -}}
      {{- else -}}
        {{- $_ := set $seen.identities $identity $name -}}
      {{- end -}}
    {{- end -}}
    {{- include "eventbus.policy.clientId" (list $r $section $name $entry $path $d $seen) -}}
    {{- include "eventbus.policy.rules" (list $r $entry $path $d $errors) -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.policy.keys" -}}
  {{- $r := index . 0 -}}
  {{- $section := index . 1 -}}
  {{- $path := index . 3 -}}
  {{- $all := list "oauth2" "mtls" "nkey" "noauth" -}}
  {{- $tokens := list "oauth2" -}}
  {{- /* the fields of an entry and the sections that have them */ -}}
  {{- $fields := dict "azp" $tokens "subject" $tokens "issuer" $tokens "required_scope" $tokens
      "identity" (list "mtls") "public_key" (list "nkey") "internal" (list "nkey")
      "account" $all "mqtt_client_id" $all "permissions" $all "connections" $all "src" $all -}}
  {{- range $key, $_ := index . 2 -}}
    {{- $sections := index $fields $key -}}
    {{- if not $sections -}}
      {{- $known := list -}}
      {{- range $field := list "azp" "subject" "issuer" "required_scope" "identity" "public_key" "account" "mqtt_client_id" "internal"
            "permissions" "connections" "src" -}}
        {{- if has $section (index $fields $field) -}}{{- $known = append $known $field -}}{{- end -}}
      {{- end -}}
      {{- include "eventbus.report" (list $r "errors" (printf "%s.%s" $path (include "eventbus.plain" $key)) (printf "unknown key %s" (include
          "eventbus.quote" $key)) (include "eventbus.known" (list $key $known))) -}}
    {{- else if not (has $section $sections) -}}
      {{- include "eventbus.report" (list $r "errors" (printf "%s.%s" $path $key) (printf "`%s` has no meaning for %s entries, only for %s" $key
          $section (first $sections)) "leave it out") -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.policy.name" -}}
  {{- $name := index . 1 -}}
  {{- $fault := "" -}}
  {{- if not $name -}}{{- $fault = "the name is empty" -}}
  {{- else if gt (len $name) 128 -}}{{- $fault = "the name has more than 128 bytes" -}}
  {{- else if include "eventbus.hasControl" $name -}}{{- $fault = "the name has a control character" -}}
  {{- else if regexMatch "[*>. \"'`\\\\]" $name -}}{{- $fault = "the name has a `*`, `>`, `.`, a blank, a quote or a backslash" -}}
  {{- end -}}
  {{- if $fault -}}
    {{- include "eventbus.report" (list (index . 0) "errors" (index . 2) $fault "use letters, digits, `-` and `_`") -}}
  {{- end -}}
{{- end -}}

{{/*
(list READING ENTRY PATH FIELD): the text of a field; "" where it is not given, was reported, or has a ${NAME}, whose
value auth-callout alone knows.
*/}}
{{- define "eventbus.policy.text" -}}
  {{- $r := index . 0 -}}
  {{- $entry := index . 1 -}}
  {{- $field := index . 3 -}}
  {{- $at := printf "%s.%s" (index . 2) $field -}}
  {{- if hasKey $entry $field -}}
    {{- $value := index $entry $field -}}
    {{- $text := include "eventbus.text" $value -}}
    {{- if or (ne (include "eventbus.kind" $value) "scalar") (kindIs "bool" $value) -}}
      {{- include "eventbus.report" (list $r "errors" $at "no text" "write a text, in quotes where YAML would read something else") -}}
    {{- else if not $text -}}
      {{- include "eventbus.report" (list $r "errors" $at "an empty text" "write the value, or leave the key out") -}}
    {{- else if gt (len $text) 512 -}}
      {{- include "eventbus.report" (list $r "errors" $at (printf "%d bytes: at most 512 are taken" (len $text)) "") -}}
    {{- else if include "eventbus.hasControl" $text -}}
      {{- include "eventbus.report" (list $r "errors" $at "a control character" "write it without") -}}
    {{- else if not (contains "${" $text) -}}
      {{- $text -}}
    {{- else if has $field (list "issuer" "required_scope" "mqtt_client_id") -}}
      {{- include "eventbus.report" (list $r "errors" $at "names are replaced in identities, keys and accounts only" "write the value itself") -}}
    {{- else if contains "${" (regexReplaceAll "\\$\\{[A-Za-z_][A-Za-z0-9_]{0,127}\\}" $text "") -}}
      {{- include "eventbus.report" (list $r "errors" $at "`${` begins no variable here" "write it as ${NAME}: letters, digits and `_`") -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING SECTION ENTRY PATH): internal, connections and src; gives {internal, connections} as JSON. */}}
{{- define "eventbus.policy.kinds" -}}
  {{- $r := index . 0 -}}
  {{- $section := index . 1 -}}
  {{- $entry := index . 2 -}}
  {{- $path := index . 3 -}}
  {{- $d := dict "internal" false "connections" (list "nats" "mqtt" "websocket") -}}
  {{- if and (eq $section "nkey") (hasKey $entry "internal") -}}
    {{- if kindIs "bool" $entry.internal -}}{{- $_ := set $d "internal" $entry.internal -}}
    {{- else -}}
      {{- include "eventbus.report" (list $r "errors" (printf "%s.internal" $path) "neither true nor false" "write true or false, without quotes") -}}
    {{- end -}}
  {{- end -}}
  {{- if hasKey $entry "connections" -}}
    {{- $errors := len $r.errors -}}
    {{- $known := list "nats" "mqtt" "websocket" "leaf" -}}
    {{- $got := list -}}
    {{- $items := include "eventbus.policy.list" (list $r $entry.connections (printf "%s.connections" $path) 16) | fromJsonArray -}}
    {{- range $item := $items -}}
      {{- $at := printf "%s.connections[%d]" $path (int $item.i) -}}
      {{- if not (has $item.text $known) -}}
        {{- include "eventbus.report" (list $r "errors" $at (printf "unknown kind of connection %s" (include "eventbus.quote" $item.text)) (include
            "eventbus.known" (list $item.text $known))) -}}
      {{- else -}}
        {{- if and (eq $item.text "leaf") (ne $section "nkey") -}}
          {{- include "eventbus.report" (list $r "errors" $at (printf "leaf connections log in with an nkey; %s entries never get one" $section)
              "give the leaf an entry under nkey") -}}
        {{- end -}}
        {{- if and (eq $item.text "mqtt") (eq $section "nkey") -}}
          {{- include "eventbus.report" (list $r "warnings" $at "an MQTT client cannot log in with an nkey" "leave it out") -}}
        {{- end -}}
        {{- $got = append $got $item.text -}}
      {{- end -}}
    {{- end -}}
    {{- if and (not $got) (eq $errors (len $r.errors)) -}}
      {{- include "eventbus.report" (list $r "errors" (printf "%s.connections" $path) "an empty list lets nobody in"
          "list the kinds, or leave the key out for all but leaf") -}}
    {{- end -}}
    {{- $_ := set $d "connections" $got -}}
  {{- end -}}
  {{- if hasKey $entry "src" -}}
    {{- $errors := len $r.errors -}}
    {{- $items := include "eventbus.policy.list" (list $r $entry.src (printf "%s.src" $path) 256) | fromJsonArray -}}
    {{- if and (not $items) (eq $errors (len $r.errors)) -}}
      {{- include "eventbus.report" (list $r "errors" (printf "%s.src" $path) "an empty list lets nobody in"
          "list address ranges, or leave the key out for any address") -}}
    {{- end -}}
  {{- end -}}
  {{- toJson $d -}}
{{- end -}}

{{/* (list READING VALUE PATH MAX): the texts of a list, as JSON [{i, text}]. */}}
{{- define "eventbus.policy.list" -}}
  {{- $r := index . 0 -}}
  {{- $value := index . 1 -}}
  {{- $path := index . 2 -}}
  {{- $max := index . 3 -}}
  {{- $texts := list -}}
  {{- if kindIs "slice" $value -}}
    {{- range $i, $item := $value -}}
      {{- if eq $i $max -}}
        {{- include "eventbus.report" (list $r "errors" $path (printf "more than %d items" $max)
            "cover several with a wildcard, or write several entries") -}}
        {{- break -}}
      {{- else if eq (include "eventbus.kind" $item) "scalar" -}}
        {{- $texts = append $texts (dict "i" $i "text" (include "eventbus.text" $item)) -}}
      {{- else -}}
        {{- include "eventbus.report" (list $r "errors" (printf "%s[%d]" $path $i) "no text" "write a text") -}}
      {{- end -}}
    {{- end -}}
  {{- else if not (kindIs "invalid" $value) -}}
    {{- $mend := "write a list: [a, b]" -}}
    {{- if eq (include "eventbus.kind" $value) "scalar" -}}
      {{- $mend = printf "write it as [%s]" (include "eventbus.quote" $value) | replace "`" "\"" -}}
    {{- end -}}
    {{- include "eventbus.report" (list $r "errors" $path "no list" $mend) -}}
  {{- end -}}
  {{- toJson $texts -}}
{{- end -}}

{{/* (list READING SECTION ENTRY PATH KINDS): who may be placed where. */}}
{{- define "eventbus.policy.account" -}}
  {{- $r := index . 0 -}}
  {{- $section := index . 1 -}}
  {{- $entry := index . 2 -}}
  {{- $at := printf "%s.account" (index . 3) -}}
  {{- $d := index . 4 -}}
  {{- if not (hasKey $entry "account") -}}
    {{- include "eventbus.report" (list $r "errors" $at "the account is missing" "write account: and the name of an account") -}}
  {{- end -}}
  {{- $account := include "eventbus.policy.text" (list $r $entry (index . 3) "account") -}}
  {{- if not $account -}}
  {{- else if not (regexMatch "^[A-Za-z0-9_-]{1,128}$" $account) -}}
    {{- include "eventbus.report" (list $r "errors" $at "not the name of an account" "use up to 128 letters, digits, `-` and `_`") -}}
  {{- else if eq $account "AUTH" -}}
    {{- include "eventbus.report" (list $r "errors" $at "no client may be placed into AUTH, where the callouts are" "name a data account") -}}
  {{- else if and (eq $account "SYS") (not $d.internal) -}}
    {{- include "eventbus.report" (list $r "errors" $at "only an nkey entry with internal: true may be placed into SYS"
        "name a data account, or make it an nkey entry with internal: true") -}}
  {{- else if and (eq $account "AUTHX") (not (and $d.internal (eq (uniq $d.connections | join " ") "leaf"))) -}}
    {{- include "eventbus.report" (list $r "errors" $at
        "only an nkey entry with internal: true and connections: [leaf] may be placed into AUTHX" "name a data account") -}}
  {{- end -}}
{{- end -}}

{{/* (list READING SECTION ENTRY PATH): a text that no other entry may give; "" where there is none to compare. */}}
{{- define "eventbus.policy.identity" -}}
  {{- $section := index . 1 -}}
  {{- if eq $section "oauth2" -}}{{- include "eventbus.policy.oauth2" . -}}
  {{- else if eq $section "mtls" -}}{{- include "eventbus.policy.mtls" . -}}
  {{- else if eq $section "nkey" -}}{{- include "eventbus.policy.nkey" . -}}
  {{- end -}}
{{- end -}}

{{/* (list READING PATH FIELD TEXT) */}}
{{- define "eventbus.policy.wildcard" -}}
  {{- if contains "*" (index . 3) -}}
    {{- include "eventbus.report" (list (index . 0) "warnings" (printf "%s.%s" (index . 1) (index . 2))
        "`*` is no wildcard here: the text is compared byte for byte" "") -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.policy.oauth2" -}}
  {{- $r := index . 0 -}}
  {{- $entry := index . 2 -}}
  {{- $path := index . 3 -}}
  {{- if not (or (hasKey $entry "azp") (hasKey $entry "subject")) -}}
    {{- include "eventbus.report" (list $r "errors" $path "the entry names no client" "write azp: or subject:, or both") -}}
  {{- end -}}
  {{- $subject := include "eventbus.policy.text" (list $r $entry $path "subject") -}}
  {{- $azp := include "eventbus.policy.text" (list $r $entry $path "azp") -}}
  {{- include "eventbus.policy.wildcard" (list $r $path "subject" $subject) -}}
  {{- include "eventbus.policy.wildcard" (list $r $path "azp" $azp) -}}
  {{- $scope := include "eventbus.policy.text" (list $r $entry $path "required_scope") -}}
  {{- if or (gt (len $scope) 256) (regexMatch "[ \"\\\\]" $scope) -}}
    {{- include "eventbus.report" (list $r "errors" (printf "%s.required_scope" $path) "not the name of one scope"
        "write one scope, without blanks and quotes") -}}
  {{- end -}}
  {{- $issuer := include "eventbus.policy.text" (list $r $entry $path "issuer") -}}
  {{- if or $subject $azp -}}{{- list "oauth2" $issuer $subject $azp | toJson -}}{{- end -}}
{{- end -}}

{{- define "eventbus.policy.mtls" -}}
  {{- $r := index . 0 -}}
  {{- $entry := index . 2 -}}
  {{- $path := index . 3 -}}
  {{- $at := printf "%s.identity" $path -}}
  {{- if not (hasKey $entry "identity") -}}
    {{- include "eventbus.report" (list $r "errors" $at "the identity is missing" "write identity: \"CN=…\" as in the certificate") -}}
  {{- end -}}
  {{- $identity := include "eventbus.policy.text" (list $r $entry $path "identity") -}}
  {{- $prefix := regexFind "^(CN|EMAIL|DNS|URI|O|OU)=" $identity -}}
  {{- $name := trimPrefix $prefix $identity -}}
  {{- if not $identity -}}
  {{- else if not $prefix -}}
    {{- $mend := printf "begin it with CN=, EMAIL=, DNS= or URI=, as in \"CN=%s\"" (include "eventbus.plain" $identity) -}}
    {{- if contains "=" $identity -}}{{- $mend = "begin it with CN=, EMAIL=, DNS= or URI=, in capitals" -}}{{- end -}}
    {{- include "eventbus.report" (list $r "errors" $at "the identity has no type" (trunc 159 $mend)) -}}
  {{- else -}}
    {{- if not $name -}}
      {{- include "eventbus.report" (list $r "errors" $at "the identity is empty" "write the name behind `=`") -}}
    {{- else if ne (trim $name) $name -}}
      {{- include "eventbus.report" (list $r "errors" $at "a blank at the start or end of the name"
          "write it without: it is compared byte for byte") -}}
    {{- end -}}
    {{- include "eventbus.policy.wildcard" (list $r $path "identity" $name) -}}
    {{- if $name -}}{{- list "mtls" $prefix $name | toJson -}}{{- end -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.policy.nkey" -}}
  {{- $r := index . 0 -}}
  {{- $entry := index . 2 -}}
  {{- $path := index . 3 -}}
  {{- $at := printf "%s.public_key" $path -}}
  {{- if not (hasKey $entry "public_key") -}}
    {{- include "eventbus.report" (list $r "errors" $at "the public key is missing" "write public_key: U…") -}}
  {{- end -}}
  {{- $key := include "eventbus.policy.text" (list $r $entry $path "public_key") -}}
  {{- if $key -}}
    {{- $fault := include "eventbus.nkey.fault" $key -}}
    {{- if $fault -}}
      {{- include "eventbus.report" (list $r "errors" $at $fault "write the public key of a user: U…, 56 characters") -}}
    {{- else -}}
      {{- list "nkey" $key | toJson -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
