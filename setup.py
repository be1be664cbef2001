"""One set of files for colcon and for pip: packages, console scripts, and the folders where ROS looks for its own."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "transposenet_ros"
# colcon build --symlink-install runs a link to this file from its build folder.
HERE = Path(__file__).resolve().parent


def data_files() -> list[tuple[str, list[str]]]:
    """What ROS looks up by folder: index entry, manifest, launch and configuration files, programs for `ros2 run`."""
    fixed = [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"lib/{NAME}", relative_files("packaging/ros2_run")),
    ]
    folders = [
        "launch",
        "config",
        *(str(d.relative_to(HERE)) for d in sorted(HERE.glob("config/**/")) if d.name != "config"),
    ]
    return fixed + [(f"share/{NAME}/{folder}", files) for folder in folders if (files := relative_files(folder))]


def relative_files(folder: str) -> list[str]:
    """The files directly in a folder, relative to this one: neither colcon nor pip takes absolute sources."""
    return sorted(str(path.relative_to(HERE)) for path in (HERE / folder).glob("*") if path.is_file())


def requirements() -> list[str]:
    """The lines of requirements.txt that name a distribution."""
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


manifest = ElementTree.parse(HERE / "package.xml").getroot()

setup(
    name=NAME,
    version=manifest.findtext("version"),
    description=" ".join(manifest.findtext("description", "").split()),
    license=manifest.findtext("license"),
    packages=find_packages(include=["transposenet_core*", "transposenet_ros*"]),
    data_files=data_files(),
    python_requires=">=3.10,<3.13",
    install_requires=requirements(),
    # colcon test recognises pytest by this. The torchvision that fits is the one that asks for the torch named above.
    extras_require={
        "test": ["pytest"],
        "torchvision": ["torchvision"],
        "colmap": ["pycolmap"],
        "onnx": ["onnx", "onnxruntime"],
    },
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "bag_to_dataset = transposenet_ros.bag_to_dataset:main",
            "localizer = transposenet_ros.localizer_program:main",
            "make_bag = transposenet_ros.make_bag:main",
            "replay_evaluation = transposenet_ros.replay_evaluation:main",
            "transposenet = transposenet_ros.cli:main",
        ],
    },
)
