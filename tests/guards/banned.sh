#!/usr/bin/env bash
# No C file calls what cannot be called safely, and lib/ neither talks, nor starts threads, nor opens sockets, nor ends the process.
set -euo pipefail
cd "$(dirname "$0")/../.."
strip=$PWD/tests/guards/strip.pl

readonly EVERYWHERE='strcpy|strcat|sprintf|vsprintf|strncpy|strncat|atoi|atol|atoll|strtok|gets|alloca|gmtime|localtime|ctime|asctime|tmpnam|mktemp'
readonly IN_LIB='printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|fputc|putc|fwrite|perror|syslog|vsyslog|pthread_create|thrd_create|socket|connect|bind|listen|accept|fork|vfork|system|popen|execve|exit|_exit|abort|assert'
readonly IN_LIB_NAMES='stderr|stdout'

# check DIR: prints file:line of each violation below DIR; fails where there is one, or nothing to look at.
check() (
    cd "$1"
    mapfile -t all < <(find . \( -name .deps -o -name 'build*' -o -name .git -o -path ./local/run \) -prune -o \
        -type f \( -name '*.c' -o -name '*.h' \) -print | sed 's,^\./,,' | sort)
    [ ${#all[@]} -gt 0 ] || { echo "no C file below $1"; exit 1; }
    mapfile -t lib < <(printf '%s\n' "${all[@]}" | grep '^lib/' || true)
    [ ${#lib[@]} -gt 0 ] || { echo "no C file below $1/lib"; exit 1; }
    status=0
    perl "$strip" "${all[@]}" | grep -E "(^|[^A-Za-z0-9_.>])($EVERYWHERE) *\(" | sed 's/$/   <- banned function/' && status=1
    perl "$strip" "${lib[@]}" | grep -E "(^|[^A-Za-z0-9_.>])(($IN_LIB) *\(|($IN_LIB_NAMES)([^A-Za-z0-9_]|$))" |
        sed 's/$/   <- not in lib\//' && status=1
    exit $status
)

# It must see what it looks for, and only that.
self_test() {
    local dir status=0
    dir=$(mktemp -d)
    mkdir -p "$dir/lib/x"
    printf '/* strcpy( */ int eb_strcpy(int); // atoi(1)\nchar *s = "gets(";\nint f(void) { return p->exit(1); }\n' >"$dir/lib/x/good.c"
    check "$dir" >/dev/null || { echo "banned.sh: complains about a clean file"; status=1; }
    local bad
    for bad in 'strcpy(a, b);' 'x = atoi (s);' 'gmtime(&t);' 'printf("x");' '(void)fputs(s, f);' 'f = stderr;' 'pthread_create(0);' \
        'socket(1, 2, 3);' 'abort();'; do
        printf '%s\n' "$bad" >"$dir/lib/x/bad.c"
        if check "$dir" >/dev/null; then echo "banned.sh: overlooks $bad"; status=1; fi
    done
    rm "$dir"/lib/x/*
    if check "$dir" >/dev/null; then echo "banned.sh: content with no input"; status=1; fi
    rm -rf "$dir"
    return $status
}

self_test
check "$PWD"
