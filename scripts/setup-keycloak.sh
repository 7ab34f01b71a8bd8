#!/usr/bin/env bash
# Brings Keycloak for make test-keycloak into .deps/keycloak: its distribution from Maven Central, fetched by mvn, which goes where
# Maven's own settings say, and a build of it for the tests. Nothing else needs it.
# Java (17 or later) and Maven come from the distribution where there are none, and are listed before.
# Returns at once when it is there.
set -euo pipefail

readonly VERSION=26.4.5
readonly SHA256=74fed80ab67607c86995824ad4b965f53cca0a706e2aeded45e173d3ccb0b24d
readonly FETCH=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy
readonly JAVA_MIN=17
readonly BUILD=(--db=dev-file) # what a start cannot change

cd "$(dirname "$0")/.."
readonly DEPS=$PWD/.deps
. scripts/setup-common.sh
readonly HOME_DIR=$DEPS/keycloak

java_major() { # of the java that runs
    java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java\.specification\.version = \([0-9]*\).*/\1/p'
}
java_good() { local v; v=$(java_major 2>/dev/null) && [ "${v:-0}" -ge "$JAVA_MIN" ]; }
java_package() { # 17, or the one that newer distributions have
    local package
    for package in openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless; do
        apt_known "$package" && echo "$package" && return
    done
    echo openjdk-17-jre-headless
}

stamp_text() { { cat scripts/setup-keycloak.sh; echo "$PWD"; } | sha256sum; }
stamp_holds() {
    [ -x "$HOME_DIR/bin/kc.sh" ] && [ "$(cat "$HOME_DIR/stamp" 2>/dev/null)" = "$(stamp_text)" ] && java_good
}
if stamp_holds; then
    exit 0
fi
mkdir -p "$DEPS"
exec 9>"$DEPS/lock-keycloak"
flock 9
java_good || apt_install "$(java_package)"
java_good || die "the java on PATH is older than $JAVA_MIN"
command -v mvn >/dev/null || apt_install maven

# --- fetch: through a repository folder of its own, so that nothing of it stays in the user's ------------------------------
tmp=$(mktemp -d "$DEPS/keycloak.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
archive=$tmp/keycloak-quarkus-dist-$VERSION.tar.gz
say "Keycloak $VERSION, into .deps/keycloak"
# the plugin asks for no project; a folder without one keeps a pom.xml above from having a say
(cd "$tmp" && mvn -q -B -ntp -Dmaven.repo.local="$tmp/repository" -Dmdep.useBaseVersion=true "$FETCH" \
    -Dartifact="org.keycloak:keycloak-quarkus-dist:$VERSION:tar.gz" -DoutputDirectory="$tmp") >"$DEPS/keycloak.log" 2>&1 || {
    tail -n 5 "$DEPS/keycloak.log" >&2
    die "mvn could not fetch Keycloak $VERSION"
}
echo "$SHA256  $archive" | sha256sum --quiet -c - >&2 || die "the archive of Keycloak $VERSION has another checksum than $SHA256"

rm -rf "$HOME_DIR" "$tmp/repository"
tar -xzf "$archive" -C "$tmp"
mv "$tmp/keycloak-$VERSION" "$HOME_DIR"
JAVA_OPTS_KC_HEAP='-Xms64m -Xmx512m' "$HOME_DIR/bin/kc.sh" build "${BUILD[@]}" >"$DEPS/keycloak.log" 2>&1 || {
    tail -n 5 "$DEPS/keycloak.log" >&2
    die "kc.sh build failed"
}
stamp_text >"$HOME_DIR/stamp"
say "ready: Keycloak $VERSION with Java $(java_major)"
