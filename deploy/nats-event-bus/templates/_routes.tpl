{{/*
Routes: which there are, which API version the cluster serves them in, and what cannot work. What the servers are told because of them is in
_tls.tpl.
*/}}

{{/* The routes, as JSON: {ROUTE: {name, service, port}}. */}}
{{- define "eventbus.routes" -}}
{{- $main := "event-bus" -}}
{{- dict
    "mqtt" (dict "name" "event-bus-mqtt" "service" $main "port" 1883)
    "natsClient" (dict "name" "event-bus-nats-client" "service" $main "port" 4222)
    "natsLeafnode" (dict "name" "event-bus-nats-leafnode" "service" $main "port" 7422)
    "mqttMtls" (dict "name" "event-bus-mqtt-mtls" "service" "event-bus-mtls" "port" 8883) | toJson -}}
{{- end -}}

{{/* (dict "root" $ "kind" "TCPRoute"): what the cluster serves: the releases of the Gateway API differ. */}}
{{- define "eventbus.routeVersion" -}}
{{- $found := "" -}}
{{- range $version := list "v1" "v1alpha3" "v1alpha2" -}}
{{- $served := $.root.Capabilities.APIVersions.Has (printf "gateway.networking.k8s.io/%s/%s" $version $.kind) -}}
{{- if and (not $found) $served -}}{{- $found = $version -}}{{- end -}}
{{- end -}}
{{- /* helm template knows no cluster: --api-versions, or gateway.apiVersion */ -}}
gateway.networking.k8s.io/{{ $found | default "v1" }}
{{- end -}}

{{/* (dict "root" $ "route" ROUTE "gateway" GATEWAY): of one route. */}}
{{- define "eventbus.route.version" -}}
{{- .route.apiVersion | default .gateway.apiVersion | default (include "eventbus.routeVersion" (dict "root" .root "kind" .route.kind)) -}}
{{- end -}}

{{/* What is wrong with a name that a client asks for (SNI), "" for nothing: it would never match. */}}
{{- define "eventbus.hostname.fault" -}}
{{- $plain := trimPrefix "*." . -}}
{{- if regexMatch "^[0-9.]+$|:" . -}}is an address: clients name no address when they ask for TLS
{{- else if regexMatch "[A-Z]" . -}}has capitals: names are compared in small letters
{{- else if contains "*" $plain -}}has a wildcard where none is taken: it may only be the whole first label
{{- else if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$" $plain) -}}is no host name
{{- else if and (hasPrefix "*." .) (not (contains "." $plain)) -}}stands for every name of a top-level domain
{{- else if gt (len .) 253 -}}is longer than 253 bytes
{{- end -}}
{{- end -}}

{{/* (list READING SITE BUS): reports what is wrong with the routes. */}}
{{- define "eventbus.check.routes" -}}
{{- $r := index . 0 -}}
{{- $site := index . 1 -}}
{{- $bus := index . 2 -}}
{{- $gateway := $bus.gateway | default dict -}}
{{- $taken := dict -}}
{{- range $name, $route := $gateway.routes -}}
{{- $at := printf "gateway.routes.%s" $name -}}
{{- if not (hasKey (include "eventbus.routes" $ | fromJson) $name) -}}
{{- include "eventbus.report" (list $r "errors" $at "unknown key" "known here: `mqtt`, `natsClient`, `natsLeafnode`, `mqttMtls`") -}}
{{- else if and (kindIs "map" $route) $route.enabled -}}
{{- include "eventbus.check.route" (list $r $site $bus $name $route) -}}
{{- $to := mergeOverwrite (dict "name" $gateway.name "namespace" $gateway.namespace) ($route.gateway | default dict) -}}
{{- $listener := printf "%s/%s/%s" ($to.namespace | default "") $to.name $route.sectionName -}}
{{- $other := get $taken $listener | default dict -}}
{{- if not $to.name -}}
{{- include "eventbus.report" (list $r "errors" $at "no Gateway is named" "write gateway.name") -}}
{{- else if and $other (not (and (eq $route.kind "TLSRoute") (eq $other.kind "TLSRoute"))) -}}
{{- include "eventbus.report" (list $r "errors" $at
    (printf "gateway.routes.%s has the same listener, and a TCPRoute takes all of it" $other.name)
    "give each a sectionName of its own") -}}
{{- else if $other -}}
{{- range $host := $route.hostnames -}}{{- if has $host $other.hostnames -}}
{{- include "eventbus.report" (list $r "errors" $at
    (printf "gateway.routes.%s has %s on the same listener" $other.name (include "eventbus.quote" $host))
    "give each names of its own") -}}
{{- end -}}{{- end -}}
{{- end -}}
{{- $_ := set $taken $listener (dict "name" $name "kind" $route.kind "hostnames" ($route.hostnames | default list)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (list READING SITE BUS NAME ROUTE): one that is enabled. */}}
{{- define "eventbus.check.route" -}}
{{- $r := index . 0 -}}
{{- $site := index . 1 -}}
{{- $bus := index . 2 -}}
{{- $name := index . 3 -}}
{{- $route := index . 4 -}}
{{- $at := printf "gateway.routes.%s" $name -}}
{{- $tls := $route.tls | default "none" -}}
{{- if not (has $route.kind (list "TCPRoute" "TLSRoute")) -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.kind" $at)
    (printf "%s is no kind of route that carries NATS or MQTT" (include "eventbus.quote" $route.kind))
    "write TCPRoute or TLSRoute") -}}
{{- end -}}
{{- if not (has $tls (list "none" "terminate" "passthrough")) -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.tls" $at)
    (printf "%s is nothing that a listener does with TLS" (include "eventbus.quote" $tls))
    "write none, terminate or passthrough") -}}
{{- end -}}
{{- /* kind and TLS */ -}}
{{- if and (eq $route.kind "TLSRoute") (eq $tls "none") -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.kind" $at)
    "a TLSRoute attaches to a TLS listener only, and tls is none"
    "write kind: TCPRoute, or tls: terminate or passthrough") -}}
{{- else if and (eq $route.kind "TCPRoute") (eq $tls "passthrough") -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.kind" $at)
    "a listener that passes TLS through takes TLSRoutes only"
    "write kind: TLSRoute, or tls: none on a TCP listener") -}}
{{- end -}}
{{- /* hostnames */ -}}
{{- if eq $route.kind "TLSRoute" -}}
{{- if not $route.hostnames -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.hostnames" $at)
    "a TLSRoute without hostnames takes nothing"
    "write the names that clients connect to") -}}
{{- end -}}
{{- range $i, $host := $route.hostnames -}}
{{- $fault := include "eventbus.hostname.fault" (toString $host) -}}
{{- if $fault -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.hostnames[%d]" $at $i)
    (printf "%s %s" (include "eventbus.quote" $host) $fault)
    "write a host name, as in bus.example.net or *.example.net") -}}
{{- end -}}
{{- end -}}
{{- else if $route.hostnames -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.hostnames" $at)
    "a TCPRoute knows no names: it takes everything of its listener"
    "leave them out, or write kind: TLSRoute") -}}
{{- end -}}
{{- /* what the server behind it can do */ -}}
{{- if and (eq $name "mqtt") (eq $tls "passthrough") -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.tls" $at)
    "the main server's MQTT listener has no TLS that could be passed through"
    "write terminate, or use mqttMtls") -}}
{{- end -}}
{{- if eq $name "mqttMtls" -}}
{{- if not $site.mtls -}}
{{- include "eventbus.report" (list $r "errors" $at
    "there is no mTLS server (mtls.enabled is false)"
    "leave the route out, or write mtls: { enabled: true }") -}}
{{- end -}}
{{- if eq $tls "terminate" -}}
{{- include "eventbus.report" (list $r "errors" (printf "%s.tls" $at)
    "a gateway that ends TLS hides the clients' certificates, by which they log in here"
    "write passthrough, or none on a TCP listener") -}}
{{- end -}}
{{- end -}}
{{- if eq $name "natsLeafnode" -}}
{{- $own := not (empty $site.leafServerTLS) -}}
{{- if eq $site.type "cpc" -}}
{{- include "eventbus.report" (list $r "errors" $at
    "nobody links to a CPC but its own mTLS server, which does not come by the gateway"
    "leave the route out") -}}
{{- else if and (eq $tls "terminate") $own -}}
{{- include "eventbus.report" (list $r "errors" "cscLeafServerTLS"
    "the gateway ends TLS before the leaf listener (gateway.routes.natsLeafnode.tls), which then would wait for TLS that never comes"
    "leave it out, or write tls: none or passthrough there") -}}
{{- else if and (eq $tls "passthrough") (not $own) -}}
{{- include "eventbus.report" (list $r "errors" "cscLeafServerTLS"
    "the gateway passes TLS through to the leaf listener (gateway.routes.natsLeafnode.tls), which has none"
    "write ca, cert and key, or tls: none there") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (list READING SITE BUS): the CPC's end of the link, where the CSC's gateway wants TLS before INFO. */}}
{{- define "eventbus.check.link" -}}
{{- $r := index . 0 -}}
{{- $site := index . 1 -}}
{{- if and (eq $site.type "cpc") (dig "handshakeFirst" false ($site.leafClientTLS | default dict)) -}}
{{- range $url := $site.endpoint -}}
{{- if not (hasPrefix "tls://" (trim $url)) -}}
{{- include "eventbus.report" (list $r "errors" "cscEndpoint"
    "the link begins with TLS (cpcLeafClientTLS.handshakeFirst), and nats:// has none"
    "write tls://HOST:7422") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
