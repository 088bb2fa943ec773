#!/bin/bash
# topologies.sh - the latency tables are well formed, and are what their sources give.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh

# Square, symmetric, named alike both ways, positive: what the loader expects of a table.
well_formed()
{
    awk -F, '
    function wrong(what) { print FILENAME ":" FNR ": " what; bad = 1 }
    NR == 1 {
        if ($1 != "region" || $2 != "weight") { wrong("the header is not region,weight,...") }
        for (i = 3; i <= NF; i++) { name[i] = $i }
        columns = NF
        next
    }
    {
        if (NF != columns) { wrong(NF " columns, not " columns) }
        if ($1 != name[NR + 1]) { wrong("row " $1 " is not in the place of its column") }
        if ($2 !~ /^[0-9]\.[0-9]+$/ || $2 <= 0) { wrong("weight " $2) }
        weights += $2
        for (i = 3; i <= NF; i++) {
            if ($i !~ /^[0-9]+\.[0-9]+$/ || $i <= 0 || $i > 1000) { wrong("round trip " $i) }
            ms[NR, i] = $i
        }
    }
    END {
        if (NR != columns - 1) { wrong(NR - 1 " rows for " columns - 2 " regions") }
        for (row = 2; row <= NR; row++) {
            for (i = 3; i <= columns; i++) {
                if (ms[row, i] != ms[i - 1, row + 1]) { wrong(name[i] " to " name[row + 1]) }
            }
        }
        if (weights < 0.999 || weights > 1.001) { wrong("weights sum to " weights) }
        exit bad
    }' "$1"
}

for table in topologies/*.csv; do
    name=$(basename "$table" .csv)
    tap_check "$name is a square, symmetric table" well_formed "$table"
    # README.md quotes the quantiles, one row per table.
    quantiles=$(topologies/make-tables.pl quantiles "$table" |
        awk '{ printf " %s |", $2 } END { print "" }')
    tap_check "README quotes the quantiles of $name:$quantiles" \
        grep -F "\`$name.csv\` |$quantiles" topologies/README.md
    if [ -d "${MESHTWIN_DATA:-}/latency" ]; then
        tap_same "$name is what its sources give" "$(cksum <"$table")" \
            "$(topologies/make-tables.pl "$name" | cksum)"
    else
        tap_skip "$name is what its sources give" \
            "no folder ${MESHTWIN_DATA:-MESHTWIN_DATA}/latency"
    fi
done
tap_end
