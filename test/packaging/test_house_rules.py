"""House rules: what the packages may import and call, and what no file may name."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {".git", ".venv", "build", "install", "log", "runs", "out", "__pycache__"}
UNPICKLING_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNPICKLING_CALLS = {"eval", "exec", "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
PUBLIC_HOSTS = {"pypi.org", "files.pythonhosted.org", "download.pytorch.org"}


def sources(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package} has no Python files"
    return files


def imported(tree: ast.AST) -> dict[str, str]:
    """The full name of what is imported, by the name it has in the file; `import a.b` gives {"a.b": "a.b"}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_ros(name: str) -> bool:
    """Whether a full name lives in ROS or in our ROS package."""
    top = name.partition(".")[0]
    ros = {"transposenet_ros", "rclpy", "cv_bridge", "launch", "launch_ros", "tf2_ros", "tf2_py", "builtin_interfaces"}
    return top in ros or top.endswith("_msgs") or top.startswith(("rosidl_", "ament_", "rosbag2_", "rcl_"))


def unpickling(tree: ast.AST) -> Iterator[str]:
    """What in a module turns bytes or text into running code."""
    names = imported(tree)
    for full in names.values():
        if full.partition(".")[0] in UNPICKLING_MODULES or full in UNPICKLING_CALLS:
            yield f"import of {full}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, _, rest = ast.unparse(node.func).partition(".")
        full = ".".join(filter(None, [names.get(called, called), rest]))
        if full in UNPICKLING_CALLS or any(k.arg == "allow_pickle" for k in node.keywords):
            yield f"line {node.lineno}: {ast.unparse(node)[:80]}"


def test_transposenet_core_imports_no_ros() -> None:
    found = {
        str(path.relative_to(ROOT)): ros
        for path in sources("transposenet_core")
        if (ros := sorted(filter(is_ros, imported(ast.parse(path.read_text())).values())))
    }
    assert found == {}


def test_nothing_in_the_packages_unpickles() -> None:
    allowed = ROOT / "transposenet_core" / "checkpoints" / "importing.py"
    found = {
        str(path.relative_to(ROOT)): bad
        for package in ("transposenet_core", "transposenet_ros")
        for path in sources(package)
        if path != allowed and (bad := list(unpickling(ast.parse(path.read_text()))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import torch\ntorch.load(path)",
        "import torch as t\nt.load(path)",
        "from torch import load\nload(path)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "eval('1 + 1')",
        "exec(text)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
    ],
)
def test_the_search_for_unpickling_finds_it(code: str) -> None:
    assert list(unpickling(ast.parse(code)))


@pytest.mark.parametrize("code", ["model.eval()", "import yaml\nyaml.safe_load(text)", "import json\njson.load(file)"])
def test_the_search_for_unpickling_lets_plain_reading_be(code: str) -> None:
    assert not list(unpickling(ast.parse(code)))


def test_import_of_transposenet_core_loads_no_heavy_library() -> None:
    code = "import sys, json, transposenet_core; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True))
    assert "transposenet_core" in loaded
    assert not {"torch", "cv2", "scipy", "matplotlib", "rosbags", "rclpy", "efficientnet_pytorch"} & set(loaded)


def project_files() -> list[Path]:
    """The files git knows, or in a tree without git every file that is not a build product."""
    try:
        listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True, stderr=subprocess.DEVNULL)
        files = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        files = [path for path in ROOT.rglob("*") if not NOT_OURS & set(path.relative_to(ROOT).parts)]
    return [path for path in files if path.is_file()]


def names_of_this_machine() -> set[str]:
    """Folders and hosts that mean something on this machine alone: checkout, home, Python, package sources."""
    folders = {ROOT, Path.home(), Path(sys.base_prefix)}
    # The folder around the checkout is telling unless every machine has it.
    if not str(ROOT.parent).startswith(("/tmp", "/usr", "/var", "/opt", "/srv")):
        folders.add(ROOT.parent)
    names = {f"{folder}/" for folder in folders if str(folder) not in {"/", "/usr", "/usr/local", "/home", "/opt"}}
    settings = subprocess.check_output([sys.executable, "-m", "pip", "config", "list"], text=True)
    for key, value in re.findall(r"^(\S+)='(.*)'$", settings, re.MULTILINE):
        if key.endswith(("index-url", "find-links", "trusted-host", "proxy")):
            parts = [urlsplit(word) for word in re.split(r"\s+|\\n", value) if word]
            names |= {part.hostname or part.path for part in parts} - PUBLIC_HOSTS
    return {name for name in names if len(name) > 3}


def test_no_file_names_a_developers_machine() -> None:
    pattern = re.compile("|".join([*map(re.escape, names_of_this_machine()), r"/(?:home|Users)/(?!user\b|you\b)\w+/"]))
    found = []
    for path in project_files():
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            hits = pattern.finditer(content.decode(errors="replace"))
            found += [f"{path.relative_to(ROOT)}: {hit.group()}" for hit in hits]
    assert found == []
