#!/bin/bash
# daemon.sh - meshnode as its users meet it: three daemons, every verb, options, signals.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

output=$live_folder/output

# wants NAME CODE PATTERN COMMAND... passes when the command ends with the code and prints, on
# either stream, a line that matches.
wants()
{
    local name=$1 expected=$2 pattern=$3 code
    shift 3
    "$@" >"$output" 2>&1 </dev/null
    code=$?
    if [ "$code" -eq "$expected" ] && grep -qE -- "$pattern" "$output"; then
        tap_ok "$name"
    else
        tap_not_ok "$name" "$*: exit code $code, not $expected, or no \"$pattern\" in"$'\n'"$(
            head -c 2000 "$output"
        )"
    fi
}

# refuses NAME CODE PATTERN [options] starts a node that must not start, for a one-line reason.
refuses()
{
    local name=$1 code=$2 pattern=$3
    shift 3
    mkdir -p "$live_folder/refused"
    wants "$name" "$code" "$pattern" timeout 20 "$live_node" --no-shell --http off \
        --host "$(live_addr 99)" --identity "$live_folder/refused/key" \
        --db "$live_folder/refused/db" --control "$live_folder/refused/control" "$@"
    if [ "$code" -eq 8 ]; then
        tap_same "$name: one line" 1 "$(grep -c 'cannot start' "$output")"
    fi
}

three_daemons()
{
    start_node one 1
    tap_check 'a first node is ready by itself' wait_for ctl one health
    start_node two 2 -b "$(live_addr 1):$live_port"
    start_node three 3 -b "localhost.invalid:1,$(live_addr 1):$live_port"
    started two && started three
    tap_check 'the second finds both others' wait_for has_peers two 2
    tap_check 'the third finds both others, past a name that does not exist' \
        wait_for has_peers three 2
    tap_check 'the first knows both' wait_for has_peers one 2
    tap_check 'a name that cannot be looked up is logged with its cause' \
        wait_for log_has three 'bootstrap.*localhost\.invalid'
    tap_check 'nobody else may open the control socket' \
        test "$(stat -c %a "$live_folder/one/control")" = 600
    tap_check 'nobody else may read the key' \
        test "$(stat -c %a "$live_folder/one/identity.key")" = 600
}

values()
{
    local key
    key=$(ctl_field one .key put hello world)
    tap_same 'a value put on one is read on another' 'hello world' "$(ctl three get "$key")"
    wants 'get as hexadecimal' 0 '^68656c6c6f20776f726c64$' ctl three get --hex "$key"
    key=$(ctl_field two .key put --hex 00ff1b)
    tap_same 'bytes go in and out as hexadecimal' 00ff1b "$(ctl one get --hex "$key")"
    tap_same 'and are not shown as text' null "$(ctl_field one .value get "$key")"
    wants 'a key that nobody has' 1 '^get: no such entry; ' \
        ctl one get 0000000000000000000000000000000000000000
    wants 'a key cut short is no key' 2 'is no key' ctl one get 0a4b
    wants 'a value too long is refused' 2 'longer than 900 bytes' \
        ctl one put "$(printf 'a%.0s' {1..901})"
    wants 'hexadecimal of half a byte is refused' 2 'pairs of digits' ctl one put --hex abc
    key=$(ctl_field one .key publish --salt 7 on duty)
    tap_same 'a published value' 'on duty' "$(ctl two get "$key")"
    wants 'published again' 0 'stored under' ctl one publish --salt 7 off duty
    tap_same 'takes the place of the last' 'off duty' "$(ctl three get "$key")"
    wants 'and can be deleted' 0 'deleted' ctl one delete --salt 7
    wants 'then it is gone' 1 'no such entry' ctl two get "$key"
}

got_event()
{
    grep -q "$1" "$live_folder/watch"
}

messages()
{
    local from to
    from=$(ctl_field one .id id)
    to=$(ctl_field two .id id)
    "$live_node" ctl --control "$live_folder/two/control" --json watch >"$live_folder/watch" &
    live_process[watch]=$!
    wait_for got_event meshtwin.watch.v1
    wants 'send delivers' 0 '^delivered to ' ctl one send "$to" good morning
    tap_check 'the receiver is told, and by whom' wait_for got_event \
        "\"meshtwin.message.v1\",\"from\":\"$from\",\"value\":\"good morning\""
    wants 'broadcast sets out' 0 '^on its way as ' ctl three broadcast lunch at noon
    tap_check 'and arrives' wait_for got_event 'meshtwin.news.v1.*"value":"lunch at noon"'
    kill "${live_process[watch]}" && wait "${live_process[watch]}" 2>/dev/null
    unset 'live_process[watch]'
    wants 'ping measures' 0 'answered in [0-9.]+ ms' ctl one ping "$to"
    wants 'ping by the first digits' 0 'answered in' ctl one ping "${to:0:6}"
    wants 'ping of nobody' 1 'no node that is known begins with' ctl one ping "$(
        # A digit that no id begins with: three nodes leave thirteen.
        printf '%s\n' {0..9} {a..f} | grep -vF "$(ctl_field one '.peers[].id[0:1]' peers
            echo "${from:0:1}")" | head -n 1
    )"
    wants 'find lists the closest first' 0 "^$to " ctl one find "$to"
    tap_same 'operations say how they went' 'ok true true' "$(
        ctl_field one '"\(.status) \(.took_us > 0) \(.messages > 0)"' find "$to"
    )"
}

iou_state()
{
    [ "$(ctl_field "$1" ".ious[] | select(.iou == \"$2\") | .state" ledger)" = "$3" ]
}

ious()
{
    local to iou
    to=$(ctl_field two .id id)
    wants 'an empty ledger' 0 '^owed to us 0, owed by us 0$' ctl one ledger
    iou=$(ctl_field one .iou owe "$to" 100 7d for the disk)
    tap_check 'a promise reaches its creditor' wait_for iou_state two "$iou" offered
    wants 'who accepts it' 0 'is accepted' ctl two accept "${iou:0:8}"
    tap_check 'and the debtor hears of it' wait_for iou_state one "$iou" accepted
    wants 'the balance says so' 0 '^owed to us 0, owed by us 100' ctl one ledger
    wants 'only the creditor may say that it is paid' 1 'refused' ctl one redeem "$iou"
    wants 'which it does' 0 'is redeemed' ctl two redeem "$iou"
    tap_check 'and the debtor hears of that' wait_for iou_state one "$iou" redeemed
    wants 'nothing is paid twice' 1 'redeem: ' ctl two redeem "$iou"
    iou=$(ctl_field one .iou owe "$to" 1 1h)
    wait_for iou_state two "$iou" offered
    wants 'what is not due is not in default' 1 'default: ' ctl two default "$iou"
    wants 'reject' 0 'is rejected' ctl two reject "$iou"
    wants 'an IOU that nobody knows' 1 'no IOU begins with' ctl one accept 0123456789abcdef
    wants 'an amount of nothing' 2 'is no amount' ctl one owe "$to" 0 7d
    wants 'a time without a unit' 2 'is no time' ctl one owe "$to" 1 7
}

lists()
{
    local to
    to=$(ctl_field two .id id)
    wants 'peers' 0 "^${to:0:12} +$(live_addr 2):$live_port " ctl one peers
    tap_same 'peers as JSON have a schema' meshtwin.peers.v1 "$(ctl_field one .schema peers)"
    wants 'trust' 0 'is trusted [01]\.[0-9]{3}' ctl one trust "$to"
    wants 'status begins with a sentence' 0 '^healthy, up .*, 2 peers, ' ctl one status
    wants 'routes' 0 '^bits shared' ctl one routes
    wants 'bans' 0 'nobody is banned' ctl one bans
    wants 'ban' 0 'is not listened to any more' ctl one ban "$to"
    wants 'bans after it' 0 "^$to +(1 h|59 min)" ctl one bans
    wants 'why tells of the ban' 0 'is not listened to for another' ctl one why "$to"
    wants 'unban' 0 'is listened to again' ctl one unban "$to"
    wants 'unban of somebody who is not banned' 1 'no such entry' ctl one unban "$to"
    wants 'why' 0 'is trusted' ctl one why "$(ctl_field three .id id)"
    wants 'known' 0 'nobody has been verified yet|^id +address' ctl one known
    wants 'why about oneself' 0 'this node itself' ctl one why "$(ctl_field one .id id)"
    wants 'connect' 0 "^connected to $to" ctl three connect "$(live_addr 2):$live_port"
    wants 'connect to nobody' 1 '^connect: no answer in time' \
        ctl three connect "$(live_addr 98):$live_port"
    wants 'id' 0 '^public key  [0-9a-f]{64}$' ctl one id
    wants 'health' 0 '^  mesh      healthy$' ctl one health
    wants 'stats' 0 '^  dht\.find_node +[0-9]+ sent' ctl one stats
}

reach_is()
{
    [ "$(ctl_field "$1" .nat.reach status)" = "$2" ]
}

has_relays()
{
    [ "$(ctl_field "$1" '.nat.relays | length' status)" = "$2" ]
}

way_is()
{
    [ "$(ctl_field "$1" .way why "$2")" = "$3" ]
}

# As the README starts them: no two of these have different address groups, so nobody is a stranger,
# and they verify each other from other ports.
one_address()
{
    local port name
    for port in 8471 8472 8473; do
        start_node "p$port" 45 --port "$port" -b "$(live_addr 45):8471"
        wait_for is_up "p$port"
    done
    for name in p8471 p8472 p8473; do
        tap_check "$name knows both others at its address" wait_for has_peers "$name" 2
        tap_check "$name serves" wait_for reach_is "$name" server
    done
    for name in p8471 p8472 p8473; do
        stop_node "$name"
    done
}

# Two that serve nobody, in a mesh of three that do: one of these relays for nobody either.
clients()
{
    local inner
    for name in one two three; do
        tap_check "$name has found out that strangers reach it" wait_for reach_is "$name" server
    done
    tap_same 'and says from where it is seen' "$(live_addr 2):$live_port" \
        "$(ctl_field two .nat.observed status)"
    wants 'so does status' 0 "^  reach     server, seen at $(live_addr 2):$live_port" ctl two status
    start_node aloof 31 -b "$(live_addr 1):$live_port" --no-relay
    tap_check 'a node that relays for nobody serves' wait_for reach_is aloof server
    tap_same 'but is no relay' false "$(ctl_field aloof .nat.is_relay status)"
    start_node inner 32 -b "$(live_addr 1):$live_port" --reach client
    start_node other 33 -b "$(live_addr 1):$live_port" --reach client
    tap_check 'a client finds two relays' wait_for has_relays inner 2
    tap_check 'another one, too' wait_for has_relays other 2
    wants 'and names them' 0 '^  relay     [0-9a-f]{12} at .* for another 59 min' ctl inner status
    tap_same 'the one that does not relay is none of them' 0 "$(
        ctl_field inner '.nat.relays[].addr' status | grep -c "$(live_addr 31)"
    )"
    tap_same 'relays count what they gave' 4 "$(
        for name in one two three; do ctl_field "$name" .nat.reservations status; done |
            awk '{ sum += $1 } END { print sum }'
    )"
    inner=$(ctl_field inner .id id)
    tap_same 'a client is in no table' 0 "$(ctl_field one \
        "[.peers[] | select(.id == \"$inner\" and .in_table)] | length" peers)"
    tap_check 'once it has said so to the mesh, a message from client to client arrives' \
        wait_for ctl other send "$inner" hello
    tap_check 'and both leave the relay' wait_for way_is other "$inner" punched
    wants 'why tells how' 0 'is reached directly, by a punch that took' ctl other why "$inner"
    wants 'and why it is in no table' 0 'strangers cannot reach it' ctl other why "$inner"
    wants 'peers have a way' 0 "^${inner:0:12} .* punched " ctl other peers
    wants 'the punch is counted' 0 '^  punches   1 of 1 got through' ctl other status
    ctl other send 00000000000000000000000000000000000000ff x >"$output" 2>&1
    wants 'a peer that nobody has heard of' 0 'is not reached: no presence record; ' \
        ctl other why 00000000000000000000000000000000000000ff
    stop_node other
    stop_node inner
    stop_node aloof
}

# Every verb that help lists has a help of its own whose example begins with it.
help_texts()
{
    local verb
    for verb in $(ctl_field one '.verbs[].name' help); do
        wants "help of $verb" 0 "^  example: $verb" ctl one help "$verb"
    done
    wants 'a misspelt verb' 2 'unknown verb "pers", did you mean "peers"' ctl one pers
    wants 'too few words' 2 '^usage: ping <id>' ctl one ping
    wants 'too many words' 2 '^usage: peers' ctl one peers now
    wants 'an option that the verb has not' 2 'peers has no option "--hex"' ctl one peers --hex
    wants 'no node there' 1 'no node answers at' ctl nobody peers
    wants 'no verb' 2 'no verb' ctl one
    wants 'meshtwin ctl is the same' 0 '^healthy' \
        "$live_twin" ctl --control "$live_folder/one/control" status
    wants 'meshtwin node is meshnode' 0 '^usage: meshnode' "$live_twin" node --help
}

# talk BYTES sends them to the control socket of node one, and prints what comes back until the end.
talk()
{
    perl -MIO::Socket::UNIX -e '
        my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
        $socket->print($ARGV[1]) and $socket->shutdown(1);
        alarm 20;
        print while <$socket>;' "$live_folder/one/control" "$1"
}

# What a client may send is anybody's guess.
raw_requests()
{
    wants 'no JSON' 0 'no JSON object' talk $'hello\n'
    wants 'a request without a verb' 0 '"id":3.*has ..verb' talk $'{"id":3}\n'
    wants 'words that are no texts' 0 'has ..verb' talk $'{"verb":"id","words":[1]}\n'
    wants 'the id comes back as it was' 0 '"id":\{"a":\[1\]\}.*meshtwin.id.v1' \
        talk $'{"id":{"a":[1]},"verb":"id"}\n'
    wants 'an answer that takes time comes to who asks no more' 0 'meshtwin.find.v1' \
        talk '{"verb":"find","words":["'"$(ctl_field two .id id)"$'"]}\n'
    wants 'a line without an end is cut off' 0 'longer than a line' \
        talk "$(printf 'x%.0s' {1..20000})"
    tap_check 'and the node is well' ctl one status
}

printed()
{
    "$live_node" --print-config "$@" 2>/dev/null
}

options()
{
    local file=$live_folder/node.conf
    printf 'port = 1111\nhost = "127.0.0.1" # ours\nbootstrap = a:1\nbootstrap = b:2\n' >"$file"
    wants 'the file beats the default' 0 "^port = 1111 +# $file:1$" printed --config "$file"
    MESHTWIN_NODE_PORT=2222 wants 'the environment beats the file' 0 \
        '^port = 2222 +# MESHTWIN_NODE_PORT$' printed --config "$file"
    MESHTWIN_NODE_PORT=2222 wants 'the command line beats both' 0 '^port = 3333 +# --port$' \
        printed --config "$file" -p 3333
    wants 'by default a node finds out whether strangers can reach it' 0 \
        '^reach = auto +# default$' printed
    MESHTWIN_NODE_REACH=client wants 'it may be told' 0 \
        '^reach = client +# MESHTWIN_NODE_REACH$' printed
    wants 'and to relay for nobody' 0 '^no-relay = true +# --no-relay$' printed --no-relay
    wants 'a reach that is none' 2 'auto.*public.*client' "$live_node" --reach maybe
    wants 'a default says so' 0 '^log-level = info +# default$' printed
    wants 'paths follow the port' 0 'control = "/x/meshtwin/3333/control.sock" +# default' \
        env XDG_STATE_HOME=/x "$live_node" --print-config -p 3333
    wants 'so does the HTTP face' 0 '^http = "127.0.0.1:4333"' printed -p 3333
    printed -p 3333 -b x:1 --masking >"$live_folder/again.conf"
    tap_same 'what is printed is a file that says the same' \
        "$(sed 's/ *# .*//' "$live_folder/again.conf")" \
        "$(printed --config "$live_folder/again.conf" | sed 's/ *# .*//')"
    printf 'prot = 1\nhost = "open\n' >"$file"
    wants 'a mistake in the file, with its place and a suggestion' 3 \
        "^$file:1: unknown option \"prot\", did you mean \"port\"\?" printed_loud --config "$file"
    tap_check 'and the next mistake with it' grep -q "^$file:2: " "$output"
    wants 'a file that is not there' 3 'nowhere.conf: No such file' \
        printed_loud --config "$live_folder/nowhere.conf"
    wants 'an unknown option' 2 'unknown option "--prot", did you mean "--port"\?' \
        "$live_node" --prot 1
    wants 'a word that is no option' 2 'did you mean the command "ctl"' "$live_node" ctk
    wants 'a port that is none' 2 '65535' "$live_node" --port 70000 --print-config
    wants 'a port that is no number' 2 'wants a whole number' "$live_node" --port http
    wants 'a bootstrap node that is none' 2 'is no host:port' \
        "$live_node" -b 'a b' --print-config
    wants 'help' 0 '^  -p, --port N' "$live_node" --help
    wants 'version' 0 '^meshnode [0-9.]+$' "$live_node" --version
    wants 'the man page' 0 '^\.TH MESHNODE 1' "$live_node" man
    wants 'completions' 0 '^complete .* meshnode$' "$live_node" completion bash
}

printed_loud()
{
    "$live_node" --print-config "$@"
}

keys()
{
    local key=$live_folder/own.key
    wants 'id without a file' 8 'meshnode id: ' "$live_node" id -i "$key"
    wants 'id makes one when asked' 0 '^id          [0-9a-f]{40}$' \
        "$live_node" id --create -i "$key"
    cp "$output" "$live_folder/first"
    wants 'and shows the same from then on' 0 '^id' "$live_node" id -i "$key"
    tap_check 'the same' cmp "$output" "$live_folder/first"
    echo 'correct horse' >"$live_folder/pass"
    wants 'a sealed key' 0 '^id' "$live_node" id --create -i "$key.sealed" \
        --passphrase-file "$live_folder/pass"
    echo wrong >"$live_folder/pass.wrong"
    refuses 'a wrong passphrase' 8 'passphrase' -i "$key.sealed" \
        --passphrase-file "$live_folder/pass.wrong"
    refuses 'no passphrase' 8 'passphrase' -i "$key.sealed"
    MESHTWIN_NODE_PASSPHRASE='correct horse' wants 'the passphrase from the environment' 0 '^id' \
        "$live_node" id -i "$key.sealed"
    chmod 644 "$key"
    refuses 'a key that others can read' 8 'own.key' -i "$key"
}

bad_starts()
{
    refuses 'a taken port' 8 'port|address.*use' --host "$(live_addr 1)"
    refuses 'an address that is not ours' 8 '192\.0\.2\.1' --host 192.0.2.1
    refuses 'an address that is none' 8 'nonsense' --host nonsense
    refuses 'a key that is a folder' 8 "$live_folder" -i "$live_folder"
    refuses 'a database in no folder' 8 'nowhere' --db "$live_folder/nowhere/db"
    refuses 'a control socket in no folder' 8 'nowhere' --control "$live_folder/nowhere/control"
    refuses 'a control socket of another node' 8 'another node answers' \
        --control "$live_folder/one/control"
    refuses 'a control path that is a file' 8 'is no socket' --control "$live_folder/one.log"
    refuses 'a control path that is too long' 8 'longer than 107' \
        --control "$live_folder/$(printf 'c%.0s' {1..120})"
    refuses 'a database of another node' 8 'ledger.db' --db "$live_folder/one/ledger.db"
    refuses 'a passphrase file that is not there' 8 'passphrase file' --passphrase-file /nowhere
    refuses 'a STUN server that is none' 2 'stun: .*host:port' --stun 'stun server:3478'
    refuses 'too many STUN servers' 2 'at most 4' --stun 192.0.2.1,192.0.2.2,a,b --stun c:3478
    refuses 'an address to answer STUN from, for no STUN server' 2 'wants --stun-server' \
        --stun-other "$(live_addr 98)"
    refuses 'such an address for a node at all of them' 2 'wants --host' \
        --host :: --stun-server --stun-other "$(live_addr 98)"
    refuses 'one of the other family' 2 'one family' --stun-server --stun-other ::1
    refuses 'one that is no other' 2 'not the address' --stun-server --stun-other "$(live_addr 99)"
    refuses 'one that is none' 2 'numeric' --stun-server --stun-other "$(live_addr 98):8468"
    start_node web 9 --http "$(live_addr 9):9000"
    started web
    refuses 'an HTTP address that is taken' 8 ':9000' --http "$(live_addr 9):9000"
    stop_node web
    mkdir -p "$live_folder/foreign"
    echo 'this is no database, but long enough to be one of another kind' \
        >"$live_folder/foreign/ledger.db"
    start_node foreign 7
    tap_check 'a foreign database does not keep a node from starting' started foreign
    tap_check 'it is moved aside, and that is said' \
        log_has foreign 'ledger\.db: not ours .*; moved to'
    stop_node foreign
}

signals()
{
    local before
    before=$(ctl_field two .id id)
    stop_node two
    tap_same 'SIGTERM ends a node in order' 0 "$?"
    tap_check 'it says so' log_has two 'leaving the mesh'
    tap_check 'and removes its socket' test ! -e "$live_folder/two/control"
    start_node two 2
    started two
    tap_same 'a node that comes back is the same' "$before" "$(ctl_field two .id id)"
    tap_check 'and finds its peers without a bootstrap node' wait_for has_peers two 2
    stop_node two INT
    tap_same 'Ctrl-C ends it too' 0 "$?"

    printf 'log-level = info\n' >"$live_folder/reload.conf"
    start_node four 4 --config "$live_folder/reload.conf"
    started four
    printf 'log-level = debug\nbootstrap = %s:%s\nmasking = true\nlimit-hour = 5\n' \
        "$(live_addr 1)" "$live_port" >"$live_folder/reload.conf"
    kill -HUP "${live_process[four]}"
    tap_check 'SIGHUP reads the file again, and says what changed' wait_for log_has four \
        'reload.*--bootstrap, --limit-hour, --log-level'
    tap_check 'and what needs a restart' log_has four 'restart is needed for --masking'
    tap_check 'the new bootstrap node is called' wait_for has_peers four 1
    printf 'log-level = loud\n' >"$live_folder/reload.conf"
    kill -HUP "${live_process[four]}"
    tap_check 'a wrong file changes nothing, and is named' wait_for log_has four \
        'nothing changed: .*reload.conf:1: '
    tap_check 'the node goes on' ctl four status
    wants 'quit' 0 'leaving the mesh' ctl four quit
    wait "${live_process[four]}"
    tap_same 'ends the node in order' 0 "$?"
    unset 'live_process[four]'

    kill -KILL "${live_process[three]}"
    wait "${live_process[three]}" 2>/dev/null
    start_node three 3
    tap_check 'a killed node starts again over its old socket' started three
}

logs()
{
    start_node five 5 --log-format json -v -b "$(live_addr 1):$live_port,$(live_addr 97):1"
    started five
    wait_for has_peers five 1
    tap_check 'an unreachable bootstrap node is no reason to stop' \
        wait_for log_has five "$(live_addr 97):1.*no answer in time"
    wants 'log sets the level' 0 'from level warn on' ctl five log warn
    wants 'a level that is none' 2 'error, warn, info, debug' ctl five log loud
    stop_node five
    tap_check 'every line is JSON with time, level and event' \
        jq -es 'all(.time and .level and .event) and length > 5' "$live_folder/five.log"
    tap_check 'sessions are traced, with their peer' \
        jq -es 'any(.event == "session.up" and (.peer | length == 12))' "$live_folder/five.log"
}

# What the service manager hears. socat would do, and is not everywhere: perl is.
notifications()
{
    local socket=$live_folder/notify
    perl -MIO::Socket::UNIX -e '
        my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die;
        $| = 1;
        while (defined $socket->recv(my $message, 4096)) {
            print $message =~ s/\n/ /gr, "\n";
        }' "$socket" >"$live_folder/told" &
    live_process[perl]=$!
    wait_for test -S "$socket"
    NOTIFY_SOCKET=$socket WATCHDOG_USEC=200000 start_node six 6
    told()
    {
        grep -q "$1" "$live_folder/told"
    }
    tap_check 'the service manager is told READY=1' wait_for told 'READY=1'
    tap_check 'and STATUS' wait_for told '^STATUS=healthy'
    tap_check 'and the watchdog is fed' wait_for told 'WATCHDOG=1'
    kill -HUP "${live_process[six]}"
    tap_check 'and RELOADING=1' wait_for told 'RELOADING=1 MONOTONIC_USEC=[0-9]'
    stop_node six
    tap_check 'and STOPPING=1' wait_for told 'STOPPING=1'
    stop_node perl KILL 2>/dev/null
}

# The shell on a terminal of its own; $1 holds what is typed, line by line, as it is waited for.
shell()
{
    local folder=$live_folder/shell
    if ! script -qefc true /dev/null >/dev/null 2>&1 </dev/null; then
        tap_skip 'a node on a terminal' 'no pseudo terminal can be had here'
        return
    fi
    mkdir -p "$folder"
    mkfifo "$folder/keys"
    TERM=vt100 script -qefc "exec '$live_node' --http off --host $(live_addr 8) \
        --identity '$folder/identity.key' --db '$folder/ledger.db' --control '$folder/control' \
        -b $(live_addr 1):$live_port" "$folder/screen" <"$folder/keys" >/dev/null 2>&1 &
    live_process[shell]=$!
    exec 7>"$folder/keys"
    screen_has()
    {
        tr -d '\r' <"$folder/screen" | grep -qE -- "$1"
    }
    cp -r "$folder" "$live_folder/copy" 2>/dev/null
    tap_check 'a node on a terminal shows a prompt' wait_for screen_has 'mesh> '
    wait_for has_peers shell 1
    printf 'status\n' >&7
    tap_check 'the shell runs verbs' wait_for screen_has '^healthy, up '
    printf 'pers\n' >&7
    tap_check 'and knows what was meant' wait_for screen_has 'did you mean "peers"'
    printf 'rout\t\n' >&7
    tap_check 'TAB completes a verb' wait_for screen_has '^bits shared'
    printf 'why %s\t\n' "$(ctl_field one '.id[0:5]' id)" >&7
    tap_check 'TAB completes an id' wait_for screen_has 'is trusted'
    printf "send %s 'two  blanks'\n" "$(ctl_field one .id id)" >&7
    tap_check 'quotes hold words together' wait_for screen_has 'delivered to'
    printf 'half a li' >&7
    wants 'news come in between' 0 'on its way' ctl one broadcast shout
    tap_check 'and are shown at once' wait_for screen_has 'news [0-9a-f]+: shout'
    printf '\003' >&7
    tap_check 'Ctrl-C drops the line' wait_for screen_has '\^C'
    tap_check 'and the node lives' ctl shell status
    printf 'id\n' >&7
    tap_check 'the next line is a new one' wait_for screen_has '^public key'
    tap_check 'the history is for its owner only' \
        test "$(stat -c %a "$folder/history")" = 600
    tap_check 'and holds what was typed' grep -q 'two' "$folder/history"
    printf '\003' >&7
    tap_check 'Ctrl-C on an empty line asks' wait_for screen_has 'Ctrl-C again'
    printf '\003' >&7
    exec 7>&-
    wait "${live_process[shell]}"
    tap_same 'and twice leaves the mesh in order' 0 "$?"
    unset 'live_process[shell]'
}

# Two that talk through streams that look like HTTP, and one that does not care.
masking()
{
    local key addr
    addr=$(live_addr 41)
    start_node veiled 41 --masking
    started veiled
    start_node hidden 42 --masking -b "$addr:$live_port"
    start_node plain 43 -b "$addr:$live_port"
    tap_check 'masking nodes and a plain one make a mesh' wait_for has_peers hidden 2
    tap_check 'and the plain one sees both' wait_for has_peers plain 2
    key=$(ctl_field hidden .key put behind a mask)
    tap_same 'what a masking node puts a masking node gets' 'behind a mask' \
        "$(ctl veiled get "$key")"
    tap_same 'and so does the plain one' 'behind a mask' "$(ctl plain get "$key")"
    wants 'a message through a stream is acknowledged' 0 delivered \
        ctl veiled send "$(ctl_field hidden .id id)" good day
    tap_check 'masking nodes use streams' test "$(ctl_field hidden .host.streams stats)" -ge 1
    tap_same 'who asks with a plain HTTP client is told there is nothing' 404 \
        "$(curl -s -m 5 -o "$output" -w '%{http_code}' "http://$addr:$live_port/")"
    stop_node veiled
    stop_node hidden
    stop_node plain
}

if [ ! -x "$live_node" ]; then
    tap_skip 'the live node' "no $live_node"
    exit 0
fi
three_daemons
values
messages
ious
lists
help_texts
raw_requests
options
keys
bad_starts
shell
logs
notifications
masking
one_address
clients
signals
tap_end
