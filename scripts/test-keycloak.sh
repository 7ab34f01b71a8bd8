#!/usr/bin/env bash
# make test-keycloak: auth-callout with a real Keycloak as its token issuer (tests/keycloak). The last line is "N passed, N failed".
#   ARGS='-k rotation' make test-keycloak    hands arguments to pytest
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. scripts/tally.sh

tally_run "Keycloak" scripts/setup-keycloak.sh
# shellcheck disable=SC2086 # ARGS is several words
[ "$TALLY_FAILED" -gt 0 ] || tally_pytest "with Keycloak" tests/keycloak -q ${ARGS:-}
tally_end
