#!/bin/bash
# nat_nodes.sh - nodes behind the kernel's NAT: each finds out what it is, all reach all by id, and
# those pairs get off the relay that can.
#
# Six kinds of box on the left, six on the right, a node behind each, four public ones. Where the
# published table says that plain punching works the way must be direct, elsewhere relayed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh
# shellcheck source=tests/live/lab_nodes.sh
. tests/live/lab_nodes.sh

kinds=(full_cone restricted port_restricted address_dependent symmetric symmetric_open)
# y: by plain punching; n: not by it.
table=(yyyyyy yyyyyy yyynny yynnny yynnny yyyyyy)
publics=4

if ! reason=$(lab_possible); then
    tap_skip 'nodes behind NAT' "$reason"
    exit 0
fi

has_no_box()
{
    [ "$(ctl_field "$1" .nat.mapping status)" = none ]
}

has_relays()
{
    [ "$(ctl_field "$1" '.nat.relays | length' status)" -ge 2 ]
}

lab_open
lab_internet
run_publics "$publics"
for i in "${!kinds[@]}"; do
    for side in l r; do
        lab_box "$side$i" "${kinds[i]}"
        lab_host "h$side$i" "$side$i"
        run "h$side$i" "h$side$i" --bootstrap "${lab_address[p0]}:8468"
    done
done
declare -A id=()
for i in "${!kinds[@]}"; do
    for side in l r; do
        name=h$side$i
        if ! wait_for has_settled "$name"; then
            tap_not_ok "$name behind ${kinds[i]} settles"
            sed 's/^/#   /' "$lab_folder/node-$name.log"
        fi
        id[$name]=$(ctl_field "$name" .id status)
    done
    # Behind a full cone a node may serve, once a stranger has reached it; here it meets everybody.
    if [ "$i" != 0 ]; then
        for side in l r; do
            tap_same "h$side$i behind ${kinds[i]} does not serve" false \
                "$(ctl_field "h$side$i" '.nat.reach == "server"' status)"
        done
    fi
done
for i in "${!kinds[@]}"; do
    ways=
    for j in "${!kinds[@]}"; do
        expected=${table[i]:j:1}
        if ! ctl "hl$i" ping "${id[hr$j]}" >/dev/null 2>&1; then
            tap_not_ok "${kinds[i]} reaches ${kinds[j]}"
            ctl_field "hl$i" . why "${id[hr$j]}" | sed 's/^/#   /'
            continue
        fi
        if [ "$expected" = y ]; then
            wait_for is_direct "hl$i" "${id[hr$j]}"
        fi
        way=$(ctl_field "hl$i" .way why "${id[hr$j]}")
        ways+=" $way"
        case $expected$way in
        ydirect | ypunched | nrelayed) tap_ok "${kinds[i]} to ${kinds[j]}: $way" ;;
        *)
            tap_not_ok "${kinds[i]} to ${kinds[j]}: $way"
            ctl_field "hl$i" . why "${id[hr$j]}" | sed 's/^/#   /'
            ;;
        esac
    done
    echo "# ${kinds[i]}:$ways"
done

# Without UDP: two streams that are opened at the same moment become one, where ports are kept.
for i in 0 1; do
    lab_box "b$i" udp_blocked
    lab_host "hb$i" "b$i"
    run "hb$i" "hb$i" --bootstrap "${lab_address[p0]}:8468"
done
for i in 0 1; do
    tap_check "hb$i without UDP has relays" wait_for has_relays "hb$i"
    id[hb$i]=$(ctl_field "hb$i" .id status)
done

# meets FROM TO: off the relay, by a stream.
meets()
{
    ctl "$1" ping "${id[$2]}" >/dev/null 2>&1
    if wait_for is_direct "$1" "${id[$2]}" &&
        [ "$(ctl_field "$1" .way why "${id[$2]}")" = punched ]; then
        tap_ok "$1 and $2 meet by a stream"
    else
        tap_not_ok "$1 and $2 meet by a stream"
        ctl_field "$1" . why "${id[$2]}" | sed 's/^/#   /'
    fi
}
meets hb0 hr2
meets hl2 hb0
meets hl1 hb1
meets hb0 hb1

# Two that nobody told anything, bound to any address of machines without a box: with nobody else
# about, the second has only the word of the first, and its own addresses to hold it against.
lab_public first
lab_public second
run first first
wait_for is_up first
run second second --bootstrap "${lab_address[first]}:8468"
for name in first second; do
    tap_check "$name of two finds out that strangers reach it" wait_for is_server "$name"
    tap_check "and that no box is in the way of the $name" wait_for has_no_box "$name"
done

# What the doctor says behind a fresh box of each kind.
# diagnosis KIND PATTERN... wants a line for each.
diagnosis()
{
    local kind=$1 pattern
    shift
    lab_box box "$kind"
    lab_host host box
    lab_in host timeout 60 "$node" doctor --control "$lab_folder/none" \
        -b "${lab_address[p0]}:8468,${lab_address[p1]}:8468" >"$lab_folder/diagnosis" 2>&1
    for pattern in "$@"; do
        tap_check "the doctor behind $kind: $pattern" grep -qE "$pattern" "$lab_folder/diagnosis"
    done
    lab_remove host box
}

diagnosis full_cone 'same address and port for every'
diagnosis port_restricted 'same address and port for every' 'strangers do not reach UDP port 8468'
diagnosis symmetric 'another address or port for each' 'strangers do not reach UDP port 8468'
diagnosis udp_blocked 'answers by TCP, but not by UDP' '^2 problems'
diagnosis firewall 'no box translates' 'strangers do not reach UDP port 8468'
tap_end
