#!/bin/bash
# ice.sh - ICE agents of two other makes meet in the NAT laboratory: what they get through is what
# ours has to, and a TURN server carries the rest.
#
# That the boxes are what they are called is told by yet another program, coturn's.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh

nice=build/test/tests/ice_nice
python=/usr/bin/python3 # Debian's, which has Debian's packages.

# Prints what is missing, and fails.
possible()
{
    lab_possible || return 1
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

if ! reason=$(possible); then
    tap_skip 'ICE agents of other makes' "$reason"
    exit 0
fi

serve()
{
    lab_start turn stun turnserver -n -L "${lab_address[stun]}" -L "$(lab_address_of stun 2)" \
        --lt-cred-mech --user one:word --realm lab --no-tls --no-dtls --no-cli \
        --log-file stdout --simple-log --pidfile "$lab_folder/turn.pid" \
        --userdb "$lab_folder/turn.db"
    until lab_in stun ss -lun | grep -q "${lab_address[stun]}:3478 "; do
        if ! kill -0 "${lab_process[turn]}" 2>/dev/null; then
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

# agent HOST MAKE ROLE [options]
agent()
{
    local host=$1 role=--$3 program=("$PWD/$nice")
    if [ "$2" = aioice ]; then
        program=("$python" "$PWD/tests/live/ice_aioice.py")
    fi
    lab_start "$host" "$host" "${program[@]}" "$role" --stun "${lab_address[stun]}:3478" "${@:4}"
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

# Each make on either side and in either role: a case each.
makes=(nice nice aioice aioice)
others=(aioice aioice nice nice)
roles=(controlling controlled controlling controlled)
opposites=(controlled controlling controlled controlling)

# meets EXPECTED LEFT RIGHT [options]: the cases side by side, because agents wait more than they
# work; each with boxes of its own.
meets()
{
    local expected=$1 left=$2 right=$3 i route seen
    for i in "${!makes[@]}"; do
        lab_box "left$i" "$left"
        lab_box "right$i" "$right"
        lab_host "one$i" "left$i"
        lab_host "two$i" "right$i"
        agent "one$i" "${makes[i]}" "${roles[i]}" "${@:4}"
        agent "two$i" "${others[i]}" "${opposites[i]}" "${@:4}"
    done
    for i in "${!makes[@]}"; do
        lab_say "one$i" "$(offer_of "two$i")"
        lab_say "two$i" "$(offer_of "one$i")"
    done
    for i in "${!makes[@]}"; do
        route_of "one$i"
        seen=$route
        route_of "two$i"
        tap_same "$left with $right, ${makes[i]} ${roles[i]}, ${others[i]} ${opposites[i]}" \
            "$expected and $expected" "$seen and $route"
        lab_remove "one$i" "two$i" "left$i" "right$i"
    done
}

lab_open
lab_internet
if serve; then
    tap_ok 'coturn serves the laboratory'
    discoveries
    meets direct port_restricted port_restricted
    meets direct restricted symmetric
    meets relayed port_restricted symmetric --turn "${lab_address[stun]}:3478" --user one \
        --password word
else
    tap_not_ok 'coturn serves the laboratory' "$(cat "$lab_folder/turn.log")"
fi
tap_end
