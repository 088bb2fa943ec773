#!/bin/bash
# shaper.sh - links of the laboratory have the delay, jitter, loss and rate that they are given.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh

if ! reason=$(lab_possible); then
    tap_skip 'shaped links' "$reason"
    exit 0
fi
if [ ! -e /dev/net/tun ]; then
    tap_skip 'shaped links' 'there is no /dev/net/tun'
    exit 0
fi
packets=4000

# stream COUNT GAP_US leaves what was measured in $seen, and what the shaper counted in .counted.
stream()
{
    seen=$("$lab_probe" stream "$1" "$2" "$lab_prefix-host" "$lab_prefix-stun" \
        "${lab_address[stun]}")
    lab_stop shaper-box
    counted=$(tail -n 1 "$lab_folder/shaper-box.log")
    seen="${seen%\}}, \"counted\": $counted}"
    echo "# $seen"
}

# holds NAME CONDITION: jq finds it true of $seen.
holds()
{
    if jq -e "$2" <<<"$seen" >/dev/null; then
        tap_ok "$1"
    else
        tap_not_ok "$1" "$2"$'\n'"$seen"
    fi
}

# A busy machine makes times longer, never shorter: the least is exact, the mean has a tenth to
# spare.
delays()
{
    lab_shape box 50 0 0
    stream 200 2000
    holds 'without loss everything comes back' '.returned == 200'
    holds 'the shaper has counted it' '.counted.there.passed == 200 and .counted.back.passed == 200'
    holds 'nothing is faster than the delay' '.way_us.min >= 50000 and .round_us.min >= 100000'
    holds 'the mean round trip is twice the delay' '.round_us.mean <= 110000'
    lab_shape box 50 0 20
    stream 500 1000
    holds 'jitter is within its bounds' '.way_us.min >= 30000 and .way_us.max >= 60000'
    holds 'and keeps the order' '.late == 0 and .arrived == 500'
    lab_shape box 50 0 20 --reorder
    stream 500 1000
    holds 'unless it may not' '.late > 50 and .arrived == 500'
    holds 'then the mean is the delay' '.way_us.mean >= 47000 and .way_us.mean <= 60000'
}

# The binomial 99.9 % interval: 3.29 standard deviations.
losses()
{
    local first
    lab_shape box 1 0.1 0 --seed 7
    stream "$packets" 20
    holds 'a tenth is lost, within the binomial interval' \
        '(.arrived - .sent * 0.9 | fabs) <= 3.29 * (.sent * 0.09 | sqrt)'
    holds 'lost is what the shaper has thrown away' \
        '.sent - .arrived == .counted.there.lost and .counted.there.full == 0'
    holds 'nothing is faster than the delay, however much there is' '.way_us.min >= 1000'
    holds 'the way back loses as much of what is left' \
        '(.returned - .arrived * 0.9 | fabs) <= 3.29 * (.arrived * 0.09 | sqrt)'
    first=$(jq -c '[.arrived, .returned, .bursts]' <<<"$seen")
    lab_shape box 1 0.1 0 --seed 7
    stream "$packets" 20
    tap_same 'the same seed loses the same packets' "$first" \
        "$(jq -c '[.arrived, .returned, .bursts]' <<<"$seen")"
    lab_shape box 1 0.1 0 --seed 8
    stream "$packets" 20
    tap_check 'and another one others' test "$first" != \
        "$(jq -c '[.arrived, .returned, .bursts]' <<<"$seen")"
}

# Gilbert and Elliott: loss p / (p + r) * h; packets depend on each other by 1 - p - r, which makes
# the mean's variance (2 - p - r) / (p + r) times as large; bursts are geometric with mean 1 / r.
bursts()
{
    lab_shape box 1 0.05:0.35:1 0 --seed 7
    stream "$packets" 20
    holds 'loss in bursts is an eighth' \
        '(.arrived / .sent - 0.875 | fabs) <= 3.29 * (0.125 * 0.875 * 4 / .sent | sqrt)'
    holds 'and a burst has 2.86 packets' \
        '((.sent - .arrived) / .bursts - 1 / 0.35 | fabs) <= 3.29 * (0.65 / .bursts | sqrt) / 0.35'
}

# A datagram of the probe has 44 bytes with its headers: 0.352 ms at 1 Mbit/s.
rates()
{
    lab_shape box 1 0 0 --rate 1 --queue 1000
    stream 200 0
    holds 'at 1 Mbit/s 200 datagrams take 70.4 ms' '.arrived == 200 and .lasted_us >= 70400'
    lab_shape box 1 0 0 --rate 1 --queue 20
    stream 400 0
    holds 'a queue of 20 ms takes 57 of them' '.arrived >= 57'
    holds 'and drops others' '.counted.there.full > 0 and .arrived + .counted.there.full == 400'
}

lab_open
lab_internet
lab_box box port_restricted
lab_host host box
delays
losses
bursts
rates
lab_shape box 1 0 0
tap_same 'a box behind a shaper translates as before' "${lab_address[box]}" \
    "$("$lab_probe" watch "$lab_prefix-host" "$lab_prefix-stun" "${lab_address[stun]}" <<<'' |
        cut -d : -f 1)"
tap_end
