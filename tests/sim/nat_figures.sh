#!/bin/bash
# nat_figures.sh - how many pairs behind the calibrated mix of boxes do without a relay in the end.
#
# Plain punching is held to what was measured in the field: 70 % of libp2p's DCUtR attempts succeed.
# With prediction, port mapping, and streams for who has no UDP, within 64 entries per box, at least
# 83 % are direct; with birthdays (320 sockets, 1,100 ports), one at a time and only for pairs that
# exchange data, 91 %.
# Every message arrives in all of them.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/support/meshtwin.sh
. tests/support/meshtwin.sh

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
field=0.70

# measure NAME [--set ...]: the run's results in $folder/NAME.db.
measure()
{
    local name=$1
    shift
    tap_check "$name runs" "$mesh_release" run tests/sim/nat-thousand.jsonc \
        -o "$folder/$name.db" "$@"
}

# stat NAME METRIC STAT of the steady phase.
stat()
{
    "$mesh_release" query --json "$folder/$1.db" \
        "SELECT value FROM v_summary WHERE metric = '$2' AND stat = '$3' AND phase = 'steady'
         AND group_name = ''" | jq -r '.[0].value'
}

# holds EXPRESSION with numbers.
holds()
{
    awk "BEGIN { exit !($1) }"
}

# all_arrive NAME
all_arrive()
{
    tap_same "$1: every message arrives" 1 "$(stat "$1" message_success_ratio mean)"
}

protocol=/groups/1/protocol
measure plain --set /groups/1/nat_port_mapping=0 --set /groups/1/nat_double=0 \
    --set $protocol/prediction=false --set $protocol/stream_punching=false
measure budget
measure birthday --set $protocol/birthday_sockets=320 --set $protocol/birthday_probes=1100
for name in plain budget birthday; do
    ratio=$(stat $name direct_ratio mean)
    count=$(stat $name direct_ratio count)
    # The normal approximation is good for thousands.
    margin=$(awk "BEGIN { print 1.96 * sqrt($ratio * (1 - $ratio) / $count) }")
    echo "# $name: $ratio of $count pairs are direct, +- $margin (95 %);" \
        "beyond a round trip: p50 $(stat $name punch_extra_s p50) s"
    all_arrive $name
    case $name in
    plain) tap_check "$name: the interval contains $field" holds \
        "$ratio - $margin <= $field && $field <= $ratio + $margin" ;;
    budget) tap_check "$name: at least 83 %" holds "$ratio >= 0.83" ;;
    birthday) tap_check "$name: at least 91 %" holds "$ratio >= 0.91" ;;
    esac
    tap_check "$name: half of the punches take a round trip and 100 ms at most" holds \
        "$(stat $name punch_extra_s p50) <= 0.1"
done
tap_end
