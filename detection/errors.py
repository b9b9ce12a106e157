"""What goes wrong in detection: each message says what, where and what to do."""


class DetectionError(Exception):
    """Base of everything this package raises on purpose."""


class RuleError(DetectionError):
    """A rule, or a file of rules, that cannot be used."""


class ForestError(DetectionError):
    """A trained forest that cannot be used: torn, of another version, or not what this format says."""
