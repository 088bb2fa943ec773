#!/bin/bash
# run.sh - builds every fuzz target and feeds it: a fixed number of inputs by day, time by night.
#
#      tests/fuzz/fuzz_x.c + tests/fuzz/corpus/x/* -> build/fuzz/.../fuzz_x -> no crash
#
# By day the inputs are drawn from a fixed seed, so that what passes once passes again; what the
# nights find goes into the corpus, which the unit tests replay.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh

if ! setup_has fuzzer clang; then
    tap_skip 'fuzz targets' "clang's libFuzzer is not installed"
    exit 0
fi

names=()
for source in tests/fuzz/fuzz_*.c; do
    names+=("$(basename "$source" .c)")
done
if [ ! -e build/fuzz/build.ninja ]; then
    setup_logged 'configuring build/fuzz' cmake --preset fuzz
fi
setup_logged 'building the fuzz targets' ninja -C build/fuzz "${names[@]}"

amount=(-runs=5000 -seed=1)
if [ "${MESHTWIN_NIGHTLY:-0}" = 1 ]; then
    amount=(-max_total_time=600)
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for name in "${names[@]}"; do
    mkdir -p "$folder/$name" build/fuzz/found
    corpus=tests/fuzz/corpus/${name#fuzz_}
    inputs=("$folder/$name")
    if [ -d "$corpus" ]; then
        inputs+=("$corpus")
    fi
    tap_check "$name" "$(find build/fuzz -name "$name" -type f)" "${amount[@]}" -max_len=4096 \
        -timeout=10 -artifact_prefix=build/fuzz/found/ "${inputs[@]}"
done
tap_end
