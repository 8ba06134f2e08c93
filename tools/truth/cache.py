#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A client of memcached:  cache.py CONNECTIONS ROUNDS

In each round it sets and gets an item by each of its connections: it sends all before it reads the
first answer. At the end it prints how many were answered.
"""

import socket
import sys

VALUE = b"x" * 1000


def main():
    count, rounds = map(int, sys.argv[1:])
    files = [socket.create_connection(("127.0.0.1", 11211)).makefile("rwb") for _ in range(count)]
    answered = 0
    for number in range(rounds):
        for index, file in enumerate(files):
            key = b"%d-%d" % (index, number % 10)
            file.write(b"set %s 0 0 %d\r\n%s\r\nget %s\r\n" % (key, len(VALUE), VALUE, key))
            file.flush()
        for file in files:
            lines = [file.readline() for _ in range(4)]
            if lines[0] != b"STORED\r\n" or lines[2:] != [VALUE + b"\r\n", b"END\r\n"]:
                sys.exit(f"an answer that was not asked for: {lines}")
            answered += 2
    print(answered, "answered")


main()
