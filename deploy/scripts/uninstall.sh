#!/usr/bin/env bash
# Takes a site out of Kubernetes in the order that loses nothing and hangs nowhere: first the Stream resources, while their controller NACK
# still runs and can take its finalizers off them; then the release. `helm uninstall` alone ends NACK and leaves the Streams: who deletes
# them later, or the namespace, has them hang in Terminating. The data stays: streams are never deleted, and neither are volumes and Secrets.
#
#   uninstall.sh -n NAMESPACE RELEASE
#       --abandon      NACK does not run any more: takes the finalizers off by force
#       --timeout 2m   how long the Streams may take; KUBECTL, HELM: the programs, where they are not on the PATH
set -euo pipefail

usage() { sed -n '2,/^set -euo/{/^set -euo/d;s/^# \{0,1\}//;p}' "$0"; }
die() { printf 'uninstall: %s\n' "$*" >&2; exit 1; }
say() { printf 'uninstall: %s\n' "$*"; }
kubectl=${KUBECTL:-kubectl} helm=${HELM:-helm}
namespace='' release='' abandon=no timeout=2m
while [ $# -gt 0 ]; do
    case $1 in
        -n | --namespace) namespace=${2:?} && shift 2 ;;
        --timeout) timeout=${2:?} && shift 2 ;;
        --abandon) abandon=yes && shift ;;
        -h | --help) usage && exit ;;
        -*) echo "uninstall: what is $1? See --help" >&2 && exit 2 ;;
        *) release=$1 && shift ;;
    esac
done
if [ -z "$namespace" ] || [ -z "$release" ]; then usage >&2 && exit 2; fi
k() { "$kubectl" -n "$namespace" "$@"; }
readonly KIND=streams.jetstream.nats.io SELECTOR=app.kubernetes.io/instance=$release

# A cluster that does not answer is not one without Streams: only one that does not know the kind is.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if ! found=$(k get "$KIND" -l "$SELECTOR" -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.spec.preventDelete}{"\n"}{end}' 2>"$said"); then
    grep -q "doesn't have a resource type" "$said" || die "which Streams there are is not known, nothing was done: $(cat "$said")"
    found=''
fi
mapfile -t streams <<<"$found"
for line in "${streams[@]}"; do
    read -r name kept <<<"$line"
    [ -z "$name" ] || [ "$kept" = true ] ||
        die "stream/$name has no preventDelete: deleting it would delete its data. Nothing was done; upgrade the release first"
done
for line in "${streams[@]}"; do
    name=${line%% *}
    [ -n "$name" ] || continue
    if [ "$abandon" = yes ]; then
        k patch "$KIND" "$name" --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
    fi
    k delete "$KIND" "$name" --timeout "$timeout" --ignore-not-found ||
        die "stream/$name is not gone after $timeout: does NACK run? If it is gone for good, use --abandon"
done
say "Stream resources are gone, the streams themselves are not"
# somebody may have done this alone, which is why the Streams hang
"$helm" uninstall "$release" -n "$namespace" --ignore-not-found
say "kept: volumes and Secrets. What there is:"
k get pvc -l "$SELECTOR" --ignore-not-found
say "to delete the data: $kubectl -n $namespace delete pvc -l $SELECTOR"
