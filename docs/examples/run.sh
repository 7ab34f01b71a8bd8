#!/usr/bin/env bash
# Runs the example programs of docs/integrator-quickstart.md against a bus of this machine, and checks what each of them prints:
# with tokens and a refresh, with a certificate, refused at the login, refused a subscription.
#   docs/examples/run.sh [--run DIR] [c|python|javascript|go|java]...
# DIR is that of local/bus, default local/run: make up first. All languages whose tools are there are run. They are built, and what they
# need is fetched, in .deps/examples. EB_PYTHON names a Python that has paho-mqtt.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
top=$PWD out=$PWD/.deps/examples run=local/run bad=0 good=0

languages=()
while [ $# -gt 0 ]; do
    case $1 in
    --run) run=${2:?folder} && shift 2 ;;
    c | python | javascript | go | java) languages+=("$1") && shift ;;
    *) sed -n '4s/^# *//p' "$0" >&2 && exit 2 ;;
    esac
done
[ ${#languages[@]} -gt 0 ] || languages=(c python javascript go java)

# --- building: each leaves the command in CMD, or says what is missing ----------------------------------------------------
missing() { # what
    echo "$language left out: $1"
    return 1
}
have() { # tools…
    local tool
    for tool in "$@"; do command -v "$tool" >/dev/null || { missing "no $tool"; return 1; }; done
}
fresh() { # a copy of the sources, in which what was fetched stays
    mkdir -p "$out/$1" && cp "docs/examples/$1"/* "$out/$1/"
}
built() { # command…: in the copy
    (cd "$out/$language" && "$@") >"$out/$language.log" 2>&1 && return
    echo "$language could not be built:" && tail -n 5 "$out/$language.log"
    bad=$((bad + 1)) && return 1
}
prepare_c() {
    have gcc pkg-config || return
    pkg-config --exists libmosquitto libcurl jansson || missing "apt-get install libmosquitto-dev libcurl4-openssl-dev libjansson-dev" || return
    # shellcheck disable=SC2046 # several flags
    built gcc -std=gnu17 -Wall -Wextra -Werror -O1 -o client client.c $(pkg-config --cflags --libs libmosquitto libcurl jansson)
    CMD=("$out/c/client")
}
prepare_python() {
    local python=${EB_PYTHON:-}
    for python in "$python" .deps/venv/bin/python python3; do
        [ -n "$python" ] && "$python" -c 'import paho.mqtt.enums' 2>/dev/null && CMD=("$python" docs/examples/python/client.py) && return
    done
    missing "no Python with paho-mqtt 2: pip install paho-mqtt"
}
prepare_javascript() {
    have node npm && built npm install --no-package-lock --no-audit --no-fund && CMD=(node "$out/javascript/client.js")
}
prepare_go() {
    have go && built go build -o client . && CMD=("$out/go/client")
}
prepare_java() {
    have java javac mvn && built mvn -q -B compile dependency:copy-dependencies -DoutputDirectory=lib &&
        CMD=(java -cp "$out/java/target/classes:$out/java/lib/*" Client)
}

# --- running -------------------------------------------------------------------------------------------------------------
setting() { sed -n "s/^$1=//p" <<<"$settings" | head -n 1; }

check() { # what, wanted exit status, wanted line, NAME=value…
    local got status
    got=$(env "${@:4}" COUNT=4 timeout "${EB_EXAMPLES_TIMEOUT:-120}" "${CMD[@]}" 2>&1)
    status=$?
    if [ $status = "$2" ] && grep -qE "$3" <<<"$got" && { [ "$2" != 0 ] || [ "$(grep -c ^received <<<"$got")" = 4 ]; }; then
        good=$((good + 1)) && echo "$language $1: ok"
    else
        bad=$((bad + 1)) && printf '%s %s: exit %s\n%s\n' "$language" "$1" $status "$got"
    fi
}

mkdir -p "$out"
settings=$(local/bus --run "$run" env) || exit
address=$(setting SITE_NODES) certs=$(setting SITE_DIR)/certs
address=${address%% *}
idp=http://$(setting EB_IDP_ADDR):$(setting EB_PORT_IDP)/token
echo not.a.token >"$out/bad.token"
tokens=("MQTT_HOST=$address" "MQTT_PORT=$(setting EB_PORT_MQTT)" "TOKEN_URL=$idp" CLIENT_ID=mqtt-client CLIENT_SECRET=mqtt-client-secret)
certificate=("MQTT_HOST=$address" "MQTT_PORT=$(setting EB_PORT_MTLS_MQTT)" "CA_FILE=$certs/ca.pem" "CERT_FILE=$certs/client.pem"
    "KEY_FILE=$certs/client-key.pem")
for language in "${languages[@]}"; do
    cd "$top" || exit
    fresh "$language"
    "prepare_$language" || continue
    check "with a token, refreshed" 0 '^token refreshed$' "${tokens[@]}" REFRESH_S=1
    check "with a certificate" 0 '^done$' "${certificate[@]}"
    check "with a token that is none" 1 '^refused: ' "${tokens[@]}" "TOKEN_FILE=$out/bad.token"
    check "without the right" 1 '^subscription refused: ' "${tokens[@]}" MQTT_TOPIC=BMS/example
done
echo "$good passed, $bad failed"
[ $bad = 0 ] && [ $good -gt 0 ]
