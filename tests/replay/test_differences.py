"""Where the tables are not what the journal gives: the row, the field, and the entry that wrote it (L-20)."""

from __future__ import annotations

from typing import Any

import pytest

from service.config import Config
from service.replaying import replay
from service.replaying import told as told_of
from storage.journal import Journal
from tests.replay.stories import spoil
from tests.support.system import WALLET, Harness


def entry_of(harness: Harness, document: dict[str, Any]) -> Any:
    """The entry that the first difference names."""
    seq = document["differences"][0]["entry"]["seq"]
    return next(Journal(harness.database).read(WALLET, after_seq=seq - 1))


@pytest.mark.req("L-20", "L-13")
@pytest.mark.parametrize(
    ("sql", "table", "field"),
    [
        (
            "UPDATE positions SET shares_micro = shares_micro + 1 WHERE token_id = '0xa-yes'",
            "positions",
            "shares_micro",
        ),
        ("UPDATE positions SET cost_basis_micro = 0 WHERE token_id = '0xa-yes'", "positions", "cost_basis_micro"),
        ("UPDATE positions SET neg_risk = 1 WHERE token_id = '0xa-yes'", "positions", "neg_risk"),
        ("UPDATE orders SET price_micro = 1 WHERE order_id = 'order-0xb'", "orders", "price_micro"),
        ("UPDATE orders SET status = 'LIVE' WHERE order_id = 'order-0xb'", "orders", "status"),
        ("UPDATE fills SET fee_micro = fee_micro + 1 WHERE trade_id = 'trade-1'", "fills", "fee_micro"),
        ("UPDATE fills SET transaction_hash = NULL WHERE trade_id = 'trade-1'", "fills", "transaction_hash"),
        ("UPDATE adjustments SET operator = 'eve' WHERE cause = 'POSITION_MERGED'", "adjustments", "operator"),
        ("UPDATE markets SET halted = 1 WHERE condition_id = '0xa'", "markets", "halted"),
        ("UPDATE tokens SET contract = '0x0' WHERE token_id = '0xa-yes'", "tokens", "contract"),
        ("UPDATE strategies SET paused = 0", "strategies", "paused"),
        ("UPDATE cursors SET value = '7'", "cursors", "value"),
    ],
)
def test_a_changed_field_is_named_with_the_entry_that_wrote_it(
    told: Harness, config: Config, sql: str, table: str, field: str
) -> None:
    assert spoil(told, sql)
    document = replay(config)
    first = document["differences"][0]
    assert (document["equal"], document["chain_broken_at"]) == (False, None)
    assert document["digest"] != document["stored_digest"]
    assert (first["table"], first["field"]) == (table, field)
    assert first["stored"] != first["rebuilt"]
    entry = entry_of(told, document)
    assert (first["entry"]["kind"], first["entry"]["at_ms"]) == (entry.kind, entry.at_ms)
    if first["market_id"]:
        assert entry.address == f"market:{WALLET}/{first['market_id']}"


@pytest.mark.req("L-20")
def test_the_entry_named_is_the_last_that_wrote_the_row(told: Harness, config: Config) -> None:
    """Without it, the row is as before; with it, it is as it should be."""
    row = "SELECT shares_micro FROM positions WHERE token_id = '0xa-yes'"
    ((shares,),) = told.database.write(lambda transaction: transaction.fetch(row))
    spoil(told, "UPDATE positions SET shares_micro = 1 WHERE token_id = '0xa-yes'")
    seq = replay(config)["differences"][0]["entry"]["seq"]

    def held(until: int) -> Any:
        rows = {row["token_id"]: row for row in replay(config, until=until)["state"]["positions"]}
        return rows["0xa-yes"]

    assert held(seq)["shares_micro"] == shares
    assert held(seq) != held(seq - 1)


@pytest.mark.req("L-20", "L-13")
def test_rows_that_one_side_lacks_are_named_with_what_there_is(told: Harness, config: Config) -> None:
    spoil(told, "DELETE FROM fills WHERE trade_id = 'trade-1'")
    spoil(told, "UPDATE adjustments SET entry_id = 'made-up' WHERE cause = 'POSITION_MERGED' AND token_id = '0xa-no'")
    found = {(one["table"], one["stored"] is None): one for one in replay(config)["differences"]}
    assert set(found) == {("fills", True), ("adjustments", True), ("adjustments", False)}
    assert found["fills", True]["rebuilt"]["trade_id"] == "trade-1"
    invented = found["adjustments", False]
    assert (invented["key"]["entry_id"], invented["field"], invented["rebuilt"]) == ("made-up", "", None)
    assert invented["entry"]["address"] == "market:main/0xa"


@pytest.mark.req("L-20")
def test_a_difference_in_words_says_where_what_and_by_which_entry(told: Harness, config: Config) -> None:
    spoil(told, "UPDATE positions SET shares_micro = 1500000 WHERE token_id = '0xa-yes'")
    spoil(told, "DELETE FROM fills WHERE trade_id = 'trade-1'")
    spoil(told, "INSERT INTO cursors VALUES ('main', 'moon', '1', 1)")
    words = [told_of(one) for one in replay(config)["differences"]]
    assert any(
        text.startswith("positions 0xa-yes in market 0xa: stored shares_micro is 1.5, entry ") for text in words
    ), words
    assert any(text.startswith("fills trade-1 of order-0xa in market 0xa: is not stored, entry ") for text in words)
    assert words[-1] == "cursors moon: is stored, and no entry gives it"


@pytest.mark.req("L-20")
def test_differences_stand_by_their_entries_the_earliest_first(told: Harness, config: Config) -> None:
    spoil(told, "UPDATE positions SET shares_micro = shares_micro + 1")
    spoil(told, "UPDATE fills SET fee_micro = fee_micro + 1")
    document = replay(config)
    seqs = [one["entry"]["seq"] for one in document["differences"]]
    assert seqs == sorted(seqs)
    assert len(seqs) == document["difference_count"] > 4


@pytest.mark.req("L-20", "D-18")
def test_what_a_running_process_adds_meanwhile_is_no_difference(told: Harness, config: Config) -> None:
    """The tables are held against the journal up to the head that they were read at."""
    spoil(told, "UPDATE leases SET head_seq = head_seq - 3")
    assert replay(config)["entries"] == len(told.journal()) - 3


@pytest.mark.req("L-20")
def test_how_a_thing_was_worded_is_no_difference(told: Harness, config: Config) -> None:
    spoil(told, "UPDATE adjustments SET evidence = 'in other words'")
    document = replay(config)
    assert (document["equal"], document["differences"]) == (True, [])
