#!/bin/bash
# nat_birthday.sh - what plain punching cannot do, done often enough: by birthday through a box with
# random ports, by prediction through one that counts. Nodes behind the kernel's boxes and the
# simulator's, as often in both as far as chance allows.
#
# Each run has two new nodes behind two new boxes, so that it owes nothing to the one before. Either
# side is the caller in half of the runs.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/support/odds.sh
. tests/support/odds.sh
# shellcheck source=tests/support/meshtwin.sh
. tests/support/meshtwin.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh
# shellcheck source=tests/live/lab_nodes.sh
. tests/live/lab_nodes.sh

publics=4
runs=20
at_once=5        # Pairs; each side of a pair takes a box of the laboratory's 32.
ask_patience=600 # Ten nodes begin at once.

if ! reason=$(lab_possible); then
    tap_skip 'birthday and prediction' "$reason"
    exit 0
fi

declare -A caller=() callee=() id=()

# begin RUN KIND: a pair, the hard side behind a box of that kind.
begin()
{
    local side
    lab_box "easy$1" port_restricted
    lab_box "hard$1" "$2"
    for side in easy hard; do
        lab_host "h$side$1" "$side$1"
        run "h$side$1" "h$side$1" --birthday --bootstrap "${lab_address[p0]}:8468"
    done
    caller[$1]=heasy$1
    callee[$1]=hhard$1
    if [ $(($1 % 2)) -eq 1 ]; then
        caller[$1]=hhard$1
        callee[$1]=heasy$1
    fi
}

# settle RUN: both have two relays, and know from them what they are behind.
settle()
{
    local side
    for side in easy hard; do
        wait_for has_settled "h$side$1"
        id[h$side$1]=$(ctl_field "h$side$1" .id status)
    done
}

# reaches RUN
reaches()
{
    ctl "${caller[$1]}" ping "${id[${callee[$1]}]}"
}

# is_decided RUN: the attempt to get off the relay has ended.
is_decided()
{
    [[ "$(ctl_field "${caller[$1]}" '"\(.way) \(.step // "-")"' why "${id[${callee[$1]}]}")" =~ \
        ^(direct|punched|relayed [^-]) ]]
}

# judge RUN adds to `won`.
judge()
{
    local peer=${id[${callee[$1]}]}
    wait_for is_decided "$1"
    if is_direct "${caller[$1]}" "$peer"; then
        won=$((won + 1))
    else
        echo "# run $1, called by ${caller[$1]}: $(ctl_field "${caller[$1]}" -c why "$peer")"
    fi
}

end()
{
    lab_stop "node-heasy$1"
    lab_stop "node-hhard$1"
    lab_remove "heasy$1" "hhard$1" "easy$1" "hard$1"
}

# live KIND sets `won`, of $runs pairs of real nodes. The relays are new for each kind: they give
# an address group, and all boxes are of one, 64 reservations in an hour.
live()
{
    local kind=$1 first number batch reached=0
    won=0
    run_publics "$publics"
    for ((first = 0; first < runs; first += at_once)); do
        mapfile -t batch < <(seq "$first" $((first + at_once - 1)))
        for number in "${batch[@]}"; do
            begin "$number" "$kind"
        done
        for number in "${batch[@]}"; do
            settle "$number"
        done
        for number in "${batch[@]}"; do
            wait_for reaches "$number" && reached=$((reached + 1))
        done
        for number in "${batch[@]}"; do
            judge "$number"
        done
        for number in "${batch[@]}"; do
            end "$number"
        done
    done
    for ((number = 0; number < publics; number++)); do
        lab_stop "node-p$number"
        lab_remove "p$number"
    done
    tap_same "$kind: live pairs that reach each other" "$runs" "$reached"
}

# simulate KIND sets `won`, of $runs simulated pairs.
simulate()
{
    local kind=$1 side tried=0 database=$lab_folder/pairs.db counts
    won=0
    for side in easy hard; do
        mesh_run "$mesh_release" tests/live/nat-pair.jsonc "$database" --seeds $((runs / 2)) \
            --set "/groups/2/nat=$kind" --set "/workload/0/group=$side"
        counts=$(sqlite3 -readonly -separator ' ' "$database" \
            "SELECT count(DISTINCT run_id), count(DISTINCT CASE way WHEN 'relayed' THEN NULL
             ELSE run_id END) FROM way WHERE 'public' NOT IN (nat_from, nat_to)")
        tried=$((tried + ${counts% *}))
        won=$((won + ${counts#* }))
    done
    tap_same "$kind: simulated pairs that reach each other" "$runs" "$tried"
}

# compare KIND LEAST: both worlds win as often, and not less than so many.
compare()
{
    local kind=$1 least=$2 won live_won live_rate simulated_rate
    live "$kind"
    live_won=$won
    simulate "$kind"
    live_rate=$(wilson "$live_won" "$runs")
    simulated_rate=$(wilson "$won" "$runs")
    echo "# $kind: live $live_won of $runs (95 % interval of the rate $live_rate)," \
        "simulated $won of $runs ($simulated_rate); at least $least"
    tap_check "$kind: live pairs get through as often as they should" test "$live_won" -ge "$least"
    tap_check "$kind: and simulated ones" test "$won" -ge "$least"
    tap_check "$kind: as often in both worlds" overlap "$live_rate" "$simulated_rate"
}

lab_open
lab_internet
read -r theory least < <(hits_wanted "$runs" 256 1024)
echo "# birthday, 256 sockets and 1024 probes: in theory $theory"
compare symmetric "$least"
# With three guesses the probes of nat_matrix.sh get through 10 times of 10.
compare sequential $((runs * 9 / 10))
tap_end
