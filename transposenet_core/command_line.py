"""How every program of the project ends: one sentence for what a user can fix, a traceback for what we must fix,
and the command to run next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.printable import printable
from transposenet_core.stopping import Stopped

PROGRAM = "transposenet"
# Programs of a checkout that is not installed, by the command they replace.
IN_CHECKOUT = {
    "check": "check_dataset.py",
    "map": "map_recording.py",
    "train": "train.py",
    "evaluate": "evaluate.py",
    "attention": "attention.py",
    "render": "render_pose.py",
    "convert": "convert_checkpoint.py",
    "localize": "localize.py",
}


def exit_code(work: Callable[[], object]) -> int:
    """Do `work` and return 0; 2 after one sentence about a user's error or a file that cannot be used (3 where a
    training diverged); 130 after Ctrl-C, 143 after SIGTERM."""
    try:
        work()
    except UserError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"error: {printable(what)}; check the path and its permissions, or give another", file=sys.stderr)
        return 2
    except Stopped as stop:
        return 128 + stop.number
    except KeyboardInterrupt:
        return 130
    return 0


def next_command(name: str, *arguments: object) -> str:
    """The line to type for `transposenet NAME ARGUMENTS` in this shell and folder, quoted.

    It is the installed program where there is one, else the one of the checkout that runs now.
    """
    script = script_words(PROGRAM)
    words = [*script, name] if script else _checkout_words(name)
    return " ".join(shlex.quote(printable(str(word))) for word in (*words, *arguments))


def next_node(model: str | Path) -> str | None:
    """The line that starts the live node with a scene model; None where it is not installed."""
    words = script_words("localizer")
    if words is None:
        return None
    words += ["--ros-args", "-p", f"model:={printable(str(model))}", "-r", "image:=/camera/image_raw"]
    # ROS finds its plug-ins by this; a virtual environment with the wheels does not set it.
    prefix = "" if os.environ.get("AMENT_PREFIX_PATH") else f"AMENT_PREFIX_PATH={shlex.quote(sys.prefix)} "
    return prefix + " ".join(map(shlex.quote, words))


def script_words(name: str) -> list[str] | None:
    """How to call a program that was installed with the one that runs, or with its Python; None where none was."""
    beside = [Path(place).absolute().with_name(name) for place in (sys.argv[0], sys.executable)]
    installed = next((path for path in beside if path.is_file()), None)
    if installed is None:
        return None
    found = shutil.which(name)
    return [name] if found and Path(found).resolve() == installed.resolve() else [_shown(installed)]


def _checkout_words(name: str) -> list[str]:
    found = shutil.which("python")
    here = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    python = "python" if here else _shown(Path(sys.executable))
    program = Path(__file__).resolve().parent.parent / "training" / IN_CHECKOUT.get(name, "")
    return [python, _shown(program)] if program.is_file() else [python, "-m", "transposenet_ros.cli", name]


def _shown(path: Path) -> str:
    """As it can be typed here: relative where it is below the current folder."""
    try:
        relative = str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
    return relative if os.sep in relative else os.path.join(os.curdir, relative)
