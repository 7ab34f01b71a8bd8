#!/usr/bin/env bash
# make test-examples: the example clients of docs/integrator-quickstart.md in all five languages against a site of its own: with a token that is
# refreshed, with a certificate, refused at the login, refused a subscription. A language whose tools are not here is left out and named, and is
# not counted. The last line is "N passed, N failed".
#   ARGS='go java' make test-examples    only these
set -uo pipefail
cd "$(dirname "$0")/.." || exit

run=$(mktemp -d)
trap 'local/bus --run "$run" down >/dev/null; rm -rf "$run"' EXIT
# a site beside whatever runs here: an address of its own is enough
cat >"$run/given" <<TXT
EB_SITES=csc
EB_ADDR=127.47.46.1
EB_IDP_ADDR=127.47.46.1
EB_BUILD=${EB_BUILD:-$PWD/build}
TXT
local/bus --run "$run" --settings "$run/given" up >"$run/up.log" 2>&1 || { cat "$run/up.log" && echo "0 passed, 1 failed" && exit 1; }
# shellcheck disable=SC2086 # several words
docs/examples/run.sh --run "$run" ${ARGS:-}
