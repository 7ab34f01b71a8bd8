{{/*
What only the chart can tell, since it is not in the site document: routes, tokens without keys to verify them, and the official charts'
values that are fixed texts and yet must agree with the site. All of it together, after what `eventbus check` would say.
*/}}
{{- define "eventbus.check.chart" -}}
{{- $site := include "eventbus.site" . | fromJson -}}
{{- $bus := include "eventbus.bus" . | fromJson -}}
{{- include "eventbus.check.seeds" . -}}
{{- $r := include "eventbus.reading" "global.eventBus" | fromJson -}}
{{- include "eventbus.check.routes" (list $r $site $bus) -}}
{{- include "eventbus.check.link" (list $r $site $bus) -}}
{{- include "eventbus.check.logins" (list $r $site $bus (index .Values "auth-callout")) -}}
{{- include "eventbus.check.secrets" (list $r . $bus) -}}
{{- $_ := set $r "base" "" -}}
{{- include "eventbus.check.charts" (list $r . $bus $site) -}}
{{- include "eventbus.check.running" (list $r . $site) -}}
{{- include "eventbus.check.end" $r -}}
{{- end -}}

{{/* READING: the end of rendering where there are errors. */}}
{{- define "eventbus.check.end" -}}
{{- if .errors -}}
{{- $lines := list -}}
{{- range $finding := .errors -}}{{- $lines = append $lines (printf "error: %s" (include "eventbus.finding" $finding)) -}}{{- end -}}
{{- fail (printf "the values are refused\n%s\n%d error%s" (join "\n" $lines) (len .errors) (ternary "" "s" (eq (len .errors) 1))) -}}
{{- end -}}
{{- end -}}

{{/*
Seeds anywhere in the values: Helm keeps those in the cluster, and the site goes into a ConfigMap and annotations. Before all else, since other
findings name values. The chart auth-callout looks through its own.
*/}}
{{- define "eventbus.check.seeds" -}}
{{- $values := omit .Values "auth-callout" -}}
{{- if regexMatch "S[UAOXNC][A-Z2-7]{56}" (toJson $values) -}}
{{- $r := include "eventbus.reading" "" | fromJson -}}
{{- range $key, $value := $values -}}
{{- /* Helm puts the global values into the block of each chart */ -}}
{{- $own := ternary (omit (ternary $value dict (kindIs "map" $value)) "global") $value (and (kindIs "map" $value) (ne $key "global")) -}}
{{- range include "auth-callout.seeds" (dict "value" $own "path" $key) | trim | splitList "\n" -}}
{{- with trim . -}}
{{- include "eventbus.report" (list $r "errors" . "a seed stands here, which everybody who may read the release could see"
    "put it into a Secret, and write that one's name") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "eventbus.check.end" $r -}}
{{- end -}}
{{- end -}}

{{/*
(list READING ROOT SITE): what an upgrade would destroy: servers do not become a cluster, or a single one, with what they have stored. What
runs is asked of the cluster, so `helm template` cannot tell. Servers that are stopped (0) say nothing.
*/}}
{{- define "eventbus.check.running" -}}
{{- $now := int (index . 2).servers.replicas -}}
{{- $found := lookup "apps/v1" "StatefulSet" (index . 1).Release.Namespace "event-bus" -}}
{{- $before := dig "spec" "replicas" 0 ($found | default dict) | int -}}
{{- if and $before (ne (eq $before 1) (eq $now 1)) -}}
{{- include "eventbus.report" (list (index . 0) "errors" "global.eventBus.servers.replicas"
    (printf "%d, and %d run%s: nats-server does not take what one server alone stored into a cluster, or the other way round" $now $before
        (ternary "s" "" (eq $before 1)))
    (printf "write %d; docs/operations-kubernetes.md, Scale, says how a site begins anew" $before)) -}}
{{- end -}}
{{- end -}}

{{/* (list READING SITE BUS CALLOUT): CALLOUT is the block auth-callout of the values. */}}
{{- define "eventbus.check.logins" -}}
{{- $r := index . 0 -}}
{{- $site := index . 1 -}}
{{- $bus := index . 2 -}}
{{- if and $bus.production $site.permissions.noauth -}}
{{- include "eventbus.report" (list $r "errors" "auth.permissions.noauth"
    "anonymous clients, at a site in production (production: true)"
    "leave noauth out") -}}
{{- end -}}
{{- if and $site.permissions.oauth2 (not (include "eventbus.hasKeys" (index . 3))) -}}
{{- include "eventbus.report" (list $r "errors" "auth.permissions.oauth2"
    "no issuer's keys are configured, so every token would be refused"
    "write auth-callout.serviceConfig.jwks.url: https://…, the issuer's JWKS") -}}
{{- end -}}
{{- end -}}

{{/* "true" where the block auth-callout tells the service of keys to verify tokens with, in any of its ways. */}}
{{- define "eventbus.hasKeys" -}}
{{- $config := .serviceConfig | default dict -}}
{{- $jwks := $config.jwks | default dict -}}
{{- $found := or (get $jwks "url") (get $jwks "path") -}}
{{- range $config.issuers -}}{{- if or .url .path -}}{{- $found = true -}}{{- end -}}{{- end -}}
{{- if $found -}}true
{{- /* or by environment, or in what a Vault agent or a CSI driver writes, which nobody can see here */ -}}
{{- else if or .hotConfig.secretName .extraEnvFrom 
    (regexMatch "\\b(AUTH_CALLOUT_HOT_CONFIG|(AUTH_CALLOUT_)?JWKS_(URL|PATH))\\b" (toJson (list .extraEnv .extraArgs))) -}}true
{{- end -}}
{{- end -}}

{{/* (list READING ROOT BUS): names below `secrets` that no part of the site asks for. */}}
{{- define "eventbus.check.secrets" -}}
{{- $r := index . 0 -}}
{{- $need := include "eventbus.secretTable" (index . 1) | fromJson -}}
{{- $_ := set $need "nats-authx-user" (list "pubkey" "pubkey-old") -}}{{- /* the latter may be there: not in the table of what must */ -}}
{{- range $name, $override := (index . 2).secrets -}}
{{- if hasKey $need $name -}}
{{- range $key, $_ := (ternary $override dict (kindIs "map" $override)).keys -}}
{{- if not (has $key (get $need $name)) -}}
{{- include "eventbus.report" (list $r "errors" (printf "secrets.%s.keys.%s" $name $key)
    "this Secret has no such key"
    (include "eventbus.known" (list $key (get $need $name)))) -}}
{{- end -}}
{{- end -}}
{{- else if regexMatch "^nats-mtls-|^auth-callout-mtls-ca$|^nats-(leaf|server)-tls$|^nats-xkey$" $name -}}
{{- /* of a part that is switched off: left as it is, so that one file serves both */ -}}
{{- else -}}
{{- include "eventbus.report" (list $r "errors" (printf "secrets.%s" $name)
    "this site has no such Secret"
    (include "eventbus.known" (list $name (keys $need | sortAlpha)))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (list READING ROOT BUS SITE): values of the official charts that cannot be computed. */}}
{{- define "eventbus.check.charts" -}}
{{- $r := index . 0 -}}
{{- $root := index . 1 -}}
{{- $bus := index . 2 -}}
{{- $site := index . 3 -}}
{{- $values := $root.Values -}}
{{- range $chart, $name := dict "nats" "event-bus" "nats-mtls" "event-bus-mtls" -}}
{{- if and (ne (get $values $chart).fullnameOverride $name) (or (eq $chart "nats") $site.mtls) -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.fullnameOverride" $chart)
    "routes, links, auth-callout, NACK and Surveyor know the Service by its fixed name"
    (printf "write %s" $name)) -}}
{{- end -}}
{{- if (get $values $chart).nameOverride -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.nameOverride" $chart)
    "the Services tell the two kinds of servers apart by it"
    "leave it out") -}}
{{- end -}}
{{- end -}}
{{- if dig "surveyor" "enabled" true $bus -}}
{{- $count := include "eventbus.serverCount" $root | int -}}
{{- $given := int $values.surveyor.config.expectedServers -}}
{{- if and (ne $given $count) (ne $given -1) -}}
{{- include "eventbus.report" (list $r "errors" "surveyor.config.expectedServers"
    (printf "%d, and the site has %d servers%s" $given $count (ternary ", the mTLS server counted" "" $site.mtls))
    (printf "write %d" $count)) -}}
{{- end -}}
{{- include "eventbus.check.agrees" (list $r $root "surveyor.config.nkey.secret" $values.surveyor.config.nkey.secret "nats-surveyor" "seed") -}}
{{- end -}}
{{- if dig "nack" "enabled" true $bus -}}
{{- include "eventbus.check.agrees" (list $r $root "nack.jetstream.nats.nkey.secret"
    $values.nack.jetstream.nats.nkey.secret "nats-nack-user" "nack-user.nk") -}}
{{- if not $values.nack.jetstream.controlLoop -}}
{{- include "eventbus.report" (list $r "errors" "nack.jetstream.controlLoop"
    "false: nobody would bring a stream back to what it is to be"
    "write true") -}}
{{- end -}}
{{- end -}}
{{- $callout := index $values "auth-callout" -}}
{{- if and (not $site.servers.xkey) $callout.keys.xkeySeeds -}}
{{- include "eventbus.report" (list $r "errors" "auth-callout.keys.xkeySeeds"
    "the servers do not seal (global.eventBus.servers.xkey: false)"
    "write []") -}}
{{- end -}}
{{- if and (dig "enabled" false ($callout.serviceMonitor | default dict)) (dig "monitoring" "serviceMonitors" "enabled" false $bus) -}}
{{- include "eventbus.report" (list $r "errors" "auth-callout.serviceMonitor.enabled"
    "global.eventBus.monitoring.serviceMonitors has one for it already, with the label `site` that rules and dashboards go by"
    "leave it out") -}}
{{- end -}}
{{- range $option, $key := dict "nkeySeed" "nkey-seed" "issuerSeeds" "issuer-seed" "xkeySeeds" "xkey-seed" -}}
{{- $want := include "eventbus.secretKey" (dict "root" $root "name" "auth-callout-keys" "key" $key) -}}
{{- $given := get $callout.keys $option -}}
{{- if and $callout.keys.secretName $given (not (has $want (ternary (list $given) $given (kindIs "string" $given)))) -}}
{{- include "eventbus.report" (list $r "errors" (printf "auth-callout.keys.%s" $option)
    (printf "%s, and global.eventBus.secrets says otherwise" (toJson $given))
    (printf "write %s" (ternary $want (printf "[%s]" $want) (kindIs "string" $given)))) -}}
{{- end -}}
{{- end -}}
{{- $key := include "eventbus.secretKey" (dict "root" $root "name" "auth-callout-mtls-ca" "key" "ca.crt") -}}
{{- if and $site.mtls $callout.mtls.ca.secretName (ne $callout.mtls.ca.key $key) -}}
{{- include "eventbus.report" (list $r "errors" "auth-callout.mtls.ca.key"
    (printf "%s, and global.eventBus.secrets says otherwise" $callout.mtls.ca.key)
    (printf "write %s" $key)) -}}
{{- end -}}
{{- /* stored messages cross between sites from 2.14 on; what no version can be read of is the operator's */ -}}
{{- range $chart := ternary (list "nats" "nats-mtls") (list "nats") $site.mtls -}}
{{- $tag := toString (get $values $chart).container.image.tag -}}
{{- $version := regexFind "^v?[0-9]+\\.[0-9]+\\.[0-9]+" $tag -}}
{{- if and $version (or (eq $site.type "cpc") $site.cpcIds) -}}
{{- if semverCompare "<2.14.0" $version -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.container.image.tag" $chart)
    (printf "%s: what is stored crosses between sites from nats-server 2.14 on" $tag)
    "write 2.14.3 or later") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $memory := dig "merge" "resources" "limits" "memory" "" $values.nats.container | toString -}}
{{- $limit := include "eventbus.quantity" $memory -}}
{{- if $limit -}}
{{- if ge (int64 $site.servers.jetstream.maxMemory) (int64 $limit) -}}
{{- include "eventbus.report" (list $r "errors" "global.eventBus.servers.jetstream.maxMemory"
    (printf "%d, and the container may use %s of memory in all" (int64 $site.servers.jetstream.maxMemory) $memory)
    "write less, or raise nats.container.merge.resources.limits.memory, and GOMEMLIMIT below it") -}}
{{- end -}}
{{- end -}}
{{- $store := $values.nats.config.jetstream.fileStore -}}
{{- $size := include "eventbus.quantity" (toString $store.pvc.size) -}}
{{- if and $store.enabled $store.pvc.enabled $size -}}
{{- if gt (int64 $site.servers.jetstream.maxFile) (int64 $size) -}}
{{- include "eventbus.report" (list $r "errors" "global.eventBus.servers.jetstream.maxFile"
    (printf "%d, and the volume has %s (nats.config.jetstream.fileStore.pvc.size)" (int64 $site.servers.jetstream.maxFile) $store.pvc.size)
    "write less, or a larger volume before the first install: it cannot be changed later") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (list READING ROOT PATH SECRET NAME KEY): the chart takes a fixed text where `secrets` may name another. */}}
{{- define "eventbus.check.agrees" -}}
{{- $root := index . 1 -}}
{{- $given := index . 3 -}}
{{- $name := include "eventbus.secretName" (dict "root" $root "name" (index . 4)) -}}
{{- $key := include "eventbus.secretKey" (dict "root" $root "name" (index . 4) "key" (index . 5)) -}}
{{- if or (ne $given.name $name) (ne $given.key $key) -}}
{{- include "eventbus.report" (list (index . 0) "errors" (index . 2)
    (printf "{name: %s, key: %s}, and global.eventBus.secrets says otherwise" $given.name $given.key)
    (printf "write {name: %s, key: %s}" $name $key)) -}}
{{- end -}}
{{- end -}}

{{/* A quantity with a binary or decimal suffix, as bytes; "" for what is none. */}}
{{- define "eventbus.quantity" -}}
{{- $units := dict "" 1 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- if regexMatch "^[0-9]+([KMGT]i|[kMGT])?$" . -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[a-zA-Z]*$" .)) -}}
{{- end -}}
{{- end -}}
