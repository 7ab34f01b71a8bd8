#!/usr/bin/env bash
# The documentation says what the code does: the table of options, every reason, every metric, every make target, links that lead somewhere.
#   tests/guards/docs.sh [--write]
# EB_BUILD names the build folder, default the one that was built last. --write puts the table of options into docs/configuration.md.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -n "${EB_BUILD:-}" ]; then
    program=$EB_BUILD/auth-callout/auth-callout
else
    program=$(find build build-* -maxdepth 2 -path '*/auth-callout/auth-callout' -type f -executable -printf '%T@ %p\n' 2>/dev/null |
        sort -rn | sed -n '1s/^[^ ]* //p' || true)
fi
readonly BEGIN_MARK='<!-- begin: auth-callout generate-config --markdown -->' END_MARK='<!-- end -->'

# --- what the code has, a name a line -------------------------------------------------------------------------------------
reasons() { # rc.h: reasons of requests, of the classes DENY and UNDECIDED; a row may take several lines
    tr '\n' ' ' <"$1" | grep -oE 'X\(EB_E_[A-Z0-9_]+, *"[a-z0-9_]+", *(DENY|UNDECIDED),' | sed -E 's/[^"]*"([^"]*)".*/\1/'
}
metrics() { # metrics.c: names as they stand, and those that are made for each method
    local all name methods
    all=$(tr '\n' ' ' <"$1")
    methods=$(grep -oE 'method_names\[[A-Z_]+\] *= *\{[^}]*\}' <<<"$all" | grep -oE '"[a-z0-9]+"' | tr -d '"' | grep -vx none)
    for name in $(grep -oE '"(auth|process)_[a-z0-9_%]+"' <<<"$all" | tr -d '"' | sort -u); do
        case $name in
        *%s*) sed "s/^/${name%%\%s*}/; s/\$/${name#*%s}/" <<<"$methods" ;;
        *) echo "$name" ;;
        esac
    done
}
targets() { sed -nE 's/^([a-z][a-z0-9-]*):([^=].*)?$/\1/p' "$1" | sort -u; }
helped() { make -s -f "$1" help 2>/dev/null | sed -nE 's/^ *make ([a-z][a-z0-9-]*) .*/\1/p' | sort -u; }

# --- checks; each prints what is wrong ------------------------------------------------------------------------------------
# Names of standard input that the page does not have in backquotes, with or without labels behind.
missing() { # what page
    local name n=0
    while read -r name; do
        n=$((n + 1))
        grep -qE "\`$name(\{[^\`]*)?\`" "$2" || echo "$2 does not explain the $1 $name"
    done
    [ $n -gt 0 ] || echo "no $1 found in the code: mend tests/guards/docs.sh"
}
table_differs() { # table page
    local have
    have=$(awk -v begin="$BEGIN_MARK" -v end="$END_MARK" '$0 == end { on = 0 } on { print } $0 == begin { on = 1 }' "$2")
    [ -n "$1" ] || echo "$program printed no table"
    [ "$have" = "$1" ] || echo "$2: the table of options differs from the program's: tests/guards/docs.sh --write"
}
unhelped() { # makefile
    local all
    all=$(targets "$1")
    [ -n "$all" ] || echo "$1 has no targets: mend tests/guards/docs.sh"
    comm -23 <(echo "$all") <(helped "$1") | sed "s,^,$1: make help does not list the target ,"
}
dead_links() { # pages: relative links whose file, or whose heading, is not there
    local page link file anchor
    for page in "$@"; do
        while read -r link; do
            file=${link%%#*} anchor=${link#*#}
            [ "$anchor" != "$link" ] || anchor=
            file=${file:+$(dirname "$page")/$file}
            if [ ! -e "${file:-$page}" ]; then
                echo "$page: the link $link leads nowhere"
            elif [ -n "$anchor" ] && ! headings "${file:-$page}" | grep -qxF "$anchor"; then
                echo "$page: the link $link leads to no heading"
            fi
        done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//' | grep -vE '^[a-z]+:')
    done
}
headings() { # page: as anchors
    sed -nE 's/^#+ +(.*)/\1/p' "$1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

write_table() { # table page
    local new
    new=$(TABLE=$1 awk -v begin="$BEGIN_MARK" -v end="$END_MARK" '
        $0 == end { on = 0 } !on { print } $0 == begin { on = 1; print ENVIRON["TABLE"] }' "$2")
    printf '%s\n' "$new" >"$2"
}

# It must see what it looks for, and only that.
self_test() {
    local dir bad=0
    dir=$(mktemp -d)
    printf '    X(EB_E_A, "one", DENY, "h") \\\n    X(EB_E_B, "two",\n      UNDECIDED, "h") X(EB_E_C, "three", LOCAL, "h")\n' >"$dir/rc.h"
    printf 'names[M_] ; method_names[M_] = {"none",\n "ab", "cd"};\n"auth_x_total", "auth_%%s_tries_total" "author"\n' >"$dir/m.c"
    # shellcheck disable=SC2016 # the backquotes are Markdown's
    printf '# Head One\n`one` `auth_x_total{reason}` [a](rc.h) [b](#head-one) [c](https://x)\n%s\n| t |\n%s\n' "$BEGIN_MARK" "$END_MARK" >"$dir/p.md"
    printf 'help:\n\t@echo "  make help   list"\nup: ## start\n.PHONY: up\nA := 1\n' >"$dir/mk"
    expect() { # wanted command…
        local got
        got=$("${@:2}" | sed "s,$dir/,," | paste -sd' ')
        [ "$got" = "$1" ] || { echo "docs.sh: $2: '$got' instead of '$1'" && bad=1; }
    }
    expect 'one two' reasons "$dir/rc.h"
    expect 'auth_ab_tries_total auth_cd_tries_total auth_x_total' metrics "$dir/m.c"
    expect 'p.md does not explain the reason two' missing reason "$dir/p.md" < <(reasons "$dir/rc.h")
    expect 'p.md does not explain the metric auth_ab_tries_total p.md does not explain the metric auth_cd_tries_total' \
        missing metric "$dir/p.md" < <(metrics "$dir/m.c")
    expect '' table_differs '| t |' "$dir/p.md"
    expect 'p.md: the table of options differs from the program'"'"'s: tests/guards/docs.sh --write' table_differs '| u |' "$dir/p.md"
    expect 'mk: make help does not list the target up' unhelped "$dir/mk"
    expect '' dead_links "$dir/p.md"
    printf '[a](gone.md) [b](#gone)\n' >>"$dir/p.md"
    expect 'p.md: the link gone.md leads nowhere p.md: the link #gone leads to no heading' dead_links "$dir/p.md"
    write_table '| u |' "$dir/p.md"
    expect '' table_differs '| u |' "$dir/p.md"
    rm -rf "$dir"
    return $bad
}

self_test
[ -x "$program" ] || { echo "${program:-auth-callout} is not there: run make build first, or set EB_BUILD"; exit 1; }
table=$("$program" generate-config --markdown)
[ "${1:-}" != --write ] || write_table "$table" docs/configuration.md

found=$(
    table_differs "$table" docs/configuration.md
    reasons lib/base/rc.h | missing reason docs/operations.md
    metrics auth-callout/src/metrics.c | missing metric docs/operations.md
    metrics auth-callout/src/sources.c | missing metric docs/operations.md
    unhelped Makefile
    mapfile -t readmes < <(find deploy local -name README.md -not -path '*/charts/*' | sort)
    dead_links README.md SECURITY.md docs/*.md "${readmes[@]}"
)
[ -z "$found" ] || { echo "$found"; exit 1; }
