#!/bin/bash
# simlive.sh - a scenario simulated and by real processes: the same, as far as chance allows.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh

twin=build/release/meshtwin
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
export TMPDIR=$folder

# Refusals come before anything is started.
refuses()
{
    local name=$1 code=$2 pattern=$3
    shift 3
    "$twin" run --live "$@" >"$folder/output" 2>&1
    tap_same "$name" "$code" "$?"
    tap_check "$name: the reason" grep -qE -- "$pattern" "$folder/output"
}

refuses 'too many nodes' 3 '3500 nodes' scenarios/first-mesh.jsonc
refuses 'distances' 3 'network.latency' scenarios/sim-live.jsonc \
    --set /network/latency/value=50ms
refuses 'several runs' 2 'one run' scenarios/sim-live.jsonc --seeds 2
refuses 'a node that does not start' 1 'node 0 .* exit code 1' scenarios/sim-live.jsonc \
    --meshnode /bin/false

# Interrupted, it leaves neither processes nor files.
perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$twin" run --live scenarios/sim-live.jsonc -q \
    >"$folder/output" 2>&1 &
twin_process=$!
for ((polls = 0; polls < 200; polls++)); do
    children=$(cat "/proc/$twin_process/task/$twin_process/children")
    if [ "$(wc -w <<<"$children")" -ge 3 ]; then
        break
    fi
    sleep 0.1
done
kill -INT "$twin_process"
wait "$twin_process"
tap_same 'Ctrl-C gives exit code 130' 130 "$?"
left=0
for child in $children; do
    if [ -d "/proc/$child" ]; then
        left=$((left + 1))
    fi
done
tap_check 'there were processes' test "$(wc -w <<<"$children")" -ge 3
tap_same 'Ctrl-C leaves no process' 0 "$left"
tap_same 'Ctrl-C leaves no file' "$folder/output" "$(echo "$folder"/*)"

"$twin" run --live scenarios/sim-live.jsonc --color never >"$folder/output" 2>"$folder/errors"
code=$?
sed 's/^/# /' "$folder/output"
if [ "$code" -eq 0 ]; then
    tap_ok 'simulated and live are the same'
else
    tap_not_ok 'simulated and live are the same' "exit code $code: $(cat "$folder/errors")"
fi
tap_check 'enough was compared' test "$(grep -c '^  PASS' "$folder/output")" -ge 15
rm -f "$folder/output" "$folder/errors"
tap_same 'it leaves no file' "$folder/*" "$(echo "$folder"/*)"
tap_end
