#!/bin/bash
# nat_stun.sh - a node behind the kernel's NAT asks a STUN server of another make, and comes to the
# same verdict as that maker's own tool in the same place; and answers that maker's client itself.
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

# discovered PLACE WHAT: the verdict of coturn's tool there, in the words of `status`.
discovered()
{
    local option=-m
    if [ "$2" = Filtering ]; then
        option=-f
    fi
    lab_in "$1" timeout 60 turnutils_natdiscovery "$option" -L "${lab_address[$1]}" \
        "${lab_address[stun]}" 2>/dev/null |
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

for kind in full_cone restricted port_restricted symmetric; do
    lab_box box "$kind"
    lab_host host box
    mapping=$(discovered host Mapping)
    filtering=$(discovered host Filtering)
    lab_flush box # Nothing that the tool has opened is to be taken for the node's.
    run "$kind" host --reach client --stun "${lab_address[stun]}:3478"
    tap_check "$kind: the node finds out" wait_for has_found "$kind"
    tap_same "$kind: mapping as coturn's tool has it" "$mapping" \
        "$(ctl_field "$kind" .nat.mapping status)"
    tap_same "$kind: filtering as coturn's tool has it" "$filtering" \
        "$(ctl_field "$kind" .nat.filtering status)"
    tap_same "$kind: the node is seen at the box" "${lab_address[box]}" \
        "$(ctl_field "$kind" '.nat.observed | sub(":[0-9]+$"; "")' status)"
    lab_stop "node-$kind" TERM
    lab_remove host box
done
tap_end
