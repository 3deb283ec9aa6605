"""What ``chain-catch-up`` reads: as many logs over as many blocks as it says, which the product's own parsers read."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.chain_node import Chain
from benchmarks.chain_witnesses import metas, trades
from benchmarks.chain_world import (
    ADAPTER,
    CTF,
    FILLS,
    FIRST,
    HEAD,
    LOGS,
    MERGES,
    SPLITS,
    TRANSFERS,
    WALLET,
    WHOLE,
    encoded,
    fill,
    moved,
    placed,
    transactions,
    word,
)
from polymarket.log_filters import contracts_of, filters_of
from polymarket.log_transactions import explained, names
from polymarket.payloads.logs import LogParser, PlacedLog, decode_logs, decode_receipt_logs
from polymarket.settings import PolymarketSettings
from portfolio.chain import ChainChange, ChainLog, ChainTransaction, ChangeKind, OrderFilled
from portfolio.facts import Side
from portfolio.labelling import label
from portfolio.labelling_book import TokenBook, TokenPlace
from portfolio.trades import own_legs

WALLETS = frozenset({WALLET})
CONTRACTS = contracts_of(PolymarketSettings())
PARSER = LogParser(CONTRACTS)
BOOK = TokenBook(
    tokens={
        token.token_id: TokenPlace(condition_id=meta.condition_id, outcome_index=token.outcome_index)
        for meta in metas().values()
        for token in meta.tokens
    },
    exchanges=frozenset(exchange.lower() for exchange in CONTRACTS.exchanges),
    protocol=frozenset({CTF, ADAPTER}),
)


def parsed(raw: object) -> tuple[ChainLog, ...]:
    log = PARSER.parse(encoded(raw))
    assert log is None or isinstance(log, PlacedLog), log
    return () if log is None else log.events


def labelled() -> list[ChainChange]:
    found: list[ChainChange] = []
    for each in transactions():
        events = tuple(event for log in each.logs for event in parsed(log))
        transaction = ChainTransaction(
            transaction_hash=each.name,
            block_number=each.block,
            block_hash="",
            block_time_ms=0,
            logs=events,
            complete=True,
        )
        found += label(transaction, WALLET, BOOK)
    return found


@pytest.mark.req("D-27")
def test_nine_of_ten_logs_are_fills_that_explain_themselves_and_no_others_do() -> None:
    made = transactions()
    assert sum(len(each.mine) for each in made) == LOGS == 20_000
    assert sum(len(each.mine) for each in made if len(each.logs) == 3) == FILLS * 3 == LOGS * 9 // 10
    assert FIRST <= made[0].block < FIRST + 20
    assert HEAD - 20 < made[-1].block <= HEAD
    for each, (make, _) in list(zip(made, placed(), strict=True))[:200]:
        events = [event for log in each.mine for event in parsed(log)]
        assert all(names(event, WALLETS) for event in events)
        assert explained(events, WALLETS) is (make is fill)


@pytest.mark.req("D-27")
def test_every_transaction_is_what_it_says_and_nothing_is_given_that_is_not_held() -> None:
    changes = labelled()
    assert Counter(change.kind for change in changes) == {
        ChangeKind.FILL: FILLS,
        ChangeKind.POSITION_SPLIT: SPLITS,
        ChangeKind.POSITION_MERGED: MERGES,
        ChangeKind.TRANSFER_IN: TRANSFERS,
    }
    held: Counter[str] = Counter()
    for change in changes:
        for token_id, shares in change.legs:
            held[token_id] += shares
            assert held[token_id] >= 0
    total = moved(transactions())
    assert held == {str(asset): shares for asset, shares in total.items() if isinstance(asset, int)}
    assert sum(change.cash_micro for change in changes) == total[CONTRACTS.buckets[0][1].lower()]


@pytest.mark.req("D-27")
def test_the_exchange_shows_the_trade_of_every_fill_and_one_of_ten_a_unit_cheaper() -> None:
    logs = {
        event.order_id: event
        for each in transactions()
        for log in each.mine
        for event in parsed(log)
        if isinstance(event, OrderFilled)
    }
    legs = [leg for trade in trades() for leg in own_legs(trade, WALLET, ())]
    assert len(legs) == len(logs) == FILLS
    assert all((leg.size_micro, leg.side) == (logs[leg.order_id].shares_micro, logs[leg.order_id].side) for leg in legs)
    apart = Counter(logs[leg.order_id].amount_micro - leg.amount_micro for leg in legs)
    assert apart[1] == FILLS // 10
    assert apart[0] == FILLS - FILLS // 10
    assert {leg.side for leg in legs} == set(Side)


@pytest.mark.req("D-27")
def test_the_node_finds_by_its_filters_what_there_is() -> None:
    chain, topic = Chain(), "0x" + word(WALLET)
    found = []
    for place, wanted in enumerate(filters_of(CONTRACTS, [WALLET]), start=1):
        rows = decode_logs(chain.result("eth_getLogs", [{**wanted, "fromBlock": hex(FIRST), "toBlock": hex(HEAD)}]))
        assert all(f'"{topic}"'.encode() in bytes(row) for row in rows)
        assert len(wanted["topics"]) == place + 1  # type: ignore[arg-type]
        found += rows
    assert len(found) == LOGS
    whole = [each for each, (make, _) in zip(transactions(), placed(), strict=True) if make is not fill]
    assert len(whole) == WHOLE
    receipt = decode_receipt_logs(chain.result("eth_getTransactionReceipt", [whole[0].name]))
    assert receipt is not None
    assert len(receipt.logs) == len(whole[0].logs) > len(whole[0].mine)
