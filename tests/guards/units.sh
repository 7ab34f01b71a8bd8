#!/usr/bin/env bash
# systemd takes the units of deploy/systemd without a word, and the programs that they start are those that the build installs. Where
# there is no systemd that can look (250 or later), this says so and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD programs=(nats-server eventbus auth-callout)

system=/usr/lib/systemd/system
[ -d $system ] || system=/lib/systemd/system
if ! command -v systemd-analyze >/dev/null || [ ! -d $system ]; then
    echo "units.sh: left out: no systemd-analyze here"
    exit 0
fi
version=$(systemd-analyze --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "${version:-0}" -lt 250 ]; then
    echo "units.sh: left out: systemd ${version:-?} is here, 250 or later is wanted"
    exit 0
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
units=$root/etc/systemd/system
mkdir -p "$units" "$root/usr/local/bin" "$root/usr/lib/systemd/system" "$root/bin"
cp -L $system/*.target $system/*.slice "$root/usr/lib/systemd/system/"
for program in "${programs[@]}"; do install -m 755 /dev/null "$root/usr/local/bin/$program"; done
install -m 755 /dev/null "$root/bin/kill"

# What systemd says of the units below $units; nothing where all is well. It passes over what it does not know with a line, and exits 0.
says() {
    local names=() file
    for file in "$units"/*@.service "$units"/*@.target; do names+=("$(basename "${file/@./@csc.}")"); done
    systemd-analyze verify --root="$root" "${names[@]}" 2>&1 || echo "systemd-analyze: exit status $?"
}
fresh() { cp "$top"/deploy/systemd/*.service "$top"/deploy/systemd/*.target "$units/"; }
# It finds what is looked for: an unknown key, a program that is not there.
must_say() { # pattern
    says | grep "$1" >/dev/null || { echo "units.sh: does not find: $1" && exit 1; }
}
fresh
sed -i 's/^ProtectClock=/ProtectClocks=/' "$units/event-bus-main@.service"
must_say "Unknown key.*ProtectClocks"
fresh
mv "$root/usr/local/bin/eventbus" "$root/eventbus"
must_say "eventbus is not executable"
mv "$root/eventbus" "$root/usr/local/bin/eventbus"

fresh
found=$(says)
[ -z "$found" ] || { echo "$found" && exit 1; }
# what a target starts must be there: systemd passes over what it does not find
read -ra wanted < <(sed -n 's/^Wants=//p' "$units/event-bus@.target")
[ ${#wanted[@]} -gt 0 ] || { echo "event-bus@.target: wants nothing" && exit 1; }
for unit in "${wanted[@]}"; do
    [ -f "$units/${unit/@%i/@}" ] || { echo "event-bus@.target: $unit is not in deploy/systemd" && exit 1; }
done
cp deploy/systemd/event-bus.sysusers "$root/event-bus.conf"
systemd-sysusers --root="$root" --dry-run "$root/event-bus.conf" 2>&1 | grep "Creating group 'event-bus'" >/dev/null ||
    { echo "event-bus.sysusers makes no group event-bus" && exit 1; }
