#!/usr/bin/env bash
# Assembles the root file system of the image, without Docker: the two programs, the libraries that they need, CA certificates, and who
# the service runs as. The Dockerfile uses this script, and the tests start the service in what it makes.
#   auth-callout/rootfs.sh OUT_DIR [BUILD_DIR]
# OUT_DIR must not exist. BUILD_DIR is a finished build (default: build/). Beside OUT_DIR comes OUT_DIR.files: a line for each file with
# its path, the package that it is of, and where it was taken from; auth-callout/sbom.sh reads it.
# The same input gives the same tree: names are sorted, modes set, and all times are SOURCE_DATE_EPOCH (default: that of the last commit).
set -euo pipefail
export LC_ALL=C
umask 022
top=$(cd "$(dirname "$0")/.." && pwd)

die() { printf 'rootfs: %s\n' "$*" >&2; exit 1; }
if [ $# -lt 1 ] || [ $# -gt 2 ] || [[ $1 = -* ]]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
out=$1 build=${2:-$top/build}
[ ! -e "$out" ] || die "$out is there already; remove it, or name another folder"
programs=("$build/auth-callout/auth-callout" "$build/eventbus/eventbus")
for program in "${programs[@]}"; do
    [ -x "$program" ] || die "there is no $program; build it first (make build), or name the build folder"
done
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || echo 0)}
[[ $epoch =~ ^[0-9]+$ ]] || die "SOURCE_DATE_EPOCH is '$epoch'; write seconds since 1970"
mkdir -p "$out"
out=$(cd "$out" && pwd)
files=$out.files
: >"$files"

# The service's user has no name in the cluster; the number is what the image, the chart and the manifests say.
readonly UID_GID=65532

# The package that a file of this machine is of, as name. Since the merge of / and /usr, dpkg may know a file by either path.
package_of() { # path
    local path=$1 found
    for path in "$1" "${1#/usr}" "/usr$1"; do
        found=$(dpkg-query -S "$path" 2>/dev/null | sed -n 's/^\([^:, ]*\).*/\1/p' | head -n 1)
        [ -z "$found" ] || { echo "$found"; return; }
    done
    die "$1 is of no package of the distribution, so its version and licence are not known"
}
put() { # mode source path-in-tree package
    install -D -m "$1" "$2" "$out$3"
    printf '%s\t%s\t%s\n' "$3" "$4" "$2" >>"$files"
}
write() { # path-in-tree: a file of ours, its content from standard input
    install -D -m 644 /dev/stdin "$out$1"
    printf '%s\t%s\t%s\n' "$1" event-bus - >>"$files"
}

# --- programs, without their symbols ------------------------------------------------------------------------------------
for program in "${programs[@]}"; do
    put 755 "$program" "/usr/bin/${program##*/}" event-bus
    strip --strip-all "$out/usr/bin/${program##*/}"
done

# --- libraries ------------------------------------------------------------------------------------------------------------
# The loader stands where the programs ask for it; all others where it looks without a cache (/usr/lib/TRIPLET).
loader=$(readelf -l "${programs[0]}" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
[ -n "$loader" ] || die "auth-callout names no dynamic loader"
linked=$(ldd "${programs[@]}")
resolved() { # soname -> its file
    awk -v name="$1" '$1 == name && $3 ~ /^\// { print $3; exit }' <<<"$linked"
}
libc=$(realpath "$(resolved libc.so.6)")
folder=/usr/lib/$(basename "$(dirname "$libc")")
put 755 "$(realpath "$loader")" "/usr$loader" "$(package_of "$(realpath "$loader")")"
mapfile -t sonames < <(sed -n 's/^\t\(.*\) => .*/\1/p' <<<"$linked" | sort -u)
for soname in "${sonames[@]}"; do
    file=$(resolved "$soname")
    [ -n "$file" ] || die "$soname is not found: install what scripts/setup.sh run installs"
    file=$(realpath "$file")
    put 644 "$file" "$folder/$soname" "$(package_of "$file")"
done
# No program names it, but the C library loads it when a thread ends by being cancelled or by pthread_exit.
libgcc=$(realpath "$(dirname "$libc")/libgcc_s.so.1")
put 644 "$libgcc" "$folder/libgcc_s.so.1" "$(package_of "$libgcc")"
for short in lib lib64; do
    [ ! -d "$out/usr/$short" ] || ln -s "usr/$short" "$out/$short"
done

# --- CA certificates ------------------------------------------------------------------------------------------------------
# Put together from the package's own files and not copied from /etc, where an administrator may have added some. Both libcurl and
# OpenSSL of the distribution read this one file.
bundle=$(mktemp)
trap 'rm -f "$bundle"' EXIT
dpkg-query -L ca-certificates | grep '^/usr/share/ca-certificates/.*\.crt$' | sort | xargs cat >"$bundle"
grep -q 'BEGIN CERTIFICATE' "$bundle" || die "the package ca-certificates brought no certificate"
put 644 "$bundle" /etc/ssl/certs/ca-certificates.crt ca-certificates
mkdir -p "$out/usr/lib/ssl"
ln -s ../../../etc/ssl/certs "$out/usr/lib/ssl/certs"
ln -s ../../../etc/ssl/certs/ca-certificates.crt "$out/usr/lib/ssl/cert.pem"

# --- who and where --------------------------------------------------------------------------------------------------------
write /etc/passwd <<PASSWD
root:x:0:0:root:/:/nonexistent
nonroot:x:$UID_GID:$UID_GID:auth-callout:/:/nonexistent
PASSWD
write /etc/group <<GROUP
root:x:0:
nonroot:x:$UID_GID:
GROUP
# Names of hosts: /etc/hosts first, which Kubernetes writes, then DNS. Both are parts of the C library; nothing is loaded for them.
write /etc/nsswitch.conf <<NSS
passwd: files
group: files
hosts: files dns
NSS
# Where the container runtime and the chart mount: on a read-only root nobody can make these folders later.
mkdir -p "$out"/{proc,sys,dev,tmp,etc/auth-callout,etc/auth-callout-keys,run,var}
ln -s ../run "$out/var/run"

# --- licences -------------------------------------------------------------------------------------------------------------
# Handing on the libraries means handing on their licences.
copyrights() { # packages: a copyright file each
    local package copyright
    for package in "$@"; do
        copyright=$(realpath "/usr/share/doc/$package/copyright")
        [ -f "$copyright" ] || die "the package $package has no copyright file: this system leaves documentation out"
        put 644 "$copyright" "/usr/share/doc/$package/copyright" "$package"
    done
}
mapfile -t packages < <(cut -f 2 "$files" | sort -u | grep -vx event-bus)
copyrights "${packages[@]}" base-files
mapfile -t common < <(find "$out/usr/share/doc" -name copyright -exec cat {} + |
    grep -oE '/usr/share/common-licenses/[A-Za-z0-9.-]+[A-Za-z0-9]' | sort -u)
for text in "${common[@]}"; do
    [ -e "$text" ] || continue # a sentence's end or a name with a typing error
    put 644 "$(realpath "$text")" "$text" base-files
done
put 644 "$top/LICENSE" /usr/share/doc/event-bus/LICENSE event-bus

# --- the same each time ---------------------------------------------------------------------------------------------------
sort -o "$files" "$files"
sed -i "s#\t$bundle\$#\t/usr/share/ca-certificates#; s#\t$build/#\t#; s#\t$top/#\t#" "$files"
find "$out" -type d -exec chmod 755 {} +
chmod 1777 "$out/tmp"
[ "$(id -u)" != 0 ] || chown -R -h 0:0 "$out"
find "$out" -exec touch -h -d "@$epoch" {} +
size=$(du -sb --apparent-size "$out" | cut -f 1)
printf 'rootfs: %s: %d files, %d.%d MiB\n' "$out" "$(wc -l <"$files")" $((size / 1048576)) $((size % 1048576 * 10 / 1048576))
