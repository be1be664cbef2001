"""`make setup` reports in one sentence what is missing, and can be repeated after an interruption."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIND_PYTHON = ROOT / "packaging" / "find_python.sh"


@pytest.fixture(scope="module")
def set_up() -> ModuleType:
    spec = importlib.util.spec_from_file_location("set_up", ROOT / "packaging" / "set_up.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_python(*candidates: str | Path) -> subprocess.CompletedProcess:
    command = ["sh", str(FIND_PYTHON), *map(str, candidates)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_shim_without_a_python_behind_it_is_passed_over(tmp_path: Path) -> None:
    shim = script(tmp_path / "python3.12", "echo 'python3.12: command not found' >&2; exit 127")
    result = find_python(shim, sys.executable)
    assert (result.returncode, result.stdout.strip()) == (0, sys.executable)


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_a_python_too_old_or_too_new_is_named(tmp_path: Path, version: str) -> None:
    python = script(tmp_path / "python3", f"echo {version}")
    result = find_python(python)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{python} is {version}: sudo apt install python3" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_no_python_at_all_is_one_sentence(tmp_path: Path) -> None:
    result = find_python(tmp_path / "python3")
    assert result.returncode == 1
    assert "none of them runs: sudo apt install python3" in result.stderr


def test_a_missing_compiler_is_named(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(set_up.SetUpError, match=r"gcc is missing.*sudo apt install gcc"):
        set_up.check_machine(with_ros=False)


def test_missing_headers_are_named(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(set_up.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(set_up.SetUpError, match=r"headers .* are missing .*sudo apt install python3\.\d+-dev"):
        set_up.check_machine(with_ros=False)


def test_the_wheels_are_for_x86_64_alone(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_up.platform, "machine", lambda: "aarch64")
    with pytest.raises(set_up.SetUpError, match=r"aarch64: install ROS 2 Jazzy, source it"):
        set_up.check_machine(with_ros=False)


def test_ros_counts_as_sourced_with_both_of_its_variables(set_up: ModuleType) -> None:
    assert set_up.ros_is_sourced({"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": "/opt/ros/jazzy"})
    assert not set_up.ros_is_sourced({"AMENT_PREFIX_PATH": "/opt/ros/jazzy"})
    assert not set_up.ros_is_sourced({})


def test_an_environment_without_pip_is_made_anew(set_up: ModuleType, tmp_path: Path) -> None:
    missing = set_up.Environment(tmp_path / "missing", with_ros=False)
    assert not missing.is_usable()
    folder = tmp_path / "interrupted"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    assert not set_up.Environment(folder, with_ros=False).is_usable()


def test_an_environment_of_the_other_kind_is_made_anew(set_up: ModuleType) -> None:
    if sys.prefix == sys.base_prefix:
        pytest.skip("the tests do not run in a virtual environment")
    sees_system = "include-system-site-packages = true" in (Path(sys.prefix) / "pyvenv.cfg").read_text()
    assert set_up.Environment(Path(sys.prefix), with_ros=sees_system).is_usable()
    assert not set_up.Environment(Path(sys.prefix), with_ros=not sees_system).is_usable()


def test_a_failing_step_is_an_error_not_a_traceback(set_up: ModuleType, tmp_path: Path) -> None:
    environment = set_up.Environment(tmp_path, with_ros=False)
    with pytest.raises(set_up.SetUpError, match=r"failed with status 3, its messages are above"):
        environment.run(sys.executable, "-c", "raise SystemExit(3)")
