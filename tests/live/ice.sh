#!/bin/bash
# ice.sh - ICE agents meet in the NAT laboratory: ours with ours, and by night ours with those of
# two other makes (libnice, aioice) and these with each other.
#
# By night coturn serves STUN and TURN, and tells that the boxes are what they are called. Ours has
# no TURN client: where a relay is needed, it is the other's.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh

ours=build/test/tests/ice_peer
nice=build/test/tests/ice_nice
python=/usr/bin/python3 # Debian's, which has Debian's packages.

# Prints what other makes and coturn lack here, and fails.
strangers_possible()
{
    if [ ! -x "$nice" ]; then
        echo 'libnice-dev was not there when this was built'
        return 1
    fi
    if ! "$python" -c 'import aioice' 2>/dev/null; then
        echo 'python3-aioice is not installed'
        return 1
    fi
    if ! command -v turnserver >/dev/null; then
        echo 'coturn is not installed'
        return 1
    fi
}

if ! reason=$(lab_possible); then
    tap_skip 'ICE agents' "$reason"
    exit 0
fi

serve_ours()
{
    lab_start stun stun "$PWD/build/test/tests/stun_peer" serve "${lab_address[stun]}" \
        "$(lab_address_of stun 2)" 3478 3479
    lab_heard stun '^ready'
}

serve_coturn()
{
    lab_start stun stun turnserver -n -L "${lab_address[stun]}" -L "$(lab_address_of stun 2)" \
        --lt-cred-mech --user one:word --realm lab --no-tls --no-dtls --no-cli \
        --log-file stdout --simple-log --pidfile "$lab_folder/turn.pid" \
        --userdb "$lab_folder/turn.db"
    until lab_in stun ss -lun | grep -q "${lab_address[stun]}:3478 "; do
        if ! kill -0 "${lab_process[stun]}" 2>/dev/null; then
            return 1
        fi
        sleep 0.05
    done
}

# What coturn's program finds of RFC 5780's two properties. It waits for what is filtered: all at
# once.
discoveries()
{
    local i recipe recipes=(full_cone restricted port_restricted symmetric)
    local -A found=(
        [full_cone]='Endpoint Independent Mapping,Endpoint Independent Filtering'
        [restricted]='Endpoint Independent Mapping,Address Dependent Filtering'
        [port_restricted]='Endpoint Independent Mapping,Address and Port Dependent Filtering'
        [symmetric]='Address and Port Dependent Mapping,Address and Port Dependent Filtering'
    )
    for i in "${!recipes[@]}"; do
        lab_box "box$i" "${recipes[i]}"
        lab_host "host$i" "box$i"
        lab_start "host$i" "host$i" turnutils_natdiscovery -m -f "${lab_address[stun]}"
    done
    for i in "${!recipes[@]}"; do
        recipe=${recipes[i]}
        lab_wait "host$i"
        tap_same "coturn on $recipe" "${found[$recipe]}" \
            "$(sed -n 's/^NAT with \(.*\)!.*/\1/p' "$lab_folder/host$i.log" | paste -sd ,)"
        lab_remove "host$i" "box$i"
    done
}

# agent HOST MAKE ROLE RELAY, which is "relay" or "".
agent()
{
    local host=$1 role=--$3 program=("$PWD/$nice") account=()
    case $2 in
    ours) program=("$PWD/$ours") ;;
    aioice) program=("$python" "$PWD/tests/live/ice_aioice.py") ;;
    esac
    if [ -n "$4" ] && [ "$2" != ours ]; then
        account=(--turn "${lab_address[stun]}:3478" --user one --password word)
    fi
    lab_start "$host" "$host" "${program[@]}" "$role" --stun "${lab_address[stun]}:3478" \
        "${account[@]}"
}

offer_of()
{
    lab_heard "$1" '^offer' && grep '^offer' "$lab_folder/$1.log"
}

# By the types of the selected candidates.
route_of()
{
    if ! lab_wait "$1" || ! grep -qx 'received 10' "$lab_folder/$1.log"; then
        route=failed
    elif grep -q '^selected.* relay ' "$lab_folder/$1.log"; then
        route=relayed
    else
        route=direct
    fi
    echo "# $1: $(grep -v '^offer' "$lab_folder/$1.log" | paste -sd ,)"
}

# meets ONE OTHER EXPECTED LEFT RIGHT [relay]: each make on either side and in either role, the
# cases side by side, because agents wait more than they work; each with boxes of its own.
#
# aioice's TURN client hears only those ends that it has sent to (channels, no Data indications: RFC
# 8656 section 11.4). So with the only relay it has to be behind the symmetric box itself: from the
# other side nobody behind one can be heard.
meets()
{
    local one=$1 other=$2 expected=$3 left=$4 right=$5 relay=${6:-} i seen route
    local makes=("$one" "$one" "$other" "$other") others=("$other" "$other" "$one" "$one")
    local roles=(controlling controlled controlling controlled)
    local opposites=(controlled controlling controlled controlling)
    local cases=(0 1 2 3)
    if [ "$one" = "$other" ] || [ "$one$other$relay" = oursaioicerelay ]; then
        cases=(0 1)
    fi
    for i in "${cases[@]}"; do
        lab_box "left$i" "$left"
        lab_box "right$i" "$right"
        lab_host "one$i" "left$i"
        lab_host "two$i" "right$i"
        agent "one$i" "${makes[i]}" "${roles[i]}" "$relay"
        agent "two$i" "${others[i]}" "${opposites[i]}" "$relay"
    done
    for i in "${cases[@]}"; do
        lab_say "one$i" "$(offer_of "two$i")"
        lab_say "two$i" "$(offer_of "one$i")"
    done
    for i in "${cases[@]}"; do
        route_of "one$i"
        seen=$route
        route_of "two$i"
        tap_same "$left with $right, ${makes[i]} ${roles[i]}, ${others[i]} ${opposites[i]}" \
            "$expected and $expected" "$seen and $route"
        lab_remove "one$i" "two$i" "left$i" "right$i"
    done
}

# pairs ONE OTHER: boxes that let agents through.
pairs()
{
    meets "$1" "$2" direct port_restricted port_restricted
    meets "$1" "$2" direct restricted symmetric
}

lab_open
lab_internet
strangers=no
if [ "${MESHTWIN_NIGHTLY:-0}" = 1 ]; then
    if reason=$(strangers_possible); then
        strangers=yes
    else
        tap_skip 'ICE agents of other makes' "$reason"
    fi
fi
serve=serve_ours
if [ $strangers = yes ]; then
    serve=serve_coturn
fi
if ! $serve; then # Not from a subshell.
    tap_not_ok 'a server in the laboratory' "$(cat "$lab_folder/stun.log")"
    tap_end
    exit
fi
tap_ok 'a server in the laboratory'
pairs ours ours
if [ $strangers = yes ]; then
    discoveries
    for make in nice aioice; do
        pairs ours "$make"
        meets ours "$make" relayed port_restricted symmetric relay
    done
    pairs nice aioice
    meets nice aioice relayed port_restricted symmetric relay
fi
tap_end
