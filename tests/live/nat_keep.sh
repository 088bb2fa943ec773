#!/bin/bash
# nat_keep.sh - nodes behind boxes of the kernel that forget after three seconds, or get another
# address: they stay reachable by id.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh
# shellcheck source=tests/live/lab_nodes.sh
. tests/live/lab_nodes.sh

publics=4
ask_patience=600
ages=(30 36 42 48) # Seconds of alice's life: it has learned by then, and was idle in between.

if ! reason=$(lab_possible); then
    tap_skip 'keeping mappings' "$reason"
    exit 0
fi

# is_old NAME SECONDS
is_old()
{
    [ "$(ctl_field "$1" .uptime_s status)" -ge "$2" ]
}

reaches()
{
    ctl "$1" ping "$2"
}

lab_open
lab_internet
run_publics "$publics"

# client NAME BOX
declare -A id=()
client()
{
    lab_host "$1" "$2"
    run "$1" "$1" --bootstrap "${lab_address[p0]}:8468"
    tap_check "$1 settles" wait_for has_settled "$1"
    id[$1]=$(ctl_field "$1" .id status)
}

lab_box left port_restricted
lab_timeouts left 3 3
client alice left
for i in "${!ages[@]}"; do
    wait_for is_old alice "${ages[i]}"
    tap_check "alice is reached after ${ages[i]} s, behind a box that forgets after 3 s" \
        reaches "p$i" "${id[alice]}"
done
tap_same 'alice is no server' client "$(ctl_field alice .nat.reach status)"

# A session of two clients, and another address for one of them.
lab_box right port_restricted
client bob right
lab_timeouts left 30 120
tap_check 'bob reaches alice' wait_for reaches bob "${id[alice]}"
tap_check 'without a relay' wait_for is_direct bob "${id[alice]}"
lab_renumber left
ask_patience=50
tap_check 'bob reaches alice soon after her box got another address' \
    wait_for reaches bob "${id[alice]}"
tap_check 'and she him' wait_for reaches alice "${id[bob]}"
tap_end
