"""Faults planted in our code that the simulator must find: ``python -m tests.mutants.simulated``.

``--kinds`` asks the other question, slowly: is each kind of the simulator's faults needed? A fault that only one kind
reveals must be found with all kinds, and stay hidden in the same seeds with all but that one.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import msgspec

from service.simulation.faults import ALL
from tests.mutants.__main__ import JOBS, say
from tests.mutants.planted import Planted
from tests.mutants.runner import CannotPlant, Copy, copied
from tests.mutants.seeds import Run
from tests.mutants.simulated_books import BOOKS
from tests.mutants.simulated_feeds import FEEDS
from tests.mutants.simulated_ground import GROUND

SIMULATED = (*BOOKS, *FEEDS, *GROUND)

Found: TypeAlias = dict[Planted, Run]
"""The seed that found each fault."""


def main(arguments: Sequence[str]) -> int:
    """Choose, plant, simulate, tell; 0 when every fault was found, and with ``--kinds`` every kind was needed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants.simulated",
        description="Plant faults in a copy of the code one by one; the simulator must find each.",
        epilog="Example: python -m tests.mutants.simulated --only 'count failed trades'",
    )
    parser.add_argument("--list", action="store_true", help="name the faults with their files and kinds, run nothing")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this fault; may be repeated")
    parser.add_argument("--kinds", action="store_true", help="is each kind of fault needed? Takes hours")
    parser.add_argument("--within", type=int, default=40, metavar="N", help="with --kinds: seeds 0 up to N")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help="faults at a time")
    options = parser.parse_args(arguments)
    unknown = set(options.only or ()) - {planted.name for planted in SIMULATED}
    if unknown:
        parser.error(f"there is no fault {min(unknown)!r}; --list names them")
    chosen = [planted for planted in SIMULATED if not options.only or planted.name in options.only]
    if options.list:
        for planted in chosen:
            say(f"{planted.name}: {planted.file}, within {planted.within} seeds of --faults {planted.faults}")
        return 0
    if options.kinds:
        by_kind = [planted for planted in chosen if planted.only]
        return _end(_each(by_kind, options.jobs, lambda copy, one: needed(copy, one, options.within)), len(by_kind))
    seeds: Found = {}
    _each(chosen, options.jobs, lambda copy, one: found(copy, one, seeds))
    return _end(len(seeds) - _unsound(seeds), len(chosen))


def _end(good: int, of: int) -> int:
    say(f"{good} of {of} as they should be")
    return 0 if good == of else 1


def _each(chosen: Sequence[Planted], jobs: int, judge: Callable[[Copy, Planted], bool]) -> int:
    """Judge one after another, in a copy for each job; how many were good."""
    with contextlib.ExitStack() as stack:
        free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        copies = [stack.enter_context(copied()) for _ in range(min(jobs, len(chosen)))]
        for copy in copies:
            free.put(copy)

        def judged(planted: Planted) -> bool:
            copy = free.get()
            try:
                return judge(copy, planted)
            except CannotPlant as error:
                say(f"NOT PLANTED       {error}")
                return False
            finally:
                free.put(copy)

        with ThreadPoolExecutor(len(copies)) as pool:
            return sum(pool.map(judged, chosen))


def found(copy: Copy, planted: Planted, seeds: Found) -> bool:
    """Whether the fault is found in its seeds; ``seeds`` gets the one."""
    begun_s = time.monotonic()
    run = Run(first=0, end=planted.within, steps=planted.steps, faults=planted.faults)
    with copy.planted(*planted.replacements):
        (verdict,) = copy.simulated(run)
    if verdict.seed is None:
        say(f"NOT FOUND         {planted.name} in {verdict.runs} seeds of --faults {planted.faults}")
        return False
    seconds = time.monotonic() - begun_s
    say(f"found in {seconds:5.1f} s  {planted.name:62} seed {verdict.seed:2}  {verdict.finding[:90]}")
    seeds[planted] = msgspec.structs.replace(run, first=verdict.seed, end=verdict.seed + 1)
    return True


def _unsound(seeds: Found) -> int:
    """How many faults were found by a seed that fails without them: that proves nothing."""
    runs = sorted(set(seeds.values()), key=msgspec.json.encode)
    with copied() as copy:
        failed = {run: verdict for run, verdict in zip(runs, copy.simulated(*runs), strict=True) if verdict.finding}
    for planted, run in seeds.items():
        if run in failed:
            say(f"FOUND WITHOUT IT  {planted.name}: seed {run.first} of {run.faults}: {failed[run].finding[:110]}")
    return sum(run in failed for run in seeds.values())


def needed(copy: Copy, planted: Planted, within: int) -> bool:
    """Whether the fault is found with all kinds, and with all but its own it is not."""
    all_kinds = Run(first=0, end=within, steps=planted.steps, faults="all")
    seed = revealed(copy, planted, all_kinds)
    if seed is None:
        say(f"NOT FOUND         {planted.only:18} {planted.name}: in {within} seeds of all kinds")
        return False
    others = ",".join(kind for kind in ALL if kind != planted.only)
    without = revealed(copy, planted, msgspec.structs.replace(all_kinds, faults=others))
    if without is not None:
        say(f"NOT NEEDED        {planted.only:18} {planted.name}: seed {without} finds it too")
        return False
    say(f"needed            {planted.only:18} {planted.name}: seed {seed} of all, none of {within} without it")
    return True


def revealed(copy: Copy, planted: Planted, run: Run) -> int | None:
    """The first seed that fails with the fault and holds without it."""
    while run.first < run.end:
        with copy.planted(*planted.replacements):
            (verdict,) = copy.simulated(run)
        if verdict.seed is None:
            return None
        (sound,) = copy.simulated(msgspec.structs.replace(run, first=verdict.seed, end=verdict.seed + 1))
        if sound.seed is None:
            return verdict.seed
        run = msgspec.structs.replace(run, first=verdict.seed + 1)
    return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
