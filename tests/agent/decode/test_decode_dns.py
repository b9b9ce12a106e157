"""DNS messages: what is read, what is refused, and 10,000 damaged ones."""

import random
from struct import pack

import pytest

from agent.decode import layout
from agent.decode.decode import Decoder
from agent.decode.dns import MAX_ANSWERS, parse
from agent.decode.malformed import MalformedError
from agent.decode.sockets import unix_name
from agent.events import Dns, Socket, SocketOp

NAME = b"\3api\7example\3com\0"
QUESTION = NAME + pack(">HH", 1, 1)
HERE = b"\xc0\x0c"


def header(questions: int = 1, answers: int = 0, flags: int = 0x8180) -> bytes:
    return pack(">6H", 7, flags, questions, answers, 0, 0)


def record(name: bytes, kind: int, data: bytes) -> bytes:
    return name + pack(">HHIH", kind, 1, 60, len(data)) + data


FULL = (
    header(1, 4)
    + QUESTION
    + record(HERE, 5, b"\3cdn\xc0\x10")
    + record(b"\3cdn\xc0\x10", 1, bytes([192, 0, 2, 1]))
    + record(b"\3cdn\xc0\x10", 28, bytes.fromhex("20010db8") + bytes(11) + b"\1")
    + record(HERE, 16, b"\4text")
)


def test_a_whole_answer():
    """Question, alias, both kinds of addresses; records of other types are passed over."""
    message = parse(FULL)
    assert (message.question, message.question_type, message.response_code) == ("api.example.com", 1, 0)
    assert message.response
    assert message.answers == (
        ("api.example.com", "cdn.example.com"),
        ("cdn.example.com", "192.0.2.1"),
        ("cdn.example.com", "2001:db8::1"),
    )


@pytest.mark.parametrize("size", range(12))
def test_without_a_header_nothing_can_be_said(size):
    """Twelve bytes are needed."""
    with pytest.raises(MalformedError, match="dns"):
        parse(FULL[:size])


@pytest.mark.parametrize(
    "name",
    [
        HERE,  # to itself
        b"\xc0\xff",  # forwards
        b"\1a\xc0\x0c",  # to its own beginning
        b"\x40" + b"a" * 64 + b"\0",  # a label of a kind that does not exist
        (b"\x3f" + b"a" * 63) * 4 + b"\0",  # 256 bytes
        b"\3ab",  # cut
        b"\xc0",  # half a pointer
    ],
)
def test_a_name_that_cannot_be_followed_is_unknown(name):
    """Loops, forward pointers, oversize names and cuts end the reading, not the event."""
    assert parse(header() + name).question == ""


def test_what_came_before_the_damage_stays():
    """A message cut anywhere keeps the answers in front of the cut."""
    counts = [len(parse(FULL[:n]).answers) for n in range(12, len(FULL) + 1)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 3)


def test_no_more_answers_than_the_bound():
    """Thirty-two, whatever the header claims."""
    many = header(1, 1000) + QUESTION + record(HERE, 1, bytes(4)) * 60
    assert len(parse(many).answers) == MAX_ANSWERS


def test_weird_bytes_are_escaped():
    r"""Dots, blanks, escapes and high bytes inside a label become \DDD; letters become small."""
    assert parse(header() + b"\6A.b \x1b\xff\0" + pack(">HH", 1, 1)).question == "a\\046b\\032\\027\\255"
    assert parse(header() + b"\0" + pack(">HH", 2, 1)).question == "."


def test_damaged_messages_never_crash_and_stay_in_bounds():
    """10,000 mutated messages: each is read as far as it goes, or refused for its header."""
    rng, refused = random.Random(53), 0
    for _ in range(10_000):
        data = bytearray(FULL)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data) or 1)
            match rng.randrange(4):
                case 0 if data:
                    data[at] ^= 1 << rng.randrange(8)
                case 1:
                    data[at : at + 2] = rng.choice((b"\xc0\x0c", b"\xc0\x1d", b"\xff\xff", b"\0\0", rng.randbytes(2)))
                case 2:
                    del data[rng.randrange(len(data) + 1) :]
                case _:
                    data += rng.randbytes(rng.randint(1, 32))
        try:
            message = parse(bytes(data))
        except MalformedError:
            refused += 1
            continue
        texts = [message.question, *(text for pair in message.answers for text in pair)]
        assert len(message.answers) <= MAX_ANSWERS
        assert all(len(text) <= 4 * 254 and text.isascii() and text.isprintable() for text in texts)
    assert 0 < refused < 5000


def dns_record(make, message: bytes, received: int = 1, family: int = 2) -> bytes:
    body = (7, 8, 9, bytes([10, 0, 0, 10]).ljust(16, b"\0"), 53, family, len(message), received, 0)
    return make.record(layout.EV_DNS, layout.EV_DNS_FORMAT, body, message)


def test_records(make):
    """The server, the direction and the message; answers are only believed of what was received."""
    decoder = Decoder()
    got, sent = decoder.decode(make.batch(dns_record(make, FULL), dns_record(make, FULL, received=0)))
    assert isinstance(got, Dns)
    assert (str(got.server), got.server_port, got.question, len(got.answers)) == ("10.0.0.10", 53, "api.example.com", 3)
    assert (sent.received, sent.answers) == (False, ())


def test_unusable_records_are_counted(make):
    """By cause: no header, no address family."""
    decoder = Decoder()
    assert list(decoder.decode(make.batch(dns_record(make, b"short"), dns_record(make, FULL, family=1)))) == []
    assert decoder.rejected == {"dns": 1, "family": 1}


def test_socket_records(make):
    """Addresses for IP, a name for unix; an operation outside the contract is refused."""

    def made(family: int, op: int, name: bytes = b"", pad: int = 0) -> bytes:
        peer = bytes([127, 0, 0, 1]).ljust(16, b"\0")
        body = (7, 8, 9, bytes(16), peer, 0, 99, family, 17, 2, op, -111, len(name), pad)
        return make.record(layout.EV_SOCKET, layout.EV_SOCKET_FORMAT, body, name)

    decoder = Decoder()
    udp, unix = decoder.decode(make.batch(made(2, 4), made(1, 4, b"\0docker"), made(2, 9), made(2, 4, pad=1)))
    assert isinstance(udp, Socket)
    assert (udp.op, str(udp.peer), udp.peer_port, udp.result) == (SocketOp.CONNECT, "127.0.0.1", 99, -111)
    assert (unix.peer, unix.name) == (None, "@docker")
    assert decoder.rejected == {"op": 1, "padding": 1}


@pytest.mark.parametrize(
    ("raw", "shown"), [(b"/run/docker.sock\0", "/run/docker.sock"), (b"/a\0junk", "/a"), (b"\0a\0b", "@a@b"), (b"", "")]
)
def test_unix_names(raw, shown):
    """A path ends at its NUL; an abstract name is all of its bytes."""
    assert unix_name(raw) == shown
