"""What ``chain-catch-up`` reads: as many logs over as many blocks as it says, which the product's own parser reads."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.chain_node import Chain
from benchmarks.chain_world import BLOCKS, FILLS, LOGS, RECEIPT_LOGS, SPLITS, WALLET, encoded, transactions, word
from polymarket.log_filters import contracts_of, filters_of
from polymarket.log_transactions import explained, names
from polymarket.payloads.logs import LogParser, PlacedLog, decode_logs, decode_receipt_logs
from polymarket.settings import PolymarketSettings
from portfolio.chain import ChainLog, OrderFilled, PositionSplit

WALLETS = frozenset({WALLET})
CONTRACTS = contracts_of(PolymarketSettings())
PARSER = LogParser(CONTRACTS)


def parsed(raw: object) -> tuple[ChainLog, ...]:
    log = PARSER.parse(encoded(raw))
    assert log is None or isinstance(log, PlacedLog), log
    return () if log is None else log.events


@pytest.mark.req("D-27")
def test_nine_of_ten_logs_are_fills_that_explain_themselves_and_the_rest_are_splits() -> None:
    made = transactions()
    assert sum(len(each.mine) for each in made) == LOGS
    assert sum(len(each.mine) for each in made if len(each.logs) == RECEIPT_LOGS) * 10 == LOGS
    assert 0 < made[0].block < 20
    assert BLOCKS - 20 < made[-1].block <= BLOCKS
    for each in made[:20]:
        events = [event for log in each.mine for event in parsed(log)]
        assert all(names(event, WALLETS) for event in events)
        assert explained(events, WALLETS) is isinstance(events[-1], OrderFilled)
    kinds = Counter(type(event) for log in made[6].logs for event in parsed(log))
    assert kinds[PositionSplit] == 1
    assert len(made) == FILLS + SPLITS


@pytest.mark.req("D-27")
def test_the_node_finds_by_its_filters_what_there_is() -> None:
    chain, topic = Chain(), "0x" + word(WALLET)
    found = []
    for place, wanted in enumerate(filters_of(CONTRACTS, [WALLET]), start=1):
        rows = decode_logs(chain.result("eth_getLogs", [{**wanted, "fromBlock": "0x1", "toBlock": hex(BLOCKS)}]))
        assert all(f'"{topic}"'.encode() in bytes(row) for row in rows)
        assert len(wanted["topics"]) == place + 1  # type: ignore[arg-type]
        found += rows
    assert len(found) == LOGS
    receipt = decode_receipt_logs(chain.result("eth_getTransactionReceipt", [transactions()[6].name]))
    assert receipt is not None
    assert len(receipt.logs) == RECEIPT_LOGS
