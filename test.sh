#!/bin/bash
# test.sh - proves the checkout: installs what is missing, builds, runs every test, adds them up.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

usage()
{
    cat <<'EOF'
usage: ./test.sh [--fast | --nightly | --coverage] [--only STEP[,STEP...]]

  (no option)   everything that every change must pass; under 15 minutes on two cores
  --fast        unit, contract and simulator tests under sanitizers, house rules, command line and
                determinism of the small mesh; under 2 minutes
  --nightly     the same as without option, with ten minutes per fuzz target, more seeds, and the
                static analyzer as deep as it goes
  --coverage    unit, contract and simulator tests only, with a line coverage report
  --only STEP   just these steps, after the builds they need (names: first column of the output)
  -h, --help    this text

Each step prints one line; the output of each is kept in build/logs. The last line is the totals,
and the exit code is 1 when anything failed. MESHTWIN_NO_INSTALL=1 keeps apt-get out of it;
MESHTWIN_DATA names the folder of reference data (default ../shared/data).
EOF
}

mode=default
only=
while [ $# -gt 0 ]; do
    case $1 in
    --fast | --nightly | --coverage) mode=${1#--} ;;
    --only)
        only=${2:?--only wants the name of a step}
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done

# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh

export MESHTWIN_DATA=${MESHTWIN_DATA:-$PWD/../shared/data}
export MESHTWIN_NIGHTLY=0
if [ "$mode" = nightly ]; then
    MESHTWIN_NIGHTLY=1
fi

logs=build/logs
step_limit_seconds=5400 # a hang is a failure; the longest honest step idles for an hour
passed=0
failed=0
skipped=0
declare -A step_of_process=()

# Steps still running die with this script; timeout passes the signal on to what it runs.
# shellcheck disable=SC2317 # the trap calls it
stop_steps()
{
    if [ ${#step_of_process[@]} -gt 0 ]; then
        kill "${!step_of_process[@]}" 2>/dev/null
    fi
}
trap stop_steps EXIT
trap 'exit 130' INT TERM

# No proof is no success: a run in which nothing passed has failed.
finish()
{
    if [ $((passed + failed)) -eq 0 ]; then
        echo 'no test was run'
        failed=1
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
    if [ "$failed" -gt 0 ]; then
        exit 1
    fi
    exit 0
}

wanted()
{
    [ -z "$only" ] || [[ ,$only, == *,$1,* ]]
}

# Reads the finished step's log, prints its line and adds to the totals.
report()
{
    local name=$1 code=$2 seconds=$3 log=$logs/$1.log good bad skips note=
    skips=$(grep -c '^ok .*# SKIP' "$log")
    good=$(($(grep -c '^ok ' "$log") - skips))
    bad=$(grep -c '^not ok ' "$log")
    if [ "$code" -eq 124 ]; then
        note=" (stopped after $step_limit_seconds s)"
    fi
    if [ "$bad" -eq 0 ] && [ "$code" -ne 0 ]; then
        bad=1
        note="$note (exit code $code)"
    fi
    if [ $((good + bad + skips)) -eq 0 ]; then
        bad=1
        note="$note (ran no test)"
    fi
    printf '%-13s %5d passed %3d failed %3d skipped %5d s%s\n' \
        "$name" "$good" "$bad" "$skips" "$seconds" "$note"
    sed -n 's/^ok - \(.*\) # SKIP \(.*\)/    skipped: \1: \2/p' "$log"
    if [ "$bad" -gt 0 ]; then
        grep -v '^ok ' "$log" | tail -n 100 | sed 's/^/    /'
        echo "    all of its output: $log"
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    skipped=$((skipped + skips))
}

# Waits until a running step ends, and reports it.
reap()
{
    local process code name started
    wait -n -p process
    code=$?
    read -r name started <<<"${step_of_process[$process]}"
    unset "step_of_process[$process]"
    report "$name" "$code" $(($(date +%s) - started))
}

drain()
{
    while [ ${#step_of_process[@]} -gt 0 ]; do
        reap
    done
}

# step NAME COMMAND... runs beside at most two other steps: many of them mostly wait.
step()
{
    local name=$1
    shift
    if ! wanted "$name"; then
        return
    fi
    if [ ${#step_of_process[@]} -ge 3 ]; then
        reap
    fi
    timeout --kill-after=10 "$step_limit_seconds" "$@" >"$logs/$name.log" 2>&1 &
    step_of_process[$!]="$name $(date +%s)"
}

# step_alone NAME COMMAND... has the machine to itself, because it uses every core.
step_alone()
{
    drain
    step "$@"
    drain
}

# build PRESET [cmake options]: no test, but nothing can go on without it.
build()
{
    local started
    started=$(date +%s)
    if ! (setup_build "$@"); then
        failed=$((failed + 1))
        finish
    fi
    printf '%-13s %s %s s\n' build "$*" "$(($(date +%s) - started))"
}

exists()
{
    compgen -G "$1" >/dev/null
}

needs=$setup_needs_build$'\n'$setup_needs_test
if [ "$mode" = coverage ]; then
    needs=$needs$'\n'$setup_needs_coverage
fi
nice_to_have=$setup_needs_optional
if [ "$mode" = nightly ]; then
    nice_to_have+=$'\n'$setup_needs_nightly
fi
if ! (setup_install "$needs" "$nice_to_have"); then
    failed=1
    finish
fi
rm -rf "$logs"
mkdir -p "$logs"

if [ "$mode" = coverage ]; then
    build coverage
    step_alone unit tests/support/criterion.sh build/coverage "$(nproc)"
    mkdir -p build/coverage/report
    gcovr --root . --object-directory build/coverage --exclude 'tests/' --print-summary \
        --html-details build/coverage/report/index.html | tail -n 4 || failed=$((failed + 1))
    echo 'line by line: build/coverage/report/index.html'
    finish
fi

# A part of the project that is not there has no test. simulator: the meshtwin command is.
simulator=false
if exists 'sim/cli/*.c'; then
    simulator=true
fi

build release
build test
if $simulator && [ "$mode" != fast ] && wanted determinism; then
    build release -B build/clang -DCMAKE_C_COMPILER=clang
fi
step_alone unit tests/support/criterion.sh build/test "$(nproc)"

# The longest first, so that the others fit beside it.
if $simulator; then
    if [ "$mode" = fast ]; then
        step determinism tests/sim/determinism.sh --fast
    else
        step scenarios tests/sim/scenarios.sh
        step determinism tests/sim/determinism.sh
    fi
    step cli tests/sim/cli.sh
fi
if exists 'node/meshnode/*.c'; then
    step daemon tests/live/daemon.sh
    if [ "$mode" != fast ]; then
        step edge tests/live/edge.sh
        step dist tests/live/dist.sh build/release
        step doctor tests/live/doctor.sh
    fi
fi
step tidy tests/tidy/tidy.pl --release build/release --test build/test
step selftest tests/tidy/selftest.sh
step topologies tests/support/topologies.sh
if exists 'tests/support/schema/run.sh'; then
    step schema tests/support/schema/run.sh build/release
fi
if [ "$mode" != fast ]; then
    step clang-tidy tests/tidy/clang-tidy.sh build/test
    if exists 'tests/fuzz/fuzz_*.c'; then
        step fuzz tests/fuzz/run.sh
    fi
    step natfigures tests/sim/nat_figures.sh
    step natlab tests/live/nat_matrix.sh
    step natnodes tests/live/nat_nodes.sh
    step natstun tests/live/nat_stun.sh
    step stun tests/live/stun.sh
    step ice tests/live/ice.sh
    if [ "$mode" = nightly ]; then
        step natmapping tests/live/nat_mapping.sh
        step natkeep tests/live/nat_keep.sh
        step natbirthday tests/live/nat_birthday.sh
        step_alone shaper tests/live/shaper.sh # It measures time.
    fi
fi
# Real processes in real time: nothing else may take the processor from them.
if [ "$mode" != fast ] && exists 'node/meshnode/*.c'; then
    step_alone simlive tests/live/simlive.sh
    step_alone mesh24 tests/live/mesh24.sh
    step_alone crash tests/live/crash.sh
    step_alone floods tests/live/floods.sh
fi
drain
finish
