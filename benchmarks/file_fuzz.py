#!/usr/bin/env python3
"""What random damage to the files that this project reads does to whoever reads them.

python benchmarks/file_fuzz.py [--mutations 10000] [--kinds scene.json ...] [--seconds S] [--workers N] [--seed 0]

Of each kind of file good ones are made, damaged (bits, sections, numbers of texts and headers) and read as the project
reads them; a scene model that is loaded also localizes an image. Worker processes read, so that a crash or a hang costs
one file. Prints for each kind how many were read, refused with one sentence (UserError), or ended otherwise, and the
slowest and the largest: the peak of the worker's memory while it read one. Exit code 1 where a file crashed or hung its
reader, raised anything else than UserError, or took more than 1 GB. --seconds ends the run early; the table says how
many files it got to.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "test")]  # runs from a checkout that is not installed, too

from benchmarks.file_kinds import KINDS, Good
from benchmarks.file_layouts import LAYOUTS
from benchmarks.file_mutations import mutated
from benchmarks.peak_memory import PeakMemory, status_bytes
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.progress import ProgressBar

ALL = KINDS | LAYOUTS
MOST_SECONDS, MOST_MEGABYTES, MORE_BYTES = 20.0, 1024.0, 4 * 2**30
CHUNK = 50
FORK = multiprocessing.get_context("fork")
Task = tuple[str, int, int]  # a kind, the first mutation and the one behind the last


@dataclass
class Found:
    """Of one kind: how its files ended, and the slowest and largest of them."""

    ends: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: float = 0.0
    megabytes: float = 0.0
    bad: list[str] = field(default_factory=list)

    def take(self, end: str, seconds: float, megabytes: float, detail: str) -> None:
        if end in ("read", "refused") and megabytes > MOST_MEGABYTES:
            end, detail = "too large", f"{detail} took {megabytes:.0f} MB"
        self.ends[end] += 1
        self.seconds, self.megabytes = max(self.seconds, seconds), max(self.megabytes, megabytes)
        if end not in ("read", "refused"):
            self.bad.append(f"{end}: {detail}")


def damaged(goods: list[Good], kind: str, number: int, seed: int) -> tuple[int, bytes]:
    """Which of the good files mutation `number` is made of, and its bytes."""
    random = np.random.default_rng([seed, list(ALL).index(kind), number])
    which = int(random.integers(len(goods)))
    return which, mutated((goods[which].folder / goods[which].file).read_bytes(), random)


def work(pipe: Connection, folders: dict[str, list[Good]], seed: int) -> None:
    """The body of a worker: reads files until its pipe says None; says which it begins and how each ended."""
    torch.set_num_threads(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)  # messages about thousands of files, also by libraries, help nobody
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    in_use = status_bytes("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MORE_BYTES, in_use + MORE_BYTES))  # spares this machine
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        while task := pipe.recv():
            kind, first, last = task
            for number in range(first, last):
                pipe.send(("begins", kind, number))
                pipe.send(("ends", kind, *outcome(Path(place), folders[kind], kind, number, seed)))
            pipe.send(("idle",))


def outcome(place: Path, goods: list[Good], kind: str, number: int, seed: int) -> tuple[str, float, float, str]:
    """How one damaged file ended: read, refused or what else, seconds, the peak of memory in MB, and which it was."""
    which, data = damaged(goods, kind, number, seed)
    good, folder = goods[which], place / f"{kind} {which}"
    if not folder.exists():
        shutil.copytree(good.folder, folder)
    (folder / good.file).write_bytes(data)
    if good.follow:
        good.follow(folder, data)
    memory = PeakMemory()
    started, end, detail = time.perf_counter(), "read", f"{kind} {number}"
    try:
        ALL[kind].read(folder, good.file)
    except UserError as error:
        end, detail = ("refused", detail) if "\n" not in str(error) else ("traceback", f"{detail}: two lines: {error}")
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what this benchmark counts
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = next(
            (f for f in reversed(traceback.extract_tb(error.__traceback__)) if "transposenet" in f.filename), line
        )
        end, detail = (
            "traceback",
            f"{detail}: {type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})",
        )
    return end, time.perf_counter() - started, memory.megabytes(), detail


class Worker:
    """A process that reads files, replaced by another where a file ends it."""

    def __init__(self, folders: dict[str, list[Good]], seed: int) -> None:
        self._folders, self._seed = folders, seed
        self.task: Task | None = None
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=work, args=(theirs, self._folders, self._seed), daemon=True)
        self.process.start()
        theirs.close()
        self.at, self.since = "", time.monotonic()
        if self.task and self.task[1] < self.task[2]:
            self.pipe.send(self.task)
        else:
            self.task = None

    def give(self, task: Task) -> None:
        self.task, self.since = task, time.monotonic()
        self.pipe.send(task)

    def take(self, message: tuple[Any, ...]) -> None:
        self.since = time.monotonic()
        if message[0] == "begins" and self.task:
            self.at = f"{message[1]} {message[2]}"
            self.task = (self.task[0], message[2] + 1, self.task[2])  # where a successor goes on
        elif message[0] == "idle":
            self.task = None

    def replace(self) -> str:
        """End what is left of the process and start another. Returns at which file it ended, and how."""
        if time.monotonic() - self.since > MOST_SECONDS:
            self.process.kill()
        self.process.join(5)
        ended = f"{self.at} (exit code {self.process.exitcode})"
        self._start()
        return ended

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(2)
        self.process.kill()


def fuzz(folders: dict[str, list[Good]], mutations: int, workers: int, seed: int, seconds: float) -> dict[str, Found]:
    """Read so many damaged files of each kind, or as many as `seconds` allow."""
    found = {kind: Found() for kind in folders}
    tasks = _tasks(folders, mutations)
    pool = [Worker(folders, seed) for _ in range(workers)]
    ends = time.monotonic() + seconds
    progress = ProgressBar(total=mutations * len(folders), unit="file", mininterval=1)
    while True:
        for worker in pool:
            if worker.task is None and time.monotonic() < ends and (task := next(tasks, None)):
                worker.give(task)
        busy = [worker for worker in pool if worker.task]
        if not busy:
            break
        ready = wait([worker.pipe for worker in busy], timeout=1)
        for worker in busy:
            kind = worker.task[0] if worker.task else ""
            try:
                while worker.pipe in ready and worker.pipe.poll():
                    message = worker.pipe.recv()
                    worker.take(message)
                    if message[0] == "ends":
                        found[message[1]].take(*message[2:])
                        progress.update()
            except (EOFError, OSError):
                found[kind].take("crash", 0.0, 0.0, worker.replace())
                progress.update()
            if worker.task and time.monotonic() - worker.since > MOST_SECONDS:
                found[kind].take("hang", MOST_SECONDS, 0.0, worker.replace())
                progress.update()
    progress.close()
    for worker in pool:
        worker.close()
    return found


def _tasks(folders: dict[str, list[Good]], mutations: int) -> Iterator[Task]:
    """Chunk after chunk of every kind in turn, so that a run that ends early has seen all kinds alike."""
    for first in range(0, mutations, CHUNK):
        for kind in folders:
            yield kind, first, min(first + CHUNK, mutations)


def table(found: dict[str, Found]) -> str:
    lines = [f"{'kind':<20}{'mutations':>10}{'read':>8}{'refused':>9}{'other ends':>12}{'slowest s':>11}{'peak MB':>9}"]
    for kind, each in found.items():
        read, refused, total = each.ends["read"], each.ends["refused"], each.ends.total()
        other = total - read - refused
        lines.append(
            f"{kind:<20}{total:>10}{read:>8}{refused:>9}{other:>12}{each.seconds:>11.2f}{each.megabytes:>9.0f}"
        )
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    if unknown := [kind for kind in args.kinds if kind not in ALL]:
        raise UserError(f"--kinds {unknown[0]}: unknown, known are {', '.join(ALL)}")
    if args.mutations < 1 or args.workers < 1:
        raise UserError(f"--mutations {args.mutations} --workers {args.workers}; give at least 1 of each")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="good-files-") as place:
        folders = {}
        for number, kind in enumerate(args.kinds or ALL):
            (root := Path(place) / str(number)).mkdir()
            folders[kind] = ALL[kind].write(root)
        found = fuzz(folders, args.mutations, args.workers, args.seed, args.seconds)
    print(table(found))
    bad = [line for each in found.values() for line in each.bad]
    print("\n".join(bad[:100]))
    if bad:
        sys.exit(1)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=10_000, help="of each kind")
    parser.add_argument("--kinds", nargs="*", default=[], metavar="KIND", help=f"of {', '.join(ALL)}; default: all")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
