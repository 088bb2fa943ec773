#!/bin/bash
# floods.sh - a node under attack from this machine: it stays up, stays small, answers its friends,
# and never sends more to a stranger than the stranger sent.
#
# 6 s of each kind of flood; at night 30 s.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
LIVE_NET=127.28
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

flood=build/test/tests/flood
seconds=6
if [ "${MESHTWIN_NIGHTLY:-0}" = 1 ]; then
    seconds=30
fi
warm_seconds=2 # Tables of strangers have their full size after this.
nodes=5
values=10
first=$(live_addr 1):$live_port
http=$(live_addr 1):9468

start_mesh()
{
    local number
    start_node n1 1 --http "$http"
    started n1 || return 1
    for ((number = 2; number <= nodes; number++)); do
        start_node "n$number" "$number" -b "$first"
    done
    for ((number = 1; number <= nodes; number++)); do
        wait_for has_peers "n$number" $((nodes - 1)) || return 1
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

# kilobytes VmRSS: held now; VmHWM: the most that was ever held.
kilobytes()
{
    awk -v "name=$1:" '$1 == name { print $2 }' "/proc/${live_process[n1]}/status"
}

target_of()
{
    if [ "$1" = http ]; then
        echo "$http"
    else
        echo "$first"
    fi
}

# A flood may cost an honest datagram its place, and takes most of two processors: who asks again is
# heard, at the third time at the latest. A wrong answer is none.
again()
{
    "$@" || "$@" || "$@"
}

is_reached()
{
    ctl n2 ping "$(ctl_field n1 .id id)" >/dev/null 2>&1
}

is_found()
{
    ctl n1 find "$(ctl_field n3 .id id)" >/dev/null 2>&1
}

reads()
{
    [ "$(ctl n1 get "$1" 2>&1)" = "$2" ]
}

# Stores a value through n4 and reads it through n1.
is_stored()
{
    local value="during $RANDOM" key
    key=$(ctl_field n4 .key put "$value") && reads "$key" "$value"
}

# One round of honest use: through the node under attack, and of what it holds.
round()
{
    local key value
    while read -r key value; do
        again reads "$key" "$value" || echo "n1 cannot read $value"
    done <"$live_folder/values"
    again is_found || echo 'n1 cannot look up'
    again is_reached || echo 'n2 cannot reach n1'
    again is_stored || echo "n1 cannot read what n4 has put"
}

attack()
{
    local kind=$1 flooding rounds=0 complaints=''
    "$flood" "$kind" "$(target_of "$kind")" "$seconds" "${rates[$kind]:-0}" \
        >"$live_folder/flood" 2>&1 &
    flooding=$!
    while kill -0 "$flooding" 2>/dev/null; do
        complaints+=$(round | paste -sd ';')
        rounds=$((rounds + 1))
    done
    wait "$flooding"
    tap_same "$kind: the flood came to its end" 0 "$?"
    echo "# $kind: $(cat "$live_folder/flood"); $rounds rounds of honest use"
    tap_same "$kind: honest requests are answered rightly" none "${complaints:-none}"
    tap_check "$kind: the node is up" ctl n1 health
}

small()
{
    local kind=$1 before=$2 now
    now=$(kilobytes VmRSS)
    echo "# $kind: $before KiB before, $now KiB after"
    tap_check "$kind: memory is flat" test $((now * 10)) -le $((before * 11))
}

does 'five nodes find each other' start_mesh
for ((number = 1; number <= values; number++)); do
    echo "$(ctl_field n2 .key put "value $number") value $number"
done >"$live_folder/values"

# Datagrams a second. Handshakes: ten times as many as a node answers before it wants cookies.
declare -A rates=([garbage]=100000 [handshake]=20000 [spread]=20000)
kinds=(garbage handshake spread signature streams http)
for kind in "${kinds[@]}"; do
    "$flood" "$kind" "$(target_of "$kind")" "$warm_seconds" "${rates[$kind]:-0}" >/dev/null
done
before=$(kilobytes VmRSS)
for kind in "${kinds[@]}"; do
    attack "$kind"
    small "$kind" "$before"
    case $kind in
    streams | http)
        tap_check "$kind: somebody listened" test "$(jq .sent "$live_folder/flood")" -gt 0
        ;;
    garbage | handshake | spread)
        tap_check "$kind: no address was sent more than it sent" \
            test "$(jq .address_out_max "$live_folder/flood")" -le 0
        ;;
    esac
done
most=$(kilobytes VmHWM)
echo "# the most the node ever held: $most KiB"
tap_check 'even under attack a node holds at most the 20 MB of an idle one' test "$most" -le 20480
tap_check 'handshakes were answered, or asked for a cookie' \
    test "$(ctl_field n1 '.traffic | .["handshake.xx_2"].sent + .["handshake.cookie"].sent' \
        stats)" -gt 0
tap_same 'all nodes are still there' "$nodes" "$(for ((i = 1; i <= nodes; i++)); do
    ctl "n$i" id >/dev/null && echo up
done | grep -c up)"
tap_end
