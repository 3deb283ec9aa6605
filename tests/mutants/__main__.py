"""``python -m tests.mutants [--list] [--only NAME …]``: exit 0 when every fault is caught by its test, else 1."""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.runner import CannotPlant, Copy, copied

JOBS = min(4, os.cpu_count() or 1)
"""Faults at a time, each in a copy of its own."""


def say(line: str) -> None:
    """Show a line at once: a fault takes seconds."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Choose, plant, run, tell."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description="Plant faults in a copy of the code one by one; a named test must catch each.",
        epilog="Example: python -m tests.mutants --only 'fold in arrival order'",
    )
    parser.add_argument("--list", action="store_true", help="name the faults with their files and tests, run nothing")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this fault; may be repeated")
    options = parser.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if not options.only or mutant.name in options.only]
    unknown = set(options.only or ()) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"there is no fault {min(unknown)!r}; --list names them")
    if options.list:
        for mutant in chosen:
            say(f"{mutant.name}: {mutant.file}, caught by {mutant.test}")
        return 0
    return _run(chosen)


def _run(chosen: Sequence[Mutant]) -> int:
    """All tests must pass without a fault, and each must fail with its own."""
    with contextlib.ExitStack() as stack:
        copies = [stack.enter_context(copied()) for _ in range(min(JOBS, len(chosen)))]
        sound = copies[0].run(sorted({mutant.test for mutant in chosen}))
        if sound.returncode != 0:
            say(f"without any fault the named tests must pass:\n{sound.stdout}{sound.stderr}")
            return 1
        free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in copies:
            free.put(copy)
        with ThreadPoolExecutor(len(copies)) as pool:
            caught = sum(pool.map(lambda mutant: _judge(free, mutant), chosen))
    say(f"{caught} of {len(chosen)} faults were caught")
    return 0 if caught == len(chosen) else 1


def _judge(free: queue.SimpleQueue[Copy], mutant: Mutant) -> bool:
    """Run one fault in a free copy and tell the outcome at once."""
    copy = free.get()
    try:
        verdict = copy.verdict(mutant)
    except CannotPlant as error:
        say(f"NOT PLANTED      {error}")
        return False
    finally:
        free.put(copy)
    word = f"caught in {verdict.seconds:4.1f} s" if verdict.caught else "SURVIVED"
    say(f"{word:16} {mutant.name:55} {mutant.test.rpartition('::')[2]}")
    if not verdict.caught:
        say(verdict.said)
    return verdict.caught


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
