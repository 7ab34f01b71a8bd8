#!/usr/bin/env bash
# Brings what make test-kube needs into .deps/bin: kube-apiserver and kubectl, built from the modules that scripts/kube/go.mod pins,
# and etcd of the distribution, unpacked and not installed, so that no daemon of it starts. What is there is kept.
# The first build takes minutes and about 1.5 GB, of which Go's caches can be removed afterwards.
#   scripts/setup-kube.sh
# Another Kubernetes release: change the versions in scripts/kube/go.mod (v1.X.Y, and v0.X.Y of its parts), run `go mod tidy` there.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
. scripts/setup-common.sh

KUBE_VERSION=$(sed -nE 's/^(require)?[[:space:]]*k8s\.io\/kubernetes v([0-9.]+).*/\2/p' scripts/kube/go.mod)
readonly KUBE_VERSION
[ -n "$KUBE_VERSION" ] || die "scripts/kube/go.mod requires no k8s.io/kubernetes"

stamp_text() { { cat scripts/setup-kube.sh scripts/kube/go.mod scripts/kube/go.sum /etc/os-release; echo "$PWD"; } | sha256sum; }
stamp_holds() {
    [ -x "$DEPS/bin/kube-apiserver" ] && [ -x "$DEPS/bin/kubectl" ] && [ -x "$DEPS/bin/etcd" ] &&
        [ "$(cat "$DEPS/stamp-kube" 2>/dev/null)" = "$(stamp_text)" ]
}
stamp_holds && exit 0
mkdir -p "$DEPS/bin"
exec 9>"$DEPS/lock-kube"
flock 9
stamp_holds && exit 0

# --- kube-apiserver and kubectl ------------------------------------------------------------------------------------------
kube_version() { "$DEPS/bin/kube-apiserver" --version 2>/dev/null | sed -n 's/^Kubernetes v//p'; }
kubectl_version() { "$DEPS/bin/kubectl" version --client 2>/dev/null | sed -n 's/^Client Version: v//p'; }
kube_here() { [ "$(kube_version)" = "$KUBE_VERSION" ] && [ "$(kubectl_version)" = "$KUBE_VERSION" ]; }

# The sums in go.sum hold every module to what was looked at when it was pinned.
kube_build() { # go binary
    local go=$1 name version=k8s.io/component-base/version minor=${KUBE_VERSION#1.}
    local stamped="-X $version.gitVersion=v$KUBE_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}"
    for name in kube-apiserver kubectl; do
        (cd scripts/kube && GOTOOLCHAIN=${GOTOOLCHAIN:-auto} GOWORK=off CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -modcacherw -trimpath" \
            nice -n 15 "$go" build -ldflags "-s -w $stamped" -o "$DEPS/bin/$name.new" "k8s.io/kubernetes/cmd/$name") \
            </dev/null >"$DEPS/kube.log" 2>&1 || { tail -n 5 "$DEPS/kube.log" >&2; return 1; }
        mv "$DEPS/bin/$name.new" "$DEPS/bin/$name"
    done
}
kube_from_go() {
    local go version
    while read -r go version; do
        say "kube-apiserver and kubectl $KUBE_VERSION built with $go ($version) into .deps/bin; this takes minutes"
        kube_build "$go" && return 0
    done < <(go_installed)
    return 1
}
kube_from_pinned_go() {
    say "Go for building kube-apiserver and kubectl, into .deps (removed afterwards)"
    go_pinned || return 1
    say "kube-apiserver and kubectl $KUBE_VERSION built into .deps/bin; this takes minutes"
    go_pinned_run kube_build || return 1
    go_pinned_remove
}
since=$SECONDS
kube_here || kube_from_go || kube_from_pinned_go || die "kube-apiserver and kubectl $KUBE_VERSION could not be built: see .deps/kube.log"
kube_here || die ".deps/bin/kube-apiserver and kubectl do not run, or are not $KUBE_VERSION"

# --- etcd ----------------------------------------------------------------------------------------------------------------
etcd_version() { "$DEPS/bin/etcd" --version 2>/dev/null | sed -n 's/^etcd Version: //p'; }
etcd_ensure() {
    local found
    [ -z "$(etcd_version)" ] || return 0
    if found=$(type -P etcd); then
        ln -sfn "$found" "$DEPS/bin/etcd"
        return 0
    fi
    apt_known etcd-server || apt_update
    say "etcd, unpacked from the package etcd-server into .deps/bin"
    apt_extract etcd-server /usr/bin/etcd "$DEPS/bin/etcd" || die "no etcd: apt-get download etcd-server failed"
}
etcd_ensure
[ -n "$(etcd_version)" ] || die ".deps/bin/etcd does not run"
stamp_text >"$DEPS/stamp-kube"
say "ready: kube-apiserver and kubectl $KUBE_VERSION, etcd $(etcd_version) ($((SECONDS - since)) s)"
