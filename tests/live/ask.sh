# shellcheck shell=bash disable=SC2154 # ask_node, ask_folder, ask_patience are set elsewhere
# ask.sh - asks real nodes over their control sockets, and waits by asking. Sourced by live.sh and
# lab_nodes.sh, which start them.

# ctl NAME VERB [words] asks a node.
ctl()
{
    local name=$1
    shift
    "$ask_node" ctl --control "$ask_folder/$name/control" "$@"
}

# ctl_field NAME FILTER VERB [words] prints what jq's FILTER makes of the reply's data.
ctl_field()
{
    local name=$1 filter=$2
    shift 2
    ctl "$name" --json "$@" 2>/dev/null | jq -r "$filter"
}

# wait_for COMMAND... polls until it succeeds. Fails after ask_patience polls of a tenth of a
# second: a deadline, far above what anything takes.
wait_for()
{
    local polls
    for ((polls = 0; polls < ask_patience; polls++)); do
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
