"""`transposenet completion`: the script by which bash or zsh completes commands, options, files and names."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import yaml

from transposenet_core.command_line import PROGRAM
from transposenet_core.commands.parser import CommandParser
from transposenet_core.errors import UserError
from transposenet_core.presets import preset_folder, preset_names
from transposenet_ros.commands.table import COMMANDS, load_command

HELP = "print the script for Tab completion in bash or zsh"
DESCRIPTION = """Prints a script for the shell. Put one line into ~/.bashrc, or with zsh into ~/.zshrc:

  eval "$(transposenet completion bash)"
  autoload -Uz compinit && compinit && eval "$(transposenet completion zsh)" """
FILES = ("FILE", "FILE.csv", "PATH", "FORMAT:PATH", "IMAGE", "BAG", "CHECKPOINT")
FOLDERS = ("DIR", "MODEL")
PRESET = "PRESET"
PRESETS_FUNCTION = {
    "bash": '_transposenet_presets() {{ compgen -W \'{names}\' -- "$1"; _shtab_compgen_files "$1"; }}',
    "zsh": "_transposenet_presets() {{ _alternative 'presets:preset:({names})' 'files:file:_files' }}",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"), help="shell to print the script for")


def run(args: argparse.Namespace) -> None:
    try:
        import shtab
    except ImportError:
        raise UserError("completion needs shtab, which writes the script; pip install shtab") from None
    parser = full_parser()
    for action in actions_of(parser):
        if action.metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar == PRESET:
            action.complete = dict.fromkeys(PRESETS_FUNCTION, "_transposenet_presets")  # type: ignore[attr-defined]
        elif "--model.name" in action.option_strings:
            action.choices = models_of_presets()
    names = " ".join(preset_names())
    print(shtab.complete(parser, shell=args.shell, preamble=PRESETS_FUNCTION[args.shell].format(names=names)))


def full_parser() -> argparse.ArgumentParser:
    """One parser of all commands, as shtab needs it."""
    parser = argparse.ArgumentParser(PROGRAM)
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(parser_class=CommandParser)
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, command=load_command(name)).description = text
    return parser


def actions_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every option and positional argument, those of the commands included."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions_of(command)


def models_of_presets() -> list[str]:
    """The networks that presets name, which are all: importing the networks themselves takes seconds."""
    presets = [yaml.safe_load(path.read_text()) for path in preset_folder().glob("*.yaml")]
    return sorted({preset["model"]["name"] for preset in presets if "model" in preset})
