#!/usr/bin/env bash
# The software bill of materials of the image, CycloneDX 1.5 as JSON: every package with version, licences and origin as dpkg knows them,
# and every file of it with its checksum.
#   auth-callout/sbom.sh ROOT > auth-callout.cdx.json
# ROOT is what rootfs.sh made; ROOT.files, which it wrote too, says what is of which package. Run it where rootfs.sh ran.
# The same tree gives the same text: the serial number comes from its content, the time is SOURCE_DATE_EPOCH or that of the files.
set -euo pipefail
export LC_ALL=C
top=$(cd "$(dirname "$0")/.." && pwd)
die() { printf 'sbom: %s\n' "$*" >&2; exit 1; }
[ $# -eq 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
root=${1%/} files=${1%/}.files
[ -f "$files" ] || die "no $root with $files beside it; make them with auth-callout/rootfs.sh $root"
version=$(sed -n "s/^project([^:]* version: '\([^']*\)'.*/\1/p" "$top/meson.build")
[ -n "$version" ] || die "meson.build states no version"
# shellcheck source=/dev/null
distro=$(. /etc/os-release && echo "$ID-$VERSION_ID") vendor=$(. /etc/os-release && echo "$ID")
time=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y "$root")}" +%Y-%m-%dT%H:%M:%SZ)

# Names of licences as the package's copyright file gives them: the fields of the machine-readable form, else the texts that it points to.
licences() { # package
    local file=$root/usr/share/doc/$1/copyright found
    found=$(sed -n 's/^License:[[:space:]]*\([^[:space:]].*\)/\1/p' "$file" | sort -u)
    [ -n "$found" ] || found=$(grep -ohE '/usr/share/common-licenses/[A-Za-z0-9.-]+[A-Za-z0-9]' "$file" | sed 's#.*/##' | sort -u)
    printf '%s\n' "${found:-see /usr/share/doc/$1/copyright}"
}
packages() { # a line for each: name, version, architecture, source package, licences parted by the unit separator
    local package line
    cut -f 2 "$files" | sort -u | while read -r package; do
        if [ "$package" = event-bus ]; then
            printf 'event-bus\t%s\t\t\tApache-2.0\n' "$version"
            continue
        fi
        # two architectures of one package may be installed; that of the programs is the machine's own
        line=$(dpkg-query -W -f '${Version}\t${Architecture}\t${source:Package}@${source:Version}\n' "$package" | head -n 1)
        printf '%s\t%s\t%s\n' "$package" "$line" "$(licences "$package" | paste -sd $'\x1f')"
    done
}
sums() { # a line for each file: path, package, SHA-256
    local path package sum
    cut -f 1,2 "$files" | while IFS=$'\t' read -r path package; do
        sum=$(sha256sum <"$root$path")
        printf '%s\t%s\t%s\n' "$path" "$package" "${sum%% *}"
    done
}

sums=$(sums)
digest=$(sha256sum <<<"$sums")
serial=$(sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/urn:uuid:\1-\2-5\3-8\4-\5/' <<<"$digest")
jq -n --arg time "$time" --arg serial "$serial" --arg version "$version" --arg distro "$distro" --arg vendor "$vendor" \
    --rawfile packages <(packages) --rawfile sums <(printf '%s\n' "$sums") '
def rows: split("\n") | map(select(. != "") | split("\t"));
($sums | rows | group_by(.[1])
  | map({key: .[0][1], value: map({type: "file", name: .[0], hashes: [{alg: "SHA-256", content: .[2]}]})}) | from_entries) as $files |
{
  bomFormat: "CycloneDX", specVersion: "1.5", serialNumber: $serial, version: 1,
  metadata: {
    timestamp: $time,
    component: {"bom-ref": "image", type: "container", name: "auth-callout", version: $version, licenses: [{license: {id: "Apache-2.0"}}]}
  },
  components: ($packages | rows | map(
    (.[0] == "event-bus") as $own
    | (if $own then "pkg:generic/event-bus@\(.[1])"
       else "pkg:deb/\($vendor)/\(.[0])@\(.[1] | @uri)?arch=\(.[2])&distro=\($distro)" end) as $purl
    | {"bom-ref": $purl, type: (if $own then "application" else "library" end), name: .[0], version: .[1], purl: $purl,
       licenses: (.[4] | split("\u001f") | map({license: (if $own then {id: .} else {name: .} end)})),
       components: $files[.[0]]}
    + (if $own then {} else {properties: [{name: "dpkg:source", value: .[3]}]} end)))
} | .dependencies = [{ref: "image", dependsOn: [.components[]."bom-ref"]}]'
