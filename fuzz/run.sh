#!/usr/bin/env bash
# Builds the fuzzers (clang, ASan, UBSan) into build-fuzz/ and runs each for a while, two at a time. Prints what each covered; fails on any finding.
#   fuzz/run.sh [SECONDS_PER_TARGET] [TARGET...]     default 30, all
#   fuzz/run.sh --saturate SECONDS [TARGET...]       each until that many seconds together reached no new edge of the code
# What a run found stays in build-fuzz/found/<target>/ and the next one goes on with it; an input that shows a fault is kept in build-fuzz/faults/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
dir=build-fuzz
seconds=30 one=fuzz
case ${1:-} in
--saturate)
    [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
    one=saturate seconds=$2
    shift 2
    ;;
[0-9]*)
    seconds=$1
    shift
    ;;
esac

CC=clang scripts/build.sh "$dir" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false || exit
if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(for f in "$dir"/fuzz/fuzz_*; do [ -f "$f" ] && [ -x "$f" ] && basename "$f" | cut -c6-; done)
fi
[ ${#targets[@]} -gt 0 ] || { echo "no fuzzer was built" >&2; exit 1; }
mkdir -p "$dir/faults" "$dir/logs"
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

edges() { # log
    grep -aoE 'cov: [0-9]+' "$1" | tail -n 1 | cut -d' ' -f2
}

# Runs of the same length until one ends with the edges that the last one ended with.
saturate_one() { # target
    local log=$dir/logs/$1.log before=0 now took=$SECONDS
    while fuzz_one "$1"; do
        now=$(edges "$log")
        [ "${now:-0}" -gt "$before" ] || { echo "$1: no new edge in $seconds s; $((SECONDS - took)) s in all"; return 0; }
        before=$now
    done
    return 1
}

fuzz_one() { # target
    local log=$dir/logs/$1.log status=0 dict=() covered runs news
    mkdir -p "$dir/found/$1"
    [ ! -f "fuzz/$1.dict" ] || dict=(-dict="fuzz/$1.dict")
    # inputs are small texts; the biggest that a parser takes are left to unit tests
    "$dir/fuzz/fuzz_$1" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$dir/faults/$1-" "${dict[@]}" "$dir/found/$1" "fuzz/corpus/$1" >"$log" 2>&1 || status=$?
    covered=$(grep -aoE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -n 1)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    news=$(grep -acE '^#[0-9]+[[:space:]]+NEW' "$log")
    printf '%-10s %-34s %10s runs %6s new inputs  %s\n' "$1" "${covered:-no coverage line}" "${runs:-?}" "$news" \
        "$([ $status -eq 0 ] && echo ok || echo "FAULT (status $status): $log")"
    [ $status -eq 0 ] || grep -aE -A12 'ERROR|does not hold|runtime error' "$log" | head -n 40
    return $status
}

failed=0 running=0
for target in "${targets[@]}"; do
    if [ $running -eq 2 ]; then
        wait -n || failed=$((failed + 1))
        running=1
    fi
    "${one}_one" "$target" &
    running=$((running + 1))
done
while [ $running -gt 0 ]; do
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
done
[ $failed -eq 0 ] || echo "$failed of ${#targets[@]} targets failed"
[ $failed -eq 0 ]
