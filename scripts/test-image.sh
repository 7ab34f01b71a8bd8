#!/usr/bin/env bash
# make test-image: the root file system of the image, and the service in it, by bubblewrap and without Docker. The last line is
# "N passed, N failed".
#   ARGS='-k libraries' make test-image   hands arguments to pytest
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. scripts/tally.sh
# shellcheck disable=SC2086 # ARGS is several words
tally_pytest image tests/image -q ${ARGS:-}
tally_end
