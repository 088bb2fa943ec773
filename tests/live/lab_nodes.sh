# shellcheck shell=bash disable=SC2154 # natlab.sh sets lab_folder
# lab_nodes.sh - nodes in the laboratory of natlab.sh: started, asked, waited for. Sourced after it.

node=${LIVE_MESHNODE:-$PWD/build/release/meshnode}
patience=300 # polls of a tenth of a second

# run NAME PLACE [options] starts a node in a namespace.
run()
{
    local name=$1 place=$2
    shift 2
    mkdir -p "$lab_folder/$name"
    lab_start "node-$name" "$place" "$node" --no-shell --http off \
        --identity "$lab_folder/$name/identity.key" --db "$lab_folder/$name/ledger.db" \
        --control "$lab_folder/$name/control" --http-token "$lab_folder/$name/token" "$@"
}

ctl()
{
    local name=$1
    shift
    "$node" ctl --control "$lab_folder/$name/control" "$@"
}

field()
{
    local name=$1 filter=$2
    shift 2
    ctl "$name" --json "$@" 2>/dev/null | jq -r "$filter"
}

# wait_until COMMAND... polls; fails when it never succeeds.
wait_until()
{
    local polls
    for ((polls = 0; polls < patience; polls++)); do
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

is_up()
{
    ctl "$1" status
}

# has_settled NAME: a server, or a client with relays.
has_settled()
{
    local relays='.nat | if .reach == "server" then 2 else (.relays | length) end'
    [ "$(field "$1" "$relays" status)" -ge 2 ]
}

is_server()
{
    [ "$(field "$1" .nat.reach status)" = server ]
}

is_direct()
{
    [[ "$(field "$1" .way why "$2")" =~ ^(direct|punched)$ ]]
}
