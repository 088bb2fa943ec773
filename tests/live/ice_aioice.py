#!/usr/bin/python3
# ice_aioice.py - an ICE agent (RFC 8445) of another make, aioice: with whom ours has to get on.
#
# usage: ice_aioice.py --controlling|--controlled [--stun ADDRESS:PORT] [--turn ADDRESS:PORT]
#                      [--user NAME --password WORD] [--patience SECONDS]
#
# Prints one line, its offer, and reads one, the other's: "offer", user fragment, password and
# candidates as in SDP (RFC 8839), between tabs. Then it sends MESSAGES messages over the selected
# pair, waits for as many, and prints the pair and their number. ice_nice.c speaks the same way.
import argparse
import asyncio
import sys

import aioice

MESSAGES = 10


def end_parse(text):
    address, port = text.rsplit(":", 1)
    return address, int(port)


def arguments():
    parser = argparse.ArgumentParser()
    role = parser.add_mutually_exclusive_group(required=True)
    role.add_argument("--controlling", action="store_true")
    role.add_argument("--controlled", action="store_true")
    parser.add_argument("--stun", type=end_parse)
    parser.add_argument("--turn", type=end_parse)
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--patience", type=float, default=20)
    return parser.parse_args()


def say(*words):
    print(*words, flush=True)


def offer_make(connection):
    candidates = ["candidate:" + each.to_sdp() for each in connection.local_candidates]
    return "\t".join(
        ["offer", connection.local_username, connection.local_password] + candidates
    )


async def offer_take(connection, line):
    words = line.rstrip("\n").split("\t")
    if words[0] != "offer" or len(words) < 4:
        raise ValueError("not an offer: " + line)
    connection.remote_username, connection.remote_password = words[1:3]
    for text in words[3:]:
        candidate = aioice.Candidate.from_sdp(text[len("candidate:"):])
        await connection.add_remote_candidate(candidate)
    await connection.add_remote_candidate(None)


# The library tells nobody which pair it has chosen, so this looks inside.
def selected(connection):
    pair = connection._nominated[1]
    words = []
    for candidate in (pair.local_candidate, pair.remote_candidate):
        words.append("%s %s:%d" % (candidate.type, candidate.host, candidate.port))
    return " ".join(words)


async def converse(connection):
    for number in range(MESSAGES):
        await connection.send(b"message %d" % number)
    received = set()
    while len(received) < MESSAGES:
        received.add(await connection.recv())
    say("received", len(received))


async def run(wanted):
    connection = aioice.Connection(
        ice_controlling=wanted.controlling,
        stun_server=wanted.stun,
        turn_server=wanted.turn,
        turn_username=wanted.user,
        turn_password=wanted.password,
        use_ipv6=False,
    )
    await connection.gather_candidates()
    say(offer_make(connection))
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await offer_take(connection, line)
    await connection.connect()
    say("selected", selected(connection))
    await converse(connection)
    await connection.close()


def main():
    wanted = arguments()
    try:
        asyncio.run(asyncio.wait_for(run(wanted), wanted.patience))
    except (ConnectionError, asyncio.TimeoutError) as trouble:
        say("failed", type(trouble).__name__)
        return 1
    return 0


sys.exit(main())
