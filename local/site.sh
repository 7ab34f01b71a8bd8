# shellcheck shell=bash
# What the servers and auth-callout of a site read, written from its document by `eventbus render`, and its streams.

# The document in force: the one of EB_SITE_DOCS with what the settings say. $SITE_DOC
document_write() {
    # shellcheck disable=SC2153 # set by site_use
    local source=$EB_SITE_DOCS/$SITE.yaml endpoint edits=()
    [ -f "$source" ] || die "site $SITE has no document: $source"
    if [ "$SITE" != csc ]; then
        endpoint=$(csc_endpoint)
        [ -z "$endpoint" ] || edits+=(-e "s|^( *cscEndpoint:).*|\\1 $endpoint|")
    elif [ "$EB_REPLICAS" != 1 ]; then
        edits+=(-e "s/^( *replicas:).*/\\1 $EB_REPLICAS/")
    fi
    [ "$EB_NOAUTH" = on ] || edits+=(-e '/^ *noauth:.*\}/d')
    mkdir -p "$SITE_DIR/log" "$SITE_DIR/conf"
    chmod 700 "$SITE_DIR"
    if [ ${#edits[@]} -gt 0 ]; then sed -E "${edits[@]}" "$source"; else cat "$source"; fi | write_file 644 "$SITE_DOC"
    [ "$EB_NOAUTH" = on ] || ! grep -qE '^ *noauth:' "$SITE_DOC" || die "$source: NOAUTH=off needs noauth on a line by itself: noauth: { account: … }"
}
# Whether the documents are right and fit together.
documents_check() {
    local site options=()
    [ "$EB_SITE_CHECK" = on ] || return 0
    for site in $EB_SITES; do options+=(--site "$EB_RUN/$site/conf/site.yaml"); done
    "$EB_EVENTBUS" check "${options[@]}" >"$EB_RUN/check.log" 2>&1 || { cat "$EB_RUN/check.log" >&2; die "eventbus check refuses the site documents"; }
}
# Where this CPC reaches the CSC: EB_CSC_ENDPOINT, else the CSC of these settings; nothing where there is none.
csc_endpoint() {
    local word site=$SITE
    for word in $EB_CSC_ENDPOINT; do
        case $word in
        "$site="*) echo "${word#*=}" && return 0 ;;
        *=*) ;;
        *) echo "$word" && return 0 ;;
        esac
    done
    (site_use csc && site_urls "$EB_PORT_LEAF")
}

placement() {
    local i=0 node name
    echo "# Where the servers of site $SITE run: made by local/bus."
    echo "servers:"
    for node in "${SITE_NODES[@]}"; do
        i=$((i + 1))
        name=$(main_name $i)
        echo "  - { name: \"$SITE-$name\", address: \"$node\", dataDir: \"$SITE_DIR/$(main_store $i)\" }"
    done
    cat <<YAML
ports: { nats: $EB_PORT_NATS, mqtt: $EB_PORT_MQTT, leaf: $EB_PORT_LEAF, monitor: $EB_PORT_MONITOR, cluster: $EB_PORT_CLUSTER }
mtls:
  address: "$SITE_ADDR"
  ports: { mqtt: $EB_PORT_MTLS_MQTT, nats: $EB_PORT_MTLS_NATS, monitor: $EB_PORT_MTLS_MONITOR }
  tls: { ca: "$SITE_DIR/certs/ca.pem", cert: "$SITE_DIR/certs/server.pem", key: "$SITE_DIR/certs/server-key.pem" }
authTimeout: $EB_CALLOUT_TIMEOUT
xkey: $([ "$EB_XKEY" = on ] && echo true || echo false)
debug: $([ "$EB_SERVER_DEBUG" = on ] && echo true || echo false)
YAML
}
# Names of the nodes of the main server, from 1 on: main, or main-1, main-2, main-3; and where their JetStream is.
main_name() { if [ ${#SITE_NODES[@]} -gt 1 ]; then echo "main-$1"; else echo main; fi; }
main_store() { if [ ${#SITE_NODES[@]} -gt 1 ]; then echo "jetstream-$1"; else echo jetstream; fi; }
site_has_data() { [ -d "$SITE_DIR/$(main_store 1)" ]; }
site_has_mtls() { ! grep -A1 -E '^    mtls:' "$SITE_DOC" 2>/dev/null | grep -qE 'enabled: *false'; }

# What was rendered goes into force file by file, each only where it changed; the permissions document may be another's.
rendered_take() {
    local conf=$SITE_DIR/conf file name mode own=$EB_PERMISSIONS
    [ ! -d "$own" ] || own=$own/$SITE.yaml
    for file in "$conf"/main*.conf "$conf"/mtls*.conf; do
        [ -f "$conf/rendered/${file##*/}" ] || rm -f "$file" # of other settings
    done
    for file in "$conf"/rendered/*; do
        name=${file##*/} mode=644
        case $name in
        *-seeds.conf) mode=600 ;;
        permissions.yaml) [ -z "$own" ] || [ ! -f "$own" ] || file=$own ;;
        esac
        write_file $mode "$conf/$name" <"$file"
    done
    rm -rf "$conf/rendered"
}

site_generate() {
    local conf=$SITE_DIR/conf secrets file
    keys_make
    certs_make
    placement | write_file 644 "$conf/placement.yaml"
    secrets=$(secrets_in_force)
    rm -rf "$conf/rendered"
    "$EB_EVENTBUS" render --site "$SITE_DOC" --placement "$conf/placement.yaml" --secrets "$secrets" --out "$conf/rendered" \
        >"$SITE_DIR/log/render.log" 2>&1 || { cat "$SITE_DIR/log/render.log" >&2; die "eventbus render refuses $SITE_DOC"; }
    rendered_take
    callout_write
    for file in "$conf"/main*.conf "$conf"/mtls.conf; do
        case $file in *-seeds.conf) continue ;; esac
        # only what changed since nats-server took it last
        [ "$file" -nt "$conf/.checked-${file##*/}" ] || continue
        "$EB_NATS_SERVER" -t -c "$file" >"$SITE_DIR/log/check.log" 2>&1 || {
            cat "$SITE_DIR/log/check.log" >&2
            die "nats-server refuses $file"
        }
        touch -r "$file" "$conf/.checked-${file##*/}"
    done
}

# Creates or changes the site's streams: before auth-callout starts, so that no MQTT login can come first.
streams_apply() {
    local log=$SITE_DIR/log/streams-apply.log end=$((SECONDS + EB_WAIT))
    until streams_do apply >"$log" 2>&1; do
        # a cluster takes a while until it has a leader and knows all its members
        if [ ${#SITE_NODES[@]} = 1 ] || [ $SECONDS -ge $end ]; then
            cat "$log" >&2
            die "eventbus streams apply failed at site $SITE"
        fi
        sleep 0.3
    done
}
streams_do() { # apply|status|watch, further options
    local what=$1
    shift
    "$EB_EVENTBUS" streams "$what" --site "$SITE_DOC" --server "$(site_urls "$EB_PORT_NATS")" \
        --seed-file "$SITE_KEYS/nats-streams/seed" "$@"
}
site_urls() { # port
    local node urls=
    for node in "${SITE_NODES[@]}"; do urls+=,nats://$node:$1; done
    echo "${urls#,}"
}
