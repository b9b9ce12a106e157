"""What can go wrong in the agent; every message says what, where and what to do."""


class AgentError(Exception):
    """Root of the agent's errors."""


class SourceError(AgentError):
    """The sensor cannot start."""


class ConfigError(AgentError):
    """An option is missing or contradicts another."""
