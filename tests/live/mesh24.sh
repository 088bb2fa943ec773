#!/bin/bash
# mesh24.sh - 24 processes: what an idle node costs, what is left when a third of them is killed.
#
# At night the mesh also idles for an hour, and must be as small afterwards.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
LIVE_NET=127.28
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

nodes=24
killed=8
values=40
settle_seconds=30 # The first exchanges of everybody are over.
idle_seconds=60
soak_seconds=3600
first=$(live_addr 1):$live_port

all_have_peers()
{
    local wanted=$1 number
    shift
    for number in "$@"; do
        has_peers "n$number" "$wanted" || return 1
    done
}

# does NAME FUNCTION: as tap_check, but in this shell, which has to know what was started.
does()
{
    if "$2"; then
        tap_ok "$1"
    else
        tap_not_ok "$1"
    fi
}

start_mesh()
{
    local number
    start_node n1 1
    started n1 || return 1
    for ((number = 2; number <= nodes; number++)); do
        start_node "n$number" "$number" -b "$first"
    done
    wait_for all_have_peers $((nodes - 1)) $(seq $nodes)
}

# Ticks of the processor used so far, datagrams sent so far, kilobytes held now.
ticks_of()
{
    awk '{ print $14 + $15 }' "/proc/${live_process[$1]}/stat"
}

datagrams_of()
{
    ctl_field "$1" .host.datagrams_out stats
}

kilobytes_of()
{
    awk '/^VmRSS/ { print $2 }' "/proc/${live_process[$1]}/status"
}

# The worst node's datagrams per second, share of a processor, and memory, over a window.
idle_cost()
{
    local seconds=$1 number name before_ticks=() before_datagrams=() ticks datagrams kilobytes
    local most_ticks=0 most_datagrams=0 most_kilobytes=0 per_second
    per_second=$(getconf CLK_TCK)
    for number in $(seq $nodes); do
        before_datagrams[number]=$(datagrams_of "n$number")
        before_ticks[number]=$(ticks_of "n$number")
    done
    sleep "$seconds"
    for number in $(seq $nodes); do
        name=n$number
        ticks=$(($(ticks_of "$name") - before_ticks[number]))
        datagrams=$(($(datagrams_of "$name") - before_datagrams[number]))
        kilobytes=$(kilobytes_of "$name")
        most_ticks=$((ticks > most_ticks ? ticks : most_ticks))
        most_datagrams=$((datagrams > most_datagrams ? datagrams : most_datagrams))
        most_kilobytes=$((kilobytes > most_kilobytes ? kilobytes : most_kilobytes))
    done
    echo "# worst of $nodes nodes in $seconds s: $most_datagrams datagrams sent," \
        "$most_ticks of $((seconds * per_second)) ticks, $most_kilobytes KiB"
    tap_check 'an idle node sends at most 2 datagrams a second' \
        test "$most_datagrams" -le $((2 * seconds))
    tap_check 'an idle node uses at most 0.5 % of a processor' \
        test $((most_ticks * 200)) -le $((seconds * per_second))
    tap_check 'an idle node holds at most 20 MB' test "$most_kilobytes" -le 20480
}

# put_values writes KEY VALUE of each that was acknowledged.
put_values()
{
    local number key
    for ((number = 1; number <= values; number++)); do
        key=$(ctl_field "n$((number % nodes + 1))" .key put "value $number of $$")
        if [ "${#key}" -eq 40 ]; then
            echo "$key value $number of $$"
        fi
    done >"$live_folder/acknowledged"
}

# Those that node NAME cannot read, or reads wrongly.
unreadable()
{
    local name=$1 key value
    while read -r key value; do
        if [ "$(ctl "$name" get "$key" 2>&1)" != "$value" ]; then
            echo "$key"
        fi
    done <"$live_folder/acknowledged"
}

kill_a_third()
{
    local number
    stop_node n1 KILL 2>/dev/null # Whom all of them joined through: it stays away.
    for ((number = 2; number < 2 + killed; number++)); do
        stop_node "n$number" KILL 2>/dev/null
    done
    for ((number = 2; number < 2 + killed; number++)); do
        start_node "n$number" "$number" -b "$first"
    done
    for ((number = 2; number < 2 + killed; number++)); do
        started "n$number" || return 1
    done
    wait_for all_have_peers $((nodes - killed - 1)) $(seq 2 $((1 + killed)))
}

soak()
{
    local number before=0 after=0
    for number in $(seq 2 $nodes); do
        before=$((before + $(kilobytes_of "n$number")))
    done
    sleep "$soak_seconds"
    for number in $(seq 2 $nodes); do
        after=$((after + $(kilobytes_of "n$number")))
    done
    echo "# memory of all nodes: $before KiB, after $soak_seconds s $after KiB"
    tap_check 'an hour later the mesh is as small as before' \
        test $((after * 100)) -le $((before * 105))
    tap_check 'and whole' all_have_peers $((nodes - 2)) $(seq 2 $nodes)
}

does '24 processes find each other' start_mesh
put_values
tap_same 'every put is acknowledged' "$values" "$(wc -l <"$live_folder/acknowledged")"
sleep "$settle_seconds"
idle_cost "$idle_seconds"
does 'a third of them, killed and started again, finds back without the bootstrap node' \
    kill_a_third
tap_same 'a node that came back reads all that was acknowledged' 'none' \
    "$(unreadable n2 | grep . || echo none)"
tap_same 'a node that was there all the time reads all that was acknowledged' 'none' \
    "$(unreadable n$nodes | grep . || echo none)"
if [ "${MESHTWIN_NIGHTLY:-0}" = 1 ]; then
    soak
fi
tap_end
