#!/usr/bin/env bash
# Brings nats-surveyor into .deps/bin, which `make up` then starts at each site: one that is on the PATH, else built with Go from the module
# proxy at the pinned version, every module held to Go's checksum database. The bus runs without it; its servers then have no metrics.
#   scripts/setup-surveyor.sh
# EB_SURVEYOR_FROM=path|go takes one of the two ways only.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
. scripts/setup-common.sh

readonly SURVEYOR_MODULE=github.com/nats-io/nats-surveyor SURVEYOR_VERSION=0.9.10
from=${EB_SURVEYOR_FROM:-path go}

stamp_text() { { cat scripts/setup-surveyor.sh; echo "$PWD"; } | sha256sum; }
stamp_holds() { [ -x "$DEPS/bin/nats-surveyor" ] && [ "$(cat "$DEPS/stamp-surveyor" 2>/dev/null)" = "$(stamp_text)" ]; }
stamp_holds && exit 0
mkdir -p "$DEPS/bin"
exec 9>"$DEPS/lock-surveyor"
flock 9
stamp_holds && exit 0

surveyor_from_path() {
    local found
    [[ " $from " == *" path "* ]] && found=$(type -P nats-surveyor) && ln -sfn "$found" "$DEPS/bin/nats-surveyor"
}
surveyor_build() { # go binary
    GOBIN=$DEPS/bin GOTOOLCHAIN=${GOTOOLCHAIN:-auto} CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -modcacherw -trimpath" \
        nice -n 15 "$1" install "$SURVEYOR_MODULE@v$SURVEYOR_VERSION" </dev/null >"$DEPS/surveyor.log" 2>&1
}
surveyor_from_go() {
    local go version
    while read -r go version; do
        say "nats-surveyor $SURVEYOR_VERSION built with $go ($version) into .deps/bin"
        surveyor_build "$go" && return 0
        tail -n 3 "$DEPS/surveyor.log" >&2
        ! refused || return 1
    done < <(go_installed)
    return 1
}
surveyor_from_pinned_go() {
    say "Go for building nats-surveyor, into .deps (removed afterwards)"
    go_pinned || return 1
    say "nats-surveyor $SURVEYOR_VERSION built into .deps/bin"
    go_pinned_run surveyor_build || return 1
    go_pinned_remove
}
# The module proxy answered, and does not serve it: another Go would not help.
refused() { grep -qE '(403|404|410) |not available' "$DEPS/surveyor.log" 2>/dev/null; }
brought() {
    surveyor_from_path && return 0
    [[ " $from " == *" go "* ]] || return 1
    rm -f "$DEPS/surveyor.log"
    surveyor_from_go || { ! refused && surveyor_from_pinned_go; }
}
brought || die "nats-surveyor $SURVEYOR_VERSION could not be had (.deps/surveyor.log says why): put one on the PATH and try again; the bus runs without it"
"$DEPS/bin/nats-surveyor" --help >/dev/null 2>&1 || die ".deps/bin/nats-surveyor does not run"
stamp_text >"$DEPS/stamp-surveyor"
say "ready: .deps/bin/nats-surveyor; make up starts it at each site"
