"""The group `vedette baseline`."""

import click

from cli.baseline.deciding import approve, condemn, import_, lock, unlock
from cli.baseline.differing import diff
from cli.baseline.exporting import export
from cli.baseline.showing import list_, show
from cli.baseline.watching import syscalls

_GROUPED = (list_, show, export, import_, diff, approve, condemn, lock, unlock, syscalls)


class _InOrder(click.Group):
    """Commands in the order in which one meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder)
def command() -> None:
    """What each workload normally does: how far that is known, what would raise an alarm, and what you decide about it.

    Without --collector these work on the agent's state directory on this machine.
    """


for _member in _GROUPED:
    command.add_command(_member)
