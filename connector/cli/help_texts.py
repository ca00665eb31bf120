r"""What ``--help`` says, in the language spoken: a command's own words, and click's.

A command says itself in English, in its docstring and its options. ``told`` makes it anew
with each text as ``say`` has it: a paragraph is one text, however its lines are broken, and
of lines that stay as they are (``\b``) those are that are not indented.
"""

import re
from collections.abc import Callable, Iterable
from copy import copy
from inspect import cleandoc

import click

from connector.core.language import DEFAULT, _, language, marked

Say = Callable[[str], str]

# click's own; it would translate them by the environment, not by a configuration.
USAGE = marked("Usage:")
HELP = marked("Show this message and exit.")
HEADINGS = (marked("Options"), marked("Commands"))
BESIDE = (marked("default"), marked("required"))
EXTRA = re.compile(r"(?P<before>^|  )\[(?P<facts>[^\[\]]+)\]$")


class HelpFormatter(click.HelpFormatter):
    """click's words between ours, in the language spoken."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or f"{_(USAGE)} ")

    def write_heading(self, heading: str) -> None:
        super().write_heading(_(heading))

    def write_dl(
        self,
        rows: Iterable[tuple[str, str]],
        col_max: int = 30,
        col_spacing: int = 2,
    ) -> None:
        told_rows = [(name, EXTRA.sub(_extra, said)) for name, said in rows]
        super().write_dl(told_rows, col_max, col_spacing)


def _extra(found: re.Match[str]) -> str:
    """``  [default: text; required]``."""
    items = [each.partition(": ") for each in found["facts"].split("; ")]
    return f"{found['before']}[{'; '.join(_item(*each) for each in items)}]"


def _item(name: str, colon: str, value: str) -> str:
    return f"{_(name)}{colon}{value}"


class HelpContext(click.Context):
    formatter_class = HelpFormatter


def in_language(command: click.Command) -> click.Command:
    """The command as it says itself in the language spoken."""
    return command if language() == DEFAULT else told(command, _)


def told(command: click.Command, say: Say) -> click.Command:
    """Another one that does the same, and says itself so; those below it, too."""
    other = copy(command)
    other.context_class = HelpContext
    other.help, other.short_help = (
        _whole(each, say) for each in (command.help, command.short_help)
    )
    other.options_metavar = say(command.options_metavar or "")
    other.params = [_parameter(each, say) for each in command.params]
    click.help_option("-h", "--help", help=say(HELP))(other)
    if isinstance(other, click.Group):
        other.subcommand_metavar = say(other.subcommand_metavar)
        other.commands = {
            name: told(each, say) for name, each in other.commands.items()
        }
    return other


def _parameter(parameter: click.Parameter, say: Say) -> click.Parameter:
    other = copy(parameter)
    if isinstance(other, click.Option):
        other.help = _whole(other.help, say)
        if other.is_flag or other.count:
            return other
    if other.metavar is not None:
        other.metavar = say(other.metavar)
    elif not isinstance(other.type, click.Choice):
        other.metavar = _own_metavar(other, say)
    return other


def _own_metavar(parameter: click.Parameter, say: Say) -> str:
    """As click makes it of the name: ``MONTH``, ``[TEXT]``."""
    if not isinstance(parameter, click.Argument):
        return say(parameter.type.name.upper())
    name = say((parameter.name or "").upper())
    return name if parameter.required else f"[{name}]"


def _whole(text: str | None, say: Say) -> str | None:
    if text is None:
        return None
    return "\n\n".join(_paragraph(each, say) for each in cleandoc(text).split("\n\n"))


def _paragraph(text: str, say: Say) -> str:
    if not text.startswith("\b"):
        return say(" ".join(text.split()))
    first, *lines = text.splitlines()
    return "\n".join([first, *(_line(each, say) for each in lines)])


# What a command is given to say, such as why a month is closed: some words in quotes.
SAID = re.compile(r'"([a-z]+(?: [a-z]+)+)"')


def _line(line: str, say: Say) -> str:
    """Of a command to copy, what it says to people."""
    if not line[:1].isspace():
        return say(line)
    return SAID.sub(lambda found: f'"{say(found[1])}"', line)
