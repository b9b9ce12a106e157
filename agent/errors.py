"""What can go wrong in the agent; every message says what, where and what to do."""


class AgentError(Exception):
    """Root of the agent's errors."""


class SourceError(AgentError):
    """The sensor cannot start."""


class ConfigError(AgentError):
    """An option is missing or contradicts another."""


class SpoolError(AgentError):
    """The spool's directory cannot be used."""


class SpoolCorruptError(SpoolError):
    """A frame on disk is not what was written there; `Spool.recover` saves the rest."""


class UplinkError(AgentError):
    """The collector cannot be reached this way: bad address, bad certificate files."""
