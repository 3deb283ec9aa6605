"""Logs of the sandbox beside captured receipts of the real contracts, and beside the lists written from their sources.

The lists are those that the contracts' own code is held against (``tests/evm``), so sandbox and contracts agree.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from polymarket.sandbox import addresses
from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import (
    AnyAction,
    Convert,
    Deposit,
    ExternalTrade,
    FillOrder,
    Merge,
    Redeem,
    Resolve,
    Split,
    TransferIn,
    TransferOut,
    Unwrap,
    Withdraw,
    Wrap,
)
from polymarket.sandbox.genesis import create_world
from polymarket.sandbox.logs import APPROVAL
from polymarket.sandbox.markets import Market
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.server_logs import log_rows
from polymarket.sandbox.trading import BUY, FAK, SELL, OrderTerms
from polymarket.sandbox.world import World
from tests.evm import receipts as logged
from tests.evm.stage.log import Reader
from tests.unit.sandbox.worlds import NOW_MS, SHARE, do, world

pytestmark = pytest.mark.req("X-07", "X-01", "R-19")

CAPTURES = Path(__file__).parents[2] / "data/receipts"
Row = dict[str, Any]
ROLES = {
    "pusd": addresses.PUSD,
    "usdc_e": addresses.USDC_E,
    logged.WCOL: addresses.WCOL,
    logged.CTF: addresses.CONDITIONAL_TOKENS,
    logged.NRA: addresses.NEG_RISK_ADAPTER,
    logged.STANDARD: addresses.CTF_ADAPTER,
    logged.NEG_RISK: addresses.NEG_RISK_CTF_ADAPTER,
    "exchange": addresses.EXCHANGE,
    "neg_risk_exchange": addresses.NEG_RISK_EXCHANGE,
    "factory": addresses.EXCHANGE_CTF_ADAPTER,
    "neg_risk_factory": addresses.EXCHANGE_NEG_RISK_CTF_ADAPTER,
    "vault": addresses.VAULT,
    "fee_vault": addresses.NEG_RISK_FEE_VAULT,
    "fee_receiver": addresses.FEE_RECEIVER,
    "auto_redeemer": addresses.AUTO_REDEEMER,
    "bridge": addresses.BRIDGE,
}


@pytest.fixture
def here() -> World:
    return world()


def capture(name: str) -> Any:
    return json.loads((CAPTURES / name).read_text(encoding="utf-8"))


def rows_of(here: World, tx_hash: object) -> list[Row]:
    """The logs of a settled transaction as a node shows them."""
    receipt = here.chain.receipt(str(tx_hash))
    assert receipt is not None
    assert receipt.succeeded, here.refused
    block = here.chain.block(receipt.block)
    assert block is not None
    return log_rows(receipt, block)


def lines(here: World, tx_hash: object, **more: str) -> list[str]:
    """The same in words, without the gas, which ends them all; the onramp and the offramp are both "ramp"."""
    *rows, gas = rows_of(here, tx_hash)
    assert gas["address"] == addresses.POL
    people = {"wallet": here.wallet.address, "house": here.traders[0].address}
    words = Reader.of(ROLES, **people, **more).lines(rows)
    ramps = (addresses.ONRAMP.lower(), addresses.OFFRAMP.lower())
    return [" ".join("ramp" if word in ramps else word for word in line.split()) for line in words]


def done(here: World, action: AnyAction) -> object:
    """Let it happen and settle; the hash of its transaction."""
    (result,) = do(here, action)
    if "transaction_hash" in result:
        return result["transaction_hash"]
    return here.exchange.trades[str(result["trade_id"])].transaction_hash


def renamed(rows: Sequence[Row]) -> list[list[object]]:
    """Rows with contracts and events by name, and each 32-byte word by the order in which it first appeared.

    Two transactions that do the same with other people and amounts are equal then. What is left of an allowance is no
    part of it: the sandbox keeps none.
    """
    known: dict[str, int] = {}
    found: list[list[object]] = []
    for row in rows:
        data = "" if row["topics"][0] == APPROVAL.topic else row["data"][2:]
        words = [*(topic[2:] for topic in row["topics"][1:]), *(data[at : at + 64] for at in range(0, len(data), 64))]
        found.append([row["address"], row["topics"][0], *(known.setdefault(word, len(known)) for word in words)])
    return found


@pytest.mark.req("R-20")
def test_a_match_that_mints_has_the_logs_of_a_captured_one_word_for_word(here: World) -> None:
    market = here.directory.markets[0]
    yes, no = market.tokens
    first, second, taker = here.traders[:3]
    makers = [
        here.exchange.record(party, OrderTerms(token=yes, side=BUY, price=240_000, size=size), here.now_ms)
        for party, size in ((first, 80_000), (second, 19_921_050))
    ]
    terms = OrderTerms(token=no, side=BUY, price=760_000, size=20_001_050, order_type=FAK)
    wanted = here.exchange.record(taker, terms, here.now_ms)
    trade = here.exchange.match(wanted, [(order, order.terms.size) for order in makers], here.now_ms)
    here.mine()
    assert trade.taker_fee > 0
    *real, real_gas = capture("polygon_receipt_b5d41ea9.json")["logs"]
    *ours, our_gas = rows_of(here, trade.transaction_hash)
    assert renamed(ours) == renamed(real)
    assert our_gas["topics"][0] == real_gas["topics"][0]
    assert (our_gas["address"], len(our_gas["topics"]), len(our_gas["data"])) == (
        real_gas["address"],
        len(real_gas["topics"]),
        len(real_gas["data"]),
    )
    assert set(our_gas) == set(real_gas)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("orderfilled_v2_maker_buy", "fill_of_maker"),
        ("orderfilled_v2_taker_sell_6", "fill_of_taker"),
        ("ctf_position_split_direct_user", "direct_split"),
        ("ctf_positions_merge_via_adapter", "merge_by_match"),
        ("ctf_payout_redemption", "direct_redemption"),
        ("ctf_condition_resolution", "resolution"),
        ("erc1155_transfer_batch_user_to_adapter", "redemption_of_one"),
        ("erc1155_transfer_single_burn_same_tx", "redemption_of_one"),
    ],
)
def test_a_single_log_is_like_a_captured_one(here: World, name: str, event: str) -> None:
    """Same contract and event, as many topics, data of the same layout, and the same constants in it."""
    real = capture("polygon_logs.json")[name]
    found = [row for row in rows_of(here, SCENES[event](here)) if row["topics"][0] == real["topics"][0]]
    likeness = [like(row, here) for row in found if row["address"] == real["address"]]
    assert like(real, here) in likeness
    assert set(real) <= set(found[0])


def like(row: Row, here: World) -> tuple[object, ...]:
    """A log without what differs from one to the next: small numbers and contracts stay, the rest is a mark."""
    contracts = {address.lower()[2:] for address in ROLES.values()} | {"0" * 40}
    data = row["data"][2:]
    words = [*(topic[2:] for topic in row["topics"][1:]), *(data[at : at + 64] for at in range(0, len(data), 64))]
    kept = [word if int(word, 16) < 0x100 or word[24:] in contracts else "other" for word in words]
    return (row["address"], row["topics"][0], *kept)


def fill_of_taker(here: World) -> object:
    token = here.directory.markets[0].tokens[0]
    return done(here, ExternalTrade(token_id=token, side=SELL, size="6", price="0.48"))


def fill_of_maker(here: World) -> object:
    token = here.directory.markets[4].tokens[0]
    return done(here, ExternalTrade(token_id=token, side=BUY, size="5", price="0.4", role="MAKER"))


def direct_split(here: World) -> object:
    do(here, TransferIn(amount="20", asset="usdc_e"))
    return done(here, Split(condition_id=here.directory.markets[2].condition_id, amount="20", direct=True))


def merge_by_match(here: World) -> object:
    return done(here, FillOrder(order_id=own_order(here, here.directory.markets[0], SELL), size="21", cross=True))


def direct_redemption(here: World) -> object:
    resolution(here)
    return done(here, Redeem(condition_id=here.directory.markets[2].condition_id, direct=True))


def resolution(here: World) -> object:
    return done(here, Resolve(condition_id=here.directory.markets[2].condition_id, payouts=[1, 0]))


def redemption_of_one(here: World) -> object:
    """Of a neg-risk market of which the wallet has one outcome only; the other's amount is told as zero."""
    condition = here.directory.markets[6].condition_id
    do(here, Resolve(condition_id=condition, payouts=[1, 0]))
    return done(here, Redeem(condition_id=condition))


SCENES = {
    name.__name__: name
    for name in (
        fill_of_taker,
        fill_of_maker,
        direct_split,
        merge_by_match,
        direct_redemption,
        resolution,
        redemption_of_one,
    )
}


def own_order(here: World, market: Market, side: str) -> str:
    orders = here.exchange.live_orders(here.wallet.address)
    return next(o.order_id for o in orders if (o.condition_id, o.terms.side) == (market.condition_id, side))


@pytest.mark.parametrize("neg_risk", [False, True])
def test_operations_of_the_wallet_log_what_the_contracts_log(here: World, *, neg_risk: bool) -> None:
    market = here.directory.markets[6 if neg_risk else 2]
    adapter = logged.NEG_RISK if neg_risk else logged.STANDARD
    condition = market.condition_id
    do(here, TransferIn(amount="100", asset="usdc_e"), Split(condition_id=condition, amount="80"))
    split = Split(condition_id=condition, amount="20")
    assert lines(here, done(here, split)) == logged.adapter_split(adapter)
    merge = Merge(condition_id=condition, amount="10")
    assert lines(here, done(here, merge)) == logged.adapter_merged(adapter)
    for operation, action in (
        ("split", Split(condition_id=condition, amount="20", direct=True)),
        ("merged", Merge(condition_id=condition, amount="10", direct=True)),
    ):
        assert lines(here, done(here, action)) == logged.called_by("wallet", operation, neg_risk=neg_risk)


@pytest.mark.parametrize("neg_risk", [False, True])
@pytest.mark.parametrize("how", ["adapter", "direct", "operator"])
def test_redemptions_log_what_the_contracts_log(here: World, how: str, *, neg_risk: bool) -> None:
    market = here.directory.markets[7 if neg_risk else 2]
    condition = market.condition_id
    do(here, Split(condition_id=condition, amount="80"), Resolve(condition_id=condition, payouts=[1, 0]))
    found = lines(here, done(here, Redeem(condition_id=condition, direct=how == "direct", operator=how == "operator")))
    expected = {
        "adapter": logged.adapter_redeemed(logged.NEG_RISK if neg_risk else logged.STANDARD, 2),
        "direct": logged.called_by("wallet", "redeemed", 2, neg_risk=neg_risk),
        "operator": logged.auto_redeemed(neg_risk=neg_risk, held=2),
    }
    assert found == expected[how]


def test_a_redemption_of_what_lost_is_told_with_nothing_paid(here: World) -> None:
    market = here.directory.markets[8]
    do(here, Resolve(condition_id=market.condition_id, payouts=[0, 1]))
    rows = rows_of(here, done(here, Redeem(condition_id=market.condition_id)))
    wallet = "0x" + here.wallet.address[2:].rjust(64, "0")
    moves = [
        (row["address"], int(row["data"], 16)) for row in rows if wallet in row["topics"] and len(row["data"]) == 66
    ]
    assert moves == [(addresses.PUSD.lower(), 0), (addresses.PUSD.lower(), 0)], "Transfer and Wrapped, both of zero"


@pytest.mark.req("R-06")
@pytest.mark.parametrize("questions", [[0], [0, 1], [0, 1, 2]])
@pytest.mark.parametrize("fee", [0, 100])
@pytest.mark.parametrize("direct", [False, True])
def test_conversions_log_what_the_contracts_log(here: World, questions: list[int], fee: int, *, direct: bool) -> None:
    markets = here.directory.markets[6:]
    event = here.directory.event_of[markets[0].condition_id]
    event.fee_bips = fee
    do(here, *(TransferIn(token_id=market.tokens[1], amount="40") for market in markets))
    action = Convert(neg_risk_market_id=event.neg_risk_market_id or "", questions=questions, amount="40", direct=direct)
    given, received = len(questions), 3 - len(questions)
    converted = logged.converted("wallet", given, received, fee=fee > 0)
    expected = converted if direct else logged.adapter_converted(given, received, fee=fee > 0)
    assert lines(here, done(here, action)) == expected


def test_cash_that_comes_goes_and_changes_its_bucket(here: World) -> None:
    do(here, TransferIn(amount="100", asset="usdc_e"))
    cases = (
        (TransferIn(amount="7", asset="pusd"), ["pusd Transfer house wallet"]),
        (TransferOut(amount="5", asset="usdc_e"), ["usdc_e Transfer wallet house"]),
        (Unwrap(amount="3"), logged.unwrapped("wallet", "ramp", "wallet")),
        (Wrap(amount="2"), [*logged.spent("wallet", "pusd", "ramp"), *logged.minted("ramp", "wallet")]),
        (Deposit(amount="9"), [*logged.spent("bridge", "pusd", "ramp"), *logged.minted("ramp", "wallet")]),
        (Withdraw(amount="9"), logged.unwrapped("wallet", "ramp", "bridge")),
    )
    for action, expected in cases:
        assert lines(here, done(here, action)) == expected
    assert here.cash() == here.books.cash


def test_shares_are_transferred_by_who_gives_them(here: World) -> None:
    token = here.directory.markets[0].tokens[0]
    came = lines(here, done(here, TransferIn(token_id=token, amount="7")))
    went = lines(here, done(here, TransferOut(token_id=token, amount="7")))
    assert (came, went) == (
        logged.single("house", "house", "wallet"),
        logged.single("wallet", "wallet", "house"),
    )


@pytest.mark.parametrize("neg_risk", [False, True])
@pytest.mark.parametrize(("side", "role"), [(BUY, "TAKER"), (SELL, "TAKER"), (BUY, "MAKER"), (SELL, "MAKER")])
def test_complementary_matches_log_what_the_exchange_logs(here: World, side: str, role: str, *, neg_risk: bool) -> None:
    exchange = "neg_risk_exchange" if neg_risk else "exchange"
    market = here.directory.markets[6 if neg_risk else 0]
    market.fee_rate = 50_000
    action = ExternalTrade(token_id=market.tokens[0], side=side, size="33.333333", price="0.333", role=role)
    taker, maker = ("wallet", "house") if role == "TAKER" else ("house", "wallet")
    takes_buy = (side == BUY) == (role == "TAKER")
    expected = (logged.bought if takes_buy else logged.sold)(exchange, taker, maker, fee_of=taker)
    assert lines(here, done(here, action)) == expected


@pytest.mark.parametrize("neg_risk", [False, True])
@pytest.mark.parametrize("side", [BUY, SELL])
def test_matches_across_outcomes_log_what_the_exchange_logs(here: World, side: str, *, neg_risk: bool) -> None:
    prefix = "neg_risk_" if neg_risk else ""
    market = here.directory.markets[(7 if side == BUY else 6) if neg_risk else 0]
    market.fee_rate = 50_000
    action = FillOrder(order_id=own_order(here, market, side), size="21", cross=True)
    (result,) = do(here, action)
    trade = here.exchange.trades[str(result["trade_id"])]
    logs_of = logged.both_bought if side == BUY else logged.both_sold
    expected = logs_of(f"{prefix}exchange", f"{prefix}factory", "taker", "wallet")
    assert lines_of(here, trade.transaction_hash, trade.taker.address) == expected


def lines_of(here: World, tx_hash: str, taker: str) -> list[str]:
    """Lines in which that address is the taker, whoever it is otherwise."""
    *rows, _gas = rows_of(here, tx_hash)
    people = {"taker": taker, "wallet": here.wallet.address}
    roles = {name.replace("neg_risk_collateral", "x"): address for name, address in ROLES.items()}
    return Reader.of(roles, **people).lines(rows)


@pytest.mark.parametrize("neg_risk", [False, True])
def test_a_resolution_is_told_by_conditional_tokens_and_the_adapter(here: World, *, neg_risk: bool) -> None:
    market = here.directory.markets[6 if neg_risk else 0]
    tx_hash = done(here, Resolve(condition_id=market.condition_id, payouts=[0, 1]))
    oracle = logged.NRA if neg_risk else "oracle"
    more = [f"{logged.NRA} NegRisk.OutcomeReported"] if neg_risk else []
    found = lines(here, tx_hash, oracle=addresses.ORACLE)
    assert found == [f"{logged.CTF} ConditionResolution {oracle}", *more]


def test_a_transaction_that_reverted_leaves_nothing_but_the_gas_it_paid(here: World) -> None:
    (result,) = do(here, Merge(condition_id=here.directory.markets[0].condition_id, amount="9999"))
    receipt = here.chain.receipt(str(result["transaction_hash"]))
    assert receipt is not None
    assert (receipt.succeeded, [log.address for log in receipt.logs]) == (False, [addresses.POL])


def test_a_protocol_v2_market_moves_its_shares_on_the_position_manager() -> None:
    here = create_world(WorldOptions(activity=False, protocol_v2_markets=1), NOW_MS)
    market = here.directory.markets[6]
    assert market.version == "v2"
    tx_hash = done(here, Split(condition_id=market.condition_id, amount="20"))
    held = [here.balance(market, token) for token in market.tokens]
    assert [row["address"] for row in rows_of(here, tx_hash)][-2] == addresses.POSITION_MANAGER.lower()
    trade = act(here, ExternalTrade(token_id=market.tokens[0], side=BUY, size="10", price="0.4"))
    here.mine()
    fills = rows_of(here, here.exchange.trades[str(trade["trade_id"])].transaction_hash)
    assert addresses.EXCHANGE_V3.lower() in {row["address"] for row in fills}
    assert here.balance(market, market.tokens[0]) == held[0] + 10 * SHARE
