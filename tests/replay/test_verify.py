"""``verify``: everything that the database proves by itself, and each way in which it may not (X-12, L-20, L-21)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from messages.codec import SCHEMA, encode, kind_of_event
from messages.ledger import Decision
from portfolio.events import KillSwitchSet
from portfolio.invariants import CATALOGUE, InvariantId
from portfolio.position import applied
from service.cli import main
from service.cli.replaying import PROGRESS_EVERY, progress
from service.config import Config
from service.verify import verify
from service.verify_books import BY_CYCLE
from storage.stored import stored_state
from tests.replay.stories import config_file, spoil
from tests.support.system import WALLET, Harness

pytestmark = pytest.mark.req("X-12", "L-20", "L-21", "L-28")


def by_id(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in document["invariants"]}


def test_sound_books_are_proven_from_journal_to_tables(told: Harness, config: Config) -> None:
    watched: list[int] = []
    document = verify(config, watched.append)
    entries = told.journal()
    assert (document["ok"], document["problems"], document["halted"]) == (True, [], {})
    assert (document["entries"], document["head_hash"]) == (len(entries), entries[-1].hash)
    assert document["chain"] == {"sound": True, "damages": [], "complete": True}
    assert document["state"]["digest"] == document["state"]["stored_digest"]
    assert document["state"]["entries"] == len(entries)
    assert watched == [entry.seq for entry in entries]


def test_every_invariant_of_the_catalogue_is_looked_for_or_left_to_the_cycle_by_name(
    told: Harness, config: Config
) -> None:
    found = by_id(verify(config))
    assert set(found) == {name.value for name in CATALOGUE}
    for name in CATALOGUE:
        assert found[name.value]["checked_by"] == ("cycle" if name in BY_CYCLE else "verify")
        assert (found[name.value]["checked"] > 0) == (name not in BY_CYCLE), name


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 9", "journal entry 9, header (at_ms): at_ms should be "),
        ("UPDATE journal SET payload = CAST('{}' AS BLOB) WHERE seq = 9", "journal entry 9, content: header or"),
        ("UPDATE journal SET hash = 'x' WHERE seq = 9", "journal entry 9, link (hash): its hash should be "),
        ("DELETE FROM journal WHERE seq = 9", "journal entry 9, missing: is gone"),
        ("UPDATE positions SET shares_micro = 1 WHERE token_id = '0xa-yes'", "positions 0xa-yes in market 0xa: stored"),
        ("DELETE FROM positions", "is not stored, entry "),
        ("UPDATE fills SET state = 'FAILED' WHERE trade_id = 'trade-1'", "fills trade-1 of order-0xa in market 0xa: "),
        (
            "UPDATE adjustments SET realized_pnl_micro = 5 WHERE cause = 'POSITION_MERGED'",
            "INV-06 0xa-yes: expected ",
        ),
        ("INSERT INTO cursors VALUES ('main', 'moon', '1', 1)", "cursors moon: is stored, and no entry gives it"),
    ],
)  # fmt: skip
def test_each_change_behind_the_service_is_a_problem(told: Harness, config: Config, sql: str, problem: str) -> None:
    assert spoil(told, sql)
    document = verify(config)
    assert document["ok"] is False
    assert any(problem in text for text in document["problems"]), document["problems"]


def test_behind_a_damage_nothing_is_compared(told: Harness, config: Config) -> None:
    """What was changed there proves nothing; what the sound part gives is still checked."""
    spoil(told, "UPDATE journal SET payload = CAST('nothing' AS BLOB) WHERE seq = 9")
    document = verify(config)
    assert document["state"]["entries"] == 8
    assert document["state"]["stored_digest"] is None
    assert document["problems"][1] == "the stored state was not compared: the journal is not sound from entry 9 on"
    assert by_id(document)[InvariantId.STORED_IS_FOLD.value]["checked"] > 0


def test_an_entry_that_this_version_cannot_read_is_a_problem_and_no_crash(told: Harness, config: Config) -> None:
    """As a later version would have written it: its chain is whole, and its schema unknown."""
    event = KillSwitchSet(active=True, operator="ada", reason="")
    later = Decision(
        stream=WALLET,
        address=f"gate:{WALLET}",
        kind=kind_of_event(event),
        schema=SCHEMA + 1,
        version=99,
        at_ms=told.clock.now_ms(),
        payload=encode(event),
    )
    (entry,) = told.ledger.commit([later])
    document = verify(config)
    assert document["chain"]["sound"] is True
    assert f"entry {entry.seq} of main cannot be replayed: " in document["problems"][0]
    assert "upgrade first" in document["problems"][0]


def test_positions_that_are_not_the_fold_of_their_entries_are_a_breach(
    told: Harness, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an error in the quick path of a new fill would show itself: books and tables agree, and both are wrong."""

    def careless(*given: Any) -> Any:
        positions, effects = applied(*given)
        wrong = {
            token_id: msgspec.structs.replace(held, fees_micro=held.fees_micro + 1)
            for token_id, held in positions.items()
        }
        return wrong, effects

    monkeypatch.setattr("portfolio.state.applied", careless)
    found = by_id(verify(config))["INV-08"]
    assert found["breach_count"] > 0
    assert found["breaches"][0]["detail"] == "fees_micro"


def test_a_halted_market_is_a_problem(told: Harness, config: Config) -> None:
    """It is halted because an invariant failed or a message could not be processed; until it is resumed."""
    from messages.addresses import Address
    from portfolio.events import FillSeen

    broken: Any = FillSeen(leg=None, feed="poll")  # type: ignore[arg-type]
    told.post.tell(Address("market:main/0xa"), broken)
    told.runtime.run_until_idle()
    document = verify(config)
    assert document["halted"].keys() == {"0xa"}
    assert any(
        text.startswith("market 0xa is halted: fill_seen could not be processed") for text in document["problems"]
    )


def test_what_a_running_process_adds_meanwhile_is_left_out(
    told: Harness, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:

    def while_it_runs(*given: Any) -> Any:
        stored = stored_state(*given)
        told.cycle()
        return stored

    monkeypatch.setattr("service.verify.stored_state", while_it_runs)
    before = len(told.journal())
    document = verify(config)
    assert (document["ok"], document["state"]["entries"]) == (True, before)
    assert document["entries"] > before


# -- the command --------------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()  # what the story logged
    assert main([str(argument) for argument in arguments]) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_the_command_shows_each_proof(capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path) -> None:
    out, err = run(capsys, "verify", "--config", config_file(told, tmp_path))
    assert err == ""
    for name in ("journal", "state", *(one.value for one in CATALOGUE)):
        assert any(line.startswith(name) for line in out.splitlines()), name
    assert told.journal()[-1].hash in out
    assert out.count("holds") == 2 + len(CATALOGUE) - len(BY_CYCLE)
    assert out.count("by each cycle") == len(BY_CYCLE)


def test_what_fails_is_exit_3_with_one_document(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    spoil(told, "UPDATE journal SET hash = 'x' WHERE seq = 9")
    where = ("--config", config_file(told, tmp_path))
    out, err = run(capsys, "verify", "--json", *where, code=3)
    document = msgspec.json.decode(out)
    assert document["chain"]["damages"][0]["part"] == "link"
    assert "error: journal entry 9, link (hash): " in err
    out, _ = run(capsys, "verify", *where, code=3)
    assert "1 wrong" in out
    assert "not compared" in out


def test_a_long_journal_is_seen_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    for seq in (1, PROGRESS_EVERY - 1, PROGRESS_EVERY, PROGRESS_EVERY + 1):
        progress(seq)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "50,000 entries\n")
