"""How a reader says that a record breaks the contract."""

_NO_PADDING = (0, bytes(6))


class MalformedError(Exception):
    """A record breaks the contract; the first argument is the cause, as it is counted."""


def check(size: int, expected: int, pad: object = 0) -> None:
    """The parts of a record add up to its size and its padding is zero. Raises: MalformedError."""
    if size != expected:
        raise MalformedError("length")
    if pad not in _NO_PADDING:
        raise MalformedError("padding")
