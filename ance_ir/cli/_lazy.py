"""Groups of commands that are imported only when they are called or show their help."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """A group of commands: the objects ``command`` of modules named after them, with "_" for "-", and after a Python keyword.

    Args:
        package: has the modules.
        summaries: each command and its short help.
    """

    def __init__(self, *arguments: Any, package: str, summaries: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.package = package
        self.summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order in which they are used."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; ``None`` if there is none of that name."""
        if cmd_name not in self.summaries:
            return None
        command: click.Command = importlib.import_module(f"{self.package}.{module_name(cmd_name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completions of a command's name."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=summary) for name, summary in self.summaries.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def module_name(command: str) -> str:
    """The module of a command."""
    return f"{command}_" if iskeyword(command) else command.replace("-", "_")


class DefaultGroup(LazyGroup):
    """A lazy group whose first command is the default: ``index --out x`` is ``index build --out x``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the first command's name before options that are not the group's."""
        if args and args[0].startswith("-") and args[0] not in self.get_help_option_names(ctx):
            args = [next(iter(self.summaries)), *args]
        return super().parse_args(ctx, args)
