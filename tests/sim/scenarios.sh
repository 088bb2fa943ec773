#!/bin/bash
# scenarios.sh - every scenario passes its own thresholds and does what was recorded.
#
# The small mesh runs under sanitizers, the real ones on the release build. At night each also runs
# with ten other seeds.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/support/meshtwin.sh
. tests/support/meshtwin.sh

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# passes BINARY SCENARIO NAME [options] runs with thresholds; the time taken is only shown.
passes()
{
    local binary=$1 scenario=$2 name=$3 started=$SECONDS output code
    shift 3
    rm -f "$folder/run.db"
    output=$("$binary" run "$scenario" -o "$folder/run.db" "$@" 2>&1)
    code=$?
    if [ "$code" -eq 0 ]; then
        tap_ok "$name passes its thresholds ($((SECONDS - started)) s)"
    else
        tap_not_ok "$name passes its thresholds" "exit code $code"$'\n'"$output"
    fi
}

passes "$mesh_test" tests/golden/mesh-60.jsonc 'mesh-60 under sanitizers'
for scenario in scenarios/*.jsonc; do
    name=$(basename "$scenario" .jsonc)
    if [ "$name" = hundred-thousand ] && [ "${MESHTWIN_NIGHTLY:-0}" != 1 ]; then
        # Its first joins do what was recorded; all of it takes minutes.
        golden=$(awk -v scenario="$scenario" '$1 == scenario { print $3 }' tests/golden/digests.txt)
        tap_same "$name starts as recorded" "$golden" \
            "$(mesh_digest_of "$mesh_release" "$scenario" --until 10s)"
        tap_skip "$name passes its thresholds" 'takes minutes: ./test.sh --nightly'
        continue
    fi
    passes "$mesh_release" "$scenario" "$name"
    golden=$(awk -v scenario="$scenario" '$1 == scenario && $2 == "end" { print $3 }' \
        tests/golden/digests.txt)
    if [ "$name" != hundred-thousand ]; then # Of that one only the start is recorded.
        tap_same "$name does what was recorded" "$golden" "$(mesh_digests "$folder/run.db")"
    fi
    if [ "${MESHTWIN_NIGHTLY:-0}" = 1 ]; then
        passes "$mesh_release" "$scenario" "$name with ten seeds" --seeds 10
    fi
done
tap_end
