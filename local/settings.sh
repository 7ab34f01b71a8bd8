# shellcheck shell=bash disable=SC2034 # what is set here is used by the other parts
# Every setting of the local bus, with its default. Sourced by local/bus.
#
# A setting comes from the environment, or from a file of NAME=value lines (local/bus --settings FILE), or is the default.
# Who may do what and what crosses between the sites is not here: the site documents in local/sites/ say it.
# `up` and `generate` write the ones in force to $EB_RUN/settings, where the other commands find them, so that a second bus
# beside the first needs its settings only once:
#
#   EB_PORT_NATS=14222 EB_PORT_MQTT=11883 … local/bus --run /some/dir up
#   local/bus --run /some/dir env        # every setting and path as NAME=value lines
#   local/bus --run /some/dir restart csc/auth-callout
#   local/bus --run /some/dir down
#
# To start parts only, with files changed before: `generate`, change files below $EB_RUN, `start NAME…`. `generate` and `up`
# write keys and certificates only where there are none; everything in conf/ is written anew each time.

readonly EB_SETTINGS=(
    EB_BUILD EB_NATS_SERVER EB_EVENTBUS EB_AUTH_CALLOUT EB_DEMO_IDP
    EB_SITES EB_SITE_DOCS EB_SITE_CHECK EB_EXTRA_ACCOUNTS EB_ADDR EB_ADDRS EB_REPLICAS EB_CSC_ENDPOINT
    EB_PORT_NATS EB_PORT_MQTT EB_PORT_LEAF EB_PORT_MONITOR EB_PORT_CLUSTER
    EB_PORT_MTLS_MQTT EB_PORT_MTLS_NATS EB_PORT_MTLS_MONITOR
    EB_CALLOUTS EB_PORT_HEALTH EB_PORT_METRICS EB_PORT_HEALTH_2 EB_PORT_METRICS_2
    EB_IDP_ADDR EB_PORT_IDP EB_IDP_TEST_API EB_TOKEN_LIFETIME
    EB_NOAUTH EB_XKEY EB_CALLOUT_TIMEOUT EB_SESSION_MAX_AGE EB_SIGNING_ALGORITHMS EB_LOG_LEVEL
    EB_ISSUER EB_ISSUERS EB_XKEY_NAME EB_XKEYS EB_PERMISSIONS EB_MQTT_GATE EB_CALLOUT_EXTRA EB_SERVER_DEBUG EB_WAIT
)

settings_default() {
    # programs
    : "${EB_BUILD:=$EB_TOP/build}"
    : "${EB_NATS_SERVER:=$EB_TOP/.deps/bin/nats-server}"
    : "${EB_EVENTBUS:=$EB_BUILD/eventbus/eventbus}"
    : "${EB_AUTH_CALLOUT:=$EB_BUILD/auth-callout/auth-callout}"
    : "${EB_DEMO_IDP:=$EB_BUILD/local/demo-idp/demo-idp}"

    # sites, their documents (SITE.yaml each) and where they listen. EB_ADDRS: words SITE=ADDRESS, for a cluster
    # SITE=ADDRESS,ADDRESS,ADDRESS; without a word the CSC is at 127.0.0.1 (a cluster at that and the next two) and CPC-n at
    # 127.n.0.1, or with EB_ADDR=127.66.0.1 at 127.66.0.1 and 127.66.n.1
    : "${EB_SITES:=csc cpc-1 cpc-2}"
    : "${EB_SITE_DOCS:=$EB_TOP/local/sites}"
    : "${EB_SITE_CHECK:=on}"                      # off: documents that do not agree with each other are started, too
    : "${EB_EXTRA_ACCOUNTS:=LaunchLayer}"         # those that the documents have: their keys are made
    : "${EB_ADDR:=}" "${EB_ADDRS:=}"
    : "${EB_REPLICAS:=1}"                         # main servers of the CSC: 1, or a cluster of 3
    : "${EB_CSC_ENDPOINT:=}"                      # the CSC as CPCs reach it, nats://host:port; or words SITE=URL. Default: its address
    : "${EB_PORT_NATS:=4222}" "${EB_PORT_MQTT:=1883}" "${EB_PORT_LEAF:=7422}" "${EB_PORT_MONITOR:=8222}" "${EB_PORT_CLUSTER:=6222}"
    : "${EB_PORT_MTLS_MQTT:=8883}" "${EB_PORT_MTLS_NATS:=4223}" "${EB_PORT_MTLS_MONITOR:=8223}"
    # auth-callout processes a site (1 or 2) and their ports
    : "${EB_CALLOUTS:=1}"
    : "${EB_PORT_HEALTH:=8080}" "${EB_PORT_METRICS:=9090}" "${EB_PORT_HEALTH_2:=8081}" "${EB_PORT_METRICS_2:=9091}"

    # demo identity provider; its test API mints odd tokens, rotates keys and answers with faults (demo-idp --help)
    : "${EB_IDP_ADDR:=127.0.0.1}" "${EB_PORT_IDP:=8180}" "${EB_IDP_TEST_API:=off}" "${EB_TOKEN_LIFETIME:=300}"

    : "${EB_NOAUTH:=on}"                          # anonymous clients: on, off; without it as the last time
    : "${EB_XKEY:=on}"                            # requests and answers sealed: on, off
    : "${EB_CALLOUT_TIMEOUT:=50}"                 # seconds that a server waits for an answer: see docs/operations.md
    : "${EB_SESSION_MAX_AGE:=}"                   # session.max-age, for instance 1h; empty: none
    : "${EB_SIGNING_ALGORITHMS:=RS256, ES256}"    # jwks.signing-algorithms
    : "${EB_LOG_LEVEL:=info}"                     # of auth-callout
    # key rotation: names of keys; the servers have one, auth-callout a list. issuer and xkey are the secrets nats-auth-signing and
    # nats-xkey, any other name is a key of the site that is made on first use
    : "${EB_ISSUER:=issuer}" "${EB_ISSUERS:=$EB_ISSUER}" "${EB_XKEY_NAME:=xkey}" "${EB_XKEYS:=$EB_XKEY_NAME}"
    : "${EB_PERMISSIONS:=}"                       # a permissions document to use instead of the rendered one; or a folder: SITE.yaml in it
    : "${EB_MQTT_GATE:=on}"                       # MQTT logins wait for the site's streams (mqtt.streams-file): on, off
    : "${EB_CALLOUT_EXTRA:=}"                     # a file of YAML lines appended to auth-callout's configuration
    : "${EB_SERVER_DEBUG:=off}"                   # debug lines in the logs of nats-server: on, off
    : "${EB_WAIT:=20}"                            # seconds that a start may take
}

# Reads NAME=value lines; what is set already wins.
settings_read() { # file
    local name value
    while IFS='=' read -r name value; do
        [[ $name =~ ^EB_[A-Z0-9_]+$ ]] || continue
        [ -n "${!name+set}" ] || printf -v "$name" '%s' "$value"
    done <"$1"
}

# Anonymous clients who were shut out stay out until somebody says EB_NOAUTH=on: an `up` for another reason opens nothing.
noauth_keep() {
    local last=
    NOAUTH_KEPT=
    [ -n "${EB_NOAUTH:-}" ] || [ ! -f "$EB_RUN/settings" ] || last=$(sed -n 's/^EB_NOAUTH=//p' "$EB_RUN/settings")
    [ "$last" != off ] || EB_NOAUTH=off NOAUTH_KEPT=', as the last time; NOAUTH=on lets them in'
}

settings_print() {
    local name
    for name in "${EB_SETTINGS[@]}"; do
        printf '%s=%s\n' "$name" "${!name}"
    done
}

# Refuses values that would end up somewhere in a configuration file with another meaning.
settings_check() {
    local name
    for name in "${EB_SETTINGS[@]}" EB_RUN; do
        [[ ${!name} != *[\"\\\$$'\n']* ]] || die "$name: may hold no quote, backslash, \$ or newline"
        case $name in
        EB_PORT_*) [[ ${!name} =~ ^[1-9][0-9]{0,4}$ ]] || die "$name=${!name}: write a port number" ;;
        EB_NOAUTH | EB_SITE_CHECK | EB_XKEY | EB_MQTT_GATE | EB_IDP_TEST_API | EB_SERVER_DEBUG)
            case ${!name} in on | off) ;; *) die "$name=${!name}: write on or off" ;; esac ;;
        EB_CALLOUT_TIMEOUT) [[ ${!name} =~ ^[1-9][0-9]?$ ]] || die "$name=${!name}: write seconds, 1 to 59" ;;
        EB_CALLOUTS) [[ ${!name} =~ ^[12]$ ]] || die "$name=${!name}: write 1 or 2" ;;
        EB_REPLICAS) [[ ${!name} =~ ^[13]$ ]] || die "$name=${!name}: write 1 or 3" ;;
        esac
    done
}

# Sets the variables of one site: SITE, SITE_ID, SITE_NODES (addresses of its main servers), SITE_ADDR (the first, which its other
# processes have too), SITE_DIR, SITE_ACCOUNT, SITE_KEYS, SITE_DOC.
site_use() { # name
    local word ip
    [[ $1 =~ ^(csc|cpc-[a-z0-9]+)$ ]] || die "unknown site $1: write csc or cpc-ID"
    SITE=$1 SITE_ID=${1#cpc-} SITE_ACCOUNT=CPC SITE_NODES=()
    [ "$SITE" != csc ] || { SITE_ACCOUNT=CSC && SITE_ID=; }
    for word in $EB_ADDRS; do
        [ "${word%%=*}" != "$SITE" ] || IFS=, read -ra SITE_NODES <<<"${word#*=}"
    done
    if [ ${#SITE_NODES[@]} -eq 0 ]; then
        if [ "$SITE" = csc ]; then
            ip=${EB_ADDR:-127.0.0.1}
            SITE_NODES=("$ip")
            [ "$EB_REPLICAS" = 1 ] || SITE_NODES+=("${ip%.*}.$((${ip##*.} + 1))" "${ip%.*}.$((${ip##*.} + 2))")
        elif [[ $SITE_ID =~ ^[1-9][0-9]{0,2}$ ]] && [ "$SITE_ID" -le 254 ]; then
            SITE_NODES=("127.$SITE_ID.0.1")
            [ -z "$EB_ADDR" ] || SITE_NODES=("$(cut -d. -f1,2 <<<"$EB_ADDR").$SITE_ID.${EB_ADDR##*.}")
        else
            die "no address for site $SITE: write $SITE=ADDRESS into EB_ADDRS"
        fi
    fi
    SITE_ADDR=${SITE_NODES[0]}
    SITE_DIR=$EB_RUN/$SITE
    SITE_KEYS=$EB_RUN/secrets/$SITE/nkeys
    SITE_DOC=$SITE_DIR/conf/site.yaml
}
