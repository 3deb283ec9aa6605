"""Seeds of the simulator: the service holds under faults, one seed is one run, and a planted fault is found."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pykka
import pytest

from portfolio.entries import FillState
from service.simulation.faults import (
    ACTOR_CRASH,
    ALL,
    CRASH,
    CRASH_AT_COMMIT,
    FAILED,
    LATE,
    OF_NODES,
    OF_PROCESS,
    OF_SOURCES,
    REORGANISED,
    RETRIED,
    UnknownFault,
    parse,
)
from service.simulation.quiet import quiet
from service.simulation.run import Options, Result, simulate
from storage.ledger import Ledger

ROOT = Path(__file__).parents[2]
EVERY = frozenset(ALL)
STEPS = 40
SEEDS = range(12)
DEEDS = {
    *("cancel", "cash", "convert", "decide", "external_trade", "fill", "merge", "place", "price", "redeem"),
    *("reorganise", "resolve", "split", "transfer_in", "transfer_out"),
}


def run(seed: int, faults: frozenset[str] = EVERY, steps: int = STEPS) -> Result:
    with quiet():
        return simulate(Options(seed=seed, steps=steps, faults=faults))


def told(result: Result) -> str:
    assert result.finding is not None
    return result.finding.told()


@functools.cache
def under_all_faults(seed: int) -> Result:
    return run(seed)


FOUND = [(17, "outages"), (122, "outages,http_errors"), (198, "outages,http_errors")]
"""Runs that broke a rule once: a cycle booked what of a transaction it understood, and guessed the rest."""


@pytest.mark.req("X-03", "X-01", "L-14")
@pytest.mark.parametrize(("seed", "faults"), FOUND)
def test_what_broke_once_holds(seed: int, faults: str) -> None:
    result = run(seed, parse(faults))
    assert result.ok, told(result)


@pytest.mark.req("X-03", "L-30", "S-20", "L-16", "L-17", "D-18", "D-21")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_books_become_the_worlds_own_after_all_faults(seed: int) -> None:
    result = under_all_faults(seed)
    assert result.ok, told(result)
    assert result.checks >= result.cycles > 0


@pytest.mark.req("X-03", "L-30")
def test_the_fixed_seeds_play_every_kind_of_fault_and_everything_that_can_happen() -> None:
    results = [under_all_faults(seed) for seed in SEEDS]
    assert {*OF_SOURCES, *OF_NODES, *OF_PROCESS} == {name for result in results for name in result.faults}
    assert {name for result in results for name in result.happened} == DEEDS


@pytest.mark.req("X-03", "L-14", "L-09", "X-10")
def test_without_faults_every_change_has_its_transaction_and_every_cost_is_the_rules() -> None:
    result = run(2, frozenset(), steps=60)
    assert result.ok, told(result)
    assert (result.lives, result.faults) == (1, {})
    assert {"external_trade", "split", "merge", "transfer_in", "transfer_out"} <= result.happened.keys()


@pytest.mark.req("X-03", "L-30", "X-01", "R-10")
def test_trades_that_fail_and_blocks_that_are_dropped_leave_no_trace_in_the_books() -> None:
    result = run(2, frozenset({FAILED, RETRIED, LATE, REORGANISED}))
    assert result.ok, told(result)
    assert result.happened["reorganise"] > 0


@pytest.mark.req("X-03", "L-30", "L-02", "L-19", "D-18", "D-19")
def test_crashes_at_any_step_change_nothing_but_the_number_of_lives() -> None:
    result = run(4, frozenset({CRASH, CRASH_AT_COMMIT, ACTOR_CRASH}))
    assert result.ok, told(result)
    assert result.lives == 1 + result.faults[CRASH] + result.faults[CRASH_AT_COMMIT]
    assert result.faults[ACTOR_CRASH] > 0


@pytest.mark.req("X-03", "D-20", "L-19", "D-05")
def test_one_seed_is_one_journal_to_the_byte_in_any_process() -> None:
    begun = [_begun(hashing) for hashing in ("1", "2")]
    first, second = (json.loads(process.communicate()[0]) for process in begun)
    assert first == second
    assert first["ok"] is True


def _begun(hashing: str) -> subprocess.Popen[bytes]:
    """A run in a process of its own, where sets of texts have another order than in the next one."""
    wanted = ["simulate", "--seed", "5", "--steps", "15", "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": hashing}
    command = [sys.executable, str(ROOT / "bin" / "portfolio-sync"), *wanted]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT)


@pytest.mark.req("X-03")
def test_another_seed_is_another_run() -> None:
    first, second = (run(seed, frozenset(), steps=10) for seed in (1, 2))
    assert first.digest != second.digest


@pytest.mark.req("X-03")
def test_faults_that_are_not_asked_for_are_not_played() -> None:
    result = run(1, frozenset({"lost_frames"}))
    assert result.ok, told(result)
    assert set(result.faults) == {"lost_frames"}
    assert "reorganise" not in result.happened


@pytest.mark.req("X-03", "L-01")
def test_a_service_that_counts_failed_trades_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FillState, "effective", property(lambda state: state is not FillState.SUPERSEDED))
    findings = [result.finding for result in (run(seed, frozenset({FAILED})) for seed in range(3)) if not result.ok]
    assert findings, "a position with shares of a failed trade is not the world's"


@pytest.mark.req("X-03", "L-20", "L-02")
def test_a_ledger_that_forgets_rows_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = Ledger.commit
    monkeypatch.setattr(
        Ledger,
        "commit",
        lambda ledger, decisions: commit(
            ledger, [msgspec.structs.replace(one, rows=one.rows[:-1]) for one in decisions]
        ),
    )
    result = run(1, frozenset(), steps=10)
    assert not result.ok
    assert "stored state is the journal's" in told(result)


@pytest.mark.req("X-03")
def test_kinds_of_faults_are_chosen_by_name() -> None:
    assert parse("all") == EVERY
    assert parse("none") == parse("") == frozenset()
    assert parse("crash, lost_frames") == {CRASH, "lost_frames"}
    with pytest.raises(UnknownFault, match="the nearest kind is 'crash'"):
        parse("crsh")


class Bystander(pykka.ThreadingActor):
    """An actor of nobody's simulation."""


@pytest.mark.req("X-03", "D-05")
def test_actors_outside_a_simulation_live_on_when_a_life_in_it_ends() -> None:
    bystander = Bystander.start()
    try:
        result = run(4, frozenset({CRASH_AT_COMMIT}))
        assert (result.ok, result.lives > 1, bystander.is_alive()) == (True, True, True)
        assert bystander in pykka.ActorRegistry.get_all()
    finally:
        bystander.stop()
