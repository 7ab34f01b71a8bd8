#!/usr/bin/env bash
# Brings what make test-monitoring needs: Prometheus of the distribution into .deps/bin, unpacked and not installed, so that no daemon of it
# starts; and nats-surveyor, where it can be had (without it the tests take their stand-in, and say so).
#   scripts/setup-monitoring.sh
set -euo pipefail
cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
. scripts/setup-common.sh

mkdir -p "$DEPS/bin"
exec 9>"$DEPS/lock-monitoring"
flock 9
if ! "$DEPS/bin/prometheus" --version >/dev/null 2>&1; then
    rm -f "$DEPS/bin/prometheus"
    if found=$(type -P prometheus); then
        ln -sfn "$found" "$DEPS/bin/prometheus"
    else
        apt_known prometheus || apt_update
        say "Prometheus, unpacked from the package prometheus into .deps/bin"
        apt_extract prometheus /usr/bin/prometheus "$DEPS/bin/prometheus" || die "no Prometheus: apt-get download prometheus failed"
    fi
    "$DEPS/bin/prometheus" --version >/dev/null 2>&1 || die ".deps/bin/prometheus does not run"
fi
# One try a day: a proxy that does not serve it is not asked at every run.
tried=$DEPS/surveyor.tried
if [ ! -x "$DEPS/bin/nats-surveyor" ] && [ -z "$(find "$tried" -mtime -1 2>/dev/null)" ]; then
    touch "$tried"
    scripts/setup-surveyor.sh || say "without nats-surveyor: the tests take their stand-in for it"
fi
