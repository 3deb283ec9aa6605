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

from tests.mutants.catalogue import Mutant

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
TEST_FAILED = 1
"""pytest's exit code when tests ran and some failed; anything else is no verdict on the fault."""

TEST_WITHIN_S = 600
"""Generous for a loaded machine; most need seconds."""
SHOWN_LINES = 15


class CannotPlant(Exception):
    """The text that a fault replaces is not there, or not once: the code has moved on, so must the catalogue."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
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

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """The copy with a fault in it. Raises :class:`CannotPlant`."""
        file = self._folder / mutant.file
        before = file.read_text(encoding="utf-8")
        self._write(file, with_fault(before, mutant))
        try:
            yield
        finally:
            self._write(file, before)

    def _write(self, file: Path, text: str) -> None:
        """Write with a time of its own: Python tells by size and second whether a compiled file is still good."""
        file.write_text(text, encoding="utf-8")
        self._planted += 1
        os.utime(file, (self._planted, self._planted))

    def verdict(self, mutant: Mutant) -> Verdict:
        """Plant a fault, run its test, take the fault out."""
        started_s = time.monotonic()
        with self.planted(mutant):
            done = self.run([mutant.test])
        said = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN_LINES:])
        seconds = time.monotonic() - started_s
        return Verdict(mutant=mutant, caught=done.returncode == TEST_FAILED, seconds=seconds, said=said)


def with_fault(text: str, mutant: Mutant) -> str:
    """The text with the fault in it. Raises :class:`CannotPlant`."""
    found = text.count(mutant.old)
    if found != 1:
        raise CannotPlant(
            f"{mutant.name}: the text to replace was in {mutant.file} {found} times, expected once; "
            f"renew tests/mutants/catalogue.py"
        )
    return text.replace(mutant.old, mutant.new)


@contextmanager
def copied() -> Iterator[Copy]:
    """A copy of the tree, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="portfolio-sync-mutants-") as name:
        yield Copy(Path(name))
