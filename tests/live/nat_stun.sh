#!/bin/bash
# nat_stun.sh - a node behind the kernel's NAT asks a STUN server of another make, and comes to the
# same verdict as that maker's own tool in the same place; that tool comes to it by a node as well,
# and so does a node by a node.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh
# shellcheck source=tests/live/lab_nodes.sh
. tests/live/lab_nodes.sh

if ! reason=$(lab_possible); then
    tap_skip 'STUN behind NAT' "$reason"
    exit 0
fi
for tool in turnserver turnutils_natdiscovery turnutils_stunclient; do
    if ! command -v "$tool" >/dev/null; then
        tap_skip 'STUN behind NAT' "no $tool here"
        exit 0
    fi
done

# discovered PLACE WHAT SERVER: the verdict of coturn's tool there, in the words of `status`.
discovered()
{
    local option=-m
    if [ "$2" = Filtering ]; then
        option=-f
    fi
    lab_in "$1" timeout 60 turnutils_natdiscovery "$option" -L "${lab_address[$1]}" \
        "${lab_address[$3]}" 2>/dev/null |
        sed -nE "s/.*(Endpoint Independent|Address( and Port)? Dependent) $2.*/\1/p" |
        tr 'A-Z ' 'a-z_' | head -n 1
}

# has_found NAME: both verdicts are in.
has_found()
{
    [ "$(ctl_field "$1" '[.nat.mapping, .nat.filtering] | index("unknown")' status)" = null ] &&
        [ "$(ctl_field "$1" .nat.stun_heard status)" -ge 4 ]
}

answers()
{
    lab_in other timeout 5 turnutils_stunclient -L "${lab_address[other]}" -p 8468 \
        "${lab_address[mirror]}" 2>&1 | grep -q "UDP reflexive addr: ${lab_address[other]}:"
}

lab_open
lab_internet
# The database is named, else two of these on one machine share it.
lab_start coturn stun turnserver -n --no-tls --no-dtls --no-cli --log-file stdout --simple-log \
    --pidfile "$lab_folder/pid" --db "$lab_folder/turndb" \
    -L "${lab_address[stun]}" -L "$(lab_address_of stun 2)"
lab_public mirror
lab_public other
run mirror mirror --reach public --stun-server
wait_for is_up mirror
tap_check "coturn's client is told its address by a node" wait_for answers
tap_check 'which counts it' test "$(ctl_field mirror .nat.stun_served status)" -ge 1
run silent mirror --reach public --port 8469
wait_for is_up silent
tap_check 'a node that was not told to answers nobody' \
    sh -c "! ip netns exec $lab_prefix-other timeout 3 turnutils_stunclient -p 8469 \
        -L ${lab_address[other]} ${lab_address[mirror]} 2>&1 | grep -q reflexive"

# finds KIND SERVER: a node there asks that server, and says what coturn's tool has said by coturn.
finds()
{
    local kind=$1 server=$2 name=$1-$2
    run "$name" host --reach client --stun "${lab_address[$server]}:3478"
    tap_check "$kind, $server: the node finds out" wait_for has_found "$name"
    tap_same "$kind, $server: mapping as coturn's tool has it" "$mapping" \
        "$(ctl_field "$name" .nat.mapping status)"
    tap_same "$kind, $server: filtering as coturn's tool has it" "$filtering" \
        "$(ctl_field "$name" .nat.filtering status)"
    tap_same "$kind, $server: the node is seen at the box" "${lab_address[box]}" \
        "$(ctl_field "$name" '.nat.observed | sub(":[0-9]+$"; "")' status)"
    lab_stop "node-$name" TERM
}

lab_public ours 2
run ours ours --reach public --host "${lab_address[ours]}" --port 3478 --stun-server \
    --stun-other "$(lab_address_of ours 2)"
wait_for is_up ours
tap_same 'a node serves by two addresses' "$(lab_address_of ours 2)" \
    "$(ctl_field ours '.nat.stun_server.other | sub(":[0-9]+$"; "")' status)"

for kind in full_cone restricted port_restricted symmetric; do
    lab_box box "$kind"
    lab_host host box
    mapping=$(discovered host Mapping stun)
    filtering=$(discovered host Filtering stun)
    tap_same "$kind: coturn's tool has the same mapping by a node" "$mapping" \
        "$(discovered host Mapping ours)"
    tap_same "$kind: coturn's tool has the same filtering by a node" "$filtering" \
        "$(discovered host Filtering ours)"
    for server in stun ours; do
        lab_flush box # Nothing that others have opened is to be taken for the node's.
        finds "$kind" "$server"
    done
    lab_remove host box
done
# named NAME PLACE [options] runs a node that knows the names in $lab_folder/hosts, and as name
# server only its own machine, where there is none.
named()
{
    touch "$lab_folder/hosts" "$lab_folder/resolv.conf"
    {
        echo '#!/bin/sh -e'
        echo "mount --bind $lab_folder/hosts /etc/hosts"
        echo "mount --bind $lab_folder/resolv.conf /etc/resolv.conf"
        echo "exec $node \"\$@\""
    } >"$lab_folder/named"
    chmod +x "$lab_folder/named"
    node=$lab_folder/named run "$@"
}

has_heard()
{
    [ "$(ctl_field "$1" .nat.stun_heard status)" -ge 1 ]
}

lab_box box port_restricted
lab_host host box
named names host --reach client --stun ours.example.invalid
tap_check 'a name that nobody has is said' wait_for grep -q \
    'the name in ours\.example\.invalid:3478 cannot be looked up' "$lab_folder/node-names.log"
echo "${lab_address[ours]} ours.example.invalid" >>"$lab_folder/hosts"
tap_check 'and looked up until somebody has it' wait_for has_heard names
tap_same 'a server asked by its name tells the address' "${lab_address[box]}" \
    "$(ctl_field names '.nat.observed | sub(":[0-9]+$"; "")' status)"
lab_stop node-names TERM
tap_end
