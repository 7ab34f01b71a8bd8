#!/usr/bin/env bash
# make test: unit tests, guards, integration tests on real servers. The last line is "N passed, N failed".
#   ARGS='-k expired' make test    hands arguments to pytest
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. scripts/tally.sh

tally_meson unit build --suite unit
for guard in tests/guards/*.sh; do
    [ -e "$guard" ] || continue
    tally_run "guard ${guard##*/}" bash "$guard"
done
# shellcheck disable=SC2086 # ARGS is several words
if [ -d tests/integration ]; then
    # three at a time on two cores: much of it waits for what takes its time
    tally_pytest integration tests/integration -q -n 3 -m 'not long' ${ARGS:-}
fi
tally_end
