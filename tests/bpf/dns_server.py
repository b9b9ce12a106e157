"""A UDP name server for the tests: answers `times` questions with an alias and one address, then ends.

Usage: dns_server.py ADDRESS TIMES. Prints a line when it listens.
"""

import socket
import struct
import sys
from ipaddress import ip_address

ADDRESSES = {1: "127.1.2.3", 28: "::1"}


def answer(question: bytes) -> bytes:
    """The alias www.<name> and its address, of whichever type was asked for; nothing else of the question."""
    end = question.index(b"\0", 12) + 5
    kind = struct.unpack_from(">H", question, end - 4)[0]
    alias = b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, 6) + b"\3www\xc0\x0c"
    data = ip_address(ADDRESSES[kind]).packed
    target = struct.pack(">HHHIH", 0xC000 | (end + 12), kind, 1, 60, len(data)) + data
    return question[:2] + b"\x81\x80\0\1\0\2\0\0\0\0" + question[12:end] + alias + target


def main() -> None:
    family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((sys.argv[1], 53))
        print("ready", flush=True)
        for _ in range(int(sys.argv[2])):
            question, client = server.recvfrom(512)
            server.sendto(answer(question), client)


if __name__ == "__main__":
    main()
