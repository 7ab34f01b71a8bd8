#!/usr/bin/env bash
# Rotates keys of a site that runs in Kubernetes, without refusing anybody. nats-server reads keys from Secrets at its start only, and a
# reload refuses a file whose callout has changed: so a rotation is a rolling restart, one server after the other, and this shows it.
#
#   rotate.sh -n NAMESPACE restart
#       after Secrets were changed by whatever brings them: main servers, mTLS server, auth-callout, streams-watch, NACK, Surveyor, each
#       waited for. Not for issuer, xkey and nkey, which have an order of their own:
#   rotate.sh -n NAMESPACE --secrets DIR --site SITE issuer|xkey
#       the key that signs users, or the one that seals callouts: makes a new one in DIR (the tree of `eventbus secrets generate`), has
#       auth-callout take both, gives the new one to the servers, then takes the old one away
#   rotate.sh -n NAMESPACE --secrets DIR --site SITE nkey
#       the key that auth-callout logs in with (nats-authx-user): makes a new one in DIR, has the servers let both in, gives the new one
#       to auth-callout, then has the servers let in the new one alone. Two rolling restarts of the main servers
#   rotate.sh -n NAMESPACE --secrets DIR --site SITE --continue OLD issuer|xkey|nkey
#       the same, from where it was interrupted: OLD is the folder that it named
#
#   --timeout 10m   how long a rollout may take; EVENTBUS, KUBECTL: the programs, where they are not on the PATH
# Names are those of the chart nats-event-bus and of the documented Secrets. No seed is printed, or given as an argument.
set -euo pipefail

usage() { sed -n '2,/^set -euo/{/^set -euo/d;s/^# \{0,1\}//;p}' "$0"; }
die() { printf 'rotate: %s\n' "$*" >&2; exit 1; }
say() { printf 'rotate: %s\n' "$*"; }
kubectl=${KUBECTL:-kubectl} eventbus=${EVENTBUS:-eventbus}
namespace='' secrets='' site='' old='' what='' timeout=10m
while [ $# -gt 0 ]; do
    case $1 in
        -n | --namespace) namespace=${2:?} && shift 2 ;;
        --secrets) secrets=${2:?} && shift 2 ;;
        --site) site=${2:?} && shift 2 ;;
        --continue) old=${2:?} && shift 2 ;;
        --timeout) timeout=${2:?} && shift 2 ;;
        -h | --help) usage && exit ;;
        restart | issuer | xkey | nkey) what=$1 && shift ;;
        *) echo "rotate: what is $1? See --help" >&2 && exit 2 ;;
    esac
done
if [ -z "$namespace" ] || [ -z "$what" ]; then usage >&2 && exit 2; fi
k() { "$kubectl" -n "$namespace" "$@"; }

# --- restarts --------------------------------------------------------------------------------------------------------
is_there() { [ -n "$(k get "$1" --ignore-not-found -o name)" ]; }
roll() { # kind/name
    is_there "$1" || return 0
    say "$1: restarting, one pod after the other"
    k rollout restart "$1"
    k rollout status "$1" --timeout "$timeout" || die "$1 did not come back within $timeout; nothing further was touched"
}
main_servers() {
    is_there statefulset/event-bus || die "no statefulset/event-bus in $namespace"
    roll statefulset/event-bus
}
servers() {
    main_servers
    roll statefulset/event-bus-mtls
}
if [ "$what" = restart ]; then
    servers
    roll deployment/event-bus-auth-callout
    for who in streams-watch nack surveyor; do roll "deployment/event-bus-$who"; done
    say "done"
    exit
fi

# --- issuer, xkey, nkey ----------------------------------------------------------------------------------------------
if [ -z "$secrets" ] || [ -z "$site" ]; then echo "rotate: $what wants --secrets DIR and --site SITE" >&2 && exit 2; fi
nkeys=$secrets/$site/nkeys
[ -d "$nkeys" ] || die "no folder $nkeys"
case $what in
    issuer) name=nats-auth-signing copies=(auth-callout-keys/issuer-seed) ;;
    xkey) name=nats-xkey copies=(auth-callout-keys/xkey-seed xkey.nk) ;;
    nkey) name=nats-authx-user copies=(auth-callout-keys/nkey-seed) ;;
esac
seed_key=${copies[0]##*/}

# Sets keys of a Secret to what stands in files, all at once: values are never arguments. Without a file the key goes.
secret_set() { # secret (key file)...
    local secret=$1 data='' value
    shift
    while [ $# -gt 0 ]; do
        value=null
        [ -z "$2" ] || value="\"$(base64 <"$2" | tr -d '\n')\""
        data+="${data:+,}\"$1\":$value"
        shift 2
    done
    printf '{"data":{%s}}' "$data" | k patch secret "$secret" --type merge --patch-file /dev/stdin >/dev/null
}
lines() { local f; for f in "$@"; do cat "$f" && echo; done; }

# What would lock auth-callout out half way: servers that know one login only, or another one than this tree.
nkey_can() { # public keys, one of which the servers must know
    local variables known key
    variables=$(k get statefulset/event-bus -o 'jsonpath={.spec.template.spec.containers[*].env[*].name}')
    [[ " $variables " == *' NATS_AUTHX_USER_PUBKEY_OLD '* ]] ||
        die "the servers here take one login of auth-callout at a time; nothing was done. Upgrade the release to this version of the chart first"
    known=$(k get secret "$name" -o 'jsonpath={.data.pubkey}' | base64 -d | tr -d '[:space:]')
    for key in "$@"; do
        [ "$known" != "$(tr -d '[:space:]' <"$key")" ] || return 0
    done
    die "the Secret $name has another public key than $1; nothing was done. Rotate with the tree that this site has its keys from"
}

# Else a step that is for it would be left out, and the next one is right only after that.
callout_is_there() {
    is_there deployment/event-bus-auth-callout ||
        die "no deployment/event-bus-auth-callout in $namespace; nothing was done. Has it another name? Then by hand: docs/operations-kubernetes.md"
}

umask 077
if [ -z "$old" ]; then
    for f in "$name" "${copies[@]}"; do
        [ -e "$nkeys/$f" ] || die "no $nkeys/$f; nothing was done. Make the tree whole first: eventbus secrets generate $secrets"
    done
    callout_is_there
    if [ "$what" = nkey ]; then
        [ ! -e "$nkeys/$name/pubkey-old" ] ||
            die "$nkeys/$name/pubkey-old is there: the rotation before this one is not done; nothing was done. Go on with --continue and its folder"
        nkey_can "$nkeys/$name/pubkey"
    fi
    old=${secrets%/}.rotated/$site-$what-$(date -u +%Y%m%dT%H%M%SZ)
    mkdir -p "$old"
    say "1/5 a new key in $secrets; the old one in $old"
    for f in "$name" "${copies[@]}"; do
        mkdir -p "$old/$(dirname "$f")"
        mv "$nkeys/$f" "$old/$f"
    done
    "$eventbus" secrets generate "$secrets" >/dev/null || die "no new key was made; move what is in $old back to $nkeys"
else
    callout_is_there
    say "1/5 made before; the old one in $old"
fi
[ -s "$old/${copies[0]}" ] || die "no $old/${copies[0]}: is that the folder that was named?"
"$eventbus" secrets verify "$secrets" || die "$secrets is not good; mend it, and go on with --continue $old"
trap '[ $? = 0 ] || echo "rotate: not done; go on with --continue $old" >&2' EXIT

if [ "$what" = nkey ]; then
    nkey_can "$nkeys/$name/pubkey" "$old/$name/pubkey"
    [ ! -e "$nkeys/$name/pubkey-old" ] || cmp -s "$nkeys/$name/pubkey-old" "$old/$name/pubkey" ||
        die "$nkeys/$name/pubkey-old is not the key in $old; nothing was done. Which folder was named when this rotation was interrupted?"
    say "2/5 the servers let in both"
    cp "$old/$name/pubkey" "$nkeys/$name/pubkey-old"
    secret_set "$name" pubkey "$nkeys/$name/pubkey" pubkey-old "$old/$name/pubkey"
    main_servers
    say "3/5 auth-callout logs in with the new one"
    secret_set auth-callout-keys "$seed_key" "$nkeys/${copies[0]}"
    roll deployment/event-bus-auth-callout
    say "4/5 the servers let in the new one only"
    secret_set "$name" pubkey-old ''
    main_servers
    rm "$nkeys/$name/pubkey-old"
else
    say "2/5 auth-callout takes the old and the new one"
    secret_set auth-callout-keys "$seed_key" <(lines "$nkeys/${copies[0]}" "$old/${copies[0]}")
    roll deployment/event-bus-auth-callout
    say "3/5 the servers take the new one"
    secret_set "$name" pubkey "$nkeys/$name/pubkey"
    servers
    say "4/5 auth-callout keeps the new one only"
    secret_set auth-callout-keys "$seed_key" "$nkeys/${copies[0]}"
    roll deployment/event-bus-auth-callout
fi
say "5/5 done. Destroy $old; if another pipeline brings the Secrets, bring $secrets there before it writes the old ones again"
