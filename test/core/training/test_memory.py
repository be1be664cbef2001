"""Memory that a training keeps from step to step."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from transposenet_core.training.memory import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def step():
    return float(torch.ones(20_000_000).sum())  # 80 MB
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_pages_of_freed_tensors_are_not_cleared_again():
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", PROGRAM, how], text=True))
        for how in ("keep", "give back")
    }
    # Not none: the system may take back what was not touched for a while.
    assert faults["keep"] < 0.5 * faults["give back"] and faults["give back"] > 100_000
