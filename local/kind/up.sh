#!/usr/bin/env bash
# Starts a CSC and a CPC in two Kind clusters from the charts; see README.md beside it. Run it again: what is there is kept.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly RUN=$PWD/local/run/kind NAMESPACE=event-bus RELEASE=event-bus
readonly EVENTBUS=${EVENTBUS:-$PWD/build/eventbus/eventbus} IMAGE=auth-callout:latest
say() { printf 'kind: %s\n' "$*"; }
die() { printf 'kind: %s\n' "$*" >&2; exit 1; }

for tool in docker kind kubectl helm; do
    [ -n "$(type -P "$tool")" ] || die "$tool is not on the PATH"
done
docker info >/dev/null 2>&1 || die "Docker does not answer: is its engine running, and may you use it?"
[ -x "$EVENTBUS" ] || die "no $EVENTBUS: run make build"
[ -n "$(docker image ls -q "$IMAGE")" ] || { say "image $IMAGE" && make -C auth-callout docker-build; }

say "keys in $RUN/secrets"
mkdir -p "$RUN"
"$EVENTBUS" secrets generate "$RUN/secrets" --cpc 1 >/dev/null
say "official charts"
helm dependency build deploy/nats-event-bus >/dev/null ||
    die "the official charts could not be fetched: https://nats-io.github.io/k8s/helm/charts/"

site_up() { # site mqtt-port nats-port
    local name=event-bus-$1 context=kind-event-bus-$1
    if ! kind get clusters | grep -qx "$name"; then
        say "cluster $name"
        sed "s/NAME/$name/; s/MQTT/$2/; s/NATS/$3/" local/kind/cluster.yaml | kind create cluster --config - --wait 3m
    fi
    kind load docker-image "$IMAGE" --name "$name"
    kubectl --context "$context" create namespace "$NAMESPACE" --dry-run=client -o yaml | kubectl --context "$context" apply -f -
    kubectl --context "$context" label --overwrite namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted
    "$EVENTBUS" secrets manifests "$RUN/secrets" --site "$1" --namespace "$NAMESPACE" |
        kubectl --context "$context" apply --server-side -f - >/dev/null
    say "release $RELEASE of site $1"
    helm --kube-context "$context" upgrade --install "$RELEASE" deploy/nats-event-bus -n "$NAMESPACE" \
        -f local/kind/values.yaml -f "local/kind/$1.yaml"
    for what in statefulset/event-bus deployment/event-bus-auth-callout deployment/event-bus-streams-watch; do
        kubectl --context "$context" -n "$NAMESPACE" rollout status "$what" --timeout 5m
    done
}
site_up csc 1883 4222
site_up cpc-1 2883 5222
# The sites find each other and their streams within seconds: the test is asked until it passes, for two minutes.
for site in csc cpc-1; do
    since=$SECONDS
    until helm --kube-context "kind-event-bus-$site" test "$RELEASE" -n "$NAMESPACE" --logs; do
        [ $((SECONDS - since)) -lt 120 ] || die "site $site is not as it should be, see above"
        sleep 5
    done
done
cat <<'END'
Both sites are up. A sensor at the CPC, seen at the CSC:
  mosquitto_sub -p 1883 -t 'cpc/1/sensor/#' -v &
  mosquitto_pub -p 2883 -t sensor/hall-7/temp -m 21.5
To take all of it away: local/kind/down.sh
END
