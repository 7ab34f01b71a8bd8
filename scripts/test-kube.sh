#!/usr/bin/env bash
# make test-kube: tokens of ServiceAccounts against a real kube-apiserver and etcd, from deploy/manifests to a connected client.
# The last line is "N passed, N failed".
#   ARGS='-k compacted' make test-kube   hands arguments to pytest
#   EB_KUBE_LONG=1 make test-kube        with ten thousand ServiceAccounts
#   EB_KUBE=standin scripts/test-kube.sh the same suite against the API server that the integration tests play
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. scripts/tally.sh
marks=()
[ -n "${EB_KUBE_LONG:-}" ] || marks=(-m 'not long')
# shellcheck disable=SC2086 # ARGS is several words
tally_pytest kube tests/kube -q "${marks[@]}" ${ARGS:-}
tally_end
