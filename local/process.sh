# shellcheck shell=bash
# Starting, finding and ending the processes of the bus. A process is known by its pid and start time together, written to
# $EB_RUN/pids when it is started, so that a pid used again by a stranger is never taken for ours.

readonly LOG_MAX=$((16 * 1024 * 1024))

say() { printf '%s\n' "$*"; }
die() { printf 'bus: %s\n' "$*" >&2; exit 1; }

proc_record() { echo "$EB_RUN/pids/${1//\//@}"; }
# The names of all that were started, whatever the settings are now.
proc_names() { find "$EB_RUN/pids" -type f -printf '%f\n' 2>/dev/null | tr @ / | sort; }

# Time at which a process started, in clock ticks since boot; nothing where it is gone or a zombie.
proc_ticks() { # pid
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) } # the name before may hold blanks and brackets
    read -ra stat <<<"$stat"
    [ "${stat[0]}" != Z ] && echo "${stat[19]}"
}

# Prints the pid if the process that we started is there.
proc_pid() { # name
    local pid ticks
    { read -r pid ticks _ <"$(proc_record "$1")"; } 2>/dev/null && [ "$(proc_ticks "$pid")" = "$ticks" ] && echo "$pid"
}

port_open() { # address port
    (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

# What a process runs with; another print means that it has to be started anew.
proc_print() { # command…, and files it reads at start after --
    local files=no arg
    for arg in "$@"; do
        if [ "$arg" = -- ]; then
            files=yes
        elif [ $files = yes ]; then
            cat "$arg"
        else
            printf '%s\n' "$arg"
        fi
    done | sha256sum | cut -d' ' -f1
    stat -Lc '%Y %s' "$(type -P "$1")"
}

# Starts a process in the background unless it runs with the same command, program and files already.
# Returns 0 when it was started, 3 when it ran.
proc_start() { # name log "address:port …" print command…
    local name=$1 log=$2 ports=$3 print=$4 record pid port
    shift 4
    record=$(proc_record "$name")
    mkdir -p "${record%/*}" "${log%/*}"
    if pid=$(proc_pid "$name"); then
        [ "$(tail -n +2 "$record")" != "$print" ] || return 3
        say "  $name runs with other settings: stopping it"
        proc_stop "$name"
    fi
    for port in $ports; do
        ! port_open "${port%:*}" "${port##*:}" ||
            die "$name cannot start: something else listens on $port (find it with: ss -ltnp 'sport = :${port##*:}'); every port can be moved, see local/settings.sh"
    done
    # a log is continued; a large one is put aside once
    [ "$(stat -c %s "$log" 2>/dev/null || echo 0)" -lt "$LOG_MAX" ] || mv -f "$log" "$log.1"
    setsid "$@" </dev/null >>"$log" 2>&1 9>&- &
    pid=$!
    printf '%s %s\n%s\n' "$pid" "$(proc_ticks "$pid" || echo gone)" "$print" >"$record"
}

# Waits until a command succeeds; gives up early when the process has died.
proc_wait() { # name log command…
    local name=$1 log=$2 end=$((SECONDS + EB_WAIT))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! proc_pid "$name" >/dev/null; then
            tail -n 12 "$log" >&2
            die "$name ended at its start; its last lines are above, all in $log"
        fi
        if [ "$SECONDS" -ge "$end" ]; then
            tail -n 12 "$log" >&2
            die "$name is not ready after $EB_WAIT s; its last lines are above, all in $log"
        fi
        sleep 0.05
    done
}

# Ends a process: SIGTERM, and SIGKILL when it is still there after 10 s.
proc_stop() { # name
    local pid end=$((SECONDS + 10))
    pid=$(proc_pid "$1") || { rm -f "$(proc_record "$1")"; return 1; }
    kill -TERM "$pid"
    while proc_pid "$1" >/dev/null; do
        if [ "$SECONDS" -ge "$end" ]; then
            say "  $1 (pid $pid) did not end within 10 s: killed"
            kill -KILL "$pid"
            sleep 0.2
            break
        fi
        sleep 0.05
    done
    rm -f "$(proc_record "$1")"
}
