#!/bin/bash
# stun.sh - STUN with somebody else's implementation at the other end: coturn's server asked by our
# client, coturn's clients answered by our server.
#
#      namespace c: 198.51.100.3, 2001:db8::3 --- veth --- namespace s: .1 and .2, ::1 and ::2
#
# Each server has the cable for itself. A firewall in c stands in for what a NAT filters.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh

peer=$PWD/build/test/tests/stun_peer
prefix=stun$$
one=198.51.100.1
two=198.51.100.2
three=198.51.100.3
folder=$(mktemp -d)
server_process=

# shellcheck disable=SC2317 # the trap calls it
clean()
{
    stop_server
    ip netns delete "${prefix}s" 2>/dev/null
    ip netns delete "${prefix}c" 2>/dev/null
    rm -rf "$folder"
}

stop_server()
{
    if [ -n "$server_process" ]; then
        kill -KILL "$server_process" 2>/dev/null
        wait "$server_process" 2>/dev/null
        server_process=
    fi
}

for tool in ip turnserver turnutils_stunclient turnutils_natdiscovery; do
    if ! command -v "$tool" >/dev/null; then
        tap_skip 'STUN with coturn' "no $tool here"
        exit 0
    fi
done
if ! ip netns add "${prefix}s" 2>/dev/null; then
    tap_skip 'STUN with coturn' 'this user may not make network namespaces'
    exit 0
fi
trap clean EXIT
trap 'exit 130' INT TERM

lay_cable()
{
    ip netns add "${prefix}c" &&
        ip -n "${prefix}c" link add cable type veth peer name cable netns "${prefix}s" &&
        ip -n "${prefix}s" addr add $one/24 dev cable &&
        ip -n "${prefix}s" addr add $two/24 dev cable &&
        ip -n "${prefix}s" addr add 2001:db8::1/64 dev cable nodad &&
        ip -n "${prefix}s" addr add 2001:db8::2/64 dev cable nodad &&
        ip -n "${prefix}c" addr add $three/24 dev cable &&
        ip -n "${prefix}c" addr add 2001:db8::3/64 dev cable nodad &&
        ip -n "${prefix}s" link set cable up && ip -n "${prefix}s" link set lo up &&
        ip -n "${prefix}c" link set cable up && ip -n "${prefix}c" link set lo up
}

at_server()
{
    exec ip netns exec "${prefix}s" "$@"
}

at_client()
{
    ip netns exec "${prefix}c" timeout 60 "$@"
}

# serve COMMAND... in the background, with its output in $folder/server.
serve()
{
    stop_server
    at_server "$@" >"$folder/server" 2>&1 &
    server_process=$!
}

serve_ours()
{
    serve "$peer" serve "$@"
}

serve_coturn()
{
    serve turnserver -n --no-tls --no-dtls --no-cli --log-file stdout --simple-log \
        --pidfile "$folder/pid" --db "$folder/db" "$@"
}

# Servers start in their own time: asks until somebody answers, at most 100 times 0.8 s.
answers()
{
    local try
    for ((try = 0; try < 100; try++)); do
        if ! at_client "$peer" ask "$1" "$2" signed | grep -q '^silent'; then
            return 0
        fi
    done
    return 1
}

# said NAME: what the client printed for it.
said()
{
    sed -n "s/^$1 //p" "$folder/said"
}

# ours WORDS... asks with our client.
ours()
{
    at_client "$peer" ask "$@" >"$folder/said" 2>&1
}

knows_itself()
{
    local local_end
    local_end=$(said local)
    tap_same "$1: we are told our own address" "$local_end" "$(said mapped)"
    tap_same "$1: nothing rewrites it" no "$(said rewritten)"
    tap_same "$1: there is no NAT" none "$(said mapping)"
    tap_same "$1: UDP is not blocked" no "$(said blocked)"
}

tap_check 'a network of two namespaces' lay_cable

# --- coturn's server ---------------------------------------------------------------------------

serve_coturn -L $one -L $two
tap_check 'coturn serves' answers $one 3478
ours $one 3478
knows_itself 'asking coturn'
tap_same 'asking coturn: its other address' "$two 3479" "$(said other)"
tap_same 'asking coturn: nothing is filtered' endpoint_independent "$(said filtering)"
tap_same 'asking coturn: ports are kept' preserved "$(said assignment)"
ours $one 3478 plain
knows_itself 'asking coturn without FINGERPRINT'
tap_same 'asking coturn without FINGERPRINT: nothing is filtered' endpoint_independent \
    "$(said filtering)"
ours $one 3478 signed
knows_itself 'asking coturn with MESSAGE-INTEGRITY'
# An attribute that RFC 8489 has made and that must be understood: coturn 4 is older, and says so.
ours $one 3478 sha256
tap_check 'an attribute that a server may not know is refused or understood' \
    grep -qE '^(refused 420|mapped )' "$folder/said"

serve_coturn -L 2001:db8::1 -L 2001:db8::2
tap_check 'coturn serves by IPv6' answers 2001:db8::1 3478
ours 2001:db8::1 3478
knows_itself 'asking coturn by IPv6'

serve_coturn -L $one --secure-stun --lt-cred-mech --user u:p --realm example.org
tap_check 'coturn serves its friends only' answers $one 3478
ours $one 3478
tap_same 'a refusal is understood' 'refused 401' "$(cat "$folder/said")"

# --- our server --------------------------------------------------------------------------------

discovers()
{
    at_client turnutils_natdiscovery "$@" -L $three $one >"$folder/found" 2>&1
    cat "$folder/found"
}

# has NAME TEXT: coturn's tool came to this verdict.
has()
{
    tap_check "$1" grep -qF "$2" "$folder/found"
}

serve_ours $one $two 3478 3479
tap_check 'our server serves' answers $one 3478
tap_check "coturn's client is told its address" \
    grep -q "UDP reflexive addr: $three:" <(at_client turnutils_stunclient -L $three $one 2>&1)
discovers -m >"$folder/mapping"
has "coturn's discovery of mapping finds no NAT" 'No NAT! (Endpoint Independent Mapping)'
has "coturn's discovery of mapping sees the address unrewritten" 'No ALG: Mapped == XOR-Mapped'
has "coturn's discovery of mapping is told the other address" "Other addr: : $two:3479"
discovers -f >"$folder/filtering"
has "coturn's discovery of filtering finds no filter" 'Endpoint Independent Filtering!'
ours $one 3478
knows_itself 'asking ourselves'
tap_same 'asking ourselves: nothing is filtered' endpoint_independent "$(said filtering)"
ours $one 3478 plain
knows_itself 'asking ourselves without FINGERPRINT'
ours $one 3478 signed
knows_itself 'asking ourselves with MESSAGE-INTEGRITY'
ours $one 3478 sha256
knows_itself 'asking ourselves with MESSAGE-INTEGRITY-SHA256'

serve_ours $one - 3478 3479
tap_check 'our server serves with one address' answers $one 3478
ours $one 3478
knows_itself 'asking a server with one address'
tap_same 'a server with one address names no other' none "$(said other)"

serve_ours 2001:db8::1 2001:db8::2 3478 3479
tap_check 'our server serves by IPv6' answers 2001:db8::1 3478
ours 2001:db8::1 3478
knows_itself 'asking ourselves by IPv6'
tap_same 'asking ourselves by IPv6: nothing is filtered' endpoint_independent "$(said filtering)"

# --- behind a filter ---------------------------------------------------------------------------

# What comes in must answer what has gone out: the filter of a port-restricted NAT, without the NAT.
raise_wall()
{
    ip netns exec "${prefix}c" nft -f - <<'EOF'
table inet wall {
  chain inward {
    type filter hook input priority 0; policy accept;
    meta l4proto udp ct state new drop
  }
}
EOF
}

if command -v nft >/dev/null && raise_wall 2>/dev/null; then
    serve_ours $one $two 3478 3479
    tap_check 'our server serves beyond a filter' answers $one 3478
    ours $one 3478
    knows_itself 'behind a filter, asking ourselves'
    tap_same 'behind a filter we know it' address_and_port_dependent "$(said filtering)"
    discovers -f >"$folder/filtering"
    has "behind a filter coturn's discovery says the same" 'Address and Port Dependent Filtering!'
    serve_coturn -L $one -L $two
    tap_check 'coturn serves beyond a filter' answers $one 3478
    ours $one 3478
    tap_same 'behind a filter, asking coturn, we know it' address_and_port_dependent \
        "$(said filtering)"
else
    tap_skip 'behind a filter' 'no nft here'
fi

stop_server
ours $one 3478
tap_same 'nobody answers where nobody is' 'silent 0' "$(cat "$folder/said")"
tap_end
