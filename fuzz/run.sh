#!/usr/bin/env bash
# Builds the fuzzers (clang, ASan, UBSan) into build-fuzz/ and runs each for a while, two at a time. Prints what each covered; fails on any finding.
#   fuzz/run.sh [SECONDS_PER_TARGET] [TARGET...]     default 30, all
#   fuzz/run.sh --minimize [TARGET...]               takes into fuzz/corpus/ what earlier runs found and that covers something new
# What a run found stays in build-fuzz/found/<target>/ and is gone on with; an input that shows a fault is written to build-fuzz/faults/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
dir=build-fuzz
mode=run seconds=30
case ${1:-} in
--minimize) mode=minimize; shift ;;
[0-9]*) seconds=$1; shift ;;
esac

CC=clang scripts/build.sh "$dir" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false || exit
if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(for f in "$dir"/fuzz/fuzz_*; do [ -f "$f" ] && [ -x "$f" ] && basename "$f" | cut -c6-; done)
fi
[ ${#targets[@]} -gt 0 ] || { echo "no fuzzer was built" >&2; exit 1; }
mkdir -p "$dir/faults" "$dir/logs"
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

# Inputs are small texts; the biggest that a parser takes are left to unit tests.
fuzz_one() { # target
    local log=$dir/logs/$1.log status=0 dict=()
    mkdir -p "$dir/found/$1"
    [ ! -f "fuzz/$1.dict" ] || dict=(-dict="fuzz/$1.dict")
    "$dir/fuzz/fuzz_$1" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$dir/faults/$1-" "${dict[@]}" "$dir/found/$1" "fuzz/corpus/$1" >"$log" 2>&1 || status=$?
    local last runs
    last=$(grep -aoE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -n 1)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    local new
    new=$(grep -acE '^#[0-9]+[[:space:]]+NEW' "$log")
    printf '%-10s %-38s %10s runs %6s new  %s\n' "$1" "${last:-no coverage line}" "${runs:-?}" "$new" "$([ $status -eq 0 ] && echo ok || echo "FAULT (status $status)")"
    [ $status -eq 0 ] || { grep -aE -A12 'ERROR:|does not hold|runtime error' "$log" | head -n 40; echo "log: $log"; }
    return $status
}

minimize_one() { # target
    local to=$dir/minimal/$1
    rm -rf "$to" && mkdir -p "$to" "$dir/found/$1"
    "$dir/fuzz/fuzz_$1" -merge=1 -max_len=8192 "$to" "fuzz/corpus/$1" "$dir/found/$1" >"$dir/logs/$1-merge.log" 2>&1 || return
    # The seeds with names stay; of the rest only what they do not cover is taken.
    local f
    for f in "$to"/*; do
        cmp -s "$f" /dev/null || [ "$(find "fuzz/corpus/$1" -type f -size "$(stat -c %s "$f")c" -exec cmp -s {} "$f" \; -print | wc -l)" -gt 0 ] || cp "$f" "fuzz/corpus/$1/"
    done
    printf '%-10s %d files, %d kB\n' "$1" "$(find "fuzz/corpus/$1" -type f | wc -l)" "$(du -sk --apparent-size "fuzz/corpus/$1" | cut -f1)"
}

failed=0 running=0
for target in "${targets[@]}"; do
    "$([ $mode = run ] && echo fuzz_one || echo minimize_one)" "$target" &
    running=$((running + 1))
    if [ $running -eq 2 ]; then
        wait -n || failed=$((failed + 1))
        running=1
    fi
done
while [ $running -gt 0 ]; do
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
done
[ $failed -eq 0 ] || echo "$failed targets failed"
[ $failed -eq 0 ]
