# shellcheck shell=bash
# The configuration of a site's two nats-servers.
#
# Who is called out: everybody whom no configured user in auth_users fits. The configured users are the service itself, the
# leaf links of the mTLS server and the administrator: they stay in when auth-callout is down.
#
# authorization.timeout is the time that a client may take to be let in, the callout included. The server's default of 2 s is
# too short for thousands of clients that connect at once after an outage: nats-server alone needs about 1.3 ms of CPU for each.
# A long one costs nothing while auth-callout answers, and auth-callout drops by itself what is older than this.
# The leaf listener has a timer of its own that runs beside it, so it is set longer; nats-server warns of more than 60 s.
#
# shellcheck disable=SC2016 # subjects such as $SYS are meant as they stand

readonly MONITORING='VARZ CONNZ SUBSZ ROUTEZ GATEWAYZ LEAFZ ACCOUNTZ JSZ HEALTHZ STATSZ IDZ'

server_listen_common() { # listen http
    cat <<CONF
listen: "$1"
http: "$2"
logtime: true
$([ "$EB_SERVER_DEBUG" = off ] || echo 'debug: true')

# a token of several KiB is part of the CONNECT line (default 4096)
max_control_line: 65536
CONF
}

server_callout() { # callout-account "auth users"
    local user
    cat <<CONF
authorization {
  timeout: $EB_CALLOUT_TIMEOUT
  auth_callout {
    issuer: $(key_public "$EB_ISSUER")
    account: $1
    auth_users: [ $(for user in $2; do key_public "$user"; done | paste -sd, | sed 's/,/, /g') ]
$([ "$EB_XKEY" = off ] || echo "    xkey: $(key_public "$EB_XKEY_NAME")")
  }
}
CONF
}

# The subjects that the SYS leaf may take from the main server: questions of monitoring. KICK, LDM, RELOAD and claims are not here.
sys_leaf_subscribe() {
    local name
    printf '"$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.*", '
    for name in $MONITORING; do printf '"$SYS.REQ.SERVER.*.%s", ' "$name"; done
    for name in CONNZ LEAFZ SUBSZ JSZ INFO STATZ; do printf '"$SYS.REQ.ACCOUNT.*.%s", ' "$name"; done
    printf '"$SYS._INBOX.>"'
}
# And what it may send: answers, and what happens to its own clients. Counts of connections are left out: whoever holds the
# leaf's seed could make the main server believe that an account is full.
sys_leaf_publish() {
    printf '"$SYS.SERVER.*.STATSZ", "$SYS.SERVER.*.CLIENT.AUTH.ERR", "$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT", '
    printf '"$SYS._INBOX.>", "_INBOX.>", "_R_.>"'
}

server_main_conf() {
    cat <<CONF
# The main nats-server of site $SITE: made by local/bus, written anew by each \`make up\`.
server_name: "$SITE-main"
$(server_listen_common "$SITE_ADDR:$EB_PORT_NATS" "$SITE_ADDR:$EB_PORT_MONITOR")

jetstream {
  domain: "$SITE_DOMAIN"
  store_dir: "$SITE_DIR/jetstream"
  max_memory_store: 256MB
  max_file_store: 2GB
}
mqtt {
  listen: "$SITE_ADDR:$EB_PORT_MQTT"
  stream_replicas: 1
}
leafnodes {
  listen: "$SITE_ADDR:$EB_PORT_LEAF"
  # only the timer: users here would bypass the callout
  authorization { timeout: $((EB_CALLOUT_TIMEOUT + 5 < 60 ? EB_CALLOUT_TIMEOUT + 5 : 60)) }
}

system_account: SYS
accounts {
  SYS {
    users: [
      # break-glass administrator: gets in without auth-callout
      { nkey: $(key_public sys-admin) }
      # monitoring of the mTLS server
      { nkey: $(key_public mtls-sys-leaf), allowed_connection_types: [ LEAFNODE ], permissions: {
          publish: { allow: [ $(sys_leaf_publish) ] }
          subscribe: { allow: [ $(sys_leaf_subscribe) ] } } }
    ]
  }
  # Callouts arrive in AUTH and are handed to AUTHX, where the service lives. The callouts of the mTLS server come straight
  # into AUTHX by its leaf: they could not be published in AUTH, a server denies that to everybody in its callout account.
  AUTH {
    imports: [
      { service: { account: AUTHX, subject: "\$SYS.REQ.USER.AUTH" } }
      { service: { account: AUTHX, subject: "\$SRV.>" } }
    ]
    users: [
      # for \`nats micro\` and for watching refusals as they happen
      { nkey: $(key_public auth-watch), allowed_connection_types: [ STANDARD ], permissions: {
          publish: { allow: [ "\$SRV.>" ] }
          subscribe: { allow: [ "_INBOX.>", "\$SYS.ACCOUNT.CLIENT.AUTH.ERR" ] } } }
    ]
  }
  AUTHX {
    exports: [
      { service: "\$SYS.REQ.USER.AUTH", accounts: [ AUTH ] }
      { service: "\$SRV.>", response: stream, accounts: [ AUTH ] }
    ]
    users: [
      # auth-callout: it listens, and answers each request once
      { nkey: $(key_public service), allowed_connection_types: [ STANDARD ], permissions: {
          subscribe: { allow: [ "\$SYS.REQ.USER.AUTH", "\$SRV.>" ] }
          publish: { deny: [ ">" ] }
          allow_responses: { max: 1, expires: "$((EB_CALLOUT_TIMEOUT + 60))s" } } }
      # callouts of the mTLS server, and their answers
      { nkey: $(key_public mtls-authx-leaf), allowed_connection_types: [ LEAFNODE ], permissions: {
          publish: { allow: [ "\$SYS.REQ.USER.AUTH" ] }
          subscribe: { allow: [ "\$SYS._INBOX.>" ] } } }
    ]
  }
  $SITE_ACCOUNT {
    jetstream: { max_memory: 128MB, max_file: 1GB }
    users: [
      # data of the mTLS server
      { nkey: $(key_public mtls-leaf), allowed_connection_types: [ LEAFNODE ], permissions: {
          publish: { allow: [ ">" ], deny: [ "\$SYS.>" ] }
          subscribe: { allow: [ ">" ], deny: [ "\$SYS.>" ] } } }
    ]
  }
  LaunchLayer {
    jetstream: { max_memory: 64MB, max_file: 512MB }
  }
}

$(server_callout AUTH "service auth-watch sys-admin mtls-leaf mtls-authx-leaf mtls-sys-leaf")
CONF
}

server_mtls_conf() {
    cat <<CONF
# The mTLS nats-server of site $SITE: made by local/bus, written anew by each \`make up\`.
server_name: "$SITE-mtls"
$(server_listen_common "$SITE_ADDR:$EB_PORT_MTLS_NATS" "$SITE_ADDR:$EB_PORT_MTLS_MONITOR")

# No JetStream here: sessions and stored messages are the main server's, reached by leaf in its domain.
mqtt {
  listen: "$SITE_ADDR:$EB_PORT_MTLS_MQTT"
  js_domain: "$SITE_DOMAIN"
  stream_replicas: 1
  tls {
    cert_file: "$SITE_DIR/certs/server.pem"
    key_file: "$SITE_DIR/certs/server-key.pem"
    ca_file: "$SITE_DIR/certs/ca.pem"
    verify: true
    timeout: 30
  }
}

# the seeds of the three links: MTLS_LEAF, MTLS_AUTHX_LEAF, MTLS_SYS_LEAF
include "mtls-seeds.conf"
leafnodes {
  remotes: [
    { url: "nats-leaf://$SITE_ADDR:$EB_PORT_LEAF", account: $SITE_ACCOUNT, nkey: \$MTLS_LEAF }
    { url: "nats-leaf://$SITE_ADDR:$EB_PORT_LEAF", account: AUTHX, nkey: \$MTLS_AUTHX_LEAF }
    { url: "nats-leaf://$SITE_ADDR:$EB_PORT_LEAF", account: SYS, nkey: \$MTLS_SYS_LEAF }
  ]
}

system_account: SYS
accounts {
  SYS { users: [ { nkey: $(key_public sys-admin) } ] }
  # the callout account here: its leaf ends in AUTHX of the main server, where the service is
  AUTHX {}
  $SITE_ACCOUNT {}
}

$(server_callout AUTHX "sys-admin")
CONF
}

servers_write() {
    mkdir -p "$SITE_DIR/conf"
    write_file 600 "$SITE_DIR/conf/mtls-seeds.conf" <<CONF
MTLS_LEAF: $(key_seed mtls-leaf)
MTLS_AUTHX_LEAF: $(key_seed mtls-authx-leaf)
MTLS_SYS_LEAF: $(key_seed mtls-sys-leaf)
CONF
    server_main_conf | write_file 644 "$SITE_DIR/conf/main.conf"
    server_mtls_conf | write_file 644 "$SITE_DIR/conf/mtls.conf"
}
