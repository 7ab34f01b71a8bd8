# shellcheck shell=bash
# What `up` and `status` tell.

report() {
    printf '\n%-6s %-22s %-22s %-23s %-24s %s\n' site NATS MQTT 'MQTT with certificate' monitoring 'auth-callout health, metrics'
    each_site report_line
    cat <<TXT
identity provider (for evaluation only): http://$EB_IDP_ADDR:$EB_PORT_IDP/token, keys http://$EB_IDP_ADDR:$EB_PORT_IDP/jwks.json
leaf nodes: port $EB_PORT_LEAF; monitoring of the mTLS servers: port $EB_PORT_MTLS_MONITOR
TXT
    report_surveyor
    site_use "${EB_SITES%% *}"
    report_try
    [[ $EB_SITES != *csc*cpc-* ]] || report_between
    printf '\n%s\n' "make status shows processes, links and sources, make logs what they say, make down ends them."
}
report_line() {
    local node
    # shellcheck disable=SC2153 # set by site_use
    for node in "${SITE_NODES[@]}"; do
        printf '%-6s %-22s %-22s' "$SITE" "$node:$EB_PORT_NATS" "$node:$EB_PORT_MQTT"
        if [ "$node" = "$SITE_ADDR" ]; then
            printf ' %-23s %-24s %s\n' "$(site_has_mtls && echo "$node:$EB_PORT_MTLS_MQTT")" "http://$node:$EB_PORT_MONITOR" \
                "http://$node:$EB_PORT_HEALTH/readyz :$EB_PORT_METRICS/metrics"
        else
            printf ' %-23s %-24s\n' '' "http://$node:$EB_PORT_MONITOR"
        fi
    done
}

# Metrics of the servers, or why there are none.
report_surveyor() {
    if surveyor_on; then
        echo "metrics of the servers of a site: port $EB_PORT_SURVEYOR, /metrics (nats-surveyor)"
    elif [ "$EB_SURVEYOR" = auto ]; then
        echo "metrics of the servers: none, nats-surveyor is not there (make setup-surveyor, which wants Go, brings it)"
    fi
}
report_port() { [ "$EB_PORT_MQTT" = 1883 ] || echo " -p $EB_PORT_MQTT"; }

report_try() {
    local mark='' host certs=${SITE_DIR#"$PWD"/}/certs idp=http://$EB_IDP_ADDR:$EB_PORT_IDP tls
    [ "$EB_NOAUTH" = on ] || mark=' (refused now: NOAUTH=off)'
    host="-h $SITE_ADDR$(report_port)"
    tls="-h $SITE_ADDR -p $EB_PORT_MTLS_MQTT --cafile $certs/ca.pem --cert $certs/client.pem --key $certs/client-key.pem"
    cat <<TXT

Try it:
  # a token; publish with it, and read what was retained
  TOKEN=\$(curl -s $idp/token -d grant_type=client_credentials -d client_id=mqtt-client -d client_secret=mqtt-client-secret -d scope=mqtt | jq -r .access_token)
  mosquitto_pub $host -u oauthtoken -P "\$TOKEN" -t test/hello -m 'by token' -q 1 -r
  mosquitto_sub $host -u oauthtoken -P "\$TOKEN" -t 'test/#' -q 1 -C 1 -W 5 -v
  # with a certificate
  mosquitto_pub $tls -t test/hello -m 'by certificate' -q 1 -r
  mosquitto_sub $tls -t 'test/#' -q 1 -C 1 -W 5 -v
  # anonymous$mark
  mosquitto_pub $host -t demo/hello -m 'by nobody' -q 1 -r
  mosquitto_sub $host -t 'demo/#' -q 1 -C 1 -W 5 -v
  # refused: this token may not subscribe here, and this password is none
  mosquitto_sub $host -u oauthtoken -P "\$TOKEN" -t 'BMS/#' -C 1 -W 5
  mosquitto_pub $host -u somebody -P guess -t test/hello -m x
TXT
}

# Messages and retained ones from site to site, by anonymous clients.
report_between() {
    local csc cpc id mark=''
    [ "$EB_NOAUTH" = on ] || mark=' (as clients with these rights in your documents: NOAUTH=off)'
    site_use csc
    csc="-h $SITE_ADDR$(report_port)"
    for cpc in $EB_SITES; do [ "$cpc" = csc ] || break; done
    site_use "$cpc"
    id=$SITE_ID cpc="-h $SITE_ADDR$(report_port)"
    cat <<TXT

From site to site$mark:
  # a sensor of CPC-$id, read at the CSC
  mosquitto_sub $csc -t 'cpc/$id/sensor/#' -q 1 -C 1 -W 10 -v & sleep 0.5; mosquitto_pub $cpc -t sensor/hall/temp -m 21.5 -q 1; wait
  # a command from the CSC to this CPC alone, a broadcast to all
  mosquitto_sub $cpc -t 'command/#' -q 1 -C 1 -W 10 -v & sleep 0.5; mosquitto_pub $csc -t cpc/$id/command/fan -m on -q 1; wait
  mosquitto_sub $cpc -t 'broadcast/#' -q 1 -C 1 -W 10 -v & sleep 0.5; mosquitto_pub $csc -t broadcast/notice -m hello -q 1; wait
  # retained: published at the CPC, there for who comes later at the CSC; an empty one clears it everywhere
  mosquitto_pub $cpc -t sensor/hall/door -m open -q 1 -r; sleep 0.5; mosquitto_sub $csc -t 'cpc/$id/sensor/hall/door' -q 1 -C 1 -W 10 -v
  mosquitto_pub $cpc -t sensor/hall/door -n -q 1 -r
TXT
}

# --- status ----------------------------------------------------------------------------------------------------------
uptime_of() { # pid
    local ticks up s
    ticks=$(proc_ticks "$1") || return 0
    read -r up _ </proc/uptime
    s=$((${up%.*} - ticks / $(getconf CLK_TCK)))
    printf '%d:%02d:%02d' $((s / 3600)) $((s / 60 % 60)) $((s % 60))
}

cmd_status() {
    settings_default
    local name bad=0
    for name in $(all_processes); do process_status "$name" || bad=1; done
    for name in $EB_SITES; do
        site_use "$name"
        site_status || bad=1
    done
    return $bad
}
process_status() { # name
    local pid state=ready body='' bad=0
    process_use "$1"
    if ! pid=$(proc_pid "$1"); then
        printf '%-19s %-10s %35s\n' "$1" "not running" "$P_PORTS"
        return 1
    fi
    "${P_READY[@]}" >/dev/null 2>&1 || { state='NOT READY' && bad=1; }
    case $1 in */auth-callout*) body=$(curl -sS --max-time 2 "${P_READY[1]}" 2>&1 | tr -d '\n') ;; esac
    printf '%-19s %-10s pid %-8s up %-9s %s  %s\n' "$1" "$state" "$pid" "$(uptime_of "$pid")" "$P_PORTS" "$body"
    return $bad
}

# The link of a CPC to the CSC and the sources of a site's streams.
site_status() {
    local accounts bad=0
    if [ "$SITE" != csc ]; then
        accounts=$(links_to_csc)
        if [[ " $accounts " == *" CSC "* ]]; then
            printf '%-19s %-10s accounts %s\n' "$SITE -> csc" up "$accounts"
        else
            printf '%-19s %-10s %s\n' "$SITE -> csc" DOWN "the leaf link to $(csc_endpoint)"
            bad=1
        fi
    fi
    streams_status || bad=1
    return $bad
}
# The accounts whose leaf link to the CSC is up.
links_to_csc() {
    curl -fsS --max-time 2 "http://$SITE_ADDR:$EB_PORT_MONITOR/leafz" 2>/dev/null |
        jq -r '[.leafs[]? | select(.account != null and (.name // "" | startswith("csc-main"))) | .account] | sort | join(" ")'
}
link_up() { [ "$SITE" = csc ] || [[ " $(links_to_csc) " == *" CSC "* ]]; }
# A line a stream, a source, a fault; fails when there is one. What would come from a site that these settings do not start is not
# missed.
streams_status() {
    local found
    found=$(streams_do status --json 2>&1) || [[ $found == "{"* ]] || { printf '%s\n' "$found" && return 1; }
    # with -e the last output decides the exit status; it is not shown
    jq -re --arg started "$EB_SITES" '
        def pad($n): . + " " * ([0, $n - length] | max);
        def row($what; $state; $more): "\($what | pad(19)) \($state | pad(10)) \($more)";
        ($started | split(" ")) as $here
        | ([.sources[].from] | unique | map(select(IN($here[]) | not))) as $away
        | [.problems[] | select(. as $text | any($away[]; . as $site | $text | contains(" of \($site) is ")) | not)] as $wrong
        | row("\($ARGS.named.site) streams"; .streams | map(.state) | if all(. == "ok") then "ok" else "WRONG" end;
              [.streams[] | "\(.name) \(if .state == "ok" then "" else .state + ", " end)\(.messages) messages"] | join("; ")),
          (.sources[] | row("\($ARGS.named.site) <- \(.from)"; if .from | IN($here[]) then .state else "not here" end;
              "\(.stream) \(.filter), heard \(if .active_s == null then "never" else "\(.active_s) s ago" end), \(.lag) behind")),
          ($wrong[] | "  wrong: \(.)"),
          ($wrong == [])' --arg site "$SITE" <<<"$found" | sed '$d'
}
