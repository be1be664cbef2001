"""Installs tf2_msgs/msg/TFMessage beside the ROS 2 wheels; the work is done in rosidl_build.py."""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
# pip runs this file without its folder on sys.path.
sys.path.insert(0, str(HERE))

import rosidl_build


class BuildTf2Msgs(build_ext):
    """Replaces the compilation of extensions by the ROS interface generators and their type supports."""

    def run(self) -> None:
        try:
            rosidl_build.check_machine()
            target = Path(self.build_lib).resolve() / rosidl_build.PACKAGE
            rosidl_build.build(HERE / "idl", Path(self.build_temp).resolve() / "rosidl", target)
        except rosidl_build.BuildError as error:
            sys.exit(f"error: {error}")


# The extension has no sources of its own: it is named so that the wheel is marked as one of this platform.
setup(
    packages=[],
    ext_modules=[Extension(f"{rosidl_build.PACKAGE}.{rosidl_build.EXTENSION}", sources=[])],
    cmdclass={"build_ext": BuildTf2Msgs},
    zip_safe=False,
)
