"""Real transactions, parsed as the reader parses them, and labelled for each wallet that took part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polymarket import position_ids
from polymarket.log_filters import contracts_of
from polymarket.payloads.logs import LogParser, PlacedLog
from polymarket.settings import PolymarketSettings
from portfolio.chain import (
    ChainLog,
    ChainTransaction,
    ChangeKind,
    CollateralTransfer,
    OrderFilled,
    PayoutRedeemed,
    TokenTransfer,
)
from portfolio.labelling import IncompleteTransactionError, label
from portfolio.labelling_book import NOBODY, TokenBook, TokenPlace

RECEIPTS = Path(__file__).parents[2] / "data" / "receipts"
LOGS: dict[str, dict[str, Any]] = json.loads((RECEIPTS / "polygon_logs.json").read_bytes())
MINTED = json.loads((RECEIPTS / "polygon_receipt_b5d41ea9.json").read_bytes())
SETTINGS = PolymarketSettings()
PARSER = LogParser(contracts_of(SETTINGS))

EXCHANGE = "0xe111180000d2663c0091e4f400237545b87b996b"
FACTORY = "0xada100874d00e3331d00f2007a9c336a65009718"
NEG_ADAPTER = "0xada2005600dec949baf300f4c6120000bdb6eaab"
VAULT = "0xc417fd8e9661c0d2120b64a04bb3278c17e99db1"
FEE_RECEIVER = "0x115f48dc2a731aa16251c6d6e1befc42f92accc9"
TAKER = "0x6e1d5040d0ac73709b0621f620d2a60b80d2d0fa"
SMALL_MAKER = "0xa641d96eab80a59bb4c35c590e3fe7cbd90c0866"
MAKER = "0xbc5403011df159368c4bc716e07bcf858dfe2eec"
HOLDER = "0x41e7aa1b047f13ad96f26ca49602fb403c90b78d"
CONDITION = "0xdc76b2b4e67c79f433f6d0df1abcb1a43cb090041e928faca27292637ae0ee5b"
YES, NO = position_ids.token_ids(CONDITION, SETTINGS.usdc_e)


def book(**tokens: TokenPlace) -> TokenBook:
    contracts = (SETTINGS.conditional_tokens, SETTINGS.neg_risk_adapter, *dict(SETTINGS.collateral_buckets).values())
    return TokenBook(
        tokens=tokens,
        exchanges=frozenset(address.lower() for address in SETTINGS.exchanges),
        protocol=frozenset({*(address.lower() for address in contracts), FACTORY, NEG_ADAPTER, VAULT}),
        fee_receivers=frozenset({FEE_RECEIVER}),
    )


BOOK = book(**{token: TokenPlace(condition_id=CONDITION, outcome_index=index) for index, token in enumerate((YES, NO))})


def events(log: dict[str, Any]) -> tuple[ChainLog, ...]:
    parsed = PARSER.parse(json.dumps({"blockHash": "0x" + "00" * 32, "logIndex": "0x0"} | log).encode())
    return parsed.events if isinstance(parsed, PlacedLog) else ()


def transaction(*logs: ChainLog, complete: bool = True) -> ChainTransaction:
    return ChainTransaction(
        transaction_hash=MINTED["transactionHash"],
        block_number=int(MINTED["blockNumber"], 16),
        block_hash=MINTED["blockHash"],
        block_time_ms=0,
        logs=logs,
        complete=complete,
    )


@pytest.mark.req("X-01", "X-10", "R-19", "R-20")
@pytest.mark.parametrize(
    ("wallet", "token", "shares", "cash", "fee"),
    [
        (TAKER, NO, 20_001_050, -15_455_398, 255_400),
        (SMALL_MAKER, YES, 80_000, -20_000, 0),
        (MAKER, YES, 19_921_050, -4_781_052, 0),
    ],
)
def test_a_minted_match_is_one_fill_of_each_wallet_and_no_split(
    wallet: str, token: str, shares: int, cash: int, fee: int
) -> None:
    whole = transaction(*(event for log in MINTED["logs"] for event in events(log)))
    (change,) = label(whole, wallet, BOOK)
    assert (change.kind, change.legs, change.cash) == (ChangeKind.FILL, ((token, shares),), (("pusd", cash),))
    assert (change.fee_micro, change.took, change.condition_id) == (fee, wallet == TAKER, CONDITION)
    assert change.counterparty == (EXCHANGE if wallet == TAKER else TAKER)


@pytest.mark.req("X-10")
def test_of_the_same_match_the_fee_alone_came_to_who_takes_fees_and_nothing_to_others() -> None:
    whole = transaction(*(event for log in MINTED["logs"] for event in events(log)))
    (fee,) = label(whole, FEE_RECEIVER, BOOK)
    assert (fee.kind, fee.cash, fee.counterparty) == (ChangeKind.DEPOSIT, (("pusd", 255_400),), EXCHANGE)
    assert label(whole, HOLDER, BOOK) == ()


@pytest.mark.req("X-10", "R-19", "R-20")
@pytest.mark.parametrize(
    ("name", "shares", "cash", "fee", "took"),
    [
        ("orderfilled_v2_maker_buy", 2_560_000, -2_355_200, 0, False),
        ("orderfilled_v2_taker_sell_6", -6_000_000, 2_880_000 - 104_830, 104_830, True),
    ],
)
def test_a_captured_fill_costs_its_amount_and_its_fee(name: str, shares: int, cash: int, fee: int, took: bool) -> None:
    """The captures have the event alone; the two movements before it are added as the exchange would make them."""
    (fill,) = events(LOGS[name] | {"logIndex": "0x2"})
    assert isinstance(fill, OrderFilled)
    ways = ((fill.taker, fill.maker), (fill.maker, fill.taker))
    (giver, taker), (payer, paid) = ways if shares > 0 else ways[::-1]
    ctf, pusd = SETTINGS.conditional_tokens.lower(), SETTINGS.collateral.lower()
    moved = TokenTransfer(
        log_index=0,
        contract=ctf,
        operator=fill.contract,
        sender=giver,
        receiver=taker,
        token_id=fill.token_id,
        shares_micro=abs(shares),
    )
    sent = CollateralTransfer(
        log_index=1, contract=pusd, bucket="pusd", sender=payer, receiver=paid, amount_micro=abs(cash)
    )
    (change,) = label(transaction(moved, sent, fill, complete=False), fill.maker, BOOK)
    assert (change.kind, change.legs, change.cash) == (ChangeKind.FILL, ((fill.token_id, shares),), (("pusd", cash),))
    assert (change.fee_micro, change.took, change.order_id) == (fee, took, LOGS[name]["topics"][1])


def handed_in() -> tuple[ChainLog, ...]:
    """5 shares of one token and none of the other, to the adapter of neg-risk markets."""
    return tuple(
        event
        for index, name in enumerate(("erc1155_transfer_batch_user_to_adapter", "erc1155_transfer_single_burn_same_tx"))
        for event in events(LOGS[name] | {"logIndex": hex(index)})
    )


@pytest.mark.req("L-14", "R-19")
def test_a_batch_with_a_leg_of_nothing_is_redeemed_by_the_event_that_follows() -> None:
    """The capture has the batch and the burn; the event and the payout are added as the adapter would write them."""
    adapter = SETTINGS.neg_risk_adapter.lower()
    redeemed = PayoutRedeemed(
        log_index=2, contract=adapter, redeemer=NEG_ADAPTER, condition_id="0x01", payout_micro=5_000_000
    )
    paid = CollateralTransfer(
        log_index=3,
        contract=SETTINGS.collateral.lower(),
        bucket="pusd",
        sender=NOBODY,
        receiver=HOLDER,
        amount_micro=5_000_000,
    )
    (change,) = label(transaction(*handed_in(), redeemed, paid), HOLDER, book())
    assert (change.kind, change.condition_id, change.cash) == (ChangeKind.REDEEMED, "0x01", (("pusd", 5_000_000),))
    assert [shares for _, shares in change.legs] == [-5_000_000]


@pytest.mark.req("L-13", "X-01")
def test_the_batch_alone_names_no_cause() -> None:
    (change,) = label(transaction(*handed_in()), HOLDER, book())
    assert (change.kind, change.counterparty, change.condition_id) == (ChangeKind.TRANSFER_OUT, NEG_ADAPTER, "")
    with pytest.raises(IncompleteTransactionError):
        label(transaction(*handed_in(), complete=False), HOLDER, book())
