#!/usr/bin/env bash
# Brings what make test-kube needs for the charts, beside setup-kube.sh and setup-helm.sh, into .deps: bin/jetstream-controller, the controller of
# NACK, built from the module that scripts/nack/go.mod pins, and crds/, the CustomResourceDefinitions of the modules that scripts/helm/schemas.txt
# pins (NACK's among them). What is there is kept. The first build takes some 3 minutes.
#   scripts/setup-nack.sh
set -euo pipefail
cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
. scripts/setup-common.sh

readonly MODULE=github.com/nats-io/nack CRDS=$DEPS/crds
NACK_VERSION=$(awk -v module="$MODULE" '$1 == module { print $2 } $2 == module { print $3 }' scripts/nack/go.mod)
readonly NACK_VERSION
[ -n "$NACK_VERSION" ] || die "scripts/nack/go.mod requires no $MODULE"
grep -q "^$MODULE $NACK_VERSION " scripts/helm/schemas.txt ||
    die "scripts/helm/schemas.txt has not $MODULE $NACK_VERSION, which scripts/nack/go.mod requires"

stamp_text() { { cat scripts/setup-nack.sh scripts/nack/go.mod scripts/nack/go.sum scripts/helm/schemas.txt; echo "$PWD"; } | sha256sum; }
stamp_holds() { [ -x "$DEPS/bin/jetstream-controller" ] && [ -d "$CRDS" ] && [ "$(cat "$DEPS/stamp-nack" 2>/dev/null)" = "$(stamp_text)" ]; }
stamp_holds && exit 0
mkdir -p "$DEPS/bin"
exec 9>"$DEPS/lock-nack"
flock 9
stamp_holds && exit 0

# --- the controller ------------------------------------------------------------------------------------------------------
nack_version() { "$DEPS/bin/jetstream-controller" --version 2>/dev/null | sed -n 's/.* version \([^ ]*\).*/\1/p'; }
nack_here() { [ "$(nack_version)" = "${NACK_VERSION#v}" ]; }

# The sums in go.sum hold every module to what was looked at when it was pinned.
nack_build() { # go
    nack_here && return 0
    say "jetstream-controller ${NACK_VERSION#v} built into .deps/bin; this takes minutes"
    (cd scripts/nack && GOTOOLCHAIN=${GOTOOLCHAIN:-auto} GOWORK=off CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -modcacherw -trimpath" \
        nice -n 15 "$1" build -ldflags "-s -w -X main.Version=${NACK_VERSION#v}" -o "$DEPS/bin/jetstream-controller.new" \
        "$MODULE/cmd/jetstream-controller") </dev/null >"$DEPS/nack.log" 2>&1 || { tail -n 5 "$DEPS/nack.log" >&2; return 1; }
    mv "$DEPS/bin/jetstream-controller.new" "$DEPS/bin/jetstream-controller"
}

# --- CustomResourceDefinitions -------------------------------------------------------------------------------------------
# A folder for each line that names some, in the order of the lines: of two files with the same definition the first counts.
crds_copy() { # go
    local go=$1 module version sum pattern dir line=0 to
    rm -rf "$CRDS.new"
    while read -r module version sum pattern; do
        case $module$pattern in '' | '#'* | *.json) continue ;; esac
        dir=$(go_module "$go" "$module" "$version" "$sum" "$DEPS/nack.log") || return 1
        line=$((line + 1))
        to=$CRDS.new/$(printf '%02d-%s' "$line" "${module##*/}")
        mkdir -p "$to"
        # shellcheck disable=SC2086 # the pattern is one
        cp -- "$dir"/$pattern "$to/"
    done <scripts/helm/schemas.txt
    chmod -R u+w "$CRDS.new"
    rm -rf "$CRDS"
    mv "$CRDS.new" "$CRDS"
}
all_of() { nack_build "$1" && crds_copy "$1"; }

since=$SECONDS
go_any jetstream-controller all_of || die "jetstream-controller could not be built, or the definitions not be fetched: see .deps/nack.log"
nack_here || die ".deps/bin/jetstream-controller does not run, or is not ${NACK_VERSION#v}"
stamp_text >"$DEPS/stamp-nack"
say "ready: jetstream-controller $(nack_version), $(find "$CRDS" -type f | wc -l) files of definitions ($((SECONDS - since)) s)"
