"""`transposenet COMMAND`: one program for all of the project; `python -m transposenet_ros.cli` is the same."""

from __future__ import annotations

import sys
from pathlib import Path

from transposenet_core import __version__
from transposenet_core.command_line import PROGRAM
from transposenet_core.commands.parser import run_command
from transposenet_core.printable import printable
from transposenet_core.suggestions import did_you_mean
from transposenet_ros.commands.table import COMMANDS, load_command

NODE = "localizer"


def main(argv: list[str] | None = None) -> int:
    """Do the command that `argv` names (None: this process's arguments) and return its exit code: 0, 2 after one
    sentence on a user's error, 3 where a training diverged, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments:
        print(overview(), file=sys.stderr)
        return 2
    name, *rest = arguments
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    if name == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS) or f"; commands: {', '.join(COMMANDS)}"
        if name == NODE:
            hint = f"; the live node is a program of its own, of that name: {NODE} --help"
        print(f"error: '{printable(name)}' is not a command{hint}", file=sys.stderr)
        return 2
    return run_command(load_command(name), rest, f"{program()} {name}")


def program() -> str:
    """The program as it was called."""
    return "python -m transposenet_ros.cli" if Path(sys.argv[0]).name == "cli.py" else PROGRAM


def overview() -> str:
    """The help of the program itself."""
    commands = "\n".join(f"  {name:<16}{text}" for name, (_, text) in COMMANDS.items())
    return (
        f"usage: {program()} COMMAND ...\n\n"
        "Estimates the pose of a robot's camera in a known place with one network pass.\n\n"
        f"commands, in the order in which they are used:\n{commands}\n\n"
        f"{program()} COMMAND --help describes each; --version prints the version.\n"
        'Tab completion: put  eval "$(transposenet completion bash)"  into ~/.bashrc (zsh: ~/.zshrc).'
    )


if __name__ == "__main__":
    sys.exit(main())
