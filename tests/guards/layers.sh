#!/usr/bin/env bash
# Includes go one way: programs -> kube, policy, site -> jose, cert, natsjwt, subject -> nkey -> base. Every quoted include of lib/ names its folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

rank() { # folder of lib/ -> its layer; empty for an unknown one
    case $1 in
    base) echo 0 ;;
    nkey) echo 1 ;;
    jose | cert | natsjwt | subject) echo 2 ;;
    kube | policy | site) echo 3 ;;
    esac
}

# check DIR: prints file:line of each violation below DIR; fails where there is one, or nothing to look at.
check() (
    cd "$1"
    status=0 seen=0
    complain() {
        echo "$1"
        status=1
    }
    while IFS=: read -r file line text; do
        seen=$((seen + 1))
        target=${text#*\"}
        target=${target%%\"*}
        folder=${target%%/*}
        case $file in
        lib/*)
            own=${file#lib/}
            own=${own%%/*}
            if [ -z "$(rank "$own")" ]; then
                complain "$file:$line: lib/$own has no layer; give it one in tests/guards/layers.sh"
            elif [ "$folder" = "$target" ] || [ -z "$(rank "$folder")" ]; then
                complain "$file:$line: \"$target\" is no header of lib/ named with its folder"
            elif [ "$folder" != "$own" ] && [ "$(rank "$folder")" -ge "$(rank "$own")" ]; then
                complain "$file:$line: lib/$own may not use lib/$folder"
            fi
            ;;
        auth-callout/*) [[ $target != */../* && $target != *eventbus/* && $target != *demo-idp/* ]] ||
            complain "$file:$line: auth-callout may use lib/ only, not \"$target\"" ;;
        eventbus/* | local/*) [[ $target != ../* && $target != *auth-callout/* ]] ||
            complain "$file:$line: ${file%%/*} may use lib/ only, not \"$target\"" ;;
        esac
    done < <(find lib auth-callout eventbus local -path local/run -prune -o -type f \( -name '*.c' -o -name '*.h' \) -print 2>/dev/null |
        sort | xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"')
    [ "$seen" -gt 0 ] || complain "no includes found below $1"
    exit "$status"
)

self_test() {
    local dir status=0 row file include want
    dir=$(mktemp -d)
    while read -r row; do
        read -r want file include <<<"$row"
        rm -rf "${dir:?}"/*
        mkdir -p "$dir/${file%/*}"
        printf '#include <stdio.h>\n  # include "%s" // why\n' "$include" >"$dir/$file"
        if check "$dir" >/dev/null; then [ "$want" = ok ]; else [ "$want" = bad ]; fi ||
            { echo "layers.sh: wrong about $file including $include"; status=1; }
    done <<'EOF'
ok lib/nkey/a.c base/err.h
ok lib/nkey/a.c nkey/nkey.h
ok lib/policy/a.h subject/subject.h
ok lib/kube/a.h jose/jwt.h
ok auth-callout/src/a.c policy/policy.h
ok eventbus/a.c command.h
bad lib/base/a.c nkey/nkey.h
bad lib/nkey/a.h jose/jose.h
bad lib/jose/a.c cert/cert.h
bad lib/site/a.c policy/policy.h
bad lib/kube/a.c policy/policy.h
bad lib/policy/a.c kube/grants.h
bad lib/policy/a.c auth-callout/src/log.h
bad lib/base/a.c err.h
bad lib/base/a.c ../base/err.h
bad lib/other/a.c base/err.h
bad eventbus/a.c ../auth-callout/src/log.h
EOF
    rm -rf "${dir:?}"/*
    if check "$dir" >/dev/null; then echo "layers.sh: content with no input"; status=1; fi
    rm -rf "$dir"
    return $status
}

self_test
check "$PWD"
