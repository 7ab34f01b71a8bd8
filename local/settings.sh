# shellcheck shell=bash disable=SC2034 # what is set here is used by the other parts
# Every setting of the local bus, with its default. Sourced by local/bus.
#
# A setting comes from the environment, or from a file of NAME=value lines (local/bus --settings FILE), or is the default.
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
    EB_SITES EB_ADDR EB_PORT_NATS EB_PORT_MQTT EB_PORT_LEAF EB_PORT_MONITOR
    EB_PORT_MTLS_MQTT EB_PORT_MTLS_NATS EB_PORT_MTLS_MONITOR
    EB_CALLOUTS EB_PORT_HEALTH EB_PORT_METRICS EB_PORT_HEALTH_2 EB_PORT_METRICS_2
    EB_IDP_ADDR EB_PORT_IDP EB_IDP_TEST_API EB_TOKEN_LIFETIME
    EB_NOAUTH EB_XKEY EB_CALLOUT_TIMEOUT EB_SESSION_MAX_AGE EB_SIGNING_ALGORITHMS EB_LOG_LEVEL
    EB_ISSUER EB_ISSUERS EB_XKEY_NAME EB_XKEYS EB_PERMISSIONS EB_CALLOUT_EXTRA EB_SERVER_DEBUG EB_WAIT
)

settings_default() {
    # programs
    : "${EB_BUILD:=$EB_TOP/build}"
    : "${EB_NATS_SERVER:=$EB_TOP/.deps/bin/nats-server}"
    : "${EB_EVENTBUS:=$EB_BUILD/eventbus/eventbus}"
    : "${EB_AUTH_CALLOUT:=$EB_BUILD/auth-callout/auth-callout}"
    : "${EB_DEMO_IDP:=$EB_BUILD/local/demo-idp/demo-idp}"

    # sites and where they listen; EB_ADDR moves the only site of a test to another loopback address
    : "${EB_SITES:=csc}"
    : "${EB_ADDR:=}"
    : "${EB_PORT_NATS:=4222}" "${EB_PORT_MQTT:=1883}" "${EB_PORT_LEAF:=7422}" "${EB_PORT_MONITOR:=8222}"
    : "${EB_PORT_MTLS_MQTT:=8883}" "${EB_PORT_MTLS_NATS:=4223}" "${EB_PORT_MTLS_MONITOR:=8223}"
    # auth-callout processes a site (1 or 2) and their ports
    : "${EB_CALLOUTS:=1}"
    : "${EB_PORT_HEALTH:=8080}" "${EB_PORT_METRICS:=9090}" "${EB_PORT_HEALTH_2:=8081}" "${EB_PORT_METRICS_2:=9091}"

    # demo identity provider; its test API mints odd tokens, rotates keys and answers with faults (demo-idp --help)
    : "${EB_IDP_ADDR:=127.0.0.1}" "${EB_PORT_IDP:=8180}" "${EB_IDP_TEST_API:=off}" "${EB_TOKEN_LIFETIME:=300}"

    : "${EB_NOAUTH:=on}"                          # anonymous clients: on, off
    : "${EB_XKEY:=on}"                            # requests and answers sealed: on, off
    : "${EB_CALLOUT_TIMEOUT:=50}"                 # seconds that a server waits for an answer: see servers.sh
    : "${EB_SESSION_MAX_AGE:=}"                   # session.max-age, for instance 1h; empty: none
    : "${EB_SIGNING_ALGORITHMS:=RS256, ES256}"    # jwks.signing-algorithms
    : "${EB_LOG_LEVEL:=info}"                     # of auth-callout
    # key rotation: names of keys (made on first use); the servers have one, auth-callout a list
    : "${EB_ISSUER:=issuer}" "${EB_ISSUERS:=$EB_ISSUER}" "${EB_XKEY_NAME:=xkey}" "${EB_XKEYS:=$EB_XKEY_NAME}"
    : "${EB_PERMISSIONS:=}"                       # a file to use instead of the demo permissions document
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
        EB_NOAUTH | EB_XKEY | EB_IDP_TEST_API | EB_SERVER_DEBUG)
            case ${!name} in on | off) ;; *) die "$name=${!name}: write on or off" ;; esac ;;
        EB_CALLOUT_TIMEOUT) [[ ${!name} =~ ^[1-9][0-9]?$ ]] || die "$name=${!name}: write seconds, 1 to 59" ;;
        EB_CALLOUTS) [[ ${!name} =~ ^[12]$ ]] || die "$name=${!name}: write 1 or 2" ;;
        esac
    done
}

# Sets the variables of one site: SITE, SITE_ADDR, SITE_DIR, SITE_ACCOUNT, SITE_DOMAIN.
site_use() { # name
    SITE=$1
    case $SITE in
    csc) SITE_ADDR=${EB_ADDR:-127.0.0.1} SITE_ACCOUNT=CSC ;;
    *) die "unknown site $SITE: known is csc" ;;
    esac
    SITE_DIR=$EB_RUN/$SITE
    SITE_DOMAIN=${SITE^^}
}
