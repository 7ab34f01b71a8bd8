#!/usr/bin/env bash
# make check: what can be found without running the bus. `--fix` (make fmt) formats instead of complaining.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. scripts/tally.sh
format=.deps/venv/bin/clang-format
mapfile -t sources < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' | while read -r f; do
    [ -e "$f" ] && echo "$f"; done)
mapfile -t shells < <(git ls-files --cached --others --exclude-standard | while read -r f; do
    [ -f "$f" ] && head -n 1 "$f" | grep -qE '^#!.*\b(ba)?sh\b|^# shellcheck shell=' && echo "$f"; done)

if [ "${1:-}" = --fix ]; then
    "$format" -i "${sources[@]}"
    exit
fi

formatted() {
    local bad
    bad=$("$format" --dry-run "${sources[@]}" 2>&1 | sed -n 's/^\([^ :]*\):.*\[-Wclang-format-violations\]$/\1/p' | sort -u)
    [ -z "$bad" ] || { printf 'not formatted (make fmt): %s\n' "$bad"; return 1; }
}
# Every warning is an error here, with both compilers.
compiles() { # compiler
    CC=$1 scripts/build.sh "build-$1" -Dwerror=true
}

tally_run format formatted
tally_run "shell scripts" shellcheck -x "${shells[@]}"
tally_run "gcc -Werror" compiles gcc
tally_run "clang -Werror" compiles clang
for guard in tests/guards/*.sh; do
    [ -e "$guard" ] || continue
    tally_run "guard ${guard##*/}" bash "$guard"
done
tally_end
