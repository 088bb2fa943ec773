#!/bin/sh
# run.sh - lets a foreign validator judge an OpenAPI description: run.sh FILE.
# Exit code 0: valid. 1: not, with where. 77: Node or npm's packages are not to be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
file=${1:?usage: run.sh FILE}

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    exit 77
fi
if [ ! -d "$here/node_modules/@seriousme" ]; then
    if ! (cd "$here" && npm ci --no-audit --no-fund --ignore-scripts --silent); then
        exit 77
    fi
fi
node "$here/check.mjs" "$file"
