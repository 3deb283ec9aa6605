"""The source document's wire example: its numbers in, its SettlementReport out, field by field."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest

from portfolio.facts import TradeStatus
from portfolio.outcomes import SettlementReport
from portfolio.reports import render_settlement
from tests.unit.portfolio.markets import CENT, SHARE, T0, YES, Book, chain, leg, listed, meta, order, prices

MARKET = "0x9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c"

# Copied from the document, word by word, but for one value. It shows "retained_until": "2033-05-09", which is eight
# years after its own synced_at_ms (1746792000000 is 2025-05-09T12:00:00Z), while its text says seven: R-09 rules that
# seven calendar years are kept, hence 2032-05-09.
DOCUMENT = """
{
  "report_id": "settlement_portfoliosync_1746792000000",
  "bot_id": "gov.portfolio_sync",
  "event_type": "POSITION_DELTA",
  "market_id": "0x9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c",
  "delta_type": "UPDATED",
  "internal_size_pusd": 1200.0,
  "clob_size_pusd": 1250.0,
  "drift_pusd": 50.0,
  "negRisk": false,
  "action_taken": "internal_store_updated",
  "synced_at_ms": 1746792000000,
  "report_kind": "SettlementReport",
  "retained_until": "2032-05-09"
}
"""


def with_the_documents_numbers() -> SettlementReport:
    """2,000 YES at 0.60 are 1,200 pUSD in the books; the chain holds 1,250 pUSD worth of them."""
    book = Book(meta(MARKET), market_id=MARKET)
    held, found = 2_000 * SHARE, 2_083_333_333
    marks = prices(yes=60 * CENT, no=40 * CENT)
    book.see(leg(size=held, price=60 * CENT, condition_id=MARKET, status=TradeStatus.CONFIRMED))
    book.look(chain(0, at_ms=T0, yes=held), prices=marks)
    for block in (1, 2):
        book.look(chain(block, at_ms=T0, yes=found), prices=marks, synced_at_ms=1_746_792_000_000)
    (report,) = book.last(SettlementReport)
    return report


@pytest.mark.req("S-08", "D-24", "R-09", "R-25")
def test_the_settlement_report_equals_the_wire_example() -> None:
    rendered = render_settlement(with_the_documents_numbers())
    document = json.loads(DOCUMENT, parse_float=Decimal)
    assert {name: rendered[name] for name in document} == document
    assert list(rendered)[: len(document)] == list(document)


@pytest.mark.req("S-08", "D-24")
def test_the_settlement_report_of_open_orders_equals_it_too() -> None:
    """The document compares open orders: an order of 1,200 pUSD is held, one of 50 pUSD more is on the exchange."""
    book = Book(meta(MARKET), market_id=MARKET)
    resting = {"condition_id": MARKET, "token_id": YES, "price_micro": 60 * CENT}
    known = order("ord_00455", original_size_micro=2_000 * SHARE, **resting)
    found = order(
        "ord_00456", price_micro=50 * CENT, original_size_micro=100 * SHARE, created_at_ms=0, condition_id=MARKET
    )
    book.look(orders=listed(known))
    book.look(orders=listed(known, found), synced_at_ms=1_746_792_000_000)
    (report,) = book.last(SettlementReport)
    document = json.loads(DOCUMENT, parse_float=Decimal)
    rendered = render_settlement(report)
    assert {name: rendered[name] for name in document} == document
    assert rendered["subject"] == "open_orders"


@pytest.mark.req("D-24")
def test_the_numbers_are_written_as_in_the_document() -> None:
    encoder = msgspec.json.Encoder(decimal_format="number")
    text = encoder.encode(render_settlement(with_the_documents_numbers())).decode()
    assert '"internal_size_pusd":1200.0,"clob_size_pusd":1250.0,"drift_pusd":50.0' in text
