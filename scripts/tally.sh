# shellcheck shell=bash
# Counting for test scripts: run steps, then `tally_end` prints the summary and the last line "N passed, N failed".
TALLY_PASSED=0 TALLY_FAILED=0 TALLY_LINES=()

tally() { # name passed failed; a count that could not be taken is a failure, and never an error that ends the script
    [[ $2 =~ ^[0-9]+$ && $3 =~ ^[0-9]+$ ]] || { echo "$1: the results could not be counted" && set -- "$1" 0 1; }
    TALLY_PASSED=$((TALLY_PASSED + $2)) TALLY_FAILED=$((TALLY_FAILED + $3))
    TALLY_LINES+=("$(printf '%-28s %5d passed %5d failed %6d s' "$1" "$2" "$3" $((SECONDS - TALLY_SINCE)))")
}
tally_start() { # title
    TALLY_SINCE=$SECONDS
    printf '\n== %s\n' "$1"
}
# One step that passes or fails as a whole.
tally_run() { # name command…
    local name=$1
    shift
    tally_start "$name"
    if "$@"; then tally "$name" 1 0; else tally "$name" 0 1; fi
}
# The tests of a meson build folder, each one program; needs its own count from the log.
tally_meson() { # name build-dir meson-test options…
    local name=$1 dir=$2 log=$2/meson-logs/testlog.json passed=0 failed=0
    shift 2
    tally_start "$name"
    rm -f "$log"
    meson test -C "$dir" --print-errorlogs --no-rebuild "$@" || failed=1
    if [ -f "$log" ]; then
        passed=$(jq -s '[.[] | select(.result == "OK" or .result == "EXPECTEDFAIL")] | length' "$log")
        failed=$(jq -s --argjson status "$failed" '[.[] | select(.result != "OK" and .result != "EXPECTEDFAIL" and .result != "SKIP")]
            | if length > 0 then length else $status end' "$log")
    fi
    [ "$((passed + failed))" -gt 0 ] || { echo "no test was run" && failed=1; }
    tally "$name" "$passed" "$failed"
}
# pytest, counted from its JUnit report.
tally_pytest() { # name pytest arguments…
    local name=$1 report status=0 tests fails skips
    shift
    tally_start "$name"
    report=$(mktemp)
    .deps/venv/bin/python -m pytest --junitxml="$report" -o junit_family=xunit2 "$@" || status=$?
    tests=$(tally_junit "$report" tests)
    fails=$(($(tally_junit "$report" failures) + $(tally_junit "$report" errors)))
    skips=$(tally_junit "$report" skipped)
    rm -f "$report"
    # ended without a verdict, or ran no test
    { [ "$status" -eq 0 ] && [ "$tests" -gt 0 ]; } || [ "$fails" -gt 0 ] || fails=1
    [ "$tests" -ge "$((fails + skips))" ] || tests=$((fails + skips))
    [ "$skips" -eq 0 ] || echo "$name: $skips left out, each named above with its reason"
    tally "$name" "$((tests - fails - skips))" "$fails"
}
tally_junit() { # file attribute
    local n
    n=$(sed -n "s/.*<testsuite [^>]*\\b$2=\"\\([0-9]*\\)\".*/\\1/p" "$1" 2>/dev/null | head -n 1)
    echo "${n:-0}"
}
tally_end() {
    printf '\n'
    printf '%s\n' "${TALLY_LINES[@]}"
    printf '%d passed, %d failed\n' "$TALLY_PASSED" "$TALLY_FAILED"
    [ "$TALLY_FAILED" -eq 0 ] && [ "$TALLY_PASSED" -gt 0 ]
}
