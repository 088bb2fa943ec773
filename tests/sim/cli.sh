#!/bin/bash
# cli.sh - how the meshtwin command behaves: exit codes, streams, what it writes and what it leaves.
#
# Exit codes: 0 ok, 1 failure, 2 usage, 3 bad scenario, 4 thresholds failed, 130 interrupted.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/support/meshtwin.sh
. tests/support/meshtwin.sh

small=tests/golden/mesh-60.jsonc
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bad=$folder/bad.jsonc

# meshtwin NAME EXIT_CODE PATTERN ARGUMENTS... runs it with the arguments and wants that exit code,
# and a line that matches PATTERN ('' for none) among all that it printed.
meshtwin()
{
    local name=$1 expected=$2 pattern=$3 code output
    shift 3
    "$mesh_release" "$@" >"$folder/stdout" 2>"$folder/stderr" </dev/null
    code=$?
    output=$(cat "$folder/stdout" "$folder/stderr")
    if [ "$code" -eq "$expected" ] && grep -qE -- "$pattern" <<<"$output"; then
        tap_ok "$name"
    else
        tap_not_ok "$name" \
            "meshtwin $*: exit code $code, not $expected, or no \"$pattern\" in"$'\n'"$output"
    fi
}

# The same, for a text on standard output that must be JSON as a whole.
is_json()
{
    tap_same "$1" 1 "$(sqlite3 :memory: "SELECT json_valid(readfile('$folder/stdout'))")"
}

query()
{
    sqlite3 -readonly "$@"
}

usage()
{
    meshtwin '--help lists the commands' 0 'replay' --help
    meshtwin 'version names the version' 0 '[0-9]+\.[0-9]+\.[0-9]+' version
    meshtwin 'no command is a usage error' 2 'usage'
    meshtwin 'a misspelt command is a usage error with a suggestion' 2 'did you mean "run"' rum
    meshtwin 'a misspelt option is a usage error with a suggestion' 2 'did you mean "--until"' \
        run "$small" --untli 5m
    meshtwin 'an option without its value is a usage error' 2 '--until' run "$small" --until
    meshtwin 'a time without unit is a usage error' 2 'until' run "$small" --until 5
    meshtwin 'no scenario is a usage error' 2 'usage' run
    meshtwin 'an unknown error code is a usage error' 2 'MT9999' explain MT9999
    meshtwin 'explain says more about an error' 0 'MT0101' explain MT0101
    meshtwin 'metrics lists the dictionary' 0 'lookup_success_ratio' metrics
    meshtwin 'schema prints a JSON Schema' 0 'draft-07' schema
    is_json 'the schema is JSON'
}

# Everything wrong is reported at once, with its place, and nothing is written.
bad_scenarios()
{
    sed -e 's/"duration"/"duratoin"/' -e 's/"64KiB"/"64 kilo"/' -e 's/"weibull"/"weibul"/' \
        "$small" >"$bad"
    meshtwin 'a misspelt key: place and suggestion' 3 \
        'bad\.jsonc:8:3: error\[MT[0-9]+\].*duratoin' run "$bad" -o "$folder/bad.db"
    meshtwin 'an unknown distribution, in the same report' 3 'did you mean "weibull"' check "$bad"
    meshtwin 'a wrong unit, in the same report' 3 '64 kilo' check "$bad"
    tap_check 'a bad scenario leaves no results' test ! -e "$folder/bad.db"
    meshtwin 'a scenario that is not there' 3 'nowhere\.jsonc' run "$folder/nowhere.jsonc"
    head -c 300 "$small" >"$bad"
    meshtwin 'a truncated scenario' 3 'bad\.jsonc:[0-9]+:[0-9]+: error' check "$bad"
    head -c 4096 /dev/urandom >"$bad"
    meshtwin 'a binary file' 3 'bad\.jsonc:[0-9]+:[0-9]+: error' check "$bad"
    : >"$bad"
    meshtwin 'an empty file' 3 'bad\.jsonc.*: error.*empty' check "$bad"
    truncate -s 100M "$bad"
    meshtwin 'a file of 100 MB' 3 'bad\.jsonc.*: error.*larger than' check "$bad"
    rm "$bad"
    meshtwin 'an override that fits nothing' 3 '/network/mtuu' \
        run "$small" --set /network/mtuu=1400 -o "$folder/bad.db"
    meshtwin 'check accepts every scenario' 0 '' check scenarios/*.jsonc tests/golden/*.jsonc
}

runs()
{
    local once=$folder/once.db twice=$folder/twice.db other=$folder/other.db
    meshtwin 'a run whose thresholds pass' 0 'digest' run "$small" -o "$once"
    tap_same 'its database says ok' ok "$(query "$once" 'SELECT status FROM run')"
    tap_same 'its database is whole' ok "$(query "$once" 'PRAGMA integrity_check')"
    tap_same 'its database is one file' "$once" "$(echo "$once"*)"
    meshtwin 'a run whose threshold fails' 4 'FAIL' run "$small" -o "$other" \
        --set '/thresholds={"nodes_online":["mean > 1000000"]}'
    meshtwin 'a threshold without data fails too' 4 'no data' run "$small" -o "$other" --until 30s \
        --set '/thresholds={"join_latency_s":[{"expr":"p50 < 1h","phase":"steady"}]}'
    meshtwin 'with --no-thresholds nothing is judged' 0 '' run "$small" -o "$other" --until 30s \
        --no-thresholds
    meshtwin 'with --json standard output is one document' 0 'meshtwin\.run\.v1' \
        run "$small" -o "$twice" --json
    is_json 'that document is JSON'
    meshtwin 'results that cannot be written' 1 'nowhere' run "$small" -o "$folder/nowhere/x.db"
    meshtwin 'another seed runs' 0 '' run "$small" -o "$other" --set /seed=0x2 --no-thresholds

    meshtwin 'diff of equal runs' 0 'identical' diff "$once" "$twice"
    meshtwin 'diff names the first divergent event' 1 't=[0-9.]+' diff "$once" "$other"
    meshtwin 'ls shows the runs of a database' 0 'mesh-60' ls "$once"
    meshtwin 'query answers in rows' 0 '^ *1' query "$once" 'SELECT count(*) FROM run'
    meshtwin 'query cannot write' 1 '' query "$once" 'DELETE FROM run'
    meshtwin 'export writes CSV with units in the header' 0 '_us' \
        export "$once" --table node_session
    meshtwin 'replay shows a node at a moment' 0 'node' replay "$once" --at 2m --node 3
}

dry_runs()
{
    meshtwin '--dry-run estimates' 0 'memory' run "$small" --dry-run -o "$folder/dry.db"
    tap_check '--dry-run leaves nothing' test ! -e "$folder/dry.db"
    meshtwin '--print-resolved prints the whole scenario' 0 'republish' \
        run "$small" --print-resolved
    is_json 'the resolved scenario is JSON'
    # What a scenario names is found beside it.
    mkdir -p "$folder/topologies" "$folder/a/b"
    cp topologies/*.csv "$folder/topologies"
    cp "$folder/stdout" "$folder/a/b/resolved.json"
    meshtwin 'the resolved scenario is a scenario' 0 '' check "$folder/a/b/resolved.json"
}

# Interrupted once, a run stops cleanly. Perl restores the signal that a shell without job control
# has its background commands ignore.
interrupted()
{
    local database=$folder/interrupted.db process code
    perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$mesh_release" run "$small" -o "$database" \
        --set /duration=1000h --no-thresholds >"$folder/stdout" 2>"$folder/stderr" &
    process=$!
    sleep 3
    kill -INT "$process"
    wait "$process"
    code=$?
    tap_same 'Ctrl-C gives exit code 130' 130 "$code"
    tap_same 'Ctrl-C leaves a whole database' ok "$(query "$database" 'PRAGMA integrity_check')"
    tap_same 'Ctrl-C leaves a run marked aborted' aborted \
        "$(query "$database" 'SELECT status FROM run')"
    tap_same 'Ctrl-C leaves the samples taken so far' 1 \
        "$(query "$database" 'SELECT count(*) > 0 FROM sample')"
}

usage
bad_scenarios
runs
dry_runs
interrupted
tap_end
