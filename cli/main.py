"""The `vedette` command: a table of subcommands, each imported when it is called."""

import importlib
from importlib.metadata import version

import click

# name → (module with a click command called `command`, one line of help)
_COMMANDS = {
    "agent": ("cli.agent", "Watch this machine and stream findings."),
    "baseline": ("cli.baseline", "What was learned of each workload; decide about it, export it."),
    "collector": ("cli.collector", "Receive findings, join them with audit logs, serve incidents."),
    "demo": ("cli.demo.command", "A workload, an intrusion and the composite alert, on this machine."),
    "incidents": ("cli.incidents", "List incidents, or explain one."),
    "pki": ("cli.pki", "Make and inspect the certificates agents and collectors use."),
    "probe": ("cli.probe", "Say what this machine allows the sensor to see."),
    "record": ("cli.record", "Keep what the sensor sees in a file, to replay it."),
    "replay": ("cli.replay", "Run detections over recorded events and audit logs."),
    "rules": ("cli.rules", "List, check and compile detection rules."),
    "tail": ("cli.tail", "Follow the collector's event stream."),
}


class _LazyGroup(click.Group):
    """Imports a subcommand only when it runs, so that `vedette agent` never loads the collector."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("vedette"), prog_name="vedette")
def main() -> None:
    """Vedette watches workloads from the kernel and explains what it finds."""
