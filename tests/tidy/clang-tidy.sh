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

# One write per file, because two of these run side by side.
examine()
{
    local output
    if output=$(clang-tidy --quiet -p "$1" "$2" 2>/dev/null); then
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
