# shellcheck shell=bash disable=SC2034 # the binaries are for those who source this
# meshtwin.sh - how the shell tests run the simulator and read what a run left. Sourced, never run.

mesh_release=$PWD/build/release/meshtwin
mesh_test=$PWD/build/test/meshtwin
mesh_clang=$PWD/build/clang/meshtwin

# mesh_run BINARY SCENARIO DATABASE [options] runs quietly and without judging; shows its talk only
# when the run itself failed.
mesh_run()
{
    local binary=$1 scenario=$2 database=$3 talk
    shift 3
    if ! talk=$("$binary" run "$scenario" -o "$database" --no-thresholds "$@" 2>&1); then
        printf '%s run %s %s:\n%s\n' "$binary" "$scenario" "$*" "$talk" >&2
        return 1
    fi
}

# The digests of a database, one per replicate, in one line.
mesh_digests()
{
    sqlite3 -readonly "$1" 'SELECT behaviour_digest FROM run ORDER BY replicate' | paste -sd ' '
}

# mesh_digest_of BINARY SCENARIO [options] runs and prints the digests.
mesh_digest_of()
{
    local binary=$1 scenario=$2 folder
    shift 2
    folder=$(mktemp -d)
    if mesh_run "$binary" "$scenario" "$folder/run.db" "$@"; then
        mesh_digests "$folder/run.db"
    fi
    rm -rf "$folder"
}
