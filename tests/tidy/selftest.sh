#!/bin/bash
# selftest.sh - shows that each check of tidy.pl can fail: a good tree passes, a spoilt one not.
#
#      good tree -> copy -> one file spoilt -> tidy.pl --only CHECK -> must complain about that file
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh

tidy=$PWD/tests/tidy/tidy.pl
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

make_good_tree()
{
    mkdir -p "$folder/good/node/base" "$folder/good/node/dht" "$folder/good/sim/engine" \
        "$folder/good/scenarios" "$folder/good/build"
    cd "$folder/good"
    cp "$OLDPWD/.clang-format" "$OLDPWD/LICENSE" .
    cat >node/base/good.h <<'EOF'
/* good.h - a header as the house likes it.
 *
 * It adds; it does not subtract.
 */
#ifndef NODE_BASE_GOOD_H
#define NODE_BASE_GOOD_H

typedef int (*good_fn)(int a);
int good_add(int a, int b);

#endif /* NODE_BASE_GOOD_H */
EOF
    cat >node/base/good.c <<'EOF'
/* good.c - the addition. */
#include "node/base/good.h"

#include <string.h>

static const char *const names[] = {"time(now) is only text", "malloc(1)"};

int good_add(int a, int b)
{
    return a + b + (int)strlen(names[a]);
}
EOF
    printf '/* both.c - uses what lies below. */\n#include "node/base/good.h"\n' >node/dht/both.c
    printf '#!/bin/sh\n# good.sh - greets.\necho hello\n' >good.sh
    printf '{ "thresholds": { "x": ["mean > 1"] } }\n' >scenarios/good.jsonc
    printf '# Good\n\nSee [the script](good.sh).\n' >README.md
    compile node/base/good.c
    {
        echo "\"file\": \"$PWD/node/base/good.c\","
        echo "\"file\": \"$PWD/node/dht/both.c\","
    } >build/compile_commands.json
    printf 'build mesh%s: LINK x.o | libnode.a libnode_base.a || libnode.a\n' twin node \
        >build/build.ninja
    cd - >/dev/null
}

# Compiles with the flags that make constant tables of pointers land in .data.rel.ro.
compile()
{
    gcc -std=c11 -O2 -fPIE -I. -c "$1" -o build/object.o
    rm -f build/libnode.a
    ar rc build/libnode.a build/object.o
}

run_tidy()
{
    "$tidy" --root "$folder/$1" --release "$folder/$1/build" --test "$folder/$1/build" --only "$2"
}

# spoil CHECK COMPLAINT FILE writes stdin to FILE of a fresh copy; CHECK must complain, in words
# that match COMPLAINT.
spoil()
{
    local check=$1 complaint=$2 file=$3 output
    rm -rf "$folder/bad"
    cp -r "$folder/good" "$folder/bad"
    mkdir -p "$folder/bad/$(dirname "$file")"
    cat >"$folder/bad/$file"
    sed -i "s|$folder/good|$folder/bad|" "$folder/bad/build/compile_commands.json"
    if [[ $check == @(symbols|globals) ]]; then
        (cd "$folder/bad" && compile "$file")
    fi
    if output=$(run_tidy bad "$check" 2>&1); then
        tap_not_ok "$check notices: $complaint" "$output"
    elif grep -qE -- "$complaint" <<<"$output"; then
        tap_ok "$check notices: $complaint"
    else
        tap_not_ok "$check notices: $complaint" "$output"
    fi
}

repeat()
{
    local i
    for ((i = 0; i < $1; i++)); do
        echo "$2"
    done
}

make_good_tree
all_checks=$(sed -n 's/^    \[\([a-z]*\) *=> .*/\1/p' "$tidy")
for check in $all_checks; do
    if output=$(run_tidy good "$check" 2>&1) && [ -n "$output" ]; then
        tap_ok "$check accepts the good tree"
    else
        tap_not_ok "$check accepts the good tree" "$output"
    fi
done

spoil symbols 'wants getpid' node/base/bad.c <<'EOF'
/* bad.c - asks the kernel. */
#include <unistd.h>
int bad_ask(void);
int bad_ask(void) { return (int)getpid(); }
EOF
spoil globals 'variable bad_zero in \.bss' node/base/bad.c <<<'int bad_zero;'
spoil globals 'variable bad_one in \.data' node/base/bad.c <<<'int bad_one = 1;'
spoil globals 'variable calls\S* in \.bss' node/base/bad.c \
    <<<'int bad_count(void) { static int calls; return ++calls; }'
spoil globals 'variable bad_thread in \.tbss' node/base/bad.c <<<'_Thread_local int bad_thread;'
spoil library 'meshnode does not link libnode.a' build/build.ninja \
    <<<$'build meshtwin: LINK x.o | libnode.a\nbuild meshnode: LINK x.o || libnode.a'
spoil library 'meshtwin links libnode_dht.a' build/build.ninja \
    <<<$'build meshtwin: LINK x.o | libnode.a libnode_dht.a\nbuild meshnode: L | libnode.a'
spoil arrows 'node/base may not include from node/dht' node/base/bad.c <<'EOF'
#include "node/dht/both.c"
EOF
spoil arrows 'sim/engine may not include from node/dht' sim/engine/bad.c <<'EOF'
#include "node/dht/both.c"
EOF
spoil arrows '"good.h" is not a path from the root' node/base/bad.c <<<'#include "good.h"'
spoil arrows 'no line for node/surprise' node/surprise/new.c <<<'/* new.c - new */'
spoil bytes 'bytes are put together in node/wire' node/dht/bad.c \
    <<<'int bad(unsigned char *at) { return at[0] << 8 | at[1]; }'
spoil bytes 'bytes are put together in node/wire' node/dht/bad.c \
    <<<'int bad(int sum, unsigned char *at) { return (sum << 8) | at[1]; }'
spoil bytes 'numbers are taken apart in node/wire' node/dht/bad.c \
    <<<'char bad(int a) { return (uint8_t)(a >> 16); }'
spoil bytes 'ntohl belongs in node/wire' node/dht/bad.c <<<'long bad(long x) { return ntohl(x); }'
spoil calls 'malloc may not be called in node/' node/base/bad.c <<<'void *p = malloc(1);'
spoil calls '<time.h> may not be included' node/base/bad.c <<<'#include <time.h>'
spoil calls 'strcpy is unsafe' sim/engine/bad.c <<<'void f(void) { strcpy(a, b); }'
spoil calls 'clock_gettime gives a run' sim/engine/bad.c <<<'void f(void) { clock_gettime(0, a); }'
{
    printf 'int bad(int a)\n{\n'
    repeat 70 '    a++;'
    printf '    return a;\n}\n'
} | spoil functions 'bad.c:2: 73 lines' node/base/bad.c
repeat 1001 '/* . */' | spoil files '1001 lines' node/base/bad.c
spoil lines '101 columns' node/base/bad.c <<<"/* $(printf 'x%.0s' {1..95}) */"
spoil lines 'bad.c:1: tab' node/base/bad.c <<<$'\tint a;'
spoil lines 'blank at the end' node/base/bad.c <<<'int a; '
printf 'int a;' | spoil lines 'no newline at the end' node/base/bad.c
spoil openings 'bad.c:1: does not open with' node/base/bad.c <<<'int a;'
spoil openings 'bad.h:1: opens without a paragraph' node/base/bad.h <<<'/* bad.h - short. */'
spoil openings 'bad.sh:2: is not' bad.sh <<<'#!/bin/sh'
spoil guards 'the guard is not NODE_BASE_BAD_H' node/base/bad.h <<<'#ifndef BAD_H'
spoil typedefs 'typedef struct bad bad_t' node/base/bad.h <<<'typedef struct bad bad_t;'
spoil gotos 'goto again' node/base/bad.c <<<'goto again;'
spoil headers 'unknown type name' node/base/bad.h <<<'uint8_t bad(void);'
if "$tidy" --only format | grep -q SKIP; then
    tap_skip 'format notices a changed file' 'clang-format 14 is not installed'
else
    spoil format 'would change node/base/bad.c' node/base/bad.c <<<'int  a ;'
fi
spoil targets 'bad.c is compiled by no target' node/base/bad.c <<<'int a;'
spoil scenarios 'bad.jsonc: no thresholds' scenarios/bad.jsonc <<'EOF'
{ "name": "bad" // "thresholds": { "x": 1 }
}
EOF
spoil leftovers 'bad.c:1: TO''DO' node/base/bad.c <<<'/* TO''DO */'
spoil places 'host registry.invalid' bad.md <<<'http''s://registry.invalid/a'
spoil places 'path /home''/somebody' bad.md <<<'cd /home''/somebody'
spoil licence 'does not open with "MIT License"' LICENSE <<<'All rights reserved'
spoil links 'bad.md:1: no nowhere.md' bad.md <<<'[x](nowhere.md)'
# The sample's fault is to leave $1 unquoted, so it must not be expanded here.
# shellcheck disable=SC2016
spoil shell 'SC2086' bad.sh <<<$'#!/bin/sh\n# bad.sh - greets.\necho $1'

for check in $all_checks; do
    tap_check "$check has been seen failing" \
        grep -qE "^(spoil|.*\\| spoil|    spoil) $check " tests/tidy/selftest.sh
done
tap_end
