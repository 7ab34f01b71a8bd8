#!/usr/bin/env bash
# make test-monitoring: the alerts (promtool), the dashboards, and both against a bus of their own with a real Prometheus. The last line is
# "N passed, N failed".
#   ARGS='-k panel' make test-monitoring   hands arguments to pytest
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. scripts/tally.sh
if [ -x .deps/bin/nats-surveyor ]; then
    echo "nats-surveyor: the real one"
else
    echo "nats-surveyor: a stand-in (tests/monitoring/surveyor.py), since the real one is not in .deps/bin"
fi
# shellcheck disable=SC2086 # ARGS is several words
tally_pytest monitoring tests/monitoring -q ${ARGS:-}
tally_end
