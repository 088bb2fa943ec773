#!/bin/bash
# crash.sh - a node is killed again and again at random moments while it is being written to:
# nothing it has acknowledged is lost, and it always finds its database readable.
#
# 40 times; at night 200.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
LIVE_NET=127.28
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

crashes=40
if [ "${MESHTWIN_NIGHTLY:-0}" = 1 ]; then
    crashes=200
fi
helpers=3
acknowledged=$live_folder/acknowledged
# The writer asks for far more than a peer may: that is not what this is about.
unlimited=(--limit-minute 0 --limit-hour 0 --limit-group 0 --ban-at 0)
first=$(live_addr 1):$live_port
RANDOM=${CRASH_SEED:-$$}
echo "# seed CRASH_SEED=${CRASH_SEED:-$$}"

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
    for ((number = 1; number <= helpers; number++)); do
        start_node "helper$number" "$number" -b "$first" "${unlimited[@]}"
    done
    for ((number = 1; number <= helpers; number++)); do
        started "helper$number" || return 1
        wait_for has_peers "helper$number" $((helpers - 1)) || return 1
    done
}

# One life: back into the mesh, nothing lost, written to, killed after a random time.
live_and_die()
{
    local number=$1 writer
    start_node victim 9 -b "$first" "${unlimited[@]}"
    started victim && wait_for has_peers victim "$helpers" || return 1
    lost >>"$live_folder/lost"
    tests/live/writer.pl "$live_folder/victim/control" "${number}00000" >>"$acknowledged" &
    writer=$!
    sleep "0.$(printf '%03d' $((RANDOM % 500)))"
    stop_node victim KILL 2>/dev/null # The shell would tell of each.
    wait "$writer"
}

all_lives()
{
    local number
    for ((number = 1; number <= crashes; number++)); do
        if ! live_and_die "$number"; then
            echo "# life $number could not begin"
            return 1
        fi
    done
}

# Keys under which there is less than what was acknowledged last.
lost()
{
    local key number found
    sort -k 1,1 -k 2,2nr "$acknowledged" | sort -u -k 1,1 | while read -r key number; do
        found=$(ctl victim get "$key" 2>&1)
        if ! [[ $found =~ ^[0-9]+$ ]] || [ "$found" -lt "$number" ]; then
            echo "$key: $number was acknowledged, $found is there"
        fi
    done
}

: >"$acknowledged"
does 'the helpers find each other' start_mesh
does "a node comes back after each of $crashes kills" all_lives
count=$(wc -l <"$acknowledged")
echo "# $count records were acknowledged"
tap_check 'records were acknowledged' test "$count" -ge "$crashes"
start_node victim 9 -b "$first" "${unlimited[@]}"
started victim && wait_for has_peers victim "$helpers"
lost >>"$live_folder/lost"
tap_same 'no acknowledged record was lost' none "$(head -n 5 "$live_folder/lost" | grep . ||
    echo none)"
stop_node victim
tap_same 'no database was given up' 0 "$(grep -cE 'moved aside|damaged|corrupt|malformed' \
    "$live_folder/victim.log")"
tap_same 'no database lies aside' none "$(find "$live_folder/victim" -name 'ledger.db?*' \
    ! -name '*-wal' ! -name '*-shm' ! -name '*-lock' | grep . || echo none)"
tap_same 'its database is whole' ok \
    "$(sqlite3 "$live_folder/victim/ledger.db" 'PRAGMA integrity_check')"
tap_end
