# shellcheck shell=bash disable=SC2034 # what is set here is for those who source this
# natlab.sh - a small internet in network namespaces, with the kernel's NAT: how tests build boxes
# and hosts. Sourced, never run.
#
#   host -- box -- box -- internet -- box -- host         a line is a pair of veth, or a shaper
#            lan     wan     |    wan     lan
#                          public
#
# The internet is a router of its own: every outer link is a subnet of its own, so that a packet
# with a time to live of 2 leaves its box and dies before the other one. Addresses are public ones
# that nobody has (RFC 5737), because nodes may refuse to take private ones for those of others.
#
#   lab_open; lab_internet             the public host `stun` has two addresses
#   lab_box left port_restricted; lab_host alice left
#   lab_box right symmetric cap 64; lab_box inner full_cone behind right; lab_host bob inner
#   lab_in alice COMMAND...            docs/modules/natlab.md has the rest
#
# A NAME has at most 15 letters: on the other side a link is called so. Its namespace is
# $lab_prefix-NAME, its address ${lab_address[NAME]}. Everything goes when the script ends, however
# it ends; what a killed run has left is removed by the next lab_open.

lab_prefix=mtlab$$
lab_probe=${LAB_PROBE:-$PWD/build/test/tests/nat_probe}
lab_shaper=${LAB_SHAPER:-$PWD/build/test/tests/shaper}
lab_block_first=40000 # External ports of recipes that count, and of port blocks.
lab_sequence=1000     # So many, then from the beginning.

# All by NAME. Addresses and prefixes are in full, as `ip` takes them.
declare -A lab_kind=() lab_address=() lab_gateway=() lab_behind=() lab_slot=() lab_count=()
declare -A lab_recipe=() lab_modifiers=() lab_inner=() lab_inside_next=() lab_stream=()
declare -A lab_shaped=() lab_process=()

# Prints why there can be no laboratory here, and fails; or succeeds, silently.
lab_possible()
{
    local tool
    if [ "$(id -u)" -ne 0 ]; then
        echo 'it needs root, for network namespaces'
        return 1
    fi
    for tool in ip nft conntrack setpriv; do
        if ! command -v "$tool" >/dev/null; then
            echo "there is no $tool"
            return 1
        fi
    done
    if ! ip netns add "$lab_prefix-try" 2>/dev/null; then
        echo 'no network namespace can be made here'
        return 1
    fi
    if ! lab_in try nft add table ip n 2>/dev/null; then
        ip netns del "$lab_prefix-try"
        echo 'the kernel has no nftables'
        return 1
    fi
    ip netns del "$lab_prefix-try"
}

lab_open()
{
    local name folders=${TMPDIR:-/tmp}
    while read -r name _; do
        if [[ $name == mtlab*-* ]] && lab_is_stale "${name%%-*}"; then
            ip netns del "$name" 2>/dev/null # another laboratory may have been faster
        fi
    done < <(ip netns list)
    for name in "$folders"/mtlab*.*; do
        if [ -d "$name" ] && lab_is_stale "$(basename "${name%.*}")"; then
            rm -rf "$name"
        fi
    done
    lab_folder=$(mktemp -d "$folders/$lab_prefix.XXXXXX")
    eval "lab_inherited=($(trap -p EXIT))" # trap -- 'command' EXIT, or nothing
    trap lab_close EXIT
    trap 'exit 130' INT TERM
}

# Whether a prefix is of a process that is no more, or of an earlier one with our number.
lab_is_stale()
{
    local process=${1#mtlab}
    [[ $process =~ ^[0-9]+$ ]] && { [ "$process" = $$ ] || [ ! -e "/proc/$process" ]; }
}

lab_close()
{
    local label
    trap '' INT TERM
    for label in "${!lab_process[@]}"; do
        kill -KILL "${lab_process[$label]}" 2>/dev/null
    done
    for label in "${!lab_process[@]}"; do
        wait "${lab_process[$label]}" 2>/dev/null
    done
    ip netns list | sed -n "s/^\($lab_prefix-[^ ]*\).*/\1/p" | xargs -r -n 1 ip netns del
    rm -rf "$lab_folder"
    eval "${lab_inherited[2]:-:}"
}

# lab_in NAME COMMAND... runs it there.
lab_in()
{
    ip netns exec "$lab_prefix-$1" "${@:2}"
}

# lab_start LABEL NAME COMMAND... runs it there in the background until lab_stop or the end. What it
# prints is in $lab_folder/LABEL.log; it reads what lab_say LABEL WORDS... says. Not from a
# subshell: it would end with that.
lab_start()
{
    rm -f "$lab_folder/$1.in"
    mkfifo "$lab_folder/$1.in"
    setpriv --pdeathsig KILL ip netns exec "$lab_prefix-$2" "${@:3}" \
        <>"$lab_folder/$1.in" >"$lab_folder/$1.log" 2>&1 &
    lab_process[$1]=$!
}

lab_say()
{
    echo "${@:2}" >"$lab_folder/$1.in"
}

# lab_heard LABEL PATTERN waits for a line; fails when the program has ended without it.
lab_heard()
{
    local is_alive=yes
    while ! grep -qE -- "$2" "$lab_folder/$1.log"; do
        [ "$is_alive" = yes ] || return 1
        kill -0 "${lab_process[$1]}" 2>/dev/null || is_alive=no
        sleep 0.05
    done
}

# lab_wait LABEL waits until it ends by itself; the exit code is the program's.
lab_wait()
{
    local process=${lab_process[$1]}
    unset "lab_process[$1]"
    wait "$process"
}

# lab_stop LABEL [SIGNAL] waits for its end; the exit code is the program's.
lab_stop()
{
    kill -"${2:-TERM}" "${lab_process[$1]}" 2>/dev/null
    lab_wait "$1"
}

lab_internet()
{
    lab_kind[internet]=internet
    lab_ip '' netns add "$lab_prefix-internet"
    lab_sysctl internet ipv4/ip_forward=1
    lab_public stun 2
}

# lab_public NAME [COUNT] makes a host on the internet with that many addresses, one by default.
# lab_address NAME is the first; lab_address_of NAME 2 the second.
lab_public()
{
    local name=$1 slot first
    lab_find_slot public 16
    lab_slot[$name]=$slot
    first=$((slot * 8 + 1))
    lab_gateway[$name]=198.51.100.$first
    lab_address[$name]=198.51.100.$((first + 1))
    lab_behind[$name]=internet
    lab_count[$name]=${2:-1}
    lab_build public "$name"
}

# lab_address_of NAME [NUMBER] prints the address of a box (outer), host or public host.
lab_address_of()
{
    local last=${lab_address[$1]##*.}
    echo "${lab_address[$1]%.*}.$((last + ${2:-1} - 1))"
}

# lab_box NAME RECIPE [hairpin] [cap SESSIONS] [block PORTS] [reject] [static] [behind OTHER]
lab_box()
{
    local name=$1 slot
    local -A modifiers=()
    lab_recipe[$name]=$2
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
        cap | block | behind) modifiers[$1]=${2:?$1 wants a word} && shift ;;
        hairpin | reject | static) modifiers[$1]=yes ;;
        *) echo "lab_box: no modifier $1" >&2 && return 1 ;;
        esac
        shift
    done
    lab_find_slot box 32
    lab_slot[$name]=$slot
    lab_behind[$name]=${modifiers[behind]:-internet}
    lab_modifiers[$name]=" ${!modifiers[*]} cap=${modifiers[cap]:-} block=${modifiers[block]:-} "
    lab_stream[$name]=120 # As Linux has it.
    if [ "${lab_behind[$name]}" = internet ]; then
        lab_gateway[$name]=203.0.113.$((slot * 8 + 1))
        lab_address[$name]=203.0.113.$((slot * 8 + 2))
    else
        lab_take_inside "$name" "${lab_behind[$name]}"
    fi
    # Private inside a NAT, public and known outside with a firewall.
    lab_inner[$name]=10.0.$slot.1/24
    lab_inside_next[$name]=2
    if [ "${lab_recipe[$name]}" = firewall ]; then
        lab_inner[$name]=198.51.100.$((128 + slot % 16 * 8 + 1))/29
        lab_inside_next[$name]=$((128 + slot % 16 * 8 + 2))
    fi
    lab_build box "$name"
    lab_load "$name"
}

# lab_host NAME BOX puts a host behind a box.
lab_host()
{
    lab_behind[$1]=$2
    lab_take_inside "$1" "$2"
    lab_build host "$1"
}

# lab_remove NAME... takes hosts and boxes away, with what is behind them.
lab_remove()
{
    local name
    for name in "$@"; do
        # A namespace goes when the kernel finds the time; its link goes now.
        if [[ " $* " != *" ${lab_behind[$name]} "* ]]; then
            lab_unlink "$name"
        fi
        unset "lab_kind[$name]" "lab_slot[$name]" "lab_inner[$name]"
    done
    lab_ip '' -batch - < <(printf "netns del $lab_prefix-%s\n" "$@")
}

# Gives the box another outer address, and forgets what ran through the old one.
lab_renumber()
{
    local name=$1 old=${lab_address[$1]} first last next
    # The other addresses of its subnet, one after the other.
    first=$(((${lab_gateway[$name]##*.} & ~7) + 2))
    last=${old##*.}
    next=$((last + 1 < first + 5 ? last + 1 : first))
    if [ "${lab_behind[$name]}" != internet ]; then
        lab_take_inside "$name" "${lab_behind[$name]}"
    else
        lab_address[$name]=${old%.*}.$next
    fi
    lab_ip "$name" address flush dev wan
    lab_connect "$name"
    lab_flush "$name"
}

# lab_timeouts BOX UNREPLIED STREAM, in seconds: of UDP that nothing came back to, and of what has
# been answered for 2 s.
lab_timeouts()
{
    lab_stream[$1]=$3
    lab_sysctl "$1" "netfilter/nf_conntrack_udp_timeout=$2" \
        "netfilter/nf_conntrack_udp_timeout_stream=$3"
    lab_flush "$1"
}

# How many sessions the box has, of UDP and TCP.
lab_sessions()
{
    lab_in "$1" conntrack -L 2>/dev/null | grep -cE '^(udp|tcp) '
}

# All sessions and mappings of a box are forgotten, as by a restart.
lab_flush()
{
    lab_load "$1"
    lab_in "$1" conntrack -F 2>/dev/null
}

# lab_shape NAME DELAY_MS LOSS JITTER_MS [options of shaper] puts a shaper on the outer link of a
# box or a public host, in place of what was there. Not from a subshell.
lab_shape()
{
    local name=$1
    if [ "${lab_behind[$name]}" != internet ]; then
        echo "natlab: $name is not on the internet" >&2
        exit 1
    fi
    lab_unlink "$name"
    lab_start "shaper-$name" internet "$lab_shaper" --delay "$2" --loss "$3" --jitter "$4" \
        "${@:5}" "$lab_prefix-$name:wan" "$lab_prefix-internet:$name"
    if ! lab_heard "shaper-$name" '^ready'; then
        cat "$lab_folder/shaper-$name.log" >&2
        exit 1
    fi
    lab_shaped[$name]=yes
    # What is lost, the shaper's dice have lost: devices wait for it as long as it takes.
    lab_ip "$name" link set dev wan txqueuelen 10000
    lab_ip internet link set dev "$name" txqueuelen 10000
    lab_connect "$name"
}

# --- what the above is made of ----------------------------------------------------------------

# Forks are dear here, so functions from here on do not print, but set a variable of their caller.

# Sets `slot`: the lowest number that no living NAME of that kind has.
lab_find_slot()
{
    local kind=$1 count=$2 name taken=' '
    for name in "${!lab_kind[@]}"; do
        if [ "${lab_kind[$name]}" = "$kind" ]; then
            taken+="${lab_slot[$name]} "
        fi
    done
    for ((slot = 0; slot < count; slot++)); do
        if [[ $taken != *" $slot "* ]]; then
            return
        fi
    done
    echo "natlab: there is room for $count of kind $kind" >&2
    exit 1
}

# lab_ip NAME WORDS... (NAME '': where we are). What the laboratory cannot build it cannot test: the
# script ends.
lab_ip()
{
    if ! ip ${1:+-n "$lab_prefix-$1"} "${@:2}"; then
        echo "natlab: ip failed in ${1:-this namespace}: ${*:2}" >&2
        exit 1
    fi
}

# lab_sysctl NAME PATH=VALUE... (paths below /proc/sys/net). No IPv6: its messages would be among
# those that are counted.
lab_sysctl()
{
    # shellcheck disable=SC2016 # the inner shell's
    lab_in "$1" sh -c 'for pair; do
        file=/proc/sys/net/${pair%%=*}
        if [ -e "$file" ]; then echo "${pair#*=}" >"$file"; fi
    done' sh ipv6/conf/all/disable_ipv6=1 ipv6/conf/default/disable_ipv6=1 \
        ipv4/icmp_ratelimit=0 "${@:2}"
}

# Takes the outer link away. The ends of a shaper go with it.
lab_unlink()
{
    if [ -z "${lab_shaped[$1]:-}" ]; then
        lab_ip "${lab_behind[$1]}" link del dev "$1"
    elif [ -n "${lab_process[shaper-$1]:-}" ]; then
        lab_stop "shaper-$1"
    fi
    unset "lab_shaped[$1]"
}

# The next address in BOX's inner network is NAME's.
lab_take_inside()
{
    local inner=${lab_inner[$2]%/*}
    lab_gateway[$1]=$inner
    lab_address[$1]=${inner%.*}.${lab_inside_next[$2]}
    lab_inside_next[$2]=$((${lab_inside_next[$2]} + 1))
}

# lab_build KIND NAME: a namespace with an outer link, and what is decided of both.
lab_build()
{
    local name=$2 behind=${lab_behind[$2]}
    lab_kind[$name]=$1
    lab_ip '' -batch - <<<"
        netns add $lab_prefix-$name
        link add wan netns $lab_prefix-$name type veth peer name $name netns $lab_prefix-$behind"
    if [ "$1" = box ]; then
        lab_sysctl "$name" ipv4/ip_forward=1 ipv4/conf/all/send_redirects=0 \
            ipv4/conf/default/send_redirects=0 bridge/bridge-nf-call-iptables=0
        lab_ip "$name" -batch - <<<"
            link add lan type bridge
            address add ${lab_inner[$name]} dev lan
            link set dev lan up"
    else
        lab_sysctl "$name"
    fi
    lab_connect "$name"
}

# Addresses and routes of an outer link whose two ends exist.
lab_connect()
{
    local name=$1 behind=${lab_behind[$1]} inner=${lab_inner[$1]:-} outside length=24 more='' i
    if [ "$behind" = internet ]; then
        outside="address replace ${lab_gateway[$name]}/29 dev $name
            link set dev $name up"
    else
        outside="link set dev $name master lan up"
    fi
    if [[ ${lab_address[$name]} != 10.* ]]; then
        length=29
    fi
    for ((i = 2; i <= ${lab_count[$name]:-1}; i++)); do
        more+="address add $(lab_address_of "$name" "$i")/$length dev wan"$'\n'
    done
    lab_ip "$name" -batch - <<<"
        link set dev lo up
        address add ${lab_address[$name]}/$length dev wan
        $more
        link set dev wan up
        route replace default via ${lab_gateway[$name]}"
    if [ "${lab_recipe[$name]:-}" = firewall ] && [ -n "$inner" ]; then
        inner=${inner%/*}
        outside+="
            route replace ${inner%.*}.$((${inner##*.} - 1))/29 via ${lab_address[$name]}"
    fi
    lab_ip "$behind" -batch - <<<"$outside"
}

lab_load()
{
    local rules=''
    lab_rules "$1"
    if ! lab_in "$1" nft -f - <<<"flush ruleset"$'\n'"$rules"; then
        printf 'natlab: these rules of %s are refused:\n%s\n' "$1" "$rules" >&2
        exit 1
    fi
}

lab_has()
{
    [[ ${lab_modifiers[$1]} == *" $2 "* ]]
}

# lab_value BOX cap sets `value`, '' without the modifier.
lab_value()
{
    value=${lab_modifiers[$1]#* "$2="}
    value=${value%% *}
}

# Sets `pairs`: "0 : 40000, 1 : 40001, ..." The other way to write it, an offset, takes the bytes of
# the port in the wrong order.
lab_port_pairs()
{
    local i
    pairs=
    for ((i = 0; i < $1; i++)); do
        pairs+="$i : $((lab_block_first + i)), "
    done
    pairs=${pairs%, }
}

# Sets `rules`, the ruleset of a box. External ports are learned after translation (priority 150),
# so that they are right also when two hosts use one inner port.
lab_rules()
{
    local name=$1 value inward='' outward='' learn='' through='' own=''
    lab_check "$name"
    lab_inward "$name"
    lab_outward "$name"
    lab_learn "$name"
    lab_through "$name"
    lab_own "$name"
    rules="
table ip n {
    map cone {
        type inet_service : ipv4_addr . inet_service; flags dynamic,timeout
        timeout ${lab_stream[$name]}s; size 65535
    }
    set permitted {
        type inet_service . ipv4_addr; flags dynamic,timeout
        timeout ${lab_stream[$name]}s; size 65535
    }
    set held { type ipv4_addr; flags dynamic; size 1000; }
    chain inward {
        type nat hook prerouting priority dstnat
        $inward
    }
    chain outward {
        type nat hook postrouting priority srcnat
        $outward
    }
    chain learn {
        type filter hook postrouting priority 150
        $learn
    }
    chain through {
        type filter hook forward priority -10
        $through
    }
    chain own {
        type filter hook input priority 0
        $own
    }
}"
}

lab_check()
{
    case ${lab_recipe[$1]} in
    full_cone | restricted | port_restricted | poisonable | udp_blocked) return ;;
    symmetric | symmetric_open | sequential | address_dependent | firewall)
        if ! lab_has "$1" hairpin; then
            return
        fi
        ;;
    esac
    echo "natlab: no recipe ${lab_recipe[$1]}${lab_modifiers[$1]}" >&2
    exit 1
}

# What is let in from outside without having been asked for.
lab_inward()
{
    local name=$1 cone='dnat ip to udp dport map @cone'
    case ${lab_recipe[$name]} in
    full_cone | symmetric_open) inward="iifname wan meta l4proto udp $cone" ;;
    restricted) inward="iifname wan meta l4proto udp udp dport . ip saddr @permitted $cone" ;;
    esac
    if lab_has "$name" hairpin; then
        inward+="
        iifname lan ip daddr ${lab_address[$name]} meta l4proto udp $cone"
    fi
    if lab_has "$name" static; then # its first host
        inward+="
        iifname wan meta l4proto { tcp, udp } dnat to ${lab_inner[$name]%.*}.2"
    fi
}

# How UDP gets its outer address and port, and the rest after it.
lab_outward()
{
    local name=$1 wan=${lab_address[$1]} to='' source pairs
    lab_value "$name" block
    if [ -n "$value" ]; then
        to=" to :$lab_block_first-$((lab_block_first + value - 1))"
    fi
    source="masquerade$to"
    case ${lab_recipe[$name]} in
    firewall) return ;;
    symmetric | symmetric_open) source+=' fully-random' ;;
    sequential)
        lab_port_pairs "${value:-$lab_sequence}"
        source="snat to $wan : numgen inc mod ${value:-$lab_sequence} map { $pairs }"
        ;;
    address_dependent) # A port anywhere, the same for all ports of one remote address.
        source="snat to $wan : jhash ip saddr . udp sport . ip daddr"
        source+=' mod 20000 seed 0x5eed offset 20000'
        ;;
    esac
    outward="oifname wan meta l4proto udp $source
        oifname wan masquerade"
    if lab_has "$name" hairpin; then
        outward+="
        iifname lan oifname lan meta l4proto udp snat to $wan"
    fi
}

# Which inner end an outer port stands for, and whom it has sent to.
lab_learn()
{
    local when='oifname wan meta l4proto udp ct direction original'
    case ${lab_recipe[$1]} in
    full_cone | restricted | symmetric_open) ;;
    *) lab_has "$1" hairpin || return 0 ;;
    esac
    learn="$when update @cone { udp sport : ct original ip saddr . ct original proto-src }
        $when update @permitted { udp sport . ip daddr }"
}

# Packets that go through, beside translation.
lab_through()
{
    lab_value "$1" cap
    if [ -n "$value" ]; then
        through="iifname lan ct state new add @held { ip saddr ct count over $value } drop
        "
    fi
    case ${lab_recipe[$1]} in
    udp_blocked) through+='meta l4proto udp drop' ;;
    firewall)
        if lab_has "$1" reject; then
            through+='iifname wan ct state new meta l4proto tcp reject with tcp reset
        '
        fi
        through+='iifname wan ct state new drop'
        ;;
    esac
}

# Unsolicited packets to the box itself. When they are accepted, the kernel takes them for sessions,
# whose ports are then taken: a box that is poisonable.
lab_own()
{
    if lab_has "$1" reject; then
        own='iifname wan ct state new meta l4proto tcp reject with tcp reset
        '
    fi
    if [ "${lab_recipe[$1]}" != poisonable ]; then
        own+='iifname wan ct state new drop'
    fi
}
