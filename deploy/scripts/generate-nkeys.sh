#!/usr/bin/env bash
# Makes the keys of the bus: those of the CSC and of each CPC that is named. --help tells the rest.
set -euo pipefail

usage() {
    cat <<'END'
Makes the keys of the event bus: those of the CSC, and of each CPC whose id is given.

    generate-nkeys.sh [-o DIR] [--extra-account NAME]... [CPC-ID...]

    -o, --output DIR        where they are put; default: deploy/secrets of this checkout
    --extra-account NAME    an extra account, which every CPC bridges to the CSC; may be given several times
    -h, --help              prints this

Ids are lower-case letters and digits: for the CPCs 1 and 2, `generate-nkeys.sh 1 2`.

The keys are files DIR/<site>/nkeys/<secret>/<key>, with <site> csc or cpc-<id>; folders have mode 0700, files 0600:

    nats-auth-signing         seed, pubkey    signs what auth-callout answers
    nats-xkey                 seed, pubkey    seals the questions and answers; both also in xkey.nk
    nats-authx-user           seed, pubkey    with which auth-callout logs in
    auth-callout-keys         nkey-seed, issuer-seed, xkey-seed: the seeds of these three
    nats-nack-user            seed, pubkey, nack-user.nk    the controller of JetStream resources
    nats-streams              seed, pubkey    eventbus streams
    nats-surveyor             seed, pubkey    monitoring
    nats-auth-watch           seed, pubkey    looks into the account of the auth callouts
    nats-sys-admin            seed, pubkey    the administrator for emergencies
    nats-mtls-leaf, nats-mtls-authx-leaf, nats-mtls-sys-leaf    seed, pubkey    the mTLS server's logins at the main one
    nats-leaf-csc             seed, at a CPC: its login at the CSC
    nats-leaf-cpc-<id>        pubkey, at the CSC: that of the CPC's login
    nats-leaf-<account>-csc, nats-leaf-<account>-cpc-<id>       the same for each extra account, in lower case

Run it again whenever you like. Keys that are there are kept; missing ones are added, so a CPC or an account comes later
by naming it then, and those that have keys already need not be named again. A pair of which one half is missing, or
halves that do not belong together, are refused, and nothing is written.

It needs the program `eventbus` only: that of $EVENTBUS, or of the PATH, or the one built in this checkout
(`make build`). Afterwards: `eventbus secrets verify DIR`, `eventbus secrets manifests DIR --namespace NS`.
END
}

usage_error() {
    echo "generate-nkeys.sh: $1; see generate-nkeys.sh --help" >&2
    exit 2
}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=$top/deploy/secrets
args=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    -o | --output)
        [ -n "${2:-}" ] || usage_error "$1 needs a folder"
        dir=$2
        shift
        ;;
    --output=*) dir=${1#*=} ;;
    --extra-account)
        [ -n "${2:-}" ] || usage_error "$1 needs a name"
        args+=("--extra-account=$2")
        shift
        ;;
    --extra-account=*) args+=("$1") ;;
    -*) usage_error "$1 is no option" ;;
    *) args+=("--cpc=$1") ;;
    esac
    shift
done
[ -n "$dir" ] || usage_error "-o needs a folder"

if [ -n "${EVENTBUS:-}" ]; then
    program=$EVENTBUS
elif ! program=$(command -v eventbus); then
    program=$top/build/eventbus/eventbus
fi
command -v "$program" >/dev/null ||
    { echo "generate-nkeys.sh: ${program} is not there: run make build, or name the program in EVENTBUS" >&2; exit 1; }

exec "$program" secrets generate "${args[@]}" -- "$dir"
