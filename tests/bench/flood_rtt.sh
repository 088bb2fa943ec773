#!/bin/bash
# flood_rtt.sh - how long honest pings take while a node is flooded.
#
#      generator on processor 1 -> n1 on processor 0 <- n2 to n5 on processor 0 ping it
#
# usage: tests/bench/flood_rtt.sh [SECONDS]     (of each flood, 30 unless told; after builds of the
#                                               presets release and test)
#
# Prints the 50th and 95th percentile of the round trips that the four saw, in milliseconds, and how
# many pings stayed without an answer. A figure to look at, not a test.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
LIVE_NET=127.29
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

flood=build/test/tests/flood
seconds=${1:-30}
nodes=5
pause=0.7 # Between pings of one node: a guard answers 100 of each peer in a minute.
declare -A rates=([garbage]=100000 [handshake]=20000 [spread]=20000)

# pings_of NAME pings n1 until $live_folder/over is there: round trips in microseconds, or "lost".
pings_of()
{
    until [ -e "$live_folder/over" ]; do
        ctl "$1" --json ping "$target" 2>&1 |
            sed -n 's/.*"status":"ok","took_us":\([0-9]*\).*/\1/p; t; s/.*/lost/p'
        sleep "$pause"
    done
}

# measure NAME COMMAND...: pings while the command runs, and one line about them.
measure()
{
    local name=$1 number observers=()
    shift
    rm -f "$live_folder/over" "$live_folder"/rtt.*
    for ((number = 2; number <= nodes; number++)); do
        pings_of "n$number" >"$live_folder/rtt.$number" &
        observers+=($!)
    done
    "$@" >"$live_folder/flood" 2>&1
    touch "$live_folder/over"
    wait "${observers[@]}"
    cat "$live_folder"/rtt.* | report "$name"
}

# report NAME reads round trips and prints one line.
report()
{
    local all answered
    all=$(cat)
    answered=$(grep -v lost <<<"$all" | sort -n)
    awk -v name="$1" -v lost="$(grep -c lost <<<"$all")" '{ rtt[NR] = $1 }
        function rank(share) { return rtt[int((NR - 1) * share) + 1] / 1000 }
        END { printf "%-10s %6d %6d %9.2f %9.2f\n", name, NR, lost, rank(0.5), rank(0.95) }' \
        <<<"$answered"
}

taskset -pc 0 $$ >/dev/null
start_node n1 1 --http "$(live_addr 1):9468"
for ((number = 2; number <= nodes; number++)); do
    start_node "n$number" "$number" -b "$(live_addr 1):$live_port"
done
for ((number = 1; number <= nodes; number++)); do
    wait_for has_peers "n$number" $((nodes - 1)) || exit 1
done
target=$(ctl_field n1 .id id)

printf '%-10s %6s %6s %9s %9s\n' flood pings lost 'p50 ms' 'p95 ms'
measure none sleep "$seconds"
for kind in garbage handshake spread signature streams http; do
    port=$live_port
    if [ "$kind" = http ]; then
        port=9468
    fi
    measure "$kind" taskset -c 1 "$flood" "$kind" "$(live_addr 1):$port" "$seconds" \
        "${rates[$kind]:-0}"
done
