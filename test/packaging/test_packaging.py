"""The project as colcon and as pip install it: programs, modules, manifest, launch and configuration files."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import transposenet_core

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ["bag_to_dataset", "localizer", "make_bag", "replay_evaluation", "transposenet"]
PACKAGED = [
    *("transposenet_core", "transposenet_ros", "launch", "config", "resource", "packaging"),
    *("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "requirements.txt", "LICENSE"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is built from, so that nothing is built inside the checkout."""
    folder = tmp_path_factory.mktemp("source") / "transposenet_ros"
    folder.mkdir()
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What the command prints; the test fails with it where the command does."""
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "AMENT_PREFIX_PATH"}}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=variables | environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout}"
    return result.stdout


@pytest.fixture(scope="module")
def colcon_workspace(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colcon")
    run(sys.executable, "-m", "colcon", "build", "--base-paths", source, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def colcon_prefix(colcon_workspace: Path) -> Path:
    return colcon_workspace / "install" / "transposenet_ros"


@pytest.fixture(scope="module")
def pip_prefix(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("pip")
    options = ["-q", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--prefix", str(prefix)]
    # Else pip takes the editable install of the environment that runs the tests away: a prefix is no environment to it.
    options.append("--ignore-installed")
    run(sys.executable, "-m", "pip", "install", *options, source, cwd=prefix)
    return prefix


def test_installing_elsewhere_leaves_this_environment_whole(pip_prefix: Path) -> None:
    for program in PROGRAMS:
        assert Path(sys.prefix, "bin", program).is_file()
    assert importlib.metadata.version("transposenet_ros")


@pytest.fixture(params=["colcon", "pip"])
def prefix(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(f"{request.param}_prefix")


def site_packages(prefix: Path) -> Path:
    return prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def files_below(folder: Path, *patterns: str) -> set[str]:
    return {str(path.relative_to(folder)) for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}


@pytest.mark.parametrize("program", PROGRAMS)
def test_ros2_run_finds_the_program(prefix: Path, program: str) -> None:
    path = prefix / "lib" / "transposenet_ros" / program
    assert path.is_file() and os.access(path, os.X_OK)


@pytest.mark.parametrize("program", ["bag_to_dataset", "make_bag", "replay_evaluation", "transposenet"])
def test_the_installed_program_runs_from_another_folder(prefix: Path, tmp_path: Path, program: str) -> None:
    path = prefix / "lib" / "transposenet_ros" / program
    output = run(path, "--help", cwd=tmp_path, PYTHONPATH=str(site_packages(prefix)))
    assert output.startswith(f"usage: {program}")


def test_the_installed_presets_are_found_by_name(prefix: Path, tmp_path: Path) -> None:
    code = "from transposenet_core.presets import preset_names, preset_path; print(preset_path(preset_names()[0]))"
    found = Path(run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(site_packages(prefix))).strip())
    assert found.parent == prefix / "share" / "transposenet_ros" / "config" / "train"
    assert found.name == min(path.name for path in (ROOT / "config" / "train").glob("*.yaml"))


def test_the_colcon_workspace_is_used_when_sourced(colcon_workspace: Path, tmp_path: Path) -> None:
    code = "import transposenet_core, transposenet_ros; print(transposenet_core.__file__, transposenet_ros.__file__)"
    setup = f"source {colcon_workspace}/install/local_setup.bash && command -v make_bag && {sys.executable} -c '{code}'"
    printed = run("bash", "-c", setup, cwd=tmp_path).split()
    assert len(printed) == 3
    assert all(path.startswith(f"{colcon_workspace}/install/transposenet_ros/") for path in printed)


def test_every_module_is_installed(source: Path, prefix: Path) -> None:
    for package in ("transposenet_core", "transposenet_ros"):
        expected = files_below(source / package, "*.py")
        assert expected and files_below(site_packages(prefix) / package, "*.py") == expected


def test_launch_and_configuration_files_are_installed(source: Path, prefix: Path) -> None:
    share = prefix / "share" / "transposenet_ros"
    for folder, patterns in {"launch": ["*.py"], "config": ["*.yaml", "*.rviz", "*.xml"]}.items():
        expected = files_below(source / folder, *patterns)
        assert expected and files_below(share / folder, *patterns) == expected


def test_the_ament_index_knows_the_package(source: Path, prefix: Path) -> None:
    assert (prefix / "share/ament_index/resource_index/packages/transposenet_ros").is_file()
    installed = (prefix / "share/transposenet_ros/package.xml").read_bytes()
    assert installed == (source / "package.xml").read_bytes()


def test_one_version_everywhere(pip_prefix: Path) -> None:
    version = ElementTree.parse(ROOT / "package.xml").getroot().findtext("version")
    assert version is not None
    assert transposenet_core.__version__ == version
    assert [path.name for path in site_packages(pip_prefix).glob("*.dist-info")] == [
        f"transposenet_ros-{version}.dist-info"
    ]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
