#!/usr/bin/env bash
# Measures the numbers that the service is held to and prints them as a table; JSON goes to build/bench.json.
#   bench/run.sh [--full] [--only floor,load,cluster,memory,large,storm,sites]
# --full runs 1,000,000 callouts for the memory figure (about ten minutes more). Everything listens on a loopback address of its own and all
# state is in a temporary folder. A missed bar is no failure; a wrong answer, a message that was lost or came twice, or a part that did not
# run is (exit status 1).
#   EB_BUILD programs    EB_BENCH_JSON result    EB_BENCH_KEEP=1 keeps the temporary folder
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${EB_BUILD:-$top/build}
json=${EB_BENCH_JSON:-$top/build/bench.json}
service=$build/auth-callout/auth-callout
nats_server=${EB_NATS_SERVER:-$top/.deps/bin/nats-server}
entries=100000 accounts=10000 clients=5000 rounds=3 storms=3 per_round=6000 growth=60000
starts=3 bursts=3 paced=300 burst=5000 bytes=256 idle_seconds=10
parts=floor,load,cluster,memory,large,storm,sites

while [ $# -gt 0 ]; do
    case $1 in
    --full) growth=1000000 ;;
    --only) parts=${2:?parts} && shift ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift
done
say() { printf '%s\n' "$*" >&2; }
die() { say "bench: $*"; exit 1; }
wants() { [[ ,$parts, == *,$1,* ]]; }
for program in "$service" "$nats_server" "$build/bench/bench-load"; do
    [ -x "$program" ] || die "$program is not there: run make build setup"
done
! wants sites || [ -x "$build/bench/bench-crossing" ] ||
    die "$build/bench/bench-crossing is not there: run make setup-test, then meson setup --reconfigure $build and make build"

read -r busy _ </proc/loadavg
awk -v l="$busy" 'BEGIN { exit l < 1 }' && say "this machine has other things to do (load $busy): times will be longer than they should"

dir=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX")
site=$dir/site results=$dir/results
mkdir -m 700 "$site" "$results"
place=$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1))
addr=127.77.$place
nats=$addr:4222 health=$addr:8080 metrics=$addr:9090 cluster=$addr:6443
ulimit -n "$(ulimit -Hn)" # nats-server and the storm hold a socket for each client
declare -A pids=()

# Processes are ended by the pids that they were started with.
stop() { # name
    local pid=${pids[$1]:-} end=$((SECONDS + 10))
    [ -n "$pid" ] || return 0
    unset "pids[$1]"
    kill -TERM "$pid" 2>/dev/null || return 0
    while [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do
        [ $SECONDS -lt $end ] || { kill -KILL "$pid" 2>/dev/null || true; break; }
        sleep 0.02
    done
}
finish() {
    local status=$? name
    for name in "${!pids[@]}"; do stop "$name"; done
    # the folder is the only record of what was started: it stays where something could not be ended
    for name in bus:local_bus sites:sites_bus; do
        [ ! -d "$dir/${name%%:*}" ] || "${name#*:}" down >"$dir/down.log" 2>&1 ||
            { say "could not end the servers of $dir/${name%%:*}: $(tail -n 3 "$dir/down.log")" && EB_BENCH_KEEP=1 status=1; }
    done
    if [ -n "${EB_BENCH_KEEP:-}" ]; then say "kept $dir"; else rm -rf "$dir"; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

port_open() { (exec 3<>"/dev/tcp/$addr/4222") 2>/dev/null; }
start_server() {
    "$nats_server" -c "$site/nats.conf" >"$dir/nats.log" 2>&1 &
    pids[nats]=$!
    for _ in {1..200}; do
        ! port_open || return 0
        sleep 0.02
    done
    die "nats-server did not start: $(tail -n 3 "$dir/nats.log")"
}
# Starts auth-callout with a configuration; prints what bench-start says.
start_service() { # configuration
    local said
    said=$("$build/bench/bench-start" --ready "$health" --log "$dir/service.log" -- "$service" --config "$1") ||
        die "auth-callout did not start: $(tail -n 3 "$dir/service.log")"
    pids[service]=$(jq .pid <<<"$said")
    started=$said
}
# A bench program's line goes into results/NAME.json, several rounds one behind the other.
load() { # result, arguments of bench-load…
    local to=$results/$1.json
    shift
    "$build/bench/bench-load" --dir "$site" --nats "$nats" --service "${pids[service]}" --server "${pids[nats]}" "$@" >>"$to" ||
        die "answers were wrong or missing: $(tail -n 1 "$to")"
}
rss_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

if wants floor || wants load || wants cluster || wants memory || wants large; then
    "$build/bench/bench-prepare" --dir "$site" --address "$addr" --entries $entries
fi

if wants floor || wants load; then
    start_server
    start_service "$site/auth-callout.yaml"
    for kind in oauth2 mtls mtls-again nkey noauth; do
        say "callouts: $kind"
        for _ in $(seq $rounds); do
            "$build/bench/bench-floor" --dir "$site" --ms 400 --kind $kind >>"$results/floor.json"
            ! wants load || load load --kind $kind --count $per_round
        done
    done
    stop service
fi

if wants cluster; then
    [ -n "${pids[nats]:-}" ] || start_server
    for many in 1 $accounts; do
        "$build/bench/bench-cluster" --listen "$cluster" --accounts "$many" >"$dir/cluster.log" 2>&1 &
        pids[cluster]=$!
        for _ in {1..200}; do
            ! (exec 3<>"/dev/tcp/$addr/6443") 2>/dev/null || break
            sleep 0.02
        done
        start_service "$site/auth-callout-cluster.yaml"
        for _ in {1..500}; do # ready comes before the list
            known=$(curl -s "http://$metrics/metrics" | sed -n 's/^auth_kubernetes_serviceaccounts{.*} //p' || true)
            [ "${known:-0}" != "$many" ] || break
            sleep 0.02
        done
        [ "$known" = "$many" ] || die "the service knows $known of $many ServiceAccounts: $(cat "$dir/cluster.log" "$dir/service.log" | tail -n 3)"
        sleep 1
        jq -nc --argjson accounts "$many" --argjson rss "$(rss_kib "${pids[service]}")" '{accounts: $accounts, rss_kib: $rss}' >>"$results/cluster.json"
        [ "$many" = "$accounts" ] || { stop service && stop cluster; }
    done
    for kind in kubernetes-rs256 kubernetes-es256; do
        say "callouts: $kind, $accounts ServiceAccounts"
        for _ in $(seq $rounds); do
            "$build/bench/bench-floor" --dir "$site" --ms 400 --kind $kind >>"$results/floor.json"
            load load --kind $kind --count $per_round
        done
    done
    stop service
    stop cluster
fi

if wants memory; then
    say "memory: start, idle, $growth callouts"
    [ -n "${pids[nats]:-}" ] || start_server
    for _ in {1..5}; do
        start_service "$site/auth-callout.yaml"
        echo "$started" >>"$results/start.json"
        [ "$(wc -l <"$results/start.json")" -eq 5 ] || stop service
    done
    sleep 1
    echo "{\"idle_kib\":$(rss_kib "${pids[service]}")}" >"$results/idle.json"
    load growth --kind oauth2 --count "$growth" --batch $((growth / 6 < 20000 ? growth / 6 : 20000))
    stop service
fi

if wants large; then
    say "memory: $entries entries, reload"
    [ -n "${pids[nats]:-}" ] || start_server
    start_service "$site/auth-callout-large.yaml"
    sleep 1
    jq -c --argjson rss "$(rss_kib "${pids[service]}")" --argjson bytes "$(stat -c %s "$site/large.json")" \
        '. + {rss_kib: $rss, document_bytes: $bytes}' <<<"$started" >"$results/large.json"
    cp "$site/large.json" "$site/again.json"
    load reload --kind oauth2 --count 12000 --metrics "$metrics" --reload-from "$site/large-next.json" --reload-to "$site/large.json"
    load reload-quiet --kind noauth --count 64 --metrics "$metrics" --reload-from "$site/again.json" --reload-to "$site/large.json"
    stop service
fi
stop nats

# The site's own main server, with the wait for a callout as given.
local_bus() { EB_BUILD=$build EB_NATS_SERVER=$nats_server EB_ADDR=$addr EB_SITES=csc "$top/local/bus" --run "$dir/bus" "$@"; }
storm_with() { # responder, result
    case $1 in
    service) start_service "$dir/storm/auth-callout.yaml" ;;
    yes)
        rm -f "$dir/yes.ready"
        "$build/bench/bench-yes" --seeds "$dir/seeds" --nats "$nats" --ready "$dir/yes.ready" >>"$dir/yes.log" 2>&1 &
        pids[service]=$!
        for _ in {1..200}; do
            [ ! -e "$dir/yes.ready" ] || break
            sleep 0.02
        done
        [ -e "$dir/yes.ready" ] || die "the always-yes responder did not start: $(tail -n 3 "$dir/yes.log")"
        ;;
    esac
    sleep 0.3
    "$build/bench/bench-storm" --dir "$dir/storm" --nats "$nats" --clients $clients --seconds 60 --service "${pids[service]}" \
        --server "$(local_bus pid csc/nats-main)" | jq -c --arg responder "$1" '{responder: $responder} + .' >>"$results/$2.json"
    stop service
    sleep 0.5
}
# The keys of that site under the names that the bench knows.
storm_seeds() {
    local pair from=$dir/bus/secrets/csc/nkeys
    [ -d "$dir/seeds" ] || mkdir -m 700 "$dir/seeds"
    for pair in issuer:nats-auth-signing xkey:nats-xkey service:nats-authx-user; do
        install -m 600 "$from/${pair#*:}/seed" "$dir/seeds/${pair%%:*}.nk"
    done
}
if wants storm; then
    mkdir -m 700 "$dir/storm"
    for timeout in 50 2; do
        say "storm of $clients clients, authorization.timeout $timeout s"
        EB_CALLOUT_TIMEOUT=$timeout local_bus generate >/dev/null
        storm_seeds
        "$build/bench/bench-prepare" --dir "$dir/storm" --seeds "$dir/seeds" --address "$addr"
        local_bus start csc/nats-main >/dev/null
        for _ in $(seq $((timeout == 2 ? 2 : storms))); do
            storm_with yes storm-$timeout
            storm_with service storm-$timeout
        done
        local_bus stop csc/nats-main >/dev/null
    done
fi

# Three whole sites as `make up` starts them, each at an address of its own.
declare -A at=([csc]=127.77.$place [cpc-1]=127.78.$place [cpc-2]=127.79.$place)
sites_bus() {
    EB_BUILD=$build EB_NATS_SERVER=$nats_server EB_SITES='csc cpc-1 cpc-2' EB_ADDRS="csc=${at[csc]} cpc-1=${at[cpc-1]} cpc-2=${at[cpc-2]}" \
        EB_IDP_ADDR=${at[csc]} "$top/local/bus" --run "$dir/sites" "$@"
}
sites_up() { # kind
    local from=$EPOCHREALTIME
    sites_bus up >"$dir/sites.log" 2>&1 || die "three sites did not start: $(tail -n 5 "$dir/sites.log")"
    jq -nc --arg kind "$1" --arg from "$from" --arg to "$EPOCHREALTIME" \
        '{kind: $kind, seconds: (($to | tonumber) - ($from | tonumber))}' >>"$results/up.json"
}
# User and system time of a process and its threads so far, in clock ticks.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }
# What every process of the sites takes: memory that is resident, what of it is no page of a program file (those are there once for all
# processes of a program), CPU while nobody is connected.
sites_cost() { # when
    local name pid names=()
    local -A pid_of=() before=()
    mapfile -t names < <(sites_bus names)
    for name in "${names[@]}"; do
        pid_of[$name]=$(sites_bus pid "$name") || die "$name does not run: $(tail -n 3 "$dir/sites/$name.log" 2>&1)"
    done
    for name in "${names[@]}"; do before[$name]=$(ticks "${pid_of[$name]}"); done
    sleep $idle_seconds
    for name in "${names[@]}"; do
        pid=${pid_of[$name]}
        jq -nc --arg when "$1" --arg name "$name" --argjson rss "$(rss_kib "$pid")" \
            --argjson own "$(awk '/^Anonymous:/ { print $2 }' "/proc/$pid/smaps_rollup")" \
            --argjson ticks $(($(ticks "$pid") - before[$name])) --argjson per_second "$(getconf CLK_TCK)" --argjson seconds $idle_seconds \
            '{when: $when, name: $name, rss_kib: $rss, own_kib: $own, cpu_percent: ($ticks * 100 / $per_second / $seconds)}' >>"$results/cost.json"
    done
}
# From one site to another, or inside one: first at a pace, then in bursts.
failed=0
cross() { # route, publisher's site and topic, subscriber's site and filter
    local qos round rate count said
    for qos in 0 1 2; do
        for round in $(seq 0 $bursts); do
            rate=0 count=$burst
            [ "$round" != 0 ] || { rate=100 && count=$paced; }
            said=$("$build/bench/bench-crossing" --publish "${at[$2]}:1883" --topic "$3" --subscribe "${at[$4]}:1883" --filter "$5" \
                --qos "$qos" --rate $rate --count "$count" --bytes $bytes) || failed=1
            [ -n "$said" ] || die "nothing was measured: $1, QoS $qos"
            jq -c --arg route "$1" '{route: $route} + .' <<<"$said" >>"$results/crossing.json"
        done
    done
}
if wants sites; then
    say "three sites: start"
    for _ in $(seq $starts); do
        if [ -d "$dir/sites" ]; then
            sites_bus down >/dev/null
            rm -rf "$dir/sites"
        fi
        sites_up fresh
    done
    for _ in $(seq $starts); do
        sites_up running
        sites_bus down >/dev/null
        sites_up again
    done
    sleep 2
    say "three sites: what they cost"
    sites_cost idle
    say "three sites: crossing"
    cross "inside CPC-1" cpc-1 bench cpc-1 bench
    cross "inside the CSC" csc bench csc bench
    cross "CPC-1 to the CSC" cpc-1 sensor/bench csc cpc/1/sensor/bench
    cross "CSC to CPC-1, command" csc cpc/1/command/bench cpc-1 command/bench
    cross "CSC to CPCs, broadcast" csc broadcast/bench cpc-1 broadcast/bench
    sites_cost after
    sites_bus down >/dev/null
fi

# Everything into one document, then the table out of it.
mkdir -p "$(dirname "$json")"
for file in "$results"/*.json; do
    jq -s --arg name "$(basename "$file" .json)" '{($name): .}' "$file"
done | jq -s --argjson cores "$(nproc)" --arg server "$("$nats_server" --version)" --argjson full "$growth" --argjson busy "$busy" -L "$top/bench" \
    'include "report"; add | {cores: $cores, nats_server: $server, load_before: $busy, growth_callouts: $full, raw: .} | .figures = (.raw | figures)' >"$json.new"
mv -f "$json.new" "$json"
jq -r -L "$top/bench" 'include "report"; table' "$json"
say "all of it: $json ($SECONDS s)"
[ $failed = 0 ] || die "messages were lost or came twice: jq .raw.crossing $json"
