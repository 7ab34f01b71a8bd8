#!/usr/bin/env bash
# The shell completions offer exactly the commands and options that `eventbus --help` tells.
#   tests/guards/completion.sh [eventbus]    default: that of the newest build folder
set -euo pipefail
cd "$(dirname "$0")/../.."

program=${1:-$(find build build-* -maxdepth 2 -path '*/eventbus/eventbus' -type f -executable -printf '%T@ %p\n' 2>/dev/null |
    sort -rn | sed -n '1s/^[^ ]* //p' || true)}
[ -x "$program" ] || { echo "no eventbus found: run make build first"; exit 1; }

status=0
same() { # what help completion
    local help completion
    help=$(tr ' ' '\n' <<<"$2" | sed '/^$/d' | LC_ALL=C sort)
    completion=$(tr ' ' '\n' <<<"$3" | sed '/^$/d' | LC_ALL=C sort)
    [ -n "$help" ] || { echo "$1: the help tells nothing"; status=1; }
    [ "$help" = "$completion" ] && return
    status=1
    echo "$1: help and completion differ:"
    diff <(echo "$help") <(echo "$completion") | sed -n 's/^</    only in the help:/p; s/^>/    only in the completion:/p' || true
}

help_commands() { "$program" --help | sed -n '/^COMMANDS$/,/^$/s/^    \([a-z-]*\( [a-z][a-z-]*\)*\)  .*/\1/p'; }
help_options() { "$program" "$@" --help | sed -n '/^OPTIONS$/,/^EXAMPLES$/s/^    \(--[a-z-]*\).*/\1/p' | tr '\n' ' '; }

# --- bash: the function is called as readline calls it -----------------------------------------------------------------
. completion/eventbus.bash
compopt() { :; } # only there while readline completes
bash_offers() { # words of the line, the last one being completed -> what is offered
    COMP_WORDS=(eventbus "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _eventbus
    echo "${COMPREPLY[@]}"
}

# --- zsh: the part of the file that belongs to a command -------------------------------------------------------------------
zsh_options() { # command
    awk -v start="    '$1')" '$0 == start { on = 1; next } on && /;;/ { exit } on' completion/_eventbus |
        sed -nE "s/^.*'(\([^)]*\))?(--[a-z-]+)\[.*/\2/p; /_arguments '/{s/.*_arguments '(--[a-z-]+)\[.*/\1/p}" | sort -u | tr '\n' ' '
}
zsh_words() { # name of the array
    awk -v start="  $1=(" '$0 == start { on = 1; next } on && /^  \)/ { exit } on' completion/_eventbus |
        sed -n "s/^    '\([a-z-]*\):.*/\1/p" | tr '\n' ' '
}

mapfile -t commands < <(help_commands)
[ ${#commands[@]} -gt 0 ] || { echo "$program --help lists no commands"; exit 1; }

firsts=$(printf '%s\n' "${commands[@]}" | cut -d' ' -f1 | sort -u | tr '\n' ' ')
same "bash, first word" "$firsts help --help --version" "$(bash_offers '')"
same "zsh, first word" "$firsts help" "$(zsh_words first)"
for first in $firsts; do
    seconds=$(printf '%s\n' "${commands[@]}" | sed -n "s/^$first \([a-z-]*\)$/\1/p" | tr '\n' ' ')
    [ -n "$seconds" ] || continue
    offered=$(bash_offers "$first" '' | tr ' ' '\n' | grep -v '^--' | tr '\n' ' ')
    same "bash, $first" "$seconds" "$offered"
    same "zsh, $first" "$seconds" "$(zsh_words "${first}_words")"
done
for command in "${commands[@]}"; do
    read -r -a words <<<"$command"
    same "bash, $command" "$(help_options "${words[@]}")" "$(bash_offers "${words[@]}" --)"
    same "zsh, $command" "$(help_options "${words[@]}")" "$(zsh_options "$command")"
    "$program" "${words[@]}" --help | grep -q '^EXIT STATUS$' || { echo "$command: the help has no EXIT STATUS"; status=1; }
done
exit $status
