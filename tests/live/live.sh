# shellcheck shell=bash disable=SC2034 # the binaries are for those who source this
# live.sh - how tests run real nodes: private folders, own addresses, waiting by asking. Sourced,
# never run.
#
# Every node has a name and an address of its own in 127.26.0.0/16 with port 8468, so that several
# test scripts, and a node of the person at the keyboard, do not meet. What has been started is
# stopped and removed when the script ends, however it ends.

live_node=${LIVE_MESHNODE:-$PWD/build/release/meshnode}
live_twin=$PWD/build/release/meshtwin
live_net=${LIVE_NET:-127.26}
live_port=8468
live_folder=$(mktemp -d)
declare -A live_process=()
ask_node=$live_node
ask_folder=$live_folder
ask_patience=200
# shellcheck source=tests/live/ask.sh
. tests/live/ask.sh

live_stop_all()
{
    local name
    for name in "${!live_process[@]}"; do
        kill -KILL "${live_process[$name]}" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$live_folder"
}
trap live_stop_all EXIT
trap 'exit 130' INT TERM

# The address of node NUMBER: each lies in an address group (/24) of its own.
live_addr()
{
    echo "$live_net.$1.1"
}

# start_node NAME NUMBER [options] starts a node in the background, with its log in
# $live_folder/NAME.log; does not wait. HTTP is off unless an option says otherwise.
start_node()
{
    local name=$1 number=$2
    shift 2
    mkdir -p "$live_folder/$name"
    "$live_node" --no-shell --host "$(live_addr "$number")" --port "$live_port" --http off \
        --identity "$live_folder/$name/identity.key" --db "$live_folder/$name/ledger.db" \
        --control "$live_folder/$name/control" --http-token "$live_folder/$name/token" "$@" \
        </dev/null >>"$live_folder/$name.log" 2>&1 &
    live_process[$name]=$!
}

# stop_node NAME [SIGNAL] sends it and waits for the end; the exit code is the node's.
stop_node()
{
    local process=${live_process[$1]} code
    kill -"${2:-TERM}" "$process" 2>/dev/null
    wait "$process"
    code=$?
    unset "live_process[$1]"
    return "$code"
}

has_peers()
{
    [ "$(ctl_field "$1" .contacts status)" -ge "$2" ]
}

log_has()
{
    grep -qE -- "$2" "$live_folder/$1.log"
}

# started NAME waits until a node answers; shows its log when it does not.
started()
{
    if ! wait_for is_up "$1"; then
        printf '# %s does not answer:\n' "$1"
        sed 's/^/#   /' "$live_folder/$1.log"
        return 1
    fi
}
