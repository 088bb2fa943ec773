#!/bin/bash
# determinism.sh - the same scenario and seed give the same digest, whoever compiled the simulator
# and however it is started; another seed gives another.
#
#      mesh-60 and first-mesh x {again, threads, sanitizers, clang, --jobs, CPU features off}
#      -> one digest
#
# usage: tests/sim/determinism.sh [--fast]     (--fast: mesh-60 only, and nothing built by clang)
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/support/meshtwin.sh
. tests/support/meshtwin.sh

small=tests/golden/mesh-60.jsonc
fast=false
if [ "${1:-}" = --fast ]; then
    fast=true
fi

# What makes glibc choose other variants of its functions, with other last bits: no AVX2, no FMA.
# Releases before 2.33 spell the features with _Usable; unknown names are ignored.
plain_cpu=glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX2_Usable,-FMA_Usable,-FMA4_Usable

golden_of()
{
    awk -v scenario="$1" -v until="$2" '$1 == scenario && $2 == until { print $3 }' \
        tests/golden/digests.txt
}

# same_everywhere SCENARIO UNTIL [options]
same_everywhere()
{
    local scenario=$1 until=$2 name golden
    shift 2
    name="$(basename "$scenario" .jsonc) until $until"
    golden=$(golden_of "$scenario" "$until")
    tap_same "$name: as recorded" "$golden" "$(mesh_digest_of "$mesh_release" "$scenario" "$@")"
    tap_same "$name: again" "$golden" "$(mesh_digest_of "$mesh_release" "$scenario" "$@")"
    tap_same "$name: on two threads" "$golden" \
        "$(mesh_digest_of "$mesh_release" "$scenario" --threads 2 "$@")"
    tap_same "$name: on five threads, with sanitizers" "$golden" \
        "$(mesh_digest_of "$mesh_test" "$scenario" --threads 5 "$@")"
    tap_same "$name: with sanitizers, unoptimised" "$golden" \
        "$(mesh_digest_of "$mesh_test" "$scenario" "$@")"
    tap_same "$name: on a CPU without AVX2 and FMA" "$golden" \
        "$(GLIBC_TUNABLES=$plain_cpu mesh_digest_of "$mesh_release" "$scenario" "$@")"
    if ! $fast; then
        tap_same "$name: built by clang" "$golden" \
            "$(mesh_digest_of "$mesh_clang" "$scenario" "$@")"
    fi
}

# Replicates are as independent of each other in two processes as in one, and all differ.
same_with_jobs()
{
    local one two
    one=$(mesh_digest_of "$mesh_release" "$small" --seeds 4 --jobs 1)
    two=$(mesh_digest_of "$mesh_release" "$small" --seeds 4 --jobs 2)
    tap_same 'four replicates: --jobs 1 and --jobs 2' "$one" "$two"
    tap_same 'four replicates give four digests' 4 \
        "$(tr ' ' '\n' <<<"$one" | grep . | sort -u | wc -l)"
}

other_seed_differs()
{
    local other
    other=$(mesh_digest_of "$mesh_release" "$small" --set /seed=0x1)
    if [ -n "$other" ] && [ "$other" != "$(golden_of "$small" end)" ]; then
        tap_ok 'another seed gives another digest'
    else
        tap_not_ok 'another seed gives another digest' "seed 0x1: $other"
    fi
}

# Every metric of the run, so message counts and lookup results among them.
summary_of()
{
    local folder
    folder=$(mktemp -d)
    if mesh_run "$mesh_release" "$small" "$folder/run.db" --set "/crypto=$1"; then
        sqlite3 -readonly "$folder/run.db" \
            'SELECT metric, phase, stat, value, n FROM v_summary ORDER BY 1, 2, 3'
    fi
    rm -rf "$folder"
}

same_everywhere "$small" end
same_with_jobs
other_seed_differs
tap_same 'real and modelled cryptography: every metric' "$(summary_of real)" \
    "$(summary_of modelled)"
if ! $fast; then
    same_everywhere scenarios/first-mesh.jsonc 3m --until 3m
fi
tap_end
