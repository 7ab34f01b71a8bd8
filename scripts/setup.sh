#!/usr/bin/env bash
# Brings what the project needs: packages of the distribution, nats-server in .deps/bin, and for the tests a Python
# environment in .deps/venv and promtool in .deps/bin.
#   scripts/setup.sh run     to build and run the bus     (make up, make build)
#   scripts/setup.sh test    that, and to test it         (make test, make check)
# Returns at once when nothing changed since it last succeeded: a stamp in .deps remembers this script's content.
# Only the distribution's packages go into the system, and they are listed before; all else stays in .deps.
set -euo pipefail

readonly NATS_MIN=2.14.3          # the oldest nats-server that local/ works with
readonly NATS_VERSION=2.15.2      # what is built where there is none, and its checksum as Go modules state it
readonly NATS_H1='h1:yLsgt2kslgymvxvjFq1WGWck5hkat2YYfbXvQ145tzU='

readonly RUN_PACKAGES=(gcc libc6-dev make meson ninja-build pkg-config ca-certificates curl openssl jq mosquitto-clients
    libnats-dev libsodium-dev libjansson-dev libyaml-dev libmicrohttpd-dev libssl-dev libcurl4-openssl-dev
    libseccomp-dev libcmocka-dev)
readonly TEST_PACKAGES=(bubblewrap clang llvm libmosquitto-dev python3 python3-venv shellcheck)

cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
kind=${1:-run}
case $kind in run | test) ;; *) echo "usage: scripts/setup.sh run|test" >&2; exit 2 ;; esac

. scripts/setup-common.sh

# --- stamp -----------------------------------------------------------------------------------------------------------
stamp_text() { { cat scripts/setup.sh scripts/setup-common.sh scripts/go-toolchain.txt tests/requirements.txt /etc/os-release; echo "$1 $PWD"; } |
    sha256sum; }
stamp_holds() {
    local tools=(gcc meson ninja pkg-config curl openssl jq mosquitto_pub)
    [ -x "$DEPS/bin/nats-server" ] && [ "$(type -P "${tools[@]}" | wc -l)" = ${#tools[@]} ] || return 1
    [ "$1" = run ] || { [ -x "$DEPS/bin/promtool" ] && [ -x "$DEPS/venv/bin/pytest" ] && [ -x "$DEPS/venv/bin/python" ]; } ||
        return 1
    [ -f "$DEPS/stamp-$1" ] && [ "$(cat "$DEPS/stamp-$1")" = "$(stamp_text "$1")" ]
}
if stamp_holds test || { [ "$kind" = run ] && stamp_holds run; }; then
    exit 0
fi
mkdir -p "$DEPS/bin"
exec 9>"$DEPS/lock"
flock 9

# --- nats-server -----------------------------------------------------------------------------------------------------
nats_version() { "$1" -v 2>/dev/null | sed -n 's/^nats-server: v\([0-9][0-9.]*\).*/\1/p'; }
nats_new_enough() { local v; v=$(nats_version "$1") && [ -n "$v" ] && version_ge "$v" "$NATS_MIN"; }
nats_from_path() {
    local found
    found=$(type -P nats-server) && nats_new_enough "$found" && ln -sfn "$found" "$DEPS/bin/nats-server"
}
nats_from_distribution() {
    local candidate
    candidate=$(apt-cache policy nats-server 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9][^ ]*\).*/\1/p')
    candidate=${candidate#*:}
    [ -n "$candidate" ] && version_ge "${candidate%%[-+~]*}" "$NATS_MIN" || return 1
    say "nats-server $candidate from the distribution, unpacked into .deps/bin"
    apt_extract nats-server /usr/sbin/nats-server "$DEPS/bin/nats-server" ||
        apt_extract nats-server /usr/bin/nats-server "$DEPS/bin/nats-server"
}
go_install_nats() { # go binary
    GOBIN=$DEPS/bin GOTOOLCHAIN=${GOTOOLCHAIN:-auto} GOFLAGS="${GOFLAGS:-} -modcacherw" \
        "$1" install "github.com/nats-io/nats-server/v2@v$NATS_VERSION" >"$DEPS/go.log" 2>&1 || return 1
    "$1" version -m "$DEPS/bin/nats-server" 2>/dev/null | grep -qF "$NATS_H1" && return 0
    rm -f "$DEPS/bin/nats-server"
    die "nats-server $NATS_VERSION was built from a source with another checksum than $NATS_H1"
}
nats_from_go() {
    local go version
    while read -r go version; do
        say "nats-server $NATS_VERSION built with $go ($version) into .deps/bin"
        go_install_nats "$go" && return 0
        tail -n 3 "$DEPS/go.log" >&2
    done < <(go_installed)
    return 1
}
nats_from_pinned_go() {
    say "Go for building nats-server, into .deps (removed afterwards)"
    go_pinned || return 1
    say "nats-server $NATS_VERSION built into .deps/bin"
    go_pinned_run go_install_nats || {
        tail -n 3 "$DEPS/go.log" >&2
        return 1
    }
    go_pinned_remove
}
nats_ensure() {
    nats_new_enough "$DEPS/bin/nats-server" && return 0
    rm -f "$DEPS/bin/nats-server"
    nats_from_path || nats_from_distribution || nats_from_go || nats_from_pinned_go ||
        die "no nats-server >= $NATS_MIN could be had: put one on PATH and try again"
    nats_new_enough "$DEPS/bin/nats-server" || die "$DEPS/bin/nats-server does not run or is older than $NATS_MIN"
}

# --- for the tests ---------------------------------------------------------------------------------------------------
sanitizer_runtime() { # clang's sanitizers and libFuzzer are in a package that carries its version
    local version
    version=$(clang -dumpversion 2>/dev/null) || return 0
    apt_install "libclang-rt-${version%%.*}-dev"
}
venv_ensure() {
    local want
    want=$(sha256sum <tests/requirements.txt)
    if "$DEPS/venv/bin/python" -c '' 2>/dev/null && [ "$(cat "$DEPS/venv/requirements" 2>/dev/null)" = "$want" ]; then
        return 0
    fi
    say "Python packages of the tests, into .deps/venv"
    rm -rf "$DEPS/venv"
    python3 -m venv "$DEPS/venv"
    "$DEPS/venv/bin/python" -m pip -q --disable-pip-version-check install -r tests/requirements.txt
    echo "$want" >"$DEPS/venv/requirements"
}
promtool_ensure() {
    "$DEPS/bin/promtool" --version >/dev/null 2>&1 && return 0
    local found
    if found=$(type -P promtool); then
        ln -sfn "$found" "$DEPS/bin/promtool"
        return 0
    fi
    local package=promtool # a package of its own in newer distributions
    apt_known "$package" || { apt_update && apt_known "$package"; } || package=prometheus
    say "promtool, unpacked from the package $package into .deps/bin"
    apt_extract "$package" /usr/bin/promtool "$DEPS/bin/promtool" || die "no promtool: apt-get download $package failed"
}

apt_install "${RUN_PACKAGES[@]}"
nats_ensure
stamp_text run >"$DEPS/stamp-run"
if [ "$kind" = test ]; then
    apt_install "${TEST_PACKAGES[@]}"
    sanitizer_runtime
    venv_ensure
    promtool_ensure
    stamp_text test >"$DEPS/stamp-test"
fi
say "ready: nats-server $(nats_version "$DEPS/bin/nats-server")"
