# shellcheck shell=bash
# The configuration of auth-callout and the permissions document of a site.

# YAML list of key files.
callout_seed_list() { # names
    local name
    for name in $1; do printf '\n    - "%s"' "$SITE_DIR/keys/$name.nk"; done
}

callout_conf() { # health port, metrics port, cache file
    cat <<YAML
# auth-callout of site $SITE: made by local/bus, written anew by each \`make up\`. All keys: auth-callout generate-config
nats:
  url: "nats://$SITE_ADDR:$EB_PORT_NATS"
  nkey-seed-file: "$SITE_DIR/keys/service.nk"
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
$([ -z "$EB_SESSION_MAX_AGE" ] || printf 'session:\n  max-age: "%s"\n' "$EB_SESSION_MAX_AGE")
host:
  name: "$SITE_ADDR"
  port: $1
observability:
  metrics:
    prometheus:
      name: "$SITE_ADDR"
      port: $2
  logging:
    level: $EB_LOG_LEVEL
YAML
    [ -z "$EB_CALLOUT_EXTRA" ] || cat "$EB_CALLOUT_EXTRA"
}

permissions_document() {
    cat <<YAML
# Who may do what on site $SITE: made by local/bus, written anew by each \`make up\`; auth-callout re-reads it when it changes.
# Subjects are in NATS form: the MQTT topic test/a is the subject test.a.
oauth2:
  mqtt-client:
    azp: mqtt-client
    account: $SITE_ACCOUNT
    required_scope: mqtt
    permissions:
      pub: { allow: ["test.>", "perf.>", "cpc.*.test.>"] }
      sub: { allow: ["test.>", "perf.>", "cpc.*.test.>"] }
  mqtt-publisher:
    azp: mqtt-publisher
    account: $SITE_ACCOUNT
    required_scope: mqtt
    permissions:
      pub: { allow: ["test.>", "perf.>", "cpc.*.test.>"] }
      sub: { allow: ["dummy.>"] }
  mqtt-subscriber:
    azp: mqtt-subscriber
    account: $SITE_ACCOUNT
    required_scope: mqtt
    permissions:
      pub: { allow: ["dummy.>"] }
      sub: { allow: ["test.>", "perf.>", "cpc.*.test.>"] }
  launchlayer-client:
    azp: launchlayer-client
    account: LaunchLayer
    required_scope: mqtt
    permissions:
      pub: { allow: ["launchlayer.>", "\$JS.API.>", "\$JS.ACK.>", "\$JS.FC.>", "\$KV.>", "\$O.>"] }
      sub: { allow: ["launchlayer.>", "_INBOX.>"] }
  bms-reader:
    azp: bms-reader
    account: $SITE_ACCOUNT
    required_scope: mqtt
    permissions:
      sub: { allow: ["BMS.>"] }

mtls:
  mqtt-client:
    identity: "CN=mqtt-client.$SITE"
    account: $SITE_ACCOUNT
    permissions:
      pub: { allow: ["test.>"] }
      sub: { allow: ["test.>"] }
  bms:
    identity: "CN=bms.$SITE"
    account: $SITE_ACCOUNT
    permissions:
      pub: { allow: ["BMS.>"] }

# The infrastructure: users of the server configuration too, with the same permissions.
nkey:
  nats-sys-admin:
    public_key: $(key_public sys-admin)
    account: SYS
    internal: true
    permissions:
      pub: { allow: [">"] }
      sub: { allow: [">"] }
  nats-mtls-leaf:
    public_key: $(key_public mtls-leaf)
    account: $SITE_ACCOUNT
    internal: true
    connections: [leaf]
    permissions:
      pub: { allow: [">"], deny: ["\$SYS.>"] }
      sub: { allow: [">"], deny: ["\$SYS.>"] }
  nats-mtls-authx-leaf:
    public_key: $(key_public mtls-authx-leaf)
    account: AUTHX
    internal: true
    connections: [leaf]
    permissions:
      pub: { allow: ["\$SYS.REQ.USER.AUTH"] }
      sub: { allow: ["\$SYS._INBOX.>"] }
  nats-mtls-sys-leaf:
    public_key: $(key_public mtls-sys-leaf)
    account: SYS
    internal: true
    connections: [leaf]
    permissions:
      pub: { allow: [$(sys_leaf_publish)] }
      sub: { allow: [$(sys_leaf_subscribe)] }
$([ "$EB_NOAUTH" = off ] || printf '\n%s\nnoauth:\n  account: %s\n' \
        "# Clients that present nothing, for evaluation only: all of the account's own subjects. make up NOAUTH=off takes it out." \
        "$SITE_ACCOUNT")
YAML
}

callout_write() {
    mkdir -p "$SITE_DIR/conf" "$SITE_DIR/state"
    callout_conf "$EB_PORT_HEALTH" "$EB_PORT_METRICS" "$SITE_DIR/state/jwks.json" |
        write_file 600 "$SITE_DIR/conf/auth-callout.yaml"
    [ "$EB_CALLOUTS" -lt 2 ] || callout_conf "$EB_PORT_HEALTH_2" "$EB_PORT_METRICS_2" "$SITE_DIR/state/jwks-2.json" |
        write_file 600 "$SITE_DIR/conf/auth-callout-2.yaml"
    if [ -n "$EB_PERMISSIONS" ]; then
        write_file 644 "$SITE_DIR/conf/permissions.yaml" <"$EB_PERMISSIONS"
    else
        permissions_document | write_file 644 "$SITE_DIR/conf/permissions.yaml"
    fi
}
