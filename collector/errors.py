"""What can go wrong in the collector; every message says what, where and what to do."""


class CollectorError(Exception):
    """Root of the collector's errors."""


class ConfigError(CollectorError):
    """An option is missing or contradicts another."""


class MessageError(CollectorError):
    """A message from the network is not what the contract says; `cause` is the word it is counted under."""

    def __init__(self, message: str, cause: str = "malformed") -> None:
        super().__init__(message)
        self.cause = cause


class StreamError(CollectorError):
    """An agent's stream breaks its own sequence or hash chain."""


class StoreError(CollectorError):
    """The database cannot be used now; what was to be written is not there."""


class QueryError(CollectorError):
    """A reader asked for something that is not there."""
