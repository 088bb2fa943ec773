#!/bin/sh
# start.sh - a container's meshnode: port and name from PORT and NODE_NAME, state in the volume.
set -eu
state=/var/lib/meshnode
echo "$NODE_NAME: meshnode on port $PORT" >&2
exec meshnode --no-shell --log-format json --port "$PORT" \
    --identity "$state/identity.key" --db "$state/ledger.db" --control "$state/control.sock" "$@"
