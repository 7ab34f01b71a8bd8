#!/usr/bin/env bash
# Builds all programs into a folder, optimised and with debug symbols; instant when nothing changed.
#   scripts/build.sh DIR [meson options]
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:?build folder}
shift
mkdir -p .deps
exec 9>.deps/build-lock # two makes at once would build the same files
flock 9
if [ ! -f "$dir/build.ninja" ]; then
    echo "configuring $dir"
    meson setup "$dir" . "$@" >"$dir.log" 2>&1 || { tail -n 20 "$dir.log" >&2; exit 1; }
    rm -f "$dir.log"
fi
# ninja says nothing when it has nothing to do, and shows its last lines when it fails
status=0
output=$(ninja -C "$dir" 2>&1) || status=$?
if [ $status -ne 0 ]; then
    printf '%s\n' "$output" | grep -v '^\[' | tail -n 60 >&2
    exit $status
fi
case $output in *'no work to do'*) ;; *) echo "built $dir" ;; esac
