"""The chain of hashes over journal entries, and addresses that live longer than processes."""

from __future__ import annotations

import hashlib

import pytest
from msgspec.structs import replace

from messages.addresses import (
    REPORTER,
    SUPERVISOR,
    WRITER,
    coordinator_address,
    gate_address,
    ingest_address,
    kind_of,
    market_address,
    market_of,
    wallet_of,
)
from messages.ledger import GENESIS_HASH, Decision, JournalEntry, chain_hash, entry_hash
from portfolio.outcomes import CursorRow

DECISION = Decision(
    stream="main", address="market:main/0xc0", kind="fill_seen", schema=1, version=2, at_ms=3, payload=b"{ }"
)


def entry() -> JournalEntry:
    return JournalEntry(
        stream="main",
        seq=1,
        address="market:main/0xc0",
        kind="fill_seen",
        schema=1,
        version=2,
        at_ms=3,
        payload=b"{ }",
        previous_hash=GENESIS_HASH,
        hash=chain_hash(GENESIS_HASH, 1, DECISION),
    )


@pytest.mark.req("X-12", "D-17")
def test_a_hash_covers_the_previous_one_the_header_and_the_stored_bytes() -> None:
    header = b'["main",1,"market:main/0xc0","fill_seen",1,2,3]'
    text = GENESIS_HASH.encode() + len(header).to_bytes(4, "big") + header + b"{ }"
    assert chain_hash(GENESIS_HASH, 1, DECISION) == hashlib.sha256(text).hexdigest()


@pytest.mark.req("X-12")
def test_an_entry_as_it_was_written_has_its_own_hash() -> None:
    assert entry_hash(entry()) == entry().hash


@pytest.mark.req("X-12")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream", "other"),
        ("seq", 2),
        ("address", "market:main/0xc1"),
        ("kind", "cycle_closed"),
        ("schema", 2),
        ("version", 3),
        ("at_ms", 4),
        ("payload", b"{}"),
        ("previous_hash", "1" * 64),
    ],
)
def test_an_entry_that_was_altered_in_any_field_does_not(field: str, value: object) -> None:
    altered = replace(entry(), **{field: value})
    assert entry_hash(altered) != altered.hash


@pytest.mark.req("X-12")
def test_rows_are_no_part_of_the_hash() -> None:
    """They follow from the payload by replay."""
    row = CursorRow(wallet="main", source="clob.trades", value="17", at_ms=3)
    assert chain_hash(GENESIS_HASH, 1, replace(DECISION, rows=(row,))) == chain_hash(GENESIS_HASH, 1, DECISION)


def test_addresses_name_their_kind_wallet_and_market() -> None:
    market = market_address("main", "0xc0")
    assert (market, kind_of(market), wallet_of(market), market_of(market)) == (
        "market:main/0xc0",
        "market",
        "main",
        "0xc0",
    )
    per_wallet = [coordinator_address("main"), ingest_address("main"), gate_address("main")]
    assert per_wallet == ["coordinator:main", "ingest:main", "gate:main"]
    assert {wallet_of(address) for address in per_wallet} == {"main"}
    assert [market_of(address) for address in per_wallet] == ["", "", ""]


def test_process_wide_actors_have_no_wallet() -> None:
    everyone = (WRITER, REPORTER, SUPERVISOR)
    assert [kind_of(address) for address in everyone] == ["writer", "reporter", "supervisor"]
    assert {wallet_of(address) for address in everyone} == {""}
