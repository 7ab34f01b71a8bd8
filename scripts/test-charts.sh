#!/usr/bin/env bash
# make test-charts: the charts and manifests of deploy/, with Helm 3 and Helm 4, against the schemas of Kubernetes and of the CRDs, and with
# real servers. The last line is "N passed, N failed".
#   ARGS='-k routes' make test-charts   hands arguments to pytest
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. scripts/tally.sh
# shellcheck disable=SC2086 # ARGS is several words
tally_pytest charts tests/charts -q ${ARGS:-}
tally_end
