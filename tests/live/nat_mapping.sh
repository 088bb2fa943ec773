#!/bin/bash
# nat_mapping.sh - nodes that ask a router for a port: miniupnpd on boxes of the kernel's NAT.
#
# miniupnpd gives out ports of public addresses only, and those of RFC 5737 are none to it: these
# boxes have outer addresses that somebody has, in namespaces that lead nowhere.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh
# shellcheck source=tests/live/lab_nodes.sh
. tests/live/lab_nodes.sh

publics=4
PATH=$PATH:/usr/sbin

if ! reason=$(lab_possible); then
    tap_skip 'ports on request' "$reason"
    exit 0
fi
if ! command -v miniupnpd >/dev/null; then
    tap_skip 'ports on request' 'no miniupnpd here'
    exit 0
fi

# router NAME RECIPE OUTER: a box whose outer address ends so, asked for ports. OUTER -: one that it
# takes for no public address, so that it gives none.
router()
{
    local name=$1 inner
    lab_box "$name" "$2"
    if [ "$3" != - ]; then
        lab_gateway[$name]=203.0.114.$(($3 - 1))
        lab_address[$name]=203.0.114.$3
        lab_ip "$name" address flush dev wan
        lab_connect "$name"
        lab_flush "$name"
    fi
    inner=${lab_inner[$name]%/*}
    # Before the box's own translation: what is mapped explicitly comes first.
    lab_in "$name" nft -f - <<'RULES'
table inet upnp {
    chain through { }
    chain inward { }
    chain outward { }
    chain forward { type filter hook forward priority 0; jump through; }
    chain prerouting { type nat hook prerouting priority -101; jump inward; }
    chain postrouting { type nat hook postrouting priority 99; jump outward; }
}
RULES
    cat >"$lab_folder/$name.conf" <<CONF
ext_ifname=wan
listening_ip=lan
enable_natpmp=yes
enable_upnp=no
upnp_table_name=upnp
upnp_nat_table_name=upnp
upnp_forward_chain=through
upnp_nat_chain=inward
upnp_nat_postrouting_chain=outward
secure_mode=yes
min_lifetime=120
max_lifetime=86400
allow 1024-65535 ${inner%.*}.0/24 1024-65535
CONF
    lab_start "router-$name" "$name" miniupnpd -d -f "$lab_folder/$name.conf" \
        -P "$lab_folder/$name.pid"
}

has_state()
{
    [ "$(ctl_field "$1" .nat.port_mapping.state status)" = "$2" ]
}

# knows ONE OTHER ADDR: the first has the other in its table, at that address.
knows()
{
    ctl "$1" --json peers | jq -e --arg id "$(ctl_field "$2" .id status)" --arg addr "$3" \
        '.peers[] | select(.id == $id and .addr == $addr)'
}

is_ruled()
{
    lab_in "$1" nft list chain inet upnp inward | grep -q 8468
}

is_not_ruled()
{
    ! is_ruled "$1"
}

lab_open
lab_internet
run_publics "$publics"

router r1 port_restricted 2
lab_host h1 r1
run h1 h1 --bootstrap "${lab_address[p0]}:8468"
tap_check 'behind a port-restricted router a port is granted' wait_for has_state h1 granted
tap_check 'and the node serves' wait_for is_server h1
tap_same 'it is seen where the router says' "$(ctl_field h1 .nat.port_mapping.external status)" \
    "$(ctl_field h1 .nat.observed status)"
tap_check 'and strangers know it there' wait_for knows p1 h1 203.0.114.2:8468
external=$(ctl_field h1 .nat.port_mapping.external status)
lab_stop node-h1 KILL
run h1 h1 --bootstrap "${lab_address[p0]}:8468"
tap_check 'after a crash it gets a port again' wait_for has_state h1 granted
tap_same 'the same' "$external" "$(ctl_field h1 .nat.port_mapping.external status)"
tap_check 'it is in the rules of the router' is_ruled r1
lab_stop node-h1 TERM
tap_check 'when it leaves it is not' wait_for is_not_ruled r1

# The kernel translates what leaves as if there were no mapping: at random ports. So it is not seen
# where it is reached; but punches know.
router r2 symmetric 10
lab_host h2 r2
run h2 h2 --bootstrap "${lab_address[p0]}:8468"
lab_box b3 symmetric
lab_host h3 b3
run h3 h3 --bootstrap "${lab_address[p0]}:8468"
tap_check 'behind a symmetric router a port is granted' wait_for has_state h2 granted
tap_check 'the node behind another has found relays' wait_for has_settled h3
tap_check 'and has asked its box, which is silent' wait_for has_state h3 'asking'
reaches()
{
    ctl h3 ping "$(ctl_field h2 .id status)"
}
tap_check 'the one reaches the other' wait_for reaches
tap_check 'and without a relay, though both boxes map by destination' \
    wait_for is_direct h3 "$(ctl_field h2 .id status)"

router r4 port_restricted -
lab_host h4 r4
run h4 h4 --bootstrap "${lab_address[p0]}:8468"
tap_check 'a router that gives no ports says so' wait_for has_state h4 refused
tap_check 'in words' grep -q 'refused (.*)' <(ctl h4 status)
is_client()
{
    [ "$(ctl_field h4 .nat.reach status)" = client ]
}
tap_check 'and the node is a client' wait_for is_client

run h5 h4 --port 8469 --no-port-mapping --bootstrap "${lab_address[p0]}:8468"
tap_check 'a node that may not ask is a client too' wait_for has_settled h5
tap_same 'and has not asked' 'not asked' "$(ctl_field h5 .nat.port_mapping.state status)"
tap_end
