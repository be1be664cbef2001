"""Fixtures of all tests."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from small_scene import write_small_scene

# Tests that are started in the background ignore Ctrl-C, and every process started from here would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
# Tests do not use the user's cache of decoded images.
_CACHE = tempfile.TemporaryDirectory(prefix="transposenet-cache-")
os.environ["TRANSPOSENET_CACHE"] = _CACHE.name
# Exporting each network of every test would take minutes: test/core/backends does it, the others run torch.
os.environ["TRANSPOSENET_BACKEND"] = "torch"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real data sets; a test that needs them is skipped if they are absent."""
    folder = Path(os.environ.get("TRANSPOSENET_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set the environment variable TRANSPOSENET_DATA)")
    return folder


@pytest.fixture
def small_scene(tmp_path: Path) -> Path:
    return write_small_scene(tmp_path / "desk")
