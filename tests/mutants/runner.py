"""Plants faults in a copy of the tree, never in the tree itself, and runs the test that must catch each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.mutants.catalogue import Mutant
from tests.mutants.planted import Replacement
from tests.mutants.seeds import Run, Verdict

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("actors", "messages", "polymarket", "portfolio", "service", "storage", "tests", "bin", "conf", "setup.cfg")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", ".*")
PYTEST = (
    sys.executable,
    "-m",
    "gevent.monkey",
    "--module",
    "pytest",
    "-q",
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
)
SEEDS = (sys.executable, "-m", "gevent.monkey", "--module", "tests.mutants.seeds")
TEST_FAILED = 1
"""pytest's exit code when tests ran and some failed; anything else is no verdict on the fault."""

TEST_WITHIN_S = 600
"""Generous for a loaded machine; most need seconds."""
SIMULATED_WITHIN_S = 3_600
SHOWN_LINES = 15
SHOWN_CHARACTERS = 400


class CannotPlant(Exception):
    """The text that a fault replaces is not there, or not once: the code has moved on, so must the catalogue."""


@dataclass(frozen=True, kw_only=True)
class Caught:
    """Whether the named test failed, in how many seconds, and what pytest said when it did not."""

    mutant: Mutant
    caught: bool
    seconds: float
    said: str


class Copy:
    """A copy of the tree in which tests run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._planted = 0
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=LEFT_OUT)
            else:
                shutil.copy2(source, folder / name)

    def run(self, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run tests by their node ids. The copy comes first on the path, before an installed checkout."""
        environment = {**os.environ, "PYTHONPATH": str(self._folder), "HYPOTHESIS_PROFILE": "ci"}
        return subprocess.run(
            [*PYTEST, *tests],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TEST_WITHIN_S,
            check=False,
        )

    def simulated(self, *runs: Run) -> list[Verdict]:
        """Simulate, each run until a seed fails."""
        done = subprocess.run(
            [*SEEDS, *(msgspec.json.encode(run).decode() for run in runs)],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(self._folder)},
            capture_output=True,
            timeout=SIMULATED_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            raise CannotPlant(f"the simulator did not run: {done.stderr.decode()[-SHOWN_CHARACTERS:]}")
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Verdict])

    @contextmanager
    def planted(self, *faults: Mutant | Replacement) -> Iterator[None]:
        """The copy with faults in it. Raises :class:`CannotPlant`."""
        before = {fault.file: (self._folder / fault.file).read_text(encoding="utf-8") for fault in faults}
        texts = dict(before)
        for fault in faults:
            texts[fault.file] = with_fault(texts[fault.file], fault)
        try:
            for name, text in texts.items():
                self._write(self._folder / name, text)
            yield
        finally:
            for name, text in before.items():
                self._write(self._folder / name, text)

    def _write(self, file: Path, text: str) -> None:
        """Write with a time of its own: Python tells by size and second whether a compiled file is still good."""
        file.write_text(text, encoding="utf-8")
        self._planted += 1
        os.utime(file, (self._planted, self._planted))

    def verdict(self, mutant: Mutant) -> Caught:
        """Plant a fault, run its test, take the fault out."""
        started_s = time.monotonic()
        with self.planted(mutant):
            done = self.run([mutant.test])
        said = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN_LINES:])
        seconds = time.monotonic() - started_s
        return Caught(mutant=mutant, caught=done.returncode == TEST_FAILED, seconds=seconds, said=said)


def with_fault(text: str, mutant: Mutant | Replacement) -> str:
    """The text with the fault in it. Raises :class:`CannotPlant`."""
    found = text.count(mutant.old)
    if found != 1:
        raise CannotPlant(
            f"{mutant.name}: the text to replace was in {mutant.file} {found} times, expected once; "
            f"renew its catalogue in tests/mutants"
        )
    return text.replace(mutant.old, mutant.new)


@contextmanager
def copied() -> Iterator[Copy]:
    """A copy of the tree, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="portfolio-sync-mutants-") as name:
        yield Copy(Path(name))
