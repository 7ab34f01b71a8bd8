#!/usr/bin/env bash
# The counting that make test and make test-long end with: what fails, or cannot be counted, is counted as failed.
# shellcheck disable=SC2016,SC1091 # scripts in quotes; sourced by its place
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/bin" "$dir/build/meson-logs" "$dir/.deps/venv/bin"
status=0

# A meson and a python that do what the case says.
printf '#!/bin/sh\n[ -z "$RESULTS" ] || printf "{\\"result\\":\\"%%s\\"}\\n" $RESULTS >"%s"\nexit "$CODE"\n' \
    "$dir/build/meson-logs/testlog.json" >"$dir/bin/meson"
printf '#!/bin/sh\nfor a in "$@"; do case $a in --junitxml=*) printf "%%s" "$REPORT" >"${a#*=}" ;; esac; done\nexit "$CODE"\n' \
    >"$dir/.deps/venv/bin/python"
chmod +x "$dir/bin/meson" "$dir/.deps/venv/bin/python"

expect() { # what last-line command…
    local what=$1 want=$2 got passed code=0 should=0
    shift 2
    got=$(
        . scripts/tally.sh
        cd "$dir" && PATH=$dir/bin:$PATH
        "$@" >/dev/null 2>&1
        tally_end 2>/dev/null | tail -n 1
    ) || code=$?
    # the exit status says the same as the line: 0 only where something passed and nothing failed
    passed=${want%% *}
    [[ $want == *', 0 failed' && $passed -gt 0 ]] || should=1
    [ "$got" = "$want" ] && [ "$code" -eq "$should" ] && return
    status=1
    echo "$what: \"$got\" with exit status $code, expected \"$want\" with $should"
}
export RESULTS CODE REPORT=
RESULTS='OK OK EXPECTEDFAIL' CODE=0
expect "three unit tests pass" "3 passed, 0 failed" tally_meson unit build
RESULTS='OK FAIL TIMEOUT SKIP' CODE=1
expect "two unit tests fail" "1 passed, 2 failed" tally_meson unit build
RESULTS=OK CODE=1
expect "meson fails with no test failed" "1 passed, 1 failed" tally_meson unit build
RESULTS='' CODE=0
expect "no unit test was run" "0 passed, 1 failed" tally_meson unit build
suite() { printf '<testsuites><testsuite name="pytest" errors="%s" failures="%s" skipped="%s" tests="%s" time="1"></testsuite></testsuites>' "$@"; }
REPORT=$(suite 0 0 1 5) CODE=0
expect "pytest: four pass, one skipped" "4 passed, 0 failed" tally_pytest integration
REPORT=$(suite 1 2 0 5) CODE=1
expect "pytest: three fail" "2 passed, 3 failed" tally_pytest integration
REPORT=$(suite 0 0 0 0) CODE=0
expect "pytest: no test" "0 passed, 1 failed" tally_pytest integration
REPORT='' CODE=2
expect "pytest: no report" "0 passed, 1 failed" tally_pytest integration
expect "a step that fails" "0 passed, 1 failed" tally_run step false
expect "a count that is none" "0 passed, 1 failed" tally step x ''
exit $status
