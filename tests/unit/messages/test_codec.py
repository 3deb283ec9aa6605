"""Events as journal bytes: canonical, readable again, and refused where this version cannot know them."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from messages.codec import SCHEMA, UPCASTS, CodecError, Format, decode, encode, kind_of_event
from portfolio.entries import Cause
from portfolio.events import (
    ChainDropped,
    ChainSeen,
    CursorAdvanced,
    CycleClosed,
    DriftFound,
    EntryMarked,
    Event,
    EventRejected,
    FillChecked,
    FillSeen,
    GateConfigured,
    KillSwitchSet,
    MarketDefined,
    MarketResumed,
    MarketsRegistered,
    OrderChecked,
    OrderSeen,
    PendingDrift,
    StrategyPauseAsked,
    StrategyResumed,
    TradeRecorded,
    WalletDefined,
)
from portfolio.facts import Payout, Receipt, ReceiptStatus, Side, TradeStatus
from portfolio.tail import ChainFact, DroppedBlock
from portfolio.views import CauseHint, ExternalView, TokenPrice, ViewPolicy
from tests.unit.portfolio.markets import (
    CONDITION,
    SHARE,
    T0,
    YES,
    chain,
    data_row,
    fate,
    leg,
    listed,
    meta,
    order,
    prices,
    question,
)
from tests.unit.portfolio.test_reports import OPERATIONS

PAYOUT = Payout(condition_id=CONDITION, numerators=(1, 0), denominator=1)
HINT = CauseHint(cause=Cause.REDEEMED, condition_id=CONDITION, legs=((YES, -5),), cash_micro=5, evidence="inferred")
VIEW = ExternalView(
    cycle_id="c1",
    base_version=3,
    synced_at_ms=T0,
    policy=ViewPolicy(adopt_unknown_orders=False),
    prices=prices(yes=1, no=2),
    chain=chain(5, (PAYOUT,), yes=SHARE),
    stand_in=(data_row(YES, 5),),
    entry_costs=(data_row(YES, 5, 2, 3),),
    orders=listed(order(), fates=(fate("o2", None), fate("o3", order("o3")))),
    hints=(HINT,),
    own_keys=("key",),
)
EVENTS: tuple[Event, ...] = (
    MarketDefined(metas=(meta(), question(1)), question_count=3),
    FillSeen(leg=leg(levels=((1, 2), (3, 4)), transaction_hash="0xhash"), feed="poll"),
    VIEW,
    OrderSeen(order=order(ended_because="MARKET_RESOLVED"), at_ms=T0, feed="stream"),
    FillChecked(
        trade_id="t1",
        order_id="o1",
        status=TradeStatus.RETRYING,
        receipt=Receipt(transaction_hash="0xhash", status=ReceiptStatus.REVERTED, block_number=7),
        chain_asked=True,
        ttl_ms=900_000,
    ),
    OrderChecked(order_id="o1", order=None, ttl_ms=900_000),
    ChainSeen(
        facts=(
            ChainFact(
                hint=CauseHint(
                    cause=Cause.EXTERNAL_SALE,
                    condition_id="0xa",
                    legs=(("1", -5),),
                    cash_micro=2,
                    evidence="transaction 0x1, log 2, block 3",
                    logged_as="chain:0x1:2:1",
                    at_ms=4,
                    fee_micro=1,
                ),
                order_id="0xorder",
                transaction_hash="0x1",
                block_number=3,
                block_hash="0xb",
            ),
        ),
        final_block=2,
        prices=(TokenPrice(token_id="1", price_micro=500_000),),
    ),
    ChainDropped(blocks=(DroppedBlock(block_number=3, block_hash="0xb"),)),
    TradeRecorded(
        entry_id="manual:1:2",
        token_id=YES,
        side=Side.SELL,
        size_micro=5,
        price_micro=410_000,
        operator="ada",
        reason="sold by phone",
    ),
    EntryMarked(entry_id="c1:m:0", price_micro=None, operator="ada", reason="known"),
    MarketResumed(operator="ada", reason="Prüfung abgeschlossen"),
    EventRejected(kind="fill_seen", detail="IndexError"),
    WalletDefined(address="0xfunder", signer_address="0xsigner", signature_type=2),
    MarketsRegistered(entries=(("0xc0", "0xe0", ("y0", "n0")),)),
    CycleClosed(
        report=OPERATIONS,
        certificates=(("chain.balances", "digest", "COMPLETE"),),
        orders_read_at_ms=None,
        capital_micro=-5,
        cash_pending_micro=0,
        pending=(PendingDrift(market_id="m", drift_micro=5),),
    ),
    CursorAdvanced(source="clob.trades", value="17"),
    GateConfigured(auto_pause=True, operator="", reason="", strategies=(("s1", ("0xc0",)),)),
    DriftFound(
        cycle_id="c1",
        market_id="m",
        condition_ids=("0xc0",),
        drift_micro=501 * SHARE,
        internal_size_micro=0,
        clob_size_micro=501 * SHARE,
        neg_risk=False,
        causes=("UNTRACKED_INCREASE",),
        evidence="e",
        onchain_reconciled=True,
        synced_at_ms=T0,
    ),
    StrategyPauseAsked(strategy_id="s1", operator="ada", reason="r"),
    StrategyResumed(strategy_id="s1", operator="ada", reason="r"),
    KillSwitchSet(active=True, operator="ada", reason="r"),
)


@pytest.mark.req("D-17")
def test_every_event_that_may_stand_in_a_journal_is_tried_here() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.req("L-20", "D-17")
@pytest.mark.parametrize("event", EVENTS, ids=kind_of_event)
def test_an_event_comes_back_from_its_bytes_as_it_was(event: Event) -> None:
    assert decode(encode(event), kind_of_event(event), SCHEMA) == event


@pytest.mark.req("D-17", "L-19")
@pytest.mark.parametrize("event", EVENTS, ids=kind_of_event)
def test_equal_events_have_equal_bytes(event: Event) -> None:
    twin = decode(encode(event), kind_of_event(event), SCHEMA)
    assert twin is not event
    assert encode(twin) == encode(event)


@pytest.mark.req("D-17")
def test_the_bytes_of_an_event_are_pinned() -> None:
    """Stored bytes are never rewritten: a changed shape needs a new schema version and an upcast, not a new pin."""
    assert encode(CursorAdvanced(source="clob.trades", value="17")) == (
        b'{"type":"cursor_advanced","source":"clob.trades","value":"17"}'
    )


@pytest.mark.req("D-17", "L-20")
def test_a_hint_that_was_journaled_before_it_told_a_fee_has_none() -> None:
    """Its fee is in its cash, and the entry is booked as it was."""
    told = b',"fee_micro":0'
    assert told in encode(VIEW)
    old = encode(VIEW).replace(told, b"")
    assert decode(old, "external_view", 1) == VIEW


@pytest.mark.req("D-17")
def test_kinds_are_distinct_and_stand_in_the_bytes() -> None:
    kinds = [kind_of_event(event) for event in EVENTS]
    assert len(set(kinds)) == len(kinds)
    assert [msgspec.json.decode(encode(event))["type"] for event in EVENTS] == kinds


@pytest.mark.req("D-17")
def test_a_newer_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(CodecError, match=r"'fill_seen' has schema 2, this version reads up to 1: upgrade first"):
        decode(b"{}", "fill_seen", SCHEMA + 1)


@pytest.mark.req("D-17")
@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"of the future"}',
        b'{"type":"cursor_advanced","source":1,"value":"17"}',
        b'{"source":"clob.trades","value":"17"}',
        b"{",
        b"",
    ],
)
@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA])
def test_bytes_of_another_kind_or_shape_are_refused(payload: bytes, schema: int) -> None:
    with pytest.raises(CodecError, match=f"journal entry of kind 'x', schema {schema}, cannot be read"):
        decode(payload, "x", schema)


# -- older versions -----------------------------------------------------------------------------------------------


def named(raw: dict[str, Any]) -> dict[str, Any]:
    """From version 1 to 2: a field has another name."""
    return {"type": "cursor_advanced", "source": raw["feed"], "value": raw["value"]}


def worded(raw: dict[str, Any]) -> dict[str, Any]:
    """From version 3 to 4: seconds became a text."""
    return {**raw, "value": str(raw["value"])}


FOURTH = Format(schema=4, upcasts={("cursor_advanced", 1): named, ("cursor_advanced", 3): worded})


@pytest.mark.req("D-17", "L-20")
@pytest.mark.parametrize(
    ("schema", "old"),
    [
        (1, b'{"type":"cursor_advanced","feed":"clob.trades","value":17}'),
        (2, b'{"type":"cursor_advanced","source":"clob.trades","value":17}'),
        (3, b'{"type":"cursor_advanced","source":"clob.trades","value":17}'),
        (4, b'{"type":"cursor_advanced","source":"clob.trades","value":"17"}'),
    ],
)
def test_an_entry_of_any_version_is_lifted_to_this_one_step_by_step(schema: int, old: bytes) -> None:
    assert decode(old, "cursor_advanced", schema, FOURTH) == CursorAdvanced(source="clob.trades", value="17")


@pytest.mark.req("D-17", "L-20")
@pytest.mark.parametrize("event", EVENTS, ids=kind_of_event)
def test_an_old_entry_of_a_kind_that_never_changed_needs_no_upcast(event: Event) -> None:
    """Lifted by the way of JSON, it is to the last nested field what it is when it is read directly."""
    if not isinstance(event, CursorAdvanced):
        assert decode(encode(event), kind_of_event(event), 1, FOURTH) == event


@pytest.mark.req("D-17")
@pytest.mark.parametrize(
    ("old", "problem"),
    [
        (b'{"type":"cursor_advanced","value":17}', r"has not the shape of schema 1: KeyError\('feed'\)"),
        (b"[17]", "cannot be read: Expected `object`, got `array`"),
        (b'{"type":"cursor_advanced","feed":null,"value":17}', "cannot be read: Expected `str`, got `null`"),
    ],
)
def test_an_old_entry_of_another_shape_is_refused_and_no_traceback(old: bytes, problem: str) -> None:
    with pytest.raises(CodecError, match=problem):
        decode(old, "cursor_advanced", 1, FOURTH)


@pytest.mark.req("D-17")
def test_every_upcast_is_of_a_kind_and_a_version_that_were() -> None:
    kinds = {kind_of_event(event) for event in EVENTS}
    assert [(kind, version) for kind, version in UPCASTS if kind not in kinds or not 1 <= version < SCHEMA] == []
