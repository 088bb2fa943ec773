#!/bin/bash
# edge.sh - the HTTP face of real nodes: every path in each state, who is let in, events, floods.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
LIVE_NET=127.27
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

edge_port=9468
body=$live_folder/body
headers=$live_folder/headers
reads='/health /health/live /health/ready /metrics /mesh/status /mesh/peers /mesh/routes
    /api/v1/openapi.json /api/v1/status /api/v1/peers /api/v1/known /api/v1/routes /api/v1/bans
    /api/v1/id /api/v1/health /api/v1/stats /api/v1/help'

url()
{
    echo "http://$(live_addr "$1"):$edge_port$2"
}

# http NUMBER PATH [curl options] prints the status code; the answer lies in $body and $headers.
http()
{
    local number=$1 path=$2
    shift 2
    curl --silent --max-time 60 --output "$body" --dump-header "$headers" \
        --write-out '%{http_code}' "$@" "$(url "$number" "$path")"
}

# post NUMBER PATH JSON [curl options], with the node's token.
post()
{
    local number=$1 path=$2 json=$3
    shift 3
    http "$number" "$path" -H "X-Token: $(cat "$live_folder/$number/token")" \
        -H 'Content-Type: application/json' --data "$json" "$@"
}

# answers NAME CODE NUMBER PATH [curl options] wants that status code.
answers()
{
    local name=$1 code=$2
    shift 2
    tap_same "$name" "$code" "$(http "$@")"
}

# is_error NAME: the last answer was an error as errors are.
is_error()
{
    tap_check "$1" jq -e '(.error | length > 0) and (.hint | length > 0)' "$body"
}

start_edge()
{
    local number=$1
    shift
    start_node "$number" "$number" --http "$(live_addr "$number"):$edge_port" "$@"
    wait_for http "$number" /health/live
}

state_is()
{
    http "$1" /health >/dev/null
    [ "$(jq -r .state "$body")" = "$2" ]
}

# in_state STATE NUMBER LIVE READY: every read answers; liveness and readiness with those codes.
in_state()
{
    local state=$1 number=$2 path code
    tap_check "$state: the node gets there" wait_for state_is "$number" "$state"
    answers "$state: liveness" "$3" "$number" /health/live
    answers "$state: readiness" "$4" "$number" /health/ready
    if [ "$4" = 503 ]; then
        tap_check "$state: readiness has a reason" jq -e '.reasons[0] | length > 10' "$body"
    fi
    for path in $reads; do
        code=$(http "$number" "$path")
        tap_check "$state: $path answers" grep -qE '^(200|503)$' <<<"$code"
    done
    http "$number" /metrics >/dev/null
    tap_check "$state: the metrics say so" grep -qx "meshtwin_state{state=\"$state\"} 1" "$body"
    metrics_are_clean "$state"
}

metrics_are_clean()
{
    local output code
    if ! command -v promtool >/dev/null; then
        tap_skip "$1: promtool" 'it is not installed'
        return
    fi
    output=$(promtool check metrics <"$body" 2>&1)
    code=$?
    if [ "$code" -eq 0 ] && [ -z "$output" ]; then
        tap_ok "$1: promtool finds nothing"
    else
        tap_not_ok "$1: promtool finds nothing" "$output"
    fi
}

states()
{
    start_edge 1
    in_state healthy 1 200 200
    # Nobody listens there: starting for half a minute, then degraded.
    start_edge 2 -b "$(live_addr 99):$live_port"
    in_state starting 2 200 503
    # Nobody relays for this one.
    start_edge 5 --no-relay
    start_edge 6 -b "$(live_addr 5):$live_port" --reach client
}

degraded()
{
    ask_patience=600
    in_state degraded 2 200 503
    in_state degraded 6 200 200
    http 6 /health >/dev/null
    tap_check 'a client without a relay says so, and what would help' \
        jq -e '.components.reach.reason | test("no relay has taken it.*; open UDP port")' "$body"
    http 5 /health >/dev/null
    tap_same 'its only peer is well' healthy "$(jq -r .components.reach.state "$body")"
    ask_patience=200
}

formats()
{
    local code
    http 1 /metrics -H 'Accept: application/openmetrics-text' >/dev/null
    tap_same 'OpenMetrics ends as it must' '# EOF' "$(tail -n 1 "$body")"
    tap_check 'and says what it is' \
        grep -qi '^content-type: application/openmetrics-text' "$headers"
    http 1 /api/v1/openapi.json >/dev/null
    tests/support/openapi/run.sh "$body" >"$live_folder/openapi" 2>&1
    code=$?
    if [ "$code" -eq 77 ]; then
        tap_skip 'the description is OpenAPI 3.0' 'npm cannot fetch the validator'
    else
        tap_check 'the description is OpenAPI 3.0' \
            sh -c "cat '$live_folder/openapi'; exit $code"
    fi
    tap_same 'it has a path for each verb but watch' \
        "$(ctl 1 --json help | jq -c '[.verbs[].name | select(. != "watch")] | sort')" \
        "$(jq -c '[.paths | keys[] | select(startswith("/api/v1/")) | ltrimstr("/api/v1/")
            | select(IN("events", "openapi.json") | not)] | sort' "$body")"
}

strangers()
{
    local name=rebound.example.invalid
    answers 'a Host that is not ours is refused' 403 1 /health -H "Host: $name:$edge_port"
    is_error 'with a reason'
    answers 'a page of another origin is refused' 403 1 /health -H "Origin: http://$name"
    is_error 'with a reason, too'
    answers 'and one without an origin' 403 1 /health -H 'Origin: null'
    answers 'a page of the node itself is not' 200 1 /health -H "Origin: $(url 1 '')"
    answers 'a write without a token is refused' 401 1 /api/v1/quit -X POST
    answers 'and one with a wrong token' 401 1 /api/v1/quit -X POST -H 'X-Token: 0123456789abcdef'
    answers 'and one that is a form' 415 1 /api/v1/put --data 'value=x' \
        -H "X-Token: $(cat "$live_folder/1/token")"
    answers 'another method is refused' 405 1 /health -X DELETE
    tap_check 'with those that there are' grep -qi '^allow: GET, HEAD, OPTIONS' "$headers"
    answers 'a path that is none' 404 1 /../../etc/passwd --path-as-is
    is_error 'is an error as others are'
    tap_same 'the token is for its owner alone' 600 "$(stat -c %a "$live_folder/1/token")"
    tap_check 'the node is still there' http 1 /health/live
}

# Values through HTTP, and a node that another one finds.
verbs()
{
    local key
    start_edge 3 -b "$(live_addr 1):$live_port"
    tap_check 'two nodes find each other' wait_for has_peers 3 1
    tap_check 'both ways' wait_for has_peers 1 1
    tap_same 'put stores a value' 200 "$(post 1 /api/v1/put '{"value": "--hex is no option"}')"
    key=$(jq -r .key "$body")
    answers 'get on another node' 200 3 "/api/v1/get?key=$key"
    tap_same 'finds it' '--hex is no option' "$(jq -r .value "$body")"
    answers 'get of what nobody has' 404 3 \
        '/api/v1/get?key=0000000000000000000000000000000000000000'
    answers 'ping asks the mesh' 200 1 "/api/v1/ping?id=$(ctl_field 3 .id id)"
    answers 'an id that is none' 400 1 '/api/v1/ping?id=xyz'
    is_error 'is explained'
    tap_same 'a level that is none' 400 "$(post 1 /api/v1/log '{"level": "loud"}')"
    http 1 /mesh/peers >/dev/null
    tap_same 'with the way to it' direct "$(jq -r '.peers[0].way' "$body")"
    answers 'why tells it, too' 200 1 "/api/v1/why?id=$(ctl_field 3 .id id)"
    tap_same 'the same way' direct "$(jq -r .way "$body")"
    http 1 /mesh/status >/dev/null
    tap_same 'status tells whether strangers reach the node' server "$(jq -r .nat.reach "$body")"
    http 1 /mesh/peers >/dev/null
    tap_same 'the peer is listed' "$(ctl_field 3 .id id)" "$(jq -r '.peers[0].id' "$body")"
    metrics_after_traffic
}

metrics_after_traffic()
{
    http 1 /metrics >/dev/null
    metrics_are_clean 'after traffic'
    tap_check 'messages are counted by kind' \
        grep -qE '^meshtwin_messages_total\{kind="dht.find_node",direction="in"\} [1-9]' "$body"
    tap_check 'requests are counted by route and code' \
        grep -qE '^meshtwin_http_requests_total\{route="/health",code="403"\} [1-9]' "$body"
    tap_check 'sessions are counted by way' \
        grep -qx 'meshtwin_sessions{way="direct"} 1' "$body"
    tap_check 'that the node serves is a number' grep -qx 'meshtwin_nat_server 1' "$body"
    tap_check 'punches are counted by result' \
        grep -qx 'meshtwin_nat_punches_total{result="won"} 0' "$body"
    tap_same 'no peer is a label' 0 "$(grep -cE "$(ctl_field 3 .id id)|127\.27\." "$body")"
}

# listen NAME [curl options] keeps an event stream of node 1 open in the background.
listen()
{
    local name=$1
    shift
    curl --silent --no-buffer "$@" "$(url 1 '/api/v1/events?topics=message,news')" \
        >"$live_folder/$name" &
    live_process[$name]=$!
    wait_for grep -q retry "$live_folder/$name"
}

events()
{
    local id target
    target=$(ctl_field 1 .id id)
    listen first
    ctl 3 send "$target" one >/dev/null
    tap_check 'a message comes by the event stream' wait_for grep -q '"value":"one"' \
        "$live_folder/first"
    id=$(sed -n 's/^id: //p' "$live_folder/first" | tail -n 1)
    stop_node first
    ctl 3 send "$target" two >/dev/null
    ctl 3 broadcast three >/dev/null
    listen second -H "Last-Event-ID: $id"
    tap_check 'who comes back gets what it missed' wait_for grep -q '"value":"two"' \
        "$live_folder/second"
    tap_check 'news, too' wait_for grep -q '"value":"three"' "$live_folder/second"
    tap_same 'and nothing twice' 0 "$(grep -c '"value":"one"' "$live_folder/second")"
    tap_same 'nor a loss that was none' 0 "$(grep -c skipped "$live_folder/second")"
    answers 'an id that is none is refused' 400 1 /api/v1/events -H 'Last-Event-ID: 7'
    stop_node second
}

# 500 requests that never end, held open by one process, while honest ones are asked.
slow_loris()
{
    local i good=0
    perl -MSocket -e '
        my @open;
        my $to = pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0]));
        for (1 .. 500) {
            socket(my $socket, PF_INET, SOCK_STREAM, 0) or die $!;
            connect($socket, $to) or die $!;
            send $socket, "GET /health HTTP/1.1\r\nHost: ", 0;
            push @open, $socket;
        }
        $| = 1;
        print "open\n";
        sleep;
    ' "$(live_addr 1)" "$edge_port" >"$live_folder/loris" &
    live_process[loris]=$!
    for ((i = 0; i < 20; i++)); do
        [ "$(http 1 /health --max-time 5)" = 200 ] && good=$((good + 1))
    done
    tap_check 'the half-open requests are there' wait_for grep -q open "$live_folder/loris"
    for ((i = 0; i < 20; i++)); do
        [ "$(http 1 /health --max-time 5)" = 200 ] && good=$((good + 1))
    done
    tap_same 'honest requests beside 500 half-open ones' 40 "$good"
    http 1 /metrics >/dev/null
    tap_check 'the half-open ones are cut' \
        grep -qE '^meshtwin_http_evicted_connections_total [3-9][0-9]{2}' "$body"
    stop_node loris
}

somebody_waits()
{
    http 1 /metrics >/dev/null && grep -qx 'meshtwin_http_waiting_requests 1' "$body"
}

# An answer that is waited for, because the only peer is dead, and an open stream; then the end of
# the node.
stopping()
{
    local code stream
    stop_node 3 KILL 2>/dev/null
    listen last
    curl --silent --output "$live_folder/waiting" --write-out '%{http_code}' --max-time 30 \
        "$(url 1 '/api/v1/get?key=1111111111111111111111111111111111111111')" \
        >"$live_folder/code" &
    live_process[waiting]=$!
    tap_check 'a request waits for the mesh' wait_for somebody_waits
    stop_node 1
    tap_same 'a node with waiting requests and streams ends well' 0 "$?"
    wait "${live_process[last]}"
    stream=$?
    unset 'live_process[last]'
    tap_same 'its streams end as they should' 0 "$stream"
    wait "${live_process[waiting]}"
    unset 'live_process[waiting]'
    code=$(cat "$live_folder/code")
    tap_check "and who waited has an answer: $code" grep -qx 503 "$live_folder/code"
    tap_same 'nothing was printed but the log' 0 "$(grep -cvE '^[0-9]{4}-' "$live_folder/1.log")"
}

elsewhere()
{
    tap_same 'bound to more than loopback, nothing without a token' 401 \
        "$(http_any /health)"
    tap_same 'but liveness' 200 "$(http_any /health/live)"
    tap_same 'and with it, all' 200 \
        "$(http_any /health -H "X-Token: $(cat "$live_folder/4/token")")"
}

http_any()
{
    local path=$1
    shift
    curl --silent --max-time 20 --output "$body" --write-out '%{http_code}' "$@" \
        "http://$(live_addr 4):$any_port$path"
}

any()
{
    start_node 4 4 --http 0.0.0.0:0
    wait_for log_has 4 'http listening on'
    any_port=$(sed -n 's/.*http listening on .*:\([0-9]*\)$/\1/p' "$live_folder/4.log")
    elsewhere
    stop_node 4
}

if [ ! -x "$live_node" ]; then
    tap_skip 'the HTTP face' "there is no $live_node"
    exit 0
fi
states
formats
strangers
verbs
events
slow_loris
any
degraded
stopping
tap_end
