#!/usr/bin/env bash
# Takes away what up.sh started: both clusters with all their data. The keys in local/run/kind stay.
set -euo pipefail
for site in csc cpc-1; do
    kind delete cluster --name "event-bus-$site"
done
