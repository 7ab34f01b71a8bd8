#!/usr/bin/env bash
# Brings nsc into .deps/bin, which tests/integration/test_operator_cli.py holds `eventbus operator` against: built from the modules that
# tests/nsc/go.mod pins, with the Go of this machine, else with the pinned one. What is there is kept.
#   scripts/setup-nsc.sh
set -euo pipefail
cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
. scripts/setup-common.sh

stamp_text() { { cat scripts/setup-nsc.sh tests/nsc/go.mod tests/nsc/go.sum; echo "$PWD"; } | sha256sum; }
stamp_holds() { [ -x "$DEPS/bin/nsc" ] && [ "$(cat "$DEPS/stamp-nsc" 2>/dev/null)" = "$(stamp_text)" ]; }
stamp_holds && exit 0
mkdir -p "$DEPS/bin"
exec 9>"$DEPS/lock-nsc"
flock 9
stamp_holds && exit 0

nsc_build() { # go binary
    (cd tests/nsc && GOTOOLCHAIN=${GOTOOLCHAIN:-auto} GOWORK=off CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -modcacherw -trimpath" \
        "$1" build -o "$DEPS/bin/nsc.new" github.com/nats-io/nsc/v2) </dev/null >"$DEPS/nsc.log" 2>&1 ||
        { tail -n 5 "$DEPS/nsc.log" >&2; return 1; }
    mv "$DEPS/bin/nsc.new" "$DEPS/bin/nsc"
}
nsc_from_go() {
    local go version
    while read -r go version; do
        say "nsc built with $go ($version) into .deps/bin; this takes minutes"
        nsc_build "$go" && return 0
    done < <(go_installed)
    return 1
}
nsc_from_pinned_go() {
    say "Go for building nsc, into .deps (removed afterwards)"
    go_pinned || return 1
    say "nsc built into .deps/bin; this takes minutes"
    go_pinned_run nsc_build || return 1
    go_pinned_remove
}
nsc_from_go || nsc_from_pinned_go || die "nsc could not be built: see .deps/nsc.log"
"$DEPS/bin/nsc" --version >/dev/null || die ".deps/bin/nsc does not run"
stamp_text >"$DEPS/stamp-nsc"
