#!/bin/bash
# dist.sh - what is installed works: library and example, packages, man pages, completions, unit.
#
#      cmake --install -> a folder -> example built against it -> two of them meet
#      cpack -> two packages -> unpacked -> the programs in them run
#
# usage: tests/live/dist.sh BUILD_FOLDER     (a release build)
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh

build=$(realpath "$1")
place=$(mktemp -d)
cleanup()
{
    local process
    for process in $(jobs -p); do
        kill "$process" 2>/dev/null
        wait "$process" 2>/dev/null
    done
    rm -rf "$place"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# first_line PATTERN FILE: waits until a line of the file matches, at most 20 s, and prints it.
first_line()
{
    local end=$((SECONDS + 20))
    until grep -m 1 -E "$1" "$2"; do
        if [ "$SECONDS" -ge "$end" ]; then
            return 1
        fi
        sleep 0.05
    done
}

# Prints the complaint, if there is one.
nothing()
{
    printf '%s' "$1"
    [ -z "$1" ]
}

# --- installed -------------------------------------------------------------------------------

root=$place/usr
tap_check 'cmake --install puts everything into a folder' \
    cmake --install "$build" --prefix "$root"
pc=$(find "$root" -name meshnode.pc)
export PKG_CONFIG_PATH=${pc%/*}
library=$(pkg-config --variable=libdir meshnode)
export LD_LIBRARY_PATH=$library
exported=$(nm -D --defined-only "$library/libmeshnode.so" | awk '$2 == "T" { print $3 }' |
    grep -v '^meshnode_')
tap_check 'the library shows nothing but its interface' nothing "$exported"
declared=$(grep -oE '\bmeshnode_[a-z_]+\(' "$root/include/meshnode.h" | tr -d '(' | sort -u)
missing=$(comm -23 <(echo "$declared") \
    <(nm -D --defined-only "$library/libmeshnode.so" | awk '{ print $3 }' | sort -u))
tap_check 'and all of it' nothing "$missing"

# shellcheck disable=SC2046 # words are what pkg-config prints
tap_check 'the example builds against the installed copy' \
    gcc -Wall -Wextra -Werror "$root/share/doc/meshnode/examples/hello.c" -o "$place/hello" \
    $(pkg-config --cflags --libs meshnode)
"$place/hello" >"$place/one" 2>&1 &
address=$(first_line '^listening at ' "$place/one" | sed 's/listening at //')
"$place/hello" "$address" >"$place/two" 2>&1
tap_check 'the second of them stores a greeting' grep -q '^stored under .*: success$' "$place/two"
tap_check 'and reads it back' grep -q '^read back: hello$' "$place/two"
tap_check 'the first one hears of it' first_line '^heard: hello, mesh$' "$place/one"
tap_check 'and says who came' grep -qE '^met: [0-9a-f]{40}$' "$place/one"

for program in meshtwin meshnode; do
    page=$root/share/man/man1/$program.1
    if command -v groff >/dev/null; then
        tap_check "the man page of $program has no mistake" nothing \
            "$(groff -man -ww -z "$page" 2>&1)"
    else
        tap_skip "the man page of $program has no mistake" 'no groff here'
    fi
    tap_check "bash accepts the completions of $program" \
        bash -n "$root/share/bash-completion/completions/$program"
    tap_check "$program says its version" "$root/bin/$program" --version
done
tap_check 'meshtwin node is meshnode' "$root/bin/meshtwin" node --version
unit=$root/lib/systemd/system/meshnode.service
if command -v systemd-analyze >/dev/null; then
    sed "s,ExecStart=/usr/,ExecStart=$root/," "$unit" >"$place/meshnode.service"
    tap_check 'systemd has nothing against the unit' nothing \
        "$(systemd-analyze verify --man=no "$place/meshnode.service" 2>&1)"
else
    tap_skip 'systemd has nothing against the unit' 'no systemd-analyze here'
fi

# --- packages --------------------------------------------------------------------------------

if command -v dpkg-shlibdeps >/dev/null && command -v file >/dev/null; then
    tap_check 'cpack makes packages' sh -c \
        "cd '$build' && cpack -G DEB -B '$place/packages' >'$place/cpack.log' 2>&1"
    for name in meshnode meshtwin; do
        deb=$(find "$place/packages" -maxdepth 1 -name "${name}_*.deb")
        tap_check "the package $name unpacks" dpkg-deb -x "$deb" "$place/$name"
        tap_check "and its program runs" "$place/$name/usr/bin/$name" --version
    done
    depends=$(dpkg-deb -f "$place"/packages/meshnode_*.deb Depends)
    tap_check 'meshnode depends on what it links' grep -q libuv1 <<<"$depends"
    tap_check 'and on no library under the GPL' grep -vq libgsl <<<"$depends"
else
    tap_skip 'cpack makes packages' 'no dpkg-shlibdeps or file here'
fi
tap_end
