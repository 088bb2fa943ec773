#!/bin/bash
# nat_matrix.sh - the kernel's NAT in the laboratory: each recipe is what it is called, and those
# pairs can punch through that are known to.
#
# The simulator's boxes are held to the same table. By night pairs and birthdays are repeated.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/support/odds.sh
. tests/support/odds.sh
# shellcheck source=tests/live/natlab.sh
. tests/live/natlab.sh

if ! reason=$(lab_possible); then
    tap_skip 'NAT boxes of the kernel' "$reason"
    exit 0
fi
repeats=1
birthdays=20
if [ "${MESHTWIN_NIGHTLY:-0}" = 1 ]; then
    repeats=10
    birthdays=200
fi

# Whom probes ask.
server=("$lab_prefix-stun")

classify()
{
    "$lab_probe" classify "$lab_prefix-$1" "${server[@]}" "$(lab_address_of stun 2)"
}

# punch ONE OTHER [options]
punch()
{
    "$lab_probe" punch "${@:3}" "$lab_prefix-$1" "$lab_prefix-$2" "${server[@]}"
}

# is_box EXPECTED RECIPE [modifiers]: a host behind a fresh box finds it to be that.
is_box()
{
    local expected=$1
    shift
    lab_box box "$@"
    lab_host host box
    tap_same "$* is that" "$expected" "$(classify host)"
    lab_remove host box
}

# Mapping and filtering as in RFC 4787, sections 4.1 and 5.
recipes()
{
    local free='filtering=independent' address='filtering=address' port='filtering=address_and_port'
    local cone='mapping=independent' each='mapping=address_and_port'
    is_box "$cone $free ports=preserved hairpin=no" full_cone
    is_box "$cone $address ports=preserved hairpin=no" restricted
    is_box "$cone $port ports=preserved hairpin=no" port_restricted
    is_box "mapping=address $port ports=random hairpin=no" address_dependent
    is_box "$each $port ports=random hairpin=no" symmetric
    is_box "$each $free ports=random hairpin=no" symmetric_open
    is_box "$each $port ports=sequential hairpin=no" sequential
    is_box "$cone $port ports=preserved hairpin=no" poisonable
    is_box blocked udp_blocked
    # Without translation, hosts behind it reach each other directly.
    is_box "mapping=none $port ports=preserved hairpin=external" firewall
    is_box "$cone $free ports=preserved hairpin=external" full_cone hairpin
    is_box "$cone $address ports=preserved hairpin=external" restricted hairpin
    is_box "$cone $port ports=preserved hairpin=external" port_restricted hairpin
    is_box "$cone $free ports=preserved hairpin=no" port_restricted static
}

# is_double EXPECTED INNER OUTER: the stricter of two boxes wins, for each of both properties.
is_double()
{
    lab_box outer "$3"
    lab_box inner "$2" behind outer
    lab_host host inner
    tap_same "$2 behind $3 is that" "$1" "$(classify host | cut -d ' ' -f 1,2)"
    lab_box box port_restricted
    lab_host other box
    tap_same "$2 behind $3 with port_restricted" "$4" "$(punch host other)"
    lab_remove host other inner outer box
}

doubles()
{
    local port='filtering=address_and_port'
    is_double "mapping=independent $port" port_restricted port_restricted yes
    is_double 'mapping=independent filtering=independent' full_cone full_cone yes
    is_double "mapping=independent $port" full_cone port_restricted yes
    is_double "mapping=address_and_port $port" port_restricted symmetric no
}

# pair ONE OTHER makes two fresh boxes with a host behind each.
pair()
{
    lab_box left "$1"
    lab_box right "$2"
    lab_host one left
    lab_host two right
}

unpair()
{
    lab_remove one two left right
}

# The table: rows and columns are these recipes; y where plain punching gets through.
table_kinds=(full_cone restricted port_restricted address_dependent symmetric symmetric_open)
table='yyyyyy
yyyyyy
yyynny
yynnny
yynnny
yyyyyy'

measure_row()
{
    local one=$1 other result row=''
    for other in "${table_kinds[@]}"; do
        pair "$one" "$other"
        result=$(punch one two -n "$repeats")
        case $result in
        yes | "$repeats of $repeats") row+=y ;;
        no | "0 of $repeats") row+=n ;;
        *) row+="($result)" ;;
        esac
        unpair
    done
    measured=$row
}

matrix()
{
    local number=0 one other expected measured
    printf '# %-18s %s\n' 'four rounds:' "${table_kinds[*]}"
    for one in "${table_kinds[@]}"; do
        measure_row "$one"
        number=$((number + 1))
        expected=$(sed -n "${number}p" <<<"$table")
        printf '# %-18s %s\n' "$one" "$measured"
        for ((other = 0; other < 6; other++)); do
            tap_same "$one with ${table_kinds[other]}: ${expected:other:1}" \
                "${expected:other:1}" "${measured:other:1}"
        done
    done
}

birthday()
{
    local run successes=0 theory least
    pair symmetric port_restricted
    for ((run = 1; run <= birthdays; run++)); do
        if [ "$(punch one two -b 256x1024 -x "$run")" = yes ]; then
            successes=$((successes + 1))
        fi
        lab_flush left
        lab_flush right
    done
    unpair
    read -r theory least < <(hits_wanted "$birthdays" 256 1024)
    echo "# birthday, 256 sockets and 1024 probes: $successes of $birthdays (95 % interval of the" \
        "rate $(wilson "$successes" "$birthdays")); theory $theory, so at least $least"
    tap_check 'birthday gets through as often as theory has it' test "$successes" -ge "$least"
}

predictions()
{
    pair port_restricted sequential
    tap_same 'port_restricted with sequential, without guessing' '0 of 10' "$(punch one two -n 10)"
    tap_same 'and with three guesses' '10 of 10' "$(punch one two -n 10 -g 3)"
    unpair
}

# What unasked packets do to a box that takes them for its own.
poisoned()
{
    local from
    pair port_restricted poisonable
    from=${lab_address[left]}
    tap_same 'staggered, a poisonable box is never reached' '0 of 4' "$(punch one two -n 4 -s)"
    lab_flush right
    punch one two -r 0 -o 2 >/dev/null
    tap_same 'a packet with a time to live of 2 does not reach the other box' 0 \
        "$(lab_in right conntrack -L -s "$from" 2>/dev/null | grep -c .)"
    lab_flush left
    lab_flush right
    punch one two -r 1 -s >/dev/null
    tap_same 'and one with the usual does' 1 \
        "$(lab_in right conntrack -L -s "$from" 2>/dev/null | grep -c .)"
    lab_flush right
    lab_flush left
    tap_same 'openers of that kind get both through' '4 of 4' "$(punch one two -n 4 -s -o 2)"
    unpair
    pair port_restricted port_restricted
    tap_same 'staggered, a box that drops them is reached' '4 of 4' "$(punch one two -n 4 -s)"
    unpair
}

blocked()
{
    pair full_cone udp_blocked
    tap_same 'where UDP is blocked nothing gets through' no "$(punch one two)"
    unpair
    pair full_cone firewall
    tap_same 'a firewall is like a port_restricted box' yes "$(punch one two)"
    unpair
}

# flows COUNT behind HOST prints how many get through.
flows()
{
    "$lab_probe" flows "$1" "$lab_prefix-$2" "${server[@]}"
}

limits()
{
    lab_box box port_restricted cap 64
    lab_host host box
    lab_host other box
    tap_same 'a cap of 64 sessions lets 64 of 200 flows through' 64 "$(flows 200 host)"
    tap_same 'which the box holds' 64 "$(lab_sessions box)"
    tap_same 'another host has its own 64' 64 "$(flows 200 other)"
    lab_remove host other box
    lab_box box port_restricted block 16
    lab_host host box
    tap_same 'a block of 16 ports lets 16 of 30 flows through' 16 "$(flows 30 host)"
    lab_remove host box
}

# How a TCP connection from the internet to the box ends: 1 refused, 124 not at all.
knock()
{
    lab_in stun timeout 1 bash -c ": <>/dev/tcp/${lab_address[$1]}/80" 2>/dev/null
    echo $?
}

rejection()
{
    lab_box left port_restricted reject
    lab_box right port_restricted
    tap_same 'a box that rejects TCP says so' 1 "$(knock left)"
    tap_same 'and one that does not, does not' 124 "$(knock right)"
    lab_remove left right
}

# Idle times of 3 s. "open LEAST MOST": so many milliseconds after the last packet from inside. When
# this machine was busy elsewhere, and 1 s became more than 3, it says nothing: again.
timeouts()
{
    local attempt early='' late='' least most
    lab_box box port_restricted
    lab_host host box
    lab_timeouts box 3 3
    for ((attempt = 0; attempt < 3; attempt++)); do
            { read -r early _ most && read -r late least _; } < <(
            "$lab_probe" hold 1000 4000 "$lab_prefix-host" "${server[@]}")
        [ "$most" -ge 3000 ] || break
    done
    tap_same "a mapping of 3 s is open after $most ms" open "$early"
    tap_same "and closed after $least ms" closed "$late"
    lab_remove host box
}

renumbering()
{
    local first second old port
    lab_box box port_restricted
    lab_host host box
    old=${lab_address[box]}
    coproc watch { "$lab_probe" watch "$lab_prefix-host" "${server[@]}"; }
    echo >&"${watch[1]}"
    read -r first <&"${watch[0]}"
    lab_renumber box
    echo >&"${watch[1]}"
    read -r second <&"${watch[0]}"
    port=${first##*:}
    tap_same 'a socket is seen at the outer address' "$old:$port" "$first"
    tap_same 'after renumbering it is seen at the new one' "${lab_address[box]}:$port" "$second"
    tap_check 'which is another' test "$old" != "${lab_address[box]}"
    eval "exec ${watch[1]}>&-"
    lab_remove host box
}

# A laboratory that was interrupted is gone, and what a killed one has left goes with the next.
cleaning()
{
    local dead left
    sh -c : &
    dead=$!
    wait "$dead"
    ip netns add "mtlab$dead-left"
    # shellcheck disable=SC2016 # the inner shell's
    left=$(bash -c '. tests/live/natlab.sh; lab_open; lab_internet; lab_box box full_cone
        echo "$lab_prefix"; kill -INT $$; sleep 5')
    tap_same 'an interrupted laboratory leaves nothing' 0 "$(ip netns list | grep -c "^$left-")"
    tap_same 'nor a killed one, once another was opened' 0 \
        "$(ip netns list | grep -c "^mtlab$dead-")"
    tap_same 'while one whose process lives stays' 2 \
        "$(ip netns list | grep -cE "^$lab_prefix-(internet|stun)( |\$)")"
}

lab_open
lab_internet
server+=("${lab_address[stun]}")
recipes
doubles
matrix
predictions
birthday
poisoned
blocked
limits
rejection
timeouts
renumbering
cleaning
tap_end
