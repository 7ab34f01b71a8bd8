#!/usr/bin/env bash
# Every header compiles alone, and twice in a row.
set -euo pipefail
cd "$(dirname "$0")/../.."

flags=(-fsyntax-only -x c -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -Wno-unused-macros)
read -r -a cflags <<<"$(pkg-config --cflags libsodium jansson yaml-0.1 libcrypto libcurl libmicrohttpd cmocka)"
flags+=("${cflags[@]}")

one() { # root header -> prints the compiler's complaints
    local root=$1 header=$2 dir
    dir=$root/$(dirname "$header")
    printf '#include "%s"\n#include "%s"\n' "$root/$header" "$root/$header" |
        "${CC:-gcc}" "${flags[@]}" -I "$root/lib" -I "$root/auth-callout/src" -I "$dir" - 2>&1 |
        grep -E '(error|warning):' | sed "s,^$root/,," | sed "s,^<stdin>:.*: ,$header:1: does not compile alone: ,"
}

# check ROOT: fails where a header does not compile, or there is none.
check() {
    local root=$1 header status=0 out
    local -a headers
    mapfile -t headers < <(cd "$root" && find . \( -name .deps -o -name 'build*' -o -name .git -o -path ./local/run \) -prune -o \
        -type f -name '*.h' -print | sed 's,^\./,,' | sort)
    [ ${#headers[@]} -gt 0 ] || { echo "no header below $root"; return 1; }
    for header in "${headers[@]}"; do
        out=$(one "$root" "$header") || true
        [ -z "$out" ] || { echo "$out"; status=1; }
    done
    return $status
}

self_test() {
    local dir status=0
    dir=$(mktemp -d)
    if check "$dir" >/dev/null; then echo "headers.sh: content with no input"; status=1; fi
    mkdir -p "$dir/lib/x"
    echo 'size_t f(void);' >"$dir/lib/x/needs_stddef.h"
    if check "$dir" >/dev/null; then echo "headers.sh: overlooks a header that needs another"; status=1; fi
    printf 'struct a { int b; };\n' >"$dir/lib/x/needs_stddef.h"
    if check "$dir" >/dev/null; then echo "headers.sh: overlooks a header without a guard"; status=1; fi
    printf '#ifndef X\n#define X\n#include <stddef.h>\nsize_t f(void);\n#endif\n' >"$dir/lib/x/needs_stddef.h"
    check "$dir" >/dev/null || { echo "headers.sh: complains about a good header"; status=1; }
    rm -rf "$dir"
    return $status
}

self_test
check "$PWD"
