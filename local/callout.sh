# shellcheck shell=bash
# The configuration of a site's auth-callout.

# YAML list of key files.
callout_seed_list() { # names
    local name
    for name in $1; do printf '\n    - "%s"' "$(key_file "$name")"; done
}

callout_conf() { # health port, metrics port, cache file
    cat <<YAML
# auth-callout of site $SITE: made by local/bus, written anew by each \`make up\`. All keys: auth-callout generate-config
nats:
  url: "$(site_urls "$EB_PORT_NATS")"
  nkey-seed-file: "$SITE_KEYS/auth-callout-keys/nkey-seed"
  issuer-seed-file:$(callout_seed_list "$EB_ISSUERS")
$([ "$EB_XKEY" = off ] || printf '  xkey-seed-file:%s' "$(callout_seed_list "$EB_XKEYS")")
jwks:
  url: "http://$EB_IDP_ADDR:$EB_PORT_IDP/jwks.json"
  issuer: "http://$EB_IDP_ADDR:$EB_PORT_IDP"
  audience: "dsx-exchange"
  signing-algorithms: [$EB_SIGNING_ALGORITHMS]
  cache-file: "$3"
mtls:
  ca-path: "$SITE_DIR/certs/ca.pem"
permissions:
  file: "$SITE_DIR/conf/permissions.yaml"
$([ "$EB_MQTT_GATE" = off ] || printf 'mqtt:\n  streams-file: "%s"\n' "$SITE_DIR/conf/streams.json")
$([ -z "$EB_SESSION_MAX_AGE" ] || printf 'session:\n  max-age: "%s"\n' "$EB_SESSION_MAX_AGE")
host:
  name: "$SITE_ADDR"
  port: $1
observability:
  metrics:
    server-refusals: true
    prometheus:
      name: "$SITE_ADDR"
      port: $2
  logging:
    level: $EB_LOG_LEVEL
YAML
    [ -z "$EB_CALLOUT_EXTRA" ] || cat "$EB_CALLOUT_EXTRA"
}

callout_write() {
    mkdir -p "$SITE_DIR/conf" "$SITE_DIR/state"
    callout_conf "$EB_PORT_HEALTH" "$EB_PORT_METRICS" "$SITE_DIR/state/jwks.json" |
        write_file 600 "$SITE_DIR/conf/auth-callout.yaml"
    [ "$EB_CALLOUTS" -lt 2 ] || callout_conf "$EB_PORT_HEALTH_2" "$EB_PORT_METRICS_2" "$SITE_DIR/state/jwks-2.json" |
        write_file 600 "$SITE_DIR/conf/auth-callout-2.yaml"
}
