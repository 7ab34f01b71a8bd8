#!/usr/bin/env bash
# Brings what make test-charts needs into .deps: bin/helm3, bin/helm4 and bin/kubeconform, built from the modules that scripts/helm pins,
# and schemas/, made from the modules that scripts/helm/schemas.txt pins. What is there is kept.
# The first build takes some 5 minutes and about 1.5 GB, of which Go's caches can be removed afterwards.
#   scripts/setup-helm.sh
set -euo pipefail
cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
. scripts/setup-common.sh

readonly TOOLS=(helm3:helm.sh/helm/v3:cmd/helm helm4:helm.sh/helm/v4:cmd/helm kubeconform:github.com/yannh/kubeconform:cmd/kubeconform)
readonly SCHEMAS=$DEPS/schemas
module_version() { # folder module
    awk -v module="$2" '$1 == module { print $2 }' "scripts/helm/$1/go.mod"
}

stamp_text() { { cat scripts/setup-helm.sh scripts/helm/*/go.mod scripts/helm/*/go.sum scripts/helm/schemas.* /etc/os-release; echo "$PWD"; } |
    sha256sum; }
stamp_holds() {
    [ -x "$DEPS/bin/helm3" ] && [ -x "$DEPS/bin/helm4" ] && [ -x "$DEPS/bin/kubeconform" ] && [ -d "$SCHEMAS" ] &&
        [ "$(cat "$DEPS/stamp-helm" 2>/dev/null)" = "$(stamp_text)" ]
}
stamp_holds && exit 0
mkdir -p "$DEPS/bin"
exec 9>"$DEPS/lock-helm"
flock 9
stamp_holds && exit 0
[ -x "$DEPS/venv/bin/python" ] || die "no .deps/venv: run scripts/setup.sh test first"

# --- helm and kubeconform ------------------------------------------------------------------------------------------------
version_of() { # name -> what the program in .deps says of itself
    case $1 in
        kubeconform) "$DEPS/bin/kubeconform" -v 2>/dev/null ;;
        *) "$DEPS/bin/$1" version --short 2>/dev/null | sed 's/+.*//' ;;
    esac
}
here() { # name module
    [ -x "$DEPS/bin/$1" ] && [ "$(version_of "$1")" = "$(module_version "$1" "$2")" ]
}
# The sums in go.sum hold every module to what was looked at when it was pinned.
tool_build() { # go name module path
    local go=$1 name=$2 module=$3 version
    version=$(module_version "$name" "$module")
    say "$name ${version#v} built into .deps/bin; this takes minutes"
    (cd "scripts/helm/$name" && GOTOOLCHAIN=${GOTOOLCHAIN:-auto} GOWORK=off CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -modcacherw -trimpath" \
        nice -n 15 "$go" build -ldflags "-s -w -X $module/internal/version.version=$version -X main.version=$version" \
        -o "$DEPS/bin/$name.new" "$module/$4") </dev/null >"$DEPS/helm.log" 2>&1 || { tail -n 5 "$DEPS/helm.log" >&2; return 1; }
    mv "$DEPS/bin/$name.new" "$DEPS/bin/$name"
}
tools_build() { # go
    local tool name module path
    for tool in "${TOOLS[@]}"; do
        IFS=: read -r name module path <<<"$tool"
        here "$name" "$module" || tool_build "$1" "$name" "$module" "$path" || return 1
    done
}
tools_here() {
    local tool name module
    for tool in "${TOOLS[@]}"; do
        IFS=: read -r name module _ <<<"$tool"
        here "$name" "$module" || return 1
    done
}

# --- schemas -------------------------------------------------------------------------------------------------------------
schemas_make() { # go
    local go=$1 module version sum pattern dir new=$SCHEMAS.new
    local files=()
    while read -r module version sum pattern; do
        case $module in '' | '#'*) continue ;; esac
        dir=$(go_module "$go" "$module" "$version" "$sum" "$DEPS/helm.log") || return 1
        mapfile -t -O "${#files[@]}" files < <(compgen -G "$dir/$pattern")
    done <scripts/helm/schemas.txt
    rm -rf "$new"
    "$DEPS/venv/bin/python" scripts/helm/schemas.py "$new" "${files[@]}" >"$DEPS/helm.log" || die "scripts/helm/schemas.py failed"
    rm -rf "$SCHEMAS"
    mv "$new" "$SCHEMAS"
    rm -f "$DEPS/stamp-helm"
}
all_of() { tools_build "$1" && schemas_make "$1"; }

since=$SECONDS
go_any helm all_of || die "helm or kubeconform could not be built, or the schemas not be fetched: see .deps/helm.log"
tools_here || die "a program in .deps/bin does not run, or is not the version of scripts/helm"
stamp_text >"$DEPS/stamp-helm"
say "ready: helm $(version_of helm3) and $(version_of helm4), kubeconform $(version_of kubeconform)," \
    "$(find "$SCHEMAS" -name '*.json' | wc -l) schemas ($((SECONDS - since)) s)"
