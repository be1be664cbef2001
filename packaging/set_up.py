"""Makes the virtual environment and installs everything into it; `make setup` runs this with a Python of 3.10 to 3.12.

Where a ROS 2 is sourced it is used as it is: the environment sees the system's packages and gets no ROS of its own.
Elsewhere the ROS 2 Jazzy wheels are installed, and our tf2_msgs, which no registry has.
"""

import argparse
import ctypes.util
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMPORT_CHECK = (
    "import torch, cv2, rclpy, rosbags, tf2_msgs.msg, transposenet_ros, transposenet_core; "
    "transposenet_core.Pose([0, 0, 0], [1, 0, 0, 0]).rotation_33"  # what an older SciPy cannot do
)


class SetUpError(Exception):
    """Something on this machine prevents the set-up; the message has what to install or to do."""


def ros_is_sourced(environment: Mapping[str, str]) -> bool:
    """Whether a ROS 2 installation is sourced in this shell."""
    return bool(environment.get("ROS_DISTRO") and environment.get("AMENT_PREFIX_PATH"))


def check_machine(with_ros: bool) -> None:
    """Raises SetUpError for the first thing that is missing."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        raise SetUpError(f"{sys.executable} cannot make virtual environments: sudo apt install python{version}-venv")
    if with_ros:
        if importlib.util.find_spec("rclpy") is None:
            raise SetUpError(
                f"ROS 2 {os.environ['ROS_DISTRO']} is sourced, but {sys.executable} cannot import its rclpy: "
                "make setup PYTHON=/path/to/the/python/of/that/ROS, or use a shell without ROS"
            )
        return
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SetUpError(
            f"the ROS 2 wheels are for Linux on x86_64, this is {platform.system()} on {platform.machine()}: "
            "install ROS 2 Jazzy, source it and run make setup again"
        )
    for compiler in ("gcc", "g++"):
        if shutil.which(compiler) is None:
            raise SetUpError(f"{compiler} is missing, and tf2_msgs is compiled here: sudo apt install {compiler}")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        raise SetUpError(
            f"the headers of {sys.executable} are missing ({header}): sudo apt install python{version}-dev"
        )


def warn_without_graphics() -> None:
    """Only the demo renders: the rest of the project works without these libraries."""
    missing = [f"lib{name}" for name in ("EGL", "GL") if ctypes.util.find_library(name) is None]
    if missing:
        packages = "libegl1 libgl1 libgl1-mesa-dri"
        print(f"warning: {missing[0]} is missing, make demo renders with it: sudo apt install {packages}", flush=True)


def step(text: str) -> None:
    """A line of progress, for pip is silent."""
    print(f"set-up: {text}", flush=True)


class Environment:
    """The virtual environment at `path`, beside a sourced ROS or with the ROS wheels."""

    def __init__(self, path: Path, with_ros: bool) -> None:
        self.path, self.with_ros = path, with_ros
        self.python = path / "bin" / "python"
        # What a Python of the ROS wheels leaves behind would keep this environment's own from finding its libraries.
        self.variables = {name: v for name, v in os.environ.items() if name != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}

    def install_dependencies(self) -> None:
        """Every step can be repeated, so that an interrupted set-up is simply run again."""
        if not self.is_usable():
            step(f"virtual environment {self.path} with Python {platform.python_version()}")
            site = ["--system-site-packages"] if self.with_ros else []
            self.run(sys.executable, "-m", "venv", "--clear", *site, str(self.path))
        step("libraries of requirements.txt, PyTorch is the largest")
        self.pip("-r", "requirements.txt")
        if not self.with_ros:
            step("ROS 2 Jazzy wheels")
            self.pip("-r", "requirements-ros-wheels.txt")
        step("tools for demo, tests and lint")
        self.pip("-r", "requirements-dev.txt")
        if not self.with_ros:
            step("tf2_msgs, compiled here")
            self.pip("--no-deps", "--no-build-isolation", "packaging/tf2_msgs")

    def is_usable(self) -> bool:
        """Whether a complete environment of the right kind and Python exists, not an interrupted one."""
        probe = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
        try:
            result = subprocess.run(
                [self.python, "-c", probe], check=False, env=self.variables, capture_output=True, text=True
            )
            config = (self.path / "pyvenv.cfg").read_text()
        except OSError:
            return False
        sees_system = "include-system-site-packages = true" in config
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return result.returncode == 0 and result.stdout.strip() == version and sees_system == self.with_ros

    def install_project(self) -> None:
        """The project itself, editable; an editable installation leaves out the files ROS looks up by folder."""
        step("the project itself")
        self.pip("--no-deps", "--no-build-isolation", "--editable", ".")
        self.run(self.python, "-W", "ignore", "setup.py", "-q", "install_data", "--install-dir", str(self.path))
        self.run(self.python, "-c", IMPORT_CHECK)

    def pip(self, *arguments: str) -> None:
        """pip install, which prints errors only."""
        constraints = ["-c", "packaging/constraints-ros.txt"] if self.with_ros else []
        quiet = ["-qq", "--no-input", "--disable-pip-version-check"]
        self.run(self.python, "-m", "pip", "install", *quiet, *constraints, *arguments)

    def run(self, *command: str | Path) -> None:
        """Raises SetUpError where the command fails; what it printed stands above the message."""
        code = subprocess.run(command, check=False, env=self.variables, cwd=ROOT).returncode
        if code != 0:
            shown = " ".join(str(part) for part in command)
            raise SetUpError(f"`{shown}` failed with status {code}, its messages are above; then run make setup again")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["dependencies", "project"], help="the project needs its dependencies first")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="folder of the virtual environment")
    options = parser.parse_args()
    environment = Environment(options.venv.absolute(), with_ros=ros_is_sourced(os.environ))
    try:
        if options.what == "dependencies":
            check_machine(environment.with_ros)
            warn_without_graphics()
            environment.install_dependencies()
        else:
            environment.install_project()
    except SetUpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nset-up interrupted: run make setup again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
