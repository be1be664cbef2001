"""The peak of memory, of this process and of those that it started, while something was done."""

from __future__ import annotations

import resource
from pathlib import Path


def status_bytes(name: str) -> int:
    """Bytes that the system states of this process: VmSize, VmHWM (the peak of what is resident)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])


def peak_megabytes() -> float:
    """The peak resident memory of this process so far."""
    return status_bytes("VmHWM") / 2**20


def children_megabytes() -> float:
    """The largest peak of all child processes that have ended so far."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10


class PeakMemory:
    """The peak since this was made. A child counts where its peak was larger than that of any child before."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak of this process begins anew
        self._children = children_megabytes()

    def megabytes(self) -> float:
        children = children_megabytes()
        return max(peak_megabytes(), children if children > self._children else 0.0)
