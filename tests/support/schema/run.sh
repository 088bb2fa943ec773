#!/bin/sh
# run.sh - lets ajv judge every scenario fixture against the emitted schema: run.sh BUILD_DIR.
# Prints TAP: a line for each fixture, or one skip when Node or npm's packages are not to be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
build=${1:?usage: run.sh BUILD_DIR}

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    echo "ok - schema # SKIP node and npm are not installed"
    exit 0
fi
if [ ! -d "$here/node_modules/ajv" ]; then
    if ! (cd "$here" && npm ci --no-audit --no-fund --ignore-scripts --silent); then
        echo "ok - schema # SKIP npm cannot fetch ajv"
        exit 0
    fi
fi

schema=$root/scenarios/scenario.schema.json
if [ -x "$build/meshtwin" ]; then
    schema=$build/scenario.schema.json
    "$build/meshtwin" schema >"$schema"
fi
node "$here/check.mjs" "$schema" "$root"
