"""Why the demo cannot go on."""


class DemoError(Exception):
    """Shown to the user as it is: what failed, where, and what to do."""
