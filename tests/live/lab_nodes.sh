# shellcheck shell=bash disable=SC2154 # natlab.sh sets lab_folder
# lab_nodes.sh - nodes in the laboratory of natlab.sh: started, asked, waited for. Sourced after it.

node=${LIVE_MESHNODE:-$PWD/build/release/meshnode}
ask_node=$node
ask_patience=300
# shellcheck source=tests/live/ask.sh
. tests/live/ask.sh

# run NAME PLACE [options] starts a node in a namespace.
run()
{
    local name=$1 place=$2
    shift 2
    ask_folder=$lab_folder
    mkdir -p "$lab_folder/$name"
    lab_start "node-$name" "$place" "$node" --no-shell --http off \
        --identity "$lab_folder/$name/identity.key" --db "$lab_folder/$name/ledger.db" \
        --control "$lab_folder/$name/control" --http-token "$lab_folder/$name/token" "$@"
}

# run_publics COUNT starts p0, p1, ... in the internet, the others through the first.
run_publics()
{
    local i
    for ((i = 0; i < $1; i++)); do
        lab_public "p$i"
        if [ "$i" = 0 ]; then
            run p0 p0 --reach public
        else
            run "p$i" "p$i" --reach public --bootstrap "${lab_address[p0]}:8468"
        fi
        wait_for is_up "p$i"
    done
}

# has_settled NAME: a server, or a client with relays.
has_settled()
{
    local relays='.nat | if .reach == "server" then 2 else (.relays | length) end'
    [ "$(ctl_field "$1" "$relays" status)" -ge 2 ]
}

is_server()
{
    [ "$(ctl_field "$1" .nat.reach status)" = server ]
}

is_direct()
{
    [[ "$(ctl_field "$1" .way why "$2")" =~ ^(direct|punched)$ ]]
}
