#!/usr/bin/env bash
# make test-long: sanitizer runs of the unit and integration tests, a million callouts, faults of the links, time-boxed fuzzing.
# The last line is "N passed, N failed". EB_LONG_MINUTES (60) is what all of it may take; EB_FAULT_RUNS (2) how often each case of
# an interrupted link is run; 0 leaves the long runs of the links out.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. scripts/tally.sh
minutes=${EB_LONG_MINUTES:-60}
export EB_FAULT_RUNS=${EB_FAULT_RUNS:-2}
deadline=$((SECONDS + minutes * 60))
left() { echo $((deadline - SECONDS > 30 ? deadline - SECONDS : 30)); }

# One build folder a sanitizer; suppressions are only for libraries of the distribution, each with its reason.
sanitized() { # name meson-value
    scripts/build.sh "build-$1" -Db_sanitize="$2" -Db_lundef=false -Dbuildtype=debugoptimized
}
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
tsan="halt_on_error=0 exitcode=66"
[ ! -f tests/tsan.supp ] || tsan+=" suppressions=$PWD/tests/tsan.supp"
export TSAN_OPTIONS=$tsan

for sanitizer in asan:address,undefined tsan:thread; do
    name=${sanitizer%%:*}
    tally_run "build $name" sanitized "$name" "${sanitizer#*:}"
    tally_meson "unit $name" "build-$name" --suite unit --timeout-multiplier 10
    if [ -d tests/integration ]; then
        left_out=()
        # programs of one thread, in which there is nothing to find
        [ "$name" != tsan ] || left_out=(--ignore-glob='*test_operator_cli.py' --ignore-glob='*test_secrets.py' --ignore-glob='*test_render.py'
            --ignore-glob='*test_check.py')
        EB_BUILD=$PWD/build-$name EB_SANITIZER=$name tally_pytest "integration $name" tests/integration -q -m 'not long and not timing' \
            "${left_out[@]}" --session-timeout "$(left)"
    fi
done
if [ -d tests/integration ]; then
    tally_pytest "long integration" tests/integration -q -m long --ignore-glob='*test_federation_*' --session-timeout "$(left)"
    # alone on the machine: they measure how soon links are back
    [ "$EB_FAULT_RUNS" = 0 ] ||
        tally_pytest "long federation" tests/integration/test_federation_*.py -q -n 1 -m long --session-timeout "$(left)"
fi
if [ -x fuzz/run.sh ]; then
    tally_run fuzz timeout "$(left)" fuzz/run.sh
fi
tally_end
