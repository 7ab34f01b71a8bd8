#!/usr/bin/env bash
# make test-image: the root file system of the image, and the service in it, by bubblewrap and without Docker. The last line is
# "N passed, N failed".
#   ARGS='-k libraries' make test-image   hands arguments to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
. scripts/setup-common.sh
. scripts/tally.sh
type -P bwrap >/dev/null || apt_install bubblewrap
set +e
# shellcheck disable=SC2086 # ARGS is several words
tally_pytest image tests/image -q ${ARGS:-}
tally_end
