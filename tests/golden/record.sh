#!/bin/bash
# record.sh - writes digests.txt anew, after a change that is meant to change what a run does.
#
# usage: tests/golden/record.sh     (after ./run.sh --build; the difference belongs in the commit)
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/meshtwin.sh
. tests/support/meshtwin.sh

golden=tests/golden/digests.txt
new=$(mktemp)
trap 'rm -f "$new"' EXIT
while read -r scenario until _; do
    case $scenario in
    '#' | '') continue ;;
    esac
    options=()
    if [ "$until" != end ]; then
        options=(--until "$until")
    fi
    echo "$scenario until $until" >&2
    digest=$(mesh_digest_of "$mesh_release" "$scenario" "${options[@]}")
    echo "$scenario $until ${digest:?the run gave none}" >>"$new"
done <"$golden"
{
    grep '^#' "$golden"
    cat "$new"
} >"$golden.new"
mv "$golden.new" "$golden"
