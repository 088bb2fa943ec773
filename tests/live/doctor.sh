#!/bin/bash
# doctor.sh - `meshnode doctor`: what it finds on loopback, with others and without, and what not.
# shellcheck disable=SC2016 # the dollars in quotes are perl's
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
LIVE_NET=127.32
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

output=$live_folder/output
here=$(live_addr 200)
peer=$(live_addr 1):$live_port
export XDG_STATE_HOME=$live_folder/state

# doctor [options] runs it where nobody else is; what it prints lies in $output.
doctor()
{
    timeout 60 "$live_node" doctor --host "$here" "$@" >"$output" 2>&1 </dev/null
}

# finds NAME CODE PATTERN [options] wants that exit code and a line that matches.
finds()
{
    local name=$1 expected=$2 pattern=$3 code
    shift 3
    doctor "$@"
    code=$?
    if [ "$code" -eq "$expected" ] && grep -qE -- "$pattern" "$output"; then
        tap_ok "$name"
    else
        tap_not_ok "$name" "$*: exit code $code, not $expected, or no \"$pattern\" in"$'\n'"$(
            head -c 2000 "$output"
        )"
    fi
}

# says NAME PATTERN: so did the last run, too.
says()
{
    tap_check "$1" grep -qE -- "$2" "$output"
}

alone()
{
    finds 'a machine alone has nothing wrong' 0 '^nothing is wrong$'
    says 'the port is free' '^ok +port +UDP and TCP port 8468 can be bound$'
    says 'the clock is right' '^ok +clock +the clock and the file system agree$'
    says 'no node runs, which is no problem' '^note +node +no node runs at '
    says 'nor that nobody was asked' '^note +bootstrap +nobody was asked'
    tap_check 'it makes no folder' test ! -e "$XDG_STATE_HOME"
    finds 'JSON' 0 . --json
    tap_check 'is one object with a schema, lines, interfaces' jq -e '
        .schema == "meshtwin.doctor.v1" and .problems == 0
        and (.checks | length > 3 and all(.check and .text and
            (.verdict == "ok" or .verdict == "note" or .verdict == "problem")))
        and (.interfaces | any(.addr == "127.0.0.1" and .scope == "loopback"))
        and (.gateways | type == "array")' "$output"
}

# A perl that holds a port, to say what it likes there; in the background, as NAME.
hold()
{
    local name=$1
    shift
    perl "$@" >"$live_folder/$name.held" &
    live_process[$name]=$!
    wait_for grep -q ready "$live_folder/$name.held"
}

ports()
{
    local socket='
        my ($host, $port, $kind) = @ARGV;
        socket my $s, PF_INET, $kind eq "udp" ? SOCK_DGRAM : SOCK_STREAM, 0 or die;
        bind $s, pack_sockaddr_in($port, inet_aton($host)) or die $!;
        listen $s, 1 if $kind eq "tcp";
        $| = 1;
        print "ready\n";
        sleep;'
    hold udp -MSocket -e "$socket" "$here" 8468 udp
    finds 'a UDP port that another program has' 1 '^problem +port +UDP port 8468 .* is taken'
    says 'with what would help' '^ +end what uses it, or choose others'
    says 'and the count' '^1 problem$'
    finds 'another port is free' 0 '^ok +port +UDP and TCP port 8469 can be bound' -p 8469
    stop_node udp 2>/dev/null
    hold tcp -MSocket -e "$socket" "$here" 8468 tcp
    finds 'a TCP port that another program has' 1 '^problem +port .*8468'
    stop_node tcp 2>/dev/null
    doctor --host 192.0.2.77
    tap_same 'an address that is not of this machine: exit code' 1 "$?"
    says 'an address that is not of this machine' '^problem +port .*192\.0\.2\.77'
}

peers()
{
    start_node one 1
    started one
    start_node two 2 -b "$peer"
    wait_for has_peers two 1
    wait_for has_peers one 1
    finds 'a bootstrap node that answers' 0 "^ok +bootstrap +$peer answers by UDP in [0-9.]+ ms" \
        -b "$peer"
    says 'answers by TCP too' "^ok +bootstrap +$peer answers by TCP too"
    says 'and says from where it sees us' "^ok +mapping +$peer sees us at $here:8468"
    says 'which is where we are' '^ok +mapping +no box translates our address'
    says 'a stranger reaches us' '^ok +reach +strangers reach UDP port 8468'
    finds 'two of them' 0 '"mapping":"none"' -b "$peer,$(live_addr 2):8468" --json
    tap_same 'see us at the same address' "[\"$here:8468\",\"$here:8468\"]" \
        "$(jq -c '[.mapped[].addr]' "$output")"
    tap_same 'nobody takes the doctor for a node' 0 "$(
        ctl_field one '[.peers[] | select(.in_table)] | length - 1' peers
    )"
    finds 'one that does not answer' 1 \
        "^problem +bootstrap +$(live_addr 98):8468 answers neither by UDP nor by TCP" \
        -b "$peer,$(live_addr 98):8468"
    says 'with what would help' '^ +check that address, that a node runs there'
    says 'beside one that does' "^ok +bootstrap +$peer answers by UDP"
    finds 'a name that cannot be looked up' 1 \
        '^problem +bootstrap +the name in nobody\.invalid cannot' -b nobody.invalid
    finds 'JSON of problems' 1 . -b "$(live_addr 98):8468" --json
    tap_check 'is counted and has help' jq -e '.problems == 1 and
        ([.checks[] | select(.verdict == "problem")] | length == 1 and all(.help))' "$output"
}

# The address of node one for TCP alone: what comes is passed on.
udp_blocked()
{
    hold relay -MIO::Socket::INET -MIO::Select -e '
        my ($host, $to) = @ARGV;
        my $listener = IO::Socket::INET->new(LocalAddr => $host, LocalPort => 8468, Listen => 5,
            ReuseAddr => 1) or die $!;
        $| = 1;
        print "ready\n";
        my $watched = IO::Select->new($listener);
        my %other;
        while (my @readable = $watched->can_read) {
            for my $from (@readable) {
                if ($from == $listener) {
                    my $in = $listener->accept or next;
                    my $out = IO::Socket::INET->new(PeerAddr => $to, PeerPort => 8468) or die $!;
                    @other{$in, $out} = ($out, $in);
                    $watched->add($in, $out);
                } elsif (sysread($from, my $bytes, 65536)) {
                    syswrite $other{$from}, $bytes;
                } else {
                    $watched->remove($from);
                    shutdown $other{$from}, 1;
                }
            }
        }' "$(live_addr 97)" "$(live_addr 1)"
    finds 'a node that only TCP reaches' 1 'answers by TCP, but not by UDP: it is blocked' \
        -b "$(live_addr 97):8468"
    says 'with what would help' '^ +let UDP out .*--masking'
    stop_node relay 2>/dev/null
}

running()
{
    finds 'a node that runs here' 0 '^ok +node +runs at port 8468: healthy, up ' \
        --host "$(live_addr 1)" --control "$live_folder/one/control" \
        -b "$peer,$(live_addr 2):$live_port"
    says 'has its port' "^ok +port +port 8468 is the running node's"
    says 'is not asked by itself' "^note +bootstrap +$peer is this node itself"
    says 'says whether strangers reach it' '^ok +reach +the node says of itself: server'
    start_node lost 3 -b "$(live_addr 98):8468"
    started lost
    ask_patience=600
    tap_check 'a node without peers is degraded' wait_for is_degraded lost
    ask_patience=200
    finds 'which is a problem' 1 '^problem +node +runs at port 8468: degraded, .*no peer for' \
        --host "$(live_addr 3)" --control "$live_folder/lost/control"
}

is_degraded()
{
    [ "$(ctl_field "$1" .status status)" = degraded ]
}

# A STUN server (RFC 8489) that sees everybody at one port, or at that port plus ADD.
stun_server()
{
    hold "$1" -MSocket -e '
        my ($host, $add) = @ARGV;
        socket my $s, PF_INET, SOCK_DGRAM, 0 or die;
        bind $s, pack_sockaddr_in(3478, inet_aton($host)) or die $!;
        $| = 1;
        print "ready\n";
        while (my $from = recv $s, my $request, 1500, 0) {
            my ($port, $ip) = unpack_sockaddr_in($from);
            my $mapped = pack("nnCCn", 0x0020, 8, 0, 1, ($port + $add) ^ 0x2112)
                . ($ip ^ pack("N", 0x2112a442));
            send $s, pack("nn", 0x0101, length $mapped) . substr($request, 4, 16) . $mapped, 0,
                $from;
        }' "$2" "$3"
}

stun()
{
    stun_server honest "$(live_addr 51)" 0
    stun_server second "$(live_addr 52)" 0
    stun_server liar "$(live_addr 53)" 7
    finds 'STUN servers' 0 "^ok +stun +$(live_addr 51) answers" \
        --stun "$(live_addr 51),$(live_addr 52):3478"
    says 'that see us as we are' '^ok +mapping +no box translates our address'
    finds 'one that sees us elsewhere' 1 \
        '^problem +mapping +a box gives us another address or port for each destination' \
        --stun "$(live_addr 51)" --stun "$(live_addr 53)"
    says 'with what would help' '^ +allow port mapping'
    finds 'the same as JSON' 1 '"mapping_stun_ipv4":"dependent"' --json \
        --stun "$(live_addr 51),$(live_addr 53)"
    finds 'one alone' 0 '^note +mapping +a box translates our address: how, takes two' \
        --stun "$(live_addr 53)"
    finds 'one that does not answer' 1 "^problem +stun +$(live_addr 98):3478 does not answer" \
        --stun "$(live_addr 98):3478"
    stop_node honest 2>/dev/null
    stop_node second 2>/dev/null
    stop_node liar 2>/dev/null
}

usage()
{
    finds 'a word too many' 2 'one argument too many: "now"' now
    finds 'a bootstrap node that is none' 2 '--bootstrap: .*no host:port' -b 'a b'
    finds 'a STUN server that is none' 2 '--stun: ' --stun 'a:b'
    finds 'an option that is none' 2 'unknown option "--jsn", did you mean "--json"' --jsn
    finds 'help' 0 '^ +--stun HOST:PORT' --help
    "$live_node" man >"$output"
    says 'the man page has it' 'meshnode doctor|doctor'
    "$live_node" completion bash >"$output"
    says 'so have completions' 'doctor'
    "$live_twin" doctor --help >"$output"
    says 'meshtwin doctor is the same' '^usage: meshnode doctor'
}

if [ ! -x "$live_node" ]; then
    tap_skip 'meshnode doctor' "no $live_node"
    exit 0
fi
alone
ports
peers
udp_blocked
stun
usage
running
tap_end
