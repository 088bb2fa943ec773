#!/bin/bash
# clang-tidy.sh - one test per source file: clang-tidy finds nothing in it.
#
# usage: tests/tidy/clang-tidy.sh BUILD_FOLDER     (.clang-tidy in the root names the checks)
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

if ! command -v clang-tidy >/dev/null; then
    echo 'ok - clang-tidy # SKIP it is not installed'
    exit 0
fi

# Nearly all of the time goes to the static analyzer's paths. By day it takes fewer steps in each
# function than its own 225,000 (clang's analyzer option max-nodes), by night all.
depth=
if [ "${MESHTWIN_NIGHTLY:-0}" != 1 ]; then
    depth='--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang
        --extra-arg=max-nodes=30000'
fi
export depth

# One write per file, because two of these run side by side.
examine()
{
    local output
    # shellcheck disable=SC2086 # several arguments, or none
    if output=$(clang-tidy --quiet -p "$1" $depth "$2" 2>/dev/null); then
        echo "ok - $2"
    else
        printf 'not ok - %s\n%s\n' "$2" "$output"
        return 1
    fi
}
export -f examine

# Tests are left out: what Criterion's macros expand to is not ours to judge.
# The quoted $1 and $2 belong to the inner shell.
# shellcheck disable=SC2016
sed -n "s|.*\"file\": \"$PWD/\\(.*\\)\"|\\1|p" "$1/compile_commands.json" | grep -v '^tests/' |
    sort -u | xargs -P 2 -I '{}' bash -c 'examine "$1" "$2"' examine "$1" '{}'
