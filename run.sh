#!/bin/bash
# run.sh - from a fresh checkout to a simulated mesh: installs what is missing, builds, runs.
set -euo pipefail
cd "$(dirname "$0")"

usage()
{
    cat <<'EOF'
usage: ./run.sh [SCENARIO] [OPTIONS OF meshtwin run]
       ./run.sh --build

Installs missing Debian packages, builds build/release/meshtwin, simulates SCENARIO (default
scenarios/first-mesh.jsonc), prints the summary and leaves results/<scenario>.db.

  --build       stop after the build
  -h, --help    this text

Every other option goes to `meshtwin run`, for example --seeds 5, --until 5m or
--set /network/mtu=1400. The exit code is meshtwin's: 0 when every threshold passed, 4 when one
failed. MESHTWIN_NO_INSTALL=1 keeps apt-get out of it.
EOF
}

has_output_option()
{
    local option
    for option in "$@"; do
        case $option in
        -o | -o?* | --output | --output=*) return 0 ;;
        esac
    done
    return 1
}

scenario=scenarios/first-mesh.jsonc
build_only=false
case ${1:-} in
-h | --help)
    usage
    exit 0
    ;;
--build)
    build_only=true
    shift
    if [ $# -gt 0 ]; then
        echo "run.sh: --build takes nothing else, not \"$1\"" >&2
        exit 2
    fi
    ;;
-* | '') ;;
*)
    scenario=$1
    shift
    ;;
esac

# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh
setup_install "$setup_needs_build" ''
setup_build release
if $build_only; then
    exit 0
fi

output=()
if ! has_output_option "$@"; then
    mkdir -p results
    name=${scenario##*/}
    output=(-o "results/${name%.json*}.db")
fi
exec build/release/meshtwin run "$scenario" "${output[@]}" "$@"
