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
}

# Nodes behind NAT boxes: what the results say of them.
boxes()
{
    local database=$folder/boxes.db
    meshtwin 'a run with NAT boxes' 0 'digest' run "$small" -o "$database" --until 30s \
        --no-thresholds --set '/groups/1/nat={"public":0.5,"symmetric":0.25,"full_cone":0.25}'
    tap_same 'every node says what it stands behind' 'full_cone symmetric' \
        "$(query "$database" "SELECT group_concat(nat_type, ' ') FROM (SELECT DISTINCT nat_type
            FROM node WHERE nat_type != 'public' ORDER BY 1)")"
    tap_same 'and the boxes what they did' 1 \
        "$(query "$database" "SELECT count(*) FROM counter WHERE name = 'nat_filtered'")"
    meshtwin 'a misspelt kind of NAT: suggestion' 3 'did you mean "symmetric"' \
        run "$small" -o "$folder/bad.db" --set /groups/1/nat=symetric
}

# What the commands that read results show, and what they refuse.
readers()
{
    local database=$folder/once.db copy=$folder/copy.db sql
    meshtwin 'query prints JSON' 0 '"n":' query "$database" --json \
        'SELECT count(*) AS n, NULL AS absent FROM run'
    is_json 'that is JSON'
    meshtwin 'metrics prints JSON' 0 'lookup_hops' metrics --json
    is_json 'that is JSON too'
    meshtwin 'SQL that is none' 1 'syntax' query "$database" 'SELEKT 1'
    meshtwin 'a table that is none, with a suggestion' 2 'did you mean "summary"' \
        export "$database" csv sumary
    meshtwin 'a format that is none' 2 'ndjson' export "$database" xml
    meshtwin 'a file that holds no results' 1 'not a results file' ls README.md
    meshtwin 'a file that is not there' 1 'nowhere' ls "$folder/nowhere.db"

    meshtwin 'export writes CSV with units in the header' 0 'end_us' \
        export "$database" csv node_session
    meshtwin 'export writes CSV with quoted fields' 0 'mesh-60' export "$database" csv run
    sql="SELECT group_concat(run_id || seed_hex || scenario_json || build_flags) FROM run"
    tap_same 'a spreadsheet reads back what was exported' "$(query "$database" "$sql")" \
        "$(sqlite3 "$copy" ".import --csv '$folder/stdout' run" "$sql")"
    meshtwin 'export writes one JSON object per line' 0 'mesh-60' export "$database" ndjson
    tap_same 'as many as there are rows' "$(query "$database" 'SELECT count(*) FROM v_summary')" \
        "$(wc -l <"$folder/stdout")"
    tap_same 'each of them JSON' 0 "$(while IFS= read -r line; do
        printf "SELECT json_valid('%s');\n" "$line"
    done <"$folder/stdout" | sqlite3 :memory: | grep -cv '^1$')"
}

# The recipes that docs/RESULTS.md offers: each runs, and finds something.
recipes()
{
    local number=0 text='' line rows
    while IFS= read -r line; do
        case $line in
        '```sql') text=' ' ;;
        '```')
            if [ -n "$text" ]; then
                number=$((number + 1))
                meshtwin "recipe $number of docs/RESULTS.md" 0 '' query "$folder/once.db" "$text"
                rows=$(wc -l <"$folder/stdout")
                tap_check "recipe $number finds something" test "$rows" -gt 1
            fi
            text=
            ;;
        *)
            if [ -n "$text" ]; then
                text="$text$line "
            fi
            ;;
        esac
    done <docs/RESULTS.md
    tap_check 'there are recipes' test "$number" -ge 5
}

# A recorded run, run again: as a whole, up to a moment, seen from a node.
replays()
{
    local database=$folder/once.db digest
    digest=$(query "$database" 'SELECT behaviour_digest FROM run')
    meshtwin 'replay ends with the recorded digest' 0 "digest $digest\$" replay "$database"
    tap_same 'and has nothing to warn of' '0' "$(wc -l <"$folder/stderr")"
    meshtwin 'replay shows the world at a moment' 0 '^t=120\.000000s' replay "$database" --at 2m
    meshtwin 'replay shows a node at a moment' 0 'bucket +contacts +online' \
        replay "$database" --at 2m --node 3
    meshtwin 'a node that is none' 2 '79' replay "$database" --node 80
    meshtwin 'a seed that is none' 2 '0x77' replay "$database" --seed 0x77
    meshtwin 'a moment after the end' 2 'duration' replay "$database" --at 2h
    cp "$database" "$folder/altered.db"
    sqlite3 "$folder/altered.db" "UPDATE run SET behaviour_digest = 'another'"
    meshtwin 'another digest than recorded is worth a warning' 0 'warning: digest' \
        replay "$folder/altered.db"
    meshtwin 'of two runs one must be chosen' 2 'choose' replay "$folder/two.db"
    meshtwin 'a replicate is chosen by its number' 0 'digest' \
        replay "$folder/two.db" --seed '#1' --at 10s
}

# Sweeps, seeds, limits, the environment, the default output.
choices()
{
    local swept=$folder/swept.db two=$folder/two.db here=$PWD
    meshtwin 'a sweep runs every point' 0 'mtu=1400' run "$small" -o "$swept" --until 20s \
        --no-thresholds --sweep /network/mtu=1300,1400 --sweep /crypto=real,modelled -j 2
    tap_same 'each point says what sets it apart' '/network/mtu=1400 /crypto=real' \
        "$(query "$swept" 'SELECT point_text FROM run WHERE point = 2')"
    meshtwin 'diff tells other content from another event' 1 'same event with other content' \
        diff "$swept:#0.0" "$swept:#1.0"
    meshtwin 'seeds as a list' 0 'seed 0x17' run "$small" -o "$two" --until 20s \
        --no-thresholds --seeds 0x17,24
    tap_same 'are those seeds' '0x0000000000000017 0x0000000000000018' \
        "$(query "$two" 'SELECT seed_hex FROM run ORDER BY replicate' | paste -sd ' ')"
    meshtwin 'seeds that are none' 2 'seeds' run "$small" --seeds 1,x
    meshtwin '--stop-at stops at that event' 0 ' 500 events' \
        run "$small" -o "$folder/stopped.db" --stop-at 500
    meshtwin 'the heap gives what the wheel gives' 0 'digest' \
        run "$small" -o "$folder/heap.db" --queue heap
    meshtwin 'to the last event' 0 'identical' diff "$folder/once.db" "$folder/heap.db"
    MESHTWIN_RUN_UNTIL=7s meshtwin 'the environment sets options' 0 '00:07 simulated' \
        run "$small" -o "$folder/environment.db" --no-thresholds
    MESHTWIN_RUN_UNTIL=7s meshtwin 'the command line beats it' 0 '00:08 simulated' \
        run "$small" -o "$folder/environment.db" --no-thresholds --until 8s
    MESHTWIN_RUN_UNTIL=seven meshtwin 'and is told where a mistake came from' 2 \
        'MESHTWIN_RUN_UNTIL' run "$small"
    meshtwin 'quiet says one line per run' 0 'digest' \
        run "$small" -o "$folder/quiet.db" --until 5s --no-thresholds -q
    tap_same 'and nothing else' '1 0' "$(wc -l <"$folder/stdout") $(wc -l <"$folder/stderr")"
    meshtwin 'verbose shows the memory by owner' 0 'dht table +node' \
        run "$small" -o "$folder/verbose.db" --until 5s --no-thresholds -v
    cd "$folder" || exit 1
    meshtwin 'without -o the results go to results/' 0 'results/mesh-60\.db' \
        run "$here/$small" --until 5s --no-thresholds
    tap_check 'and are there' test -f results/mesh-60.db
    cd "$here" || exit 1
    meshtwin 'a failed threshold ends with a command' 4 'replay worst: meshtwin replay' \
        run "$small" -o "$folder/worst.db" --until 90s --seeds 2 \
        --set '/thresholds={"nodes_online":["mean > 1000000"]}'
    # shellcheck disable=SC2046 # the command is words
    meshtwin 'and the command works' 0 'digest' \
        $(sed -n "s/^replay worst: meshtwin //p" "$folder/stdout" | tr -d "'")
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
    local database=$folder/interrupted.db process code before
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

    before=$(cksum <"$database")
    perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$mesh_release" run "$small" -o "$database" \
        --set /duration=1000h --no-thresholds >"$folder/stdout" 2>"$folder/stderr" &
    process=$!
    sleep 1
    kill -INT "$process"
    kill -TERM "$process"
    wait "$process"
    tap_same 'Ctrl-C twice gives exit code 130 too' 130 "$?"
    tap_same 'and leaves the earlier results as they were' "$before" "$(cksum <"$database")"
    tap_same 'and nothing beside them' "$database" "$(echo "$database"*)"
}

usage
bad_scenarios
runs
boxes
choices
readers
recipes
replays
dry_runs
interrupted
tap_end
