{{/*
The site: one CSC or CPC, what crosses between the sites, its extra accounts, streams and permissions, read from
global.eventBus (lib/site/check.c). The same keys as in the site document of `eventbus`, and the chart's own beside them;
one file serves both.

Everything here may be called from the umbrella and from its subcharts, whose contexts have only the global values in
common. So only .Values.global, .Release and .Capabilities are used.

`eventbus.site` gives the site as JSON, after refusing what is wrong:
  type id name account domain   "csc"|"cpc", "1", "cpc-1", "CPC", "CPC-1"
  endpoint cpcIds               URLs of the CSC's leaf listener; ids of the CPCs
  lists                         cscExports, cscPrefixedExports, cpcExports
  mtls                          true: there is an mTLS server
  extras                        [{name, lower, enabled, jetstream}], by their names in small letters
  streams                       maxBytes, maxAge (nanoseconds), replicas, storage
  leafServerTLS leafClientTLS   paths: ca, cert, key; handshakeFirst: true
  permissions                   auth.permissions as written
  servers                       replicas, authTimeout, xkey, debug, jetstream {maxMemory, maxFile}, leafUrls
*/}}
{{- define "eventbus.site" -}}
  {{- include "eventbus.validate" . -}}
  {{- (include "eventbus.judged" . | fromJson).site | toJson -}}
{{- end -}}

{{/* global.eventBus; {} where it is no mapping, which eventbus.findings reports. */}}
{{- define "eventbus.bus" -}}
  {{- $bus := dig "eventBus" dict (.Values.global | default dict) -}}
  {{- if kindIs "map" $bus -}}{{- toJson $bus -}}{{- else -}}{}{{- end -}}
{{- end -}}

{{- define "eventbus.site.keys" -}}
  {{- /* Those of the site document, then the chart's own: lib/site/check.c has the same list. */ -}}
  clusterType clusterId cscEndpoint cpcIds crossLayer mtls extraAccounts mqttStreams cscLeafServerTLS cpcLeafClientTLS auth gateway
  {{- /* */}} production servers keysRevision secrets image callout nack streamsWatch surveyor tests networkPolicy monitoring
{{- end -}}

{{/* (list READING BUS): reads all of it, each fault a finding; gives the site as JSON. */}}
{{- define "eventbus.read" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $s := dict "id" "" "name" "" "account" "" "domain" "" "mtls" true "endpoint" list "cpcIds" list "permissions" dict -}}
  {{- include "eventbus.check.keys" (list $r $bus "" (include "eventbus.site.keys" . | splitList " ")) -}}
  {{- include "eventbus.read.type" (list $r $bus $s) -}}
  {{- if eq $s.type "cpc" -}}{{- include "eventbus.read.cpc" (list $r $bus $s) -}}{{- end -}}
  {{- if eq $s.type "csc" -}}{{- include "eventbus.read.csc" (list $r $bus $s) -}}{{- end -}}
  {{- include "eventbus.read.lists" (list $r $bus $s) -}}
  {{- if include "eventbus.given" (list $r $bus "" "mtls" "map") -}}
    {{- $mtls := dict "enabled" true -}}
    {{- include "eventbus.check.keys" (list $r $bus.mtls "mtls" (list "enabled")) -}}
    {{- include "eventbus.check.bool" (list $r $bus.mtls "mtls" "enabled" $mtls) -}}
    {{- $_ := set $s "mtls" $mtls.enabled -}}
  {{- end -}}
  {{- include "eventbus.read.extras" (list $r $bus $s) -}}
  {{- include "eventbus.read.streams" (list $r $bus $s) -}}
  {{- if $s.type -}}{{- include "eventbus.read.tls" (list $r $bus $s) -}}{{- end -}}
  {{- include "eventbus.check.bool" (list $r $bus "" "production" dict) -}}
  {{- $_ := include "eventbus.given" (list $r $bus "" "keysRevision" "scalar") -}}
  {{- range $key := list "secrets" "image" "callout" "nack" "streamsWatch" "surveyor" "tests" "networkPolicy" "monitoring" -}}
    {{- $_ := include "eventbus.given" (list $r $bus "" $key "map") -}}
  {{- end -}}
  {{- include "eventbus.read.servers" (list $r $bus $s) -}}
  {{- if include "eventbus.given" (list $r $bus "" "auth" "map") -}}
    {{- include "eventbus.check.keys" (list $r $bus.auth "auth" (list "permissions")) -}}
    {{- if include "eventbus.given" (list $r $bus.auth "auth" "permissions" "map") -}}
      {{- $_ := set $s "permissions" $bus.auth.permissions -}}
      {{- include "eventbus.check.entries" (list $r $s) -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := include "eventbus.given" (list $r $bus "" "gateway" "map") -}}
  {{- toJson $s -}}
{{- end -}}

{{/* Sets S.type: "csc", "cpc", or "" where it is not known and cannot be guessed from the rest. */}}
{{- define "eventbus.read.type" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $type := "" -}}
  {{- $value := $bus.clusterType -}}
  {{- if include "eventbus.given" (list $r $bus "" "clusterType" "scalar") -}}
    {{- $type = include "eventbus.text" $value -}}
    {{- if not (has $type (list "csc" "cpc")) -}}
      {{- include "eventbus.report" (list $r "errors" "clusterType" (printf "%s is no type of cluster" (include "eventbus.quote" $value))
          "write csc or cpc, in small letters") -}}
    {{- end -}}
  {{- else if kindIs "invalid" $value -}}
    {{- include "eventbus.report" (list $r "errors" "clusterType" "the type of the cluster is missing" "write clusterType: csc, or cpc") -}}
  {{- end -}}
  {{- $type = lower $type -}}
  {{- if not (has $type (list "csc" "cpc")) -}}
    {{- $csc := not (include "eventbus.blank" $bus.cpcIds) -}}
    {{- $cpc := not (and (include "eventbus.blank" $bus.clusterId) (include "eventbus.blank" $bus.cscEndpoint)) -}}
    {{- $type = ternary "" (ternary "cpc" "csc" $cpc) (eq $cpc $csc) -}}
  {{- end -}}
  {{- $_ := set (index . 2) "type" $type -}}
{{- end -}}

{{/* (list READING BUS KEY WHY MEND): a key that the other type of site has. */}}
{{- define "eventbus.read.refuse" -}}
  {{- if not (include "eventbus.blank" (index (index . 1) (index . 2))) -}}
    {{- include "eventbus.report" (list (index . 0) "errors" (index . 2) (index . 3) (index . 4)) -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.read.cpc" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $s := index . 2 -}}
  {{- if include "eventbus.blank" $bus.clusterId -}}
    {{- include "eventbus.report" (list $r "errors" "clusterId" "a CPC needs an id of its own" "write clusterId: \"1\"") -}}
  {{- else -}}
    {{- $_ := set $s "id" (include "eventbus.read.id" (list $r "clusterId" $bus.clusterId)) -}}
  {{- end -}}
  {{- include "eventbus.read.refuse" (list $r $bus "cpcIds" "only the CSC's document lists the ids of the CPCs"
      "write clusterId: for this one, or clusterType: csc") -}}
  {{- $urls := include "eventbus.check.text" (list $r $bus "" "cscEndpoint") -}}
  {{- if $urls -}}
    {{- $_ := set $s "endpoint" (splitList "," $urls) -}}
  {{- else if include "eventbus.blank" $bus.cscEndpoint -}}
    {{- include "eventbus.report" (list $r "errors" "cscEndpoint" "a CPC needs the address of the CSC's leaf listener"
        "write cscEndpoint: nats://HOST:7422") -}}
  {{- end -}}
  {{- range $url := $s.endpoint -}}{{- include "eventbus.check.url" (list $r "cscEndpoint" $url) -}}{{- end -}}
  {{- $_ := set $s "account" "CPC" -}}
  {{- $_ := set $s "name" (printf "cpc-%s" $s.id) -}}
  {{- $_ := set $s "domain" (printf "CPC-%s" $s.id) -}}
{{- end -}}

{{- define "eventbus.read.csc" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $s := index . 2 -}}
  {{- $_ := set $s "account" "CSC" -}}
  {{- $_ := set $s "name" "csc" -}}
  {{- $_ := set $s "domain" "CSC" -}}
  {{- include "eventbus.read.refuse" (list $r $bus "clusterId" "the CSC has no id" "leave it out, or write clusterType: cpc") -}}
  {{- include "eventbus.read.refuse" (list $r $bus "cscEndpoint" "only a CPC connects to the CSC" "leave it out, or write clusterType: cpc") -}}
  {{- if include "eventbus.given" (list $r $bus "" "cpcIds" "list") -}}
    {{- if gt (len $bus.cpcIds) 999 -}}
      {{- include "eventbus.report" (list $r "errors" "cpcIds" (printf "%d ids" (len $bus.cpcIds)) "list 999 at most") -}}
    {{- else -}}
      {{- $ids := list -}}
      {{- range $i, $id := $bus.cpcIds -}}
        {{- $ids = append $ids (include "eventbus.read.id" (list $r (printf "cpcIds[%d]" $i) $id)) -}}
      {{- end -}}
      {{- $_ := set $s "cpcIds" $ids -}}
      {{- include "eventbus.check.ids" (list $r $ids) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/* (list READING PATH VALUE): an id; "" and a finding where it is none. */}}
{{- define "eventbus.read.id" -}}
  {{- $r := index . 0 -}}
  {{- $path := index . 1 -}}
  {{- $value := index . 2 -}}
  {{- $text := include "eventbus.text" $value -}}
  {{- if has (include "eventbus.kind" $value) (list "map" "list") -}}
    {{- include "eventbus.report" (list $r "errors" $path "no single value" "write it as \"1\"") -}}
  {{- else if not (regexMatch "^[a-z0-9]{1,32}$" $text) -}}
    {{- include "eventbus.report" (list $r "errors" $path (printf "%s is no cluster id" (include "eventbus.quote" $text))
        "use 1 to 32 small letters and digits") -}}
  {{- else if not (or (kindIs "string" $value) (and (include "eventbus.isNumber" $value) (regexMatch "^[1-9][0-9]{0,5}$" $text))) -}}
    {{- /* Helm saw a number or a boolean, which may have been written otherwise: 1e6, 0x1f, yes */ -}}
    {{- include "eventbus.report" (list $r "errors" $path (printf "%s is read as a number or a boolean by some" (include "eventbus.quote"
        $text)) (printf "put it in quotes: \"%s\"" $text)) -}}
  {{- else -}}
    {{- $text -}}
  {{- end -}}
{{- end -}}

{{/* (list READING IDS): ids that are there twice, or number their QoS 2 messages alike. */}}
{{- define "eventbus.check.ids" -}}
  {{- $r := index . 0 -}}
  {{- $seen := dict -}}
  {{- range $i, $id := index . 1 -}}
    {{- if $id -}}
      {{- $path := printf "cpcIds[%d]" $i -}}
      {{- $number := include "eventbus.firstSeq" $id -}}
      {{- $alike := index $seen $number | default list -}}
      {{- range $other := $alike -}}
        {{- if eq $other $id -}}
          {{- include "eventbus.report" (list $r "errors" $path (printf "`%s` is here a second time" $id) "leave one out") -}}
          {{- break -}}
        {{- end -}}
        {{- include "eventbus.report" (list $r "errors" $path (printf "`%s` and `%s` would number their QoS 2 messages alike" $id $other)
            "give one of them another id") -}}
      {{- end -}}
      {{- $_ := set $seen $number (append $alike $id) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{/*
The first sequence of a site's `$MQTT_qos2in`, a multiple of 10^12: no two sites count the same numbers. "" is the CSC,
decimal ids have their own, the others one by the first 32 bits of their SHA-256 (eb_site_first_seq).
*/}}
{{- define "eventbus.firstSeq" -}}
  {{- $slot := 1 -}}
  {{- if regexMatch "^[1-9][0-9]{0,5}$" . -}}
    {{- $slot = add1 (atoi .) -}}
  {{- else if . -}}
    {{- $slot = add 1000001 (mod (int64 (printf "0x%s" (trunc 8 (sha256sum .)))) 8000000) -}}
  {{- end -}}
  {{- mul $slot 1000000000000 -}}
{{- end -}}

{{/* Each list keeps its places: what is no pattern stands there as "". */}}
{{- define "eventbus.read.lists" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $names := list "cscExports" "cscPrefixedExports" "cpcExports" -}}
  {{- $lists := dict "cscExports" list "cscPrefixedExports" list "cpcExports" list -}}
  {{- if include "eventbus.given" (list $r $bus "" "crossLayer" "map") -}}
    {{- include "eventbus.check.keys" (list $r $bus.crossLayer "crossLayer" $names) -}}
    {{- range $name := $names -}}
      {{- if include "eventbus.given" (list $r $bus.crossLayer "crossLayer" $name "list") -}}
        {{- $given := index $bus.crossLayer $name -}}
        {{- if gt (len $given) 256 -}}
          {{- include "eventbus.report" (list $r "errors" (printf "crossLayer.%s" $name) (printf "%d patterns; 256 are allowed" (len $given))
              "write wider patterns") -}}
        {{- else -}}
          {{- $patterns := list -}}
          {{- range $i, $value := $given -}}
            {{- $patterns = append $patterns (include "eventbus.read.pattern" (list $r (printf "crossLayer.%s[%d]" $name $i) $value)) -}}
          {{- end -}}
          {{- $_ := set $lists $name $patterns -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- include "eventbus.check.overlap" (list $r $lists) -}}
  {{- $_ := set (index . 2) "lists" $lists -}}
{{- end -}}

{{/* (list READING PATH VALUE): a pattern; "" and a finding where it is none. */}}
{{- define "eventbus.read.pattern" -}}
  {{- $r := index . 0 -}}
  {{- $path := index . 1 -}}
  {{- $value := index . 2 -}}
  {{- $text := include "eventbus.text" $value -}}
  {{- if ne (include "eventbus.kind" $value) "scalar" -}}
    {{- include "eventbus.report" (list $r "errors" $path "no text" "write a subject: \"sensor.>\"") -}}
  {{- else if gt (len $text) 255 -}}
    {{- include "eventbus.report" (list $r "errors" $path "more than 255 bytes" "shorten it: prefixes are put before it") -}}
  {{- else if not (kindIs "string" $value) -}}
    {{- include "eventbus.report" (list $r "errors" $path (printf "%s is read as a number or a boolean by some" (include "eventbus.quote"
        $text)) "put it in quotes") -}}
  {{- else -}}
    {{- $fault := include "eventbus.subject.fault" $text -}}
    {{- if $fault -}}
      {{- include "eventbus.report" (list $r "errors" $path $fault "") -}}
    {{- else -}}
      {{- $text -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.read.extras" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $byLower := dict -}}{{- /* accounts by their names in small letters, in a list each */ -}}
  {{- if include "eventbus.given" (list $r $bus "" "extraAccounts" "map") -}}
    {{- if gt (len $bus.extraAccounts) 64 -}}
      {{- include "eventbus.report" (list $r "errors" "extraAccounts" (printf "%d extra accounts" (len $bus.extraAccounts)) "write 64 at most") -}}
    {{- else -}}
      {{- range $name, $value := $bus.extraAccounts -}}
        {{- include "eventbus.read.extra" (list $r $name $value $byLower) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $extras := list -}}
  {{- range $lower := keys $byLower | sortAlpha -}}{{- $extras = concat $extras (index $byLower $lower) -}}{{- end -}}
  {{- $_ := set (index . 2) "extras" $extras -}}
{{- end -}}

{{/* (list READING NAME VALUE TO): adds the account to the list in TO that is under its name in small letters. */}}
{{- define "eventbus.read.extra" -}}
  {{- $r := index . 0 -}}
  {{- $name := index . 1 -}}
  {{- $value := index . 2 -}}
  {{- $to := index . 3 -}}
  {{- $path := include "eventbus.path" (list "extraAccounts" (include "eventbus.plain" $name)) -}}
  {{- $lower := lower $name -}}
  {{- $fault := "" -}}
  {{- if or (not $name) (gt (len $name) 32) -}}{{- $fault = "has not 1 to 32 characters" -}}
  {{- else if not (regexMatch "^[A-Za-z0-9]+$" $name) -}}{{- $fault = "has other characters than letters and digits" -}}
  {{- else if hasPrefix "cpc" $lower -}}{{- $fault = "begins as names of the CPCs do" -}}
  {{- else if has $lower (list "sys" "auth" "authx" "csc") -}}{{- $fault = "is the name of an account that every site has" -}}
  {{- end -}}
  {{- if $fault -}}
    {{- include "eventbus.report" (list $r "errors" $path (printf "%s %s" (include "eventbus.quote" $name) $fault)
        "name it otherwise: letters and digits, not SYS, AUTH, AUTHX, CSC or CPC…") -}}
  {{- end -}}
  {{- if not (has (include "eventbus.kind" $value) (list "map" "")) -}}
    {{- include "eventbus.report" (list $r "errors" $path "no mapping" "write { enabled: true, jetstream: true }") -}}
  {{- end -}}
  {{- $account := dict "name" $name "lower" $lower "enabled" true "jetstream" false -}}
  {{- include "eventbus.check.keys" (list $r $value $path (list "enabled" "jetstream")) -}}
  {{- include "eventbus.check.bool" (list $r $value $path "enabled" $account) -}}
  {{- include "eventbus.check.bool" (list $r $value $path "jetstream" $account) -}}
  {{- if not $fault -}}
    {{- $same := get $to $lower | default list -}}
    {{- if $same -}}
      {{- $text := printf "`%s` and `%s` differ in capitals only, and so not in the names of their secrets" $name (last $same).name -}}
      {{- include "eventbus.report" (list $r "errors" $path $text "name one of them otherwise") -}}
    {{- end -}}
    {{- $_ := set $to $lower (append $same $account) -}}
  {{- end -}}
{{- end -}}

{{/*
(list READING BUS): replicas where the document does not say: three where it has three servers or more, else one. Where it has neither, the
chart's own values say how many servers; `eventbus` cannot know that, and warns of a file that is the chart's.
*/}}
{{- define "eventbus.streams.replicas" -}}
  {{- $bus := index . 1 -}}
  {{- $servers := (ternary $bus.servers dict (kindIs "map" $bus.servers)).replicas -}}
  {{- $streams := (ternary $bus.mqttStreams dict (kindIs "map" $bus.mqttStreams)).replicas -}}
  {{- if not (kindIs "invalid" $servers) -}}
    {{- $three := false -}}
    {{- if include "eventbus.isNumber" $servers -}}{{- $three = and (ge (float64 $servers) 3.0) (eq (floor $servers) (float64 $servers)) -}}{{- end -}}
    {{- ternary 3 1 $three -}}
  {{- else -}}
    {{- $chart := false -}}
    {{- range list "production" "servers" "keysRevision" "secrets" "image" "nack" "streamsWatch" "surveyor" "tests" "networkPolicy" "monitoring" -}}
      {{- if not (kindIs "invalid" (index $bus .)) -}}{{- $chart = true -}}{{- end -}}
    {{- end -}}
    {{- if and $chart (kindIs "invalid" $streams) -}}
      {{- include "eventbus.report" (list (index . 0) "warnings" "mqttStreams.replicas"
          "missing, and servers.replicas too: the chart makes it 3 on 3 servers, this program 1"
          "write replicas: 3, and servers: { replicas: 3 }; or 1, and 1") -}}
    {{- end -}}
    {{- 1 -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.read.streams" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $streams := dict "maxBytes" 67108864 "maxAge" 10800000000000 "replicas" (include "eventbus.streams.replicas" (list $r $bus) | int64) "storage" "file" -}}
  {{- if include "eventbus.given" (list $r $bus "" "mqttStreams" "map") -}}
    {{- $map := $bus.mqttStreams -}}
    {{- include "eventbus.check.keys" (list $r $map "mqttStreams" (list "maxBytes" "replicas" "storage" "maxAge")) -}}
    {{- include "eventbus.check.int" (list $r $map "mqttStreams" "maxBytes" 1048576 1125899906842624 $streams) -}}
    {{- include "eventbus.check.int" (list $r $map "mqttStreams" "replicas" 1 5 $streams) -}}
    {{- if eq (mod $streams.replicas 2) 0 -}}
      {{- include "eventbus.report" (list $r "errors" "mqttStreams.replicas" "an even number of replicas bears no more losses than one fewer"
          "write 1, 3 or 5") -}}
    {{- end -}}
    {{- include "eventbus.read.age" (list $r $map $streams) -}}
    {{- if include "eventbus.given" (list $r $map "mqttStreams" "storage" "scalar") -}}
      {{- $_ := set $streams "storage" (include "eventbus.text" $map.storage) -}}
      {{- if not (has $streams.storage (list "file" "memory")) -}}
        {{- include "eventbus.report" (list $r "errors" "mqttStreams.storage" (printf "%s is no kind of storage" (include "eventbus.quote"
            $map.storage)) "write file or memory") -}}
      {{- end -}}
    {{- end -}}
    {{- if eq $streams.storage "memory" -}}
      {{- if lt (int $streams.replicas) 3 -}}
        {{- include "eventbus.report" (list $r "errors" "mqttStreams.storage"
            "after a restart of its only server the site would have lost its streams and could not get them back" "write file, or replicas: 3") -}}
      {{- else -}}
        {{- include "eventbus.report" (list $r "warnings" "mqttStreams.storage"
            "when all servers of the site are down at once, stored messages, retained ones and sessions are gone"
            "write file where messages shall outlive that") -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set (index . 2) "streams" $streams -}}
{{- end -}}

{{/* (list READING MAP STREAMS): sets STREAMS.maxAge, in nanoseconds. */}}
{{- define "eventbus.read.age" -}}
  {{- $r := index . 0 -}}
  {{- if include "eventbus.given" (list $r (index . 1) "mqttStreams" "maxAge" "scalar") -}}
    {{- $text := include "eventbus.text" (index . 1).maxAge -}}
    {{- $quoted := include "eventbus.quote" $text -}}
    {{- $ns := include "eventbus.duration" $text -}}
    {{- if or (not $ns) (regexMatch "[0-9]$" $text) -}}
      {{- include "eventbus.report" (list $r "errors" "mqttStreams.maxAge" (printf "%s is no duration" $quoted)
          "write a number and h, m or s, as in 3h or 1h30m") -}}
    {{- else if lt (int64 $ns) 120000000000 -}}{{- /* the streams' duplicate window, which may not be longer than the age */ -}}
      {{- include "eventbus.report" (list $r "errors" "mqttStreams.maxAge" (printf "%s is shorter than the time in which repeats are told"
          $quoted) "write 2m at least and 87600h at most") -}}
    {{- else if gt (int64 $ns) 315360000000000000 -}}
      {{- include "eventbus.report" (list $r "errors" "mqttStreams.maxAge" (printf "%s is longer than ten years" $quoted)
          "write 2m at least and 87600h at most") -}}
    {{- else -}}
      {{- $_ := set (index . 2) "maxAge" (int64 $ns) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- define "eventbus.read.tls" -}}
  {{- $r := index . 0 -}}
  {{- $bus := index . 1 -}}
  {{- $s := index . 2 -}}
  {{- $read := dict -}}
  {{- $server := include "eventbus.check.tls" (list $r $bus "" "cscLeafServerTLS" true $read) -}}
  {{- $client := include "eventbus.check.tls" (list $r $bus "" "cpcLeafClientTLS" false $read) -}}
  {{- if and (eq $s.type "csc") $client -}}
    {{- include "eventbus.report" (list $r "warnings" "cpcLeafClientTLS" "only a CPC reads it" "move it into that document") -}}
  {{- else if and (eq $s.type "cpc") $server -}}
    {{- include "eventbus.report" (list $r "warnings" "cscLeafServerTLS" "only the CSC reads it" "move it into that document") -}}
  {{- end -}}
  {{- if and (eq $s.type "cpc") $client -}}
    {{- range $url := $s.endpoint -}}
      {{- if and $url (not (hasPrefix "tls://" $url)) -}}
        {{- include "eventbus.report" (list $r "warnings" "cscEndpoint"
            "nats:// leaves it open whether the link is encrypted, and cpcLeafClientTLS is given" "write tls://") -}}
        {{- break -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $s "leafServerTLS" $read.cscLeafServerTLS -}}
  {{- $_ := set $s "leafClientTLS" $read.cpcLeafClientTLS -}}
{{- end -}}
