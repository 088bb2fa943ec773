#!/bin/bash
# criterion.sh - runs every CTest program of a build folder and reports each Criterion test as TAP.
#
# usage: tests/support/criterion.sh BUILD_FOLDER [JOBS]
#
#      ctest -V -> "3: [====] Synthesis: Tested: 9 | ..." -> nine "ok"/"not ok" lines
#
# Criterion's own TAP writer leaks, and a leak that LeakSanitizer finds in a test's own process does
# not fail that test; so the log is read here, and any sanitizer report in it is a failure.
set -uo pipefail

folder=$1
jobs=${2:-2}
log=$folder/criterion.log

if CRITERION_VERBOSITY_LEVEL=1 ctest --test-dir "$folder" -V -j "$jobs" >"$log" 2>&1; then
    code=0
else
    code=$?
fi

awk -v code="$code" '
function report(line) { print line; reported++ }

# "7: text" is what program number 7 printed.
match($0, /^[0-9]+: /) {
    id = substr($0, 1, RLENGTH - 2)
    text = substr($0, RLENGTH + 1)
    output[id] = output[id] "#   " text "\n"
    if (match(text, /\[FAIL\] [^ ]+/)) {
        name = substr(text, RSTART + 7, RLENGTH - 7)
        sub(/:$/, "", name)
        failed[id] = failed[id] name " "
    }
    if (match(text, /\[SKIP\] [^ ]+ /)) {
        name = substr(text, RSTART + 7, RLENGTH - 8)
        sub(/:$/, "", name)
        skipped[id, ++skip_count[id]] = name " # SKIP " substr(text, RSTART + RLENGTH)
    }
    if (text ~ /ERROR: (Address|Leak|Thread)Sanitizer|runtime error: /) {
        sanitizer[id] = text
    }
    if (match(text, /Synthesis: Tested: [0-9]+ \| Passing: [0-9]+ \| Failing: [0-9]+/)) {
        split(substr(text, RSTART, RLENGTH), word, / +/)
        tested[id] = word[3]
        passing[id] = word[6]
        failing[id] = word[9]
    }
}

# " 3/5 Test #3: unit_node_base ......   Passed    0.21 sec"
match($0, /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: /) {
    id = substr($0, RSTART, RLENGTH)
    gsub(/^.*#|[: ]+$/, "", id)
    split(substr($0, RSTART + RLENGTH), word, / +/)
    name = word[1]
    programs++
    for (i = 0; i < passing[id]; i++) {
        report("ok - " name)
    }
    for (i = 1; i <= skip_count[id]; i++) {
        report("ok - " name ": " skipped[id, i])
    }
    if (!(id in tested)) {
        report("not ok - " name " ended before its tests did")
    } else if (tested[id] + skip_count[id] == 0) {
        report("not ok - " name " holds no test")
    } else if (failing[id] == 0 && $0 !~ / Passed +[0-9.]+ sec/) {
        report("not ok - " name " failed after its tests had passed")
    }
    split(failed[id], names, " ")
    for (i = 1; i <= failing[id]; i++) {
        report("not ok - " name ": " names[i])
    }
    if (id in sanitizer) {
        report("not ok - " name ": " sanitizer[id])
    }
    if (failing[id] > 0 || id in sanitizer || !(id in tested) || $0 !~ / Passed /) {
        printf "%s", output[id]
    }
}

END {
    if (programs == 0 && code != 0) {
        report("not ok - ctest ran nothing, see the log")
    }
}' "$log"
exit "$code"
