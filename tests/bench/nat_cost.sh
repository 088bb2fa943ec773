#!/bin/bash
# nat_cost.sh - what NAT boxes cost a simulation: datagrams sent per second of processor time, of
# 10,000 nodes without boxes and then behind the calibrated mix.
#
# usage: tests/bench/nat_cost.sh [rounds]     (after ./run.sh --build)
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/meshtwin.sh
. tests/support/meshtwin.sh

rounds=${1:-3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# scenario NAT
scenario()
{
    cat <<EOF
{ "schema_version": 1, "name": "nat-cost", "seed": "0x5EED000A", "duration": "4m", "warmup": "2m",
  "groups": [ { "name": "relays", "count": 300 },
              { "name": "homes", "count": 9700, "nat": "$1" } ],
  "network": { "latency": { "model": "constant", "value": "80ms" } },
  "topology": { "source": "bootstrap", "bootstrap_group": "relays", "join_ramp": "2m" },
  "workload": [
    { "type": "message", "rate": "0.4/min", "per": "node", "group": "homes", "size": "200B" } ] }
EOF
}

# measure NAT: datagrams per second of processor time.
measure()
{
    local TIMEFORMAT=%U seconds datagrams
    scenario "$1" >"$folder/$1.jsonc"
    rm -f "$folder/$1.db"
    seconds=$({ time "$mesh_release" run "$folder/$1.jsonc" -o "$folder/$1.db" \
        >/dev/null 2>&1; } 2>&1)
    datagrams=$("$mesh_release" query --json "$folder/$1.db" \
        "SELECT total FROM counter WHERE name = 'network_datagrams_sent'" | jq '.[0].total')
    awk "BEGIN { printf \"%s: %d datagrams in %.2f s: %.0f a second\n\", \"$1\",
        $datagrams, $seconds, $datagrams / $seconds }"
}

for ((round = 0; round < rounds; round++)); do
    plain=$(measure public)
    boxed=$(measure calibrated)
    echo "$plain"
    echo "$boxed"
    awk '{ print "ratio", $1 / $2 }' <<<"$(awk '{ print $(NF - 2) }' <<<"$boxed") \
        $(awk '{ print $(NF - 2) }' <<<"$plain")"
done
