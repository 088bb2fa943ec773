# shellcheck shell=bash
# tap.sh - how a test written in shell speaks: one line per test, in the Test Anything Protocol.
#
# Sourced, never run. test.sh counts the lines; a person can read them.

tap_failed=0

# The name may hold no '#': what follows one is a directive.
tap_ok()
{
    printf 'ok - %s\n' "${1//\#/}"
}

# tap_not_ok NAME [DETAILS, may be many lines]
tap_not_ok()
{
    tap_failed=$((tap_failed + 1))
    printf 'not ok - %s\n' "${1//\#/}"
    if [ -n "${2:-}" ]; then
        printf '#   %s\n' "${2//$'\n'/$'\n'#   }"
    fi
}

tap_skip()
{
    printf 'ok - %s # SKIP %s\n' "${1//\#/}" "$2"
}

# tap_check NAME COMMAND... passes when the command succeeds; shows its output when it does not.
tap_check()
{
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        tap_ok "$name"
    else
        tap_not_ok "$name" "$output"
    fi
}

# tap_same NAME EXPECTED ACTUAL passes when both are the same text, and that is not empty.
tap_same()
{
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        tap_ok "$1"
    else
        tap_not_ok "$1" "expected: $2"$'\n'"but got:  $3"
    fi
}

# Last line of a test script: its exit code says whether anything failed.
tap_end()
{
    [ "$tap_failed" -eq 0 ]
}
