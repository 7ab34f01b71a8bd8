# bash completion for eventbus. tests/guards/completion.sh compares it with what `eventbus --help` says.
_eventbus() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]-} options='' files=no words=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'key token secrets streams render check operator help --help --version' -- "$cur")
        return
    fi
    case $prev in
    --out | --ca | --client-secret-file | --seed-file | --site | --placement | --secrets | --dir)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --url | --issuer | --client-id | --scope | --audience | --cpc | --extra-account | --account | --namespace | --server | --wait) return ;;
    esac
    case $command in
    help) words='key token secrets streams render check operator' ;;
    key)
        if [ "$COMP_CWORD" -eq 2 ]; then
            words='generate public inspect' options='--help'
        else
            case ${COMP_WORDS[2]} in
            generate) options='--user --account --operator --server --cluster --curve --out --help' ;;
            public) options='--help' files=yes ;;
            inspect) options='--help' files=yes ;;
            esac
        fi
        ;;
    check) options='--site --placement --secrets --help' ;;
    operator)
        if [ "$COMP_CWORD" -eq 2 ]; then
            words='init show' options='--help'
        else
            case ${COMP_WORDS[2]} in
            init) options='--dir --account --nack --help' ;;
            show) options='--dir --help' ;;
            esac
        fi
        ;;
    secrets)
        if [ "$COMP_CWORD" -eq 2 ]; then
            words='generate verify manifests' options='--help'
        else
            case ${COMP_WORDS[2]} in
            generate) options='--cpc --extra-account --help' files=yes ;;
            verify) options='--help' files=yes ;;
            manifests) options='--namespace --site --help' files=yes ;;
            esac
        fi
        ;;
    streams)
        if [ "$COMP_CWORD" -eq 2 ]; then
            words='apply status watch' options='--help'
        else
            case ${COMP_WORDS[2]} in
            apply) options='--site --server --seed-file --ca --wait --dry-run --allow-shrink --help' ;;
            status) options='--site --server --seed-file --ca --wait --json --help' ;;
            watch) options='--site --server --seed-file --ca --help' ;;
            esac
        fi
        ;;
    render) options='--site --placement --secrets --out --diff --help' ;;
    token)
        if [ "${COMP_WORDS[2]}" = decode ] && [ "$COMP_CWORD" -gt 2 ]; then
            options='--help' files=yes
        else
            [ "$COMP_CWORD" -eq 2 ] && words='decode'
            options='--url --issuer --client-id --client-secret-file --scope --audience --basic --ca --allow-http --help'
        fi
        ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [ $files = yes ]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$words $options" -- "$cur")
    fi
}
complete -F _eventbus eventbus
