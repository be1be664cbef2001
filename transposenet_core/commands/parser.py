"""From a command's module to a program: help within 100 columns, and one sentence for wrong arguments."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

from transposenet_core.command_line import exit_code
from transposenet_core.printable import printable
from transposenet_core.suggestions import did_you_mean

WIDTH = 100
COLUMN = 38  # of the meanings in lists of keys


class Command(Protocol):
    """What a command's module has. Optional: DESCRIPTION and EPILOG, which --help prints unchanged;
    help_all(), what --help-all adds; expand(arguments), which rewrites the arguments before they are parsed; and
    further_options(), names that expand() accepts."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> None: ...


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Lines of at most 100 columns; defaults are shown where there are any."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=min(shutil.get_terminal_size().columns, WIDTH) - 2)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        without = action.default in (None, False, argparse.SUPPRESS) or action.default == []
        if without or not action.option_strings or "default" in text:
            return text
        return f"{text} (default: %(default)s)"


class CommandParser(argparse.ArgumentParser):
    """The parser of one command; `make_parser` builds it."""

    def __init__(self, command: Any, prog: str) -> None:
        super().__init__(
            prog,
            description=getattr(command, "DESCRIPTION", command.HELP),
            epilog=getattr(command, "EPILOG", None),
            formatter_class=HelpFormatter,
            allow_abbrev=False,  # or a key that --help shows would be taken for an option and lost
        )
        self.command = command
        more = "this help, with every format and key" if hasattr(command, "help_all") else argparse.SUPPRESS
        self.add_argument("--help-all", action=_HelpAll, help=more)
        command.add_arguments(self)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Options and positional arguments in any order. SystemExit after one sentence where they are wrong, UserError
        as in the command's `expand`."""
        expanded = list(arguments)
        if hasattr(self.command, "expand"):
            expanded = self.command.expand(expanded)
        self._refuse_unknown(expanded)
        return self.parse_intermixed_args(expanded)

    def error(self, message: str) -> NoReturn:
        joint = "" if message.endswith("?") else ";"
        print(f"error: {printable(message)}{joint} {self.prog} --help lists the options", file=sys.stderr)
        sys.exit(2)

    def _refuse_unknown(self, arguments: list[str]) -> None:
        """Before argparse reports the missing option instead of the mistyped one."""
        known = list(self._option_string_actions)
        for word in arguments[: arguments.index("--")] if "--" in arguments else arguments:
            name = word.partition("=")[0]
            if name.startswith("--") and name not in known:
                further: list[str] = getattr(self.command, "further_options", list)()
                self.error(f"unknown option '{name}'{did_you_mean(name, [*known, *further])}")


class _HelpAll(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        assert isinstance(parser, CommandParser)
        more = getattr(parser.command, "help_all", str)()
        print(parser.format_help() + (f"\n{narrowed(more)}" if more else ""))
        parser.exit()


def run_command(command: Any, arguments: Sequence[str] | None, prog: str) -> int:
    """Parse and do a command; the exit code is that of `exit_code`. `arguments` None: those of the process."""
    typed = sys.argv[1:] if arguments is None else arguments
    parser = CommandParser(command, prog)
    return exit_code(lambda: command.run(parser.parse(typed)))


def narrowed(text: str) -> str:
    """Lists of formats and keys with their long lines wrapped, each below its own beginning."""
    joined = re.sub(rf"\n {{{COLUMN}}}(?=\S)", " ", text)
    lines = []
    for line in joined.splitlines():
        indent = len(line) - len(line.lstrip())
        two_columns = re.match(r" +[\w.]+=\S* *$", line[:COLUMN]) is not None
        further = " " * (COLUMN if two_columns else indent + 4)
        lines += textwrap.wrap(line, WIDTH - 2, subsequent_indent=further, break_on_hyphens=False) or [""]
    return "\n".join(lines)
