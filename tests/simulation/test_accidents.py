"""What befalls the process and its nodes in a simulation: it is played, the service bears it, and a fault shows."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from messages.ledger import Decision, JournalEntry
from messages.reads import AgreementAnswer
from service.process import Process
from service.simulation.faults import (
    ACTOR_CRASH,
    CLOCK_JUMPS,
    CONTRADICTING_RPC,
    CRASH,
    LEASE_FIGHT,
    OF_NODES,
    OF_PROCESS,
    ORDERLY_STOP,
    RELOADS,
    SILENT_RPC,
    TORN_COMMITS,
)
from service.simulation.quiet import quiet
from service.simulation.run import Options, Result, simulate
from service.simulation.settings import DATABASE, WALLET
from storage import ledger, projections
from storage.database import Transaction, open_readonly
from storage.journal import Journal

SEEDS = range(6)
PLAYED = {
    CRASH: 0,
    "crash_at_commit": 4,
    TORN_COMMITS: 2,
    ORDERLY_STOP: 2,
    ACTOR_CRASH: 5,
    LEASE_FIGHT: 4,
    RELOADS: 0,
    CLOCK_JUMPS: 5,
    SILENT_RPC: 2,
    CONTRADICTING_RPC: 2,
}
"""A seed of each kind in which it comes early, and more than once where it can."""


def run(seed: int, kind: str) -> Result:
    with quiet():
        return simulate(Options(seed=seed, steps=30, faults=frozenset({kind})))


def found(kind: str) -> str:
    """What the first seed finds that fails."""
    for seed in SEEDS:
        result = run(seed, kind)
        if result.finding is not None:
            return result.finding.told()
    return "nothing"


@pytest.mark.req("X-03", "L-30", "S-10", "S-14", "X-14", "D-17", "D-18", "D-20", "D-22")
@pytest.mark.parametrize("kind", [*OF_PROCESS, *OF_NODES])
def test_the_service_bears_each_kind_alone(kind: str) -> None:
    result = run(PLAYED[kind], kind)
    assert result.ok, result.finding
    assert result.faults.keys() == {kind}
    assert kind in {one.name for one in result.story}


@pytest.mark.req("X-03", "D-18", "L-02")
def test_a_commit_in_two_transactions_is_found_where_commits_are_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(
        transaction: Transaction, decisions: Sequence[Decision], entries: Sequence[JournalEntry], heads: Any
    ) -> None:
        whole(transaction, (), entries, heads)
        transaction.execute("COMMIT")
        transaction.execute("BEGIN IMMEDIATE")
        projections.write(transaction, [row for decision in decisions for row in decision.rows])

    whole = ledger._write
    monkeypatch.setattr(ledger, "_write", torn)
    assert "stored state is the journal's" in found(TORN_COMMITS)


@pytest.mark.req("X-03", "D-17")
def test_a_ledger_that_does_not_look_at_the_epoch_is_found_where_two_processes_fight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "_MOVE_HEAD", ledger._MOVE_HEAD.replace('"epoch" = ?', '"epoch" >= ?'))
    assert "a process without its lease writes nothing" in found(LEASE_FIGHT)


@pytest.mark.req("X-03", "D-22")
def test_a_lock_that_locks_nothing_is_found_where_two_processes_fight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert "a second process is refused" in found(LEASE_FIGHT)


@pytest.mark.req("X-03", "D-18")
def test_a_stop_in_any_order_is_found_where_the_process_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(process: Process) -> None:
        for address in process._post.addresses:
            process._stop_actor(address)
        process._database.close()

    monkeypatch.setattr(Process, "stop", stop)
    assert "what is in memory is what the journal gives" in found(ORDERLY_STOP)


@pytest.mark.req("X-03", "S-10")
def test_a_reload_that_changes_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "reload_config", lambda _process: {})
    assert "configuration is" in found(RELOADS)


@pytest.mark.req("X-03", "X-14")
def test_a_service_that_believes_an_endpoint_which_is_contradicted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AgreementAnswer, "waived", True)
    monkeypatch.setattr(AgreementAnswer, "disagreed", False)
    assert "chain" in found(CONTRADICTING_RPC)


@pytest.mark.req("X-03", "D-20")
def test_clocks_that_are_set_change_neither_the_world_nor_what_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(PLAYED[CLOCK_JUMPS], CLOCK_JUMPS)
    monkeypatch.setattr("service.simulation.accidents._JUMP_MS", (0, 0))
    second = run(PLAYED[CLOCK_JUMPS], CLOCK_JUMPS)
    assert first.faults == second.faults
    assert first.digest != second.digest
    assert [(one.step, one.name) for one in first.story] == [(one.step, one.name) for one in second.story]


@pytest.mark.req("X-03", "D-20")
def test_stamps_never_go_back_in_a_stream_though_clocks_are_set_and_processes_start_anew(tmp_path: Path) -> None:
    with quiet():
        result = simulate(Options(seed=5, steps=40, faults=frozenset({CLOCK_JUMPS, CRASH, ACTOR_CRASH})), tmp_path)
    assert result.ok, result.finding
    assert result.faults.keys() == {CLOCK_JUMPS, CRASH, ACTOR_CRASH}
    database = open_readonly(f"sqlite:///{tmp_path / DATABASE}")
    stamps = [entry.at_ms for entry in Journal(database).read(WALLET)]
    database.close()
    assert stamps == sorted(stamps)
