"""Fills on the stage's exchange, beside captured logs of the real contracts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hexbytes import HexBytes

from tests.evm.scene import FEE, ONE, Scene, changes
from tests.evm.stage import Order, Reader, Side, Stage
from tests.evm.stage.chain import CASH

pytestmark = pytest.mark.req("X-01", "R-19")

CAPTURES = Path(__file__).parents[1] / "data/receipts"
APPROVAL = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
ORDER_FILLED = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee"
NATIVE_TOKEN = "0x0000000000000000000000000000000000001010"
"""Polygon's own: its log of the transaction's fee ends every receipt there, and is on no other chain."""

REAL = {
    "pusd": "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB",
    "usdc_e": "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174",
    "conditional_tokens": "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045",
    "exchange": "0xE111180000d2663C0091e4f400237545B87B996B",
    "outcome_token_factory": "0xADa100874d00e3331D00F2007a9c336a65009718",
    "vault": "0xC417fD8E9661c0d2120B64a04Bb3278C17E99DB1",
    "fee_receiver": "0x115F48DC2A731aA16251c6d6e1BEfC42f92Accc9",
    "taker": "0x6e1d5040d0ac73709b0621f620d2a60b80d2d0fa",
    "first": "0xa641d96eab80a59bb4c35c590e3fe7cbd90c0866",
    "second": "0xbc5403011df159368c4bc716e07bcf858dfe2eec",
}
"""Who is who in the captured match: a taker and two makers, all buying."""

Log = Mapping[str, Any]


@pytest.fixture(scope="module")
def scene(stage: Stage) -> Scene:
    return Scene.set(stage, stage.wallet(), neg_risk=False)


@pytest.fixture(scope="module")
def neg_risk(scene: Scene) -> Scene:
    return Scene.set(scene.stage, scene.wallet, neg_risk=True)


def captured(name: str) -> Any:
    return json.loads((CAPTURES / name).read_text(encoding="utf-8"))


def words(log: Log) -> list[int]:
    data = HexBytes(log["data"])
    return [int.from_bytes(data[start : start + 32]) for start in range(0, len(data), 32)]


def told(log: Log, reader: Reader, tokens: tuple[int, int]) -> tuple[str, list[object]]:
    """The line and the data, addresses and tokens by name; what an allowance still has is nobody's business."""
    names: dict[int, object] = {int(address, 16): name for address, name in reader.names.items() if int(address, 16)}
    names |= {tokens[0]: "the makers' token", tokens[1]: "the taker's token"}
    is_approval = HexBytes(log["topics"][0]) == HexBytes(APPROVAL)
    return reader.lines([log])[0], [] if is_approval else [names.get(each, each) for each in words(log)]


@pytest.mark.req("R-20")
def test_a_match_like_a_captured_one_logs_the_same_of_the_same_contracts_in_the_same_order(scene: Scene) -> None:
    stage = scene.stage
    people = {name: stage.wallet().address for name in ("taker", "first", "second")}

    def buy(name: str, token: int, making: int, taking: int, fee: int = 0) -> Order:
        fresh = stage.fresh_hash()
        return Order(
            order_hash=fresh, maker=people[name], side=Side.BUY, token=token, making=making, taking=taking, fee=fee
        )

    others, own = scene.market.tokens
    transaction = stage.match(
        scene.market,
        buy("taker", own, 15_199_998, 20_001_050, 255_400),
        buy("first", others, 20_000, 80_000),
        buy("second", others, 4_781_052, 19_921_050),
    )
    real = [log for log in captured("polygon_receipt_b5d41ea9.json")["logs"] if log["address"] != NATIVE_TOKEN]
    real_others, *_, real_own = (words(log)[1] for log in real if log["topics"][0] == ORDER_FILLED)
    reader, real_reader = Reader.of(stage.addresses, **people), Reader.of(REAL)
    assert [told(log, reader, (others, own)) for log in stage.receipt(transaction)["logs"]] == [
        told(log, real_reader, (real_others, real_own)) for log in real
    ]


SINGLE_LOGS: dict[str, Callable[[Scene], str]] = {
    "orderfilled_v2_maker_buy": lambda s: s.wallet.fill_as_maker(s.terms(Side.BUY, fee=0)),
    "orderfilled_v2_taker_sell_6": lambda s: s.wallet.fill_as_taker(s.terms(Side.SELL)),
    "ctf_position_split_direct_user": lambda s: s.wallet.split_directly(s.market, ONE),
    "ctf_positions_merge_via_adapter": lambda s: s.wallet.merge(s.market, ONE),
    "ctf_payout_redemption": lambda s: s.wallet.redeem(s.answered()),
    "ctf_condition_resolution": lambda s: s.stage.resolve(s.stage.market()),
    "erc1155_transfer_batch_user_to_adapter": lambda s: s.wallet.redeem(s.answered(no=0)),
    "erc1155_transfer_single_burn_same_tx": lambda s: s.wallet.redeem(s.answered(no=0)),
}


def shape(log: Log) -> tuple[str, int, list[object]]:
    """Topic0, number of topics, and the data with its offsets, lengths, index sets, sides and zeros only."""
    topics = [HexBytes(topic).to_0x_hex() for topic in log["topics"]]
    return topics[0], len(topics), [word if word <= 160 else "large" for word in words(log)]


@pytest.mark.parametrize("name", SINGLE_LOGS)
def test_a_captured_log_has_one_of_its_shape_here(name: str, scene: Scene, neg_risk: Scene) -> None:
    act = SINGLE_LOGS[name]
    transaction = act(neg_risk if name.startswith("erc1155") else scene)
    shapes = [shape(log) for log in scene.stage.receipt(transaction)["logs"]]
    assert shape(captured("polygon_logs.json")[name]) in shapes


@pytest.mark.req("R-20", "R-21")
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("role", ["fill_as_maker", "fill_as_taker", "external_fill"])
def test_a_fill_names_the_wallet_once_and_costs_what_it_says(
    scene: Scene, role: str, side: Side, *, across: bool
) -> None:
    stage, wallet, ours = scene.stage, scene.wallet, scene.stage.fresh_hash()
    terms = replace(scene.terms(side, across=across), order_hash=ours)
    receipt = stage.receipt(getattr(wallet, role)(terms))
    fills = [log for log in receipt["logs"] if log["topics"][0] == HexBytes(ORDER_FILLED)]
    (fill,) = (log for log in fills if log["topics"][2][-20:] == HexBytes(wallet.address))
    is_taker = fill["topics"][3][-20:] == HexBytes(stage.address("exchange"))
    assert is_taker is (role != "fill_as_maker")
    assert (fill["topics"][1] == HexBytes(ours)) is (role != "external_fill")
    token, cash = scene.market.tokens[0], 3 * 410_000
    making, taking = (cash, terms.shares) if side is Side.BUY else (terms.shares, cash)
    assert words(fill) == [side, token, making, taking, FEE, 0, 0]
    sign = 1 if side is Side.BUY else -1
    assert changes(wallet, receipt["blockNumber"]) == ({str(token): sign * terms.shares}, {"pusd": -sign * cash - FEE})


def test_what_a_taker_does_not_need_comes_back_in_the_same_transaction(scene: Scene) -> None:
    stage, wallet, (yes, no) = scene.stage, scene.wallet, scene.market.tokens
    house = stage.house.address
    taker = replace(scene.terms(Side.BUY).order(stage, wallet.address), making=1_500_000)
    seller = Order(
        order_hash=stage.fresh_hash(), maker=house, side=Side.SELL, token=yes, making=ONE, taking=400_000, fee=1_000
    )
    buyer = Order(
        order_hash=stage.fresh_hash(), maker=house, side=Side.BUY, token=no, making=1_200_000, taking=2 * ONE, fee=2_000
    )
    receipt = stage.receipt(stage.match(scene.market, taker, seller, buyer))
    paid = 400_000 + 800_000 + FEE
    assert changes(wallet, receipt["blockNumber"]) == ({str(yes): 3 * ONE}, {"pusd": -paid})
    assert "pusd Transfer exchange wallet" in scene.reader.lines(receipt["logs"])
    kept = scene.reader.moves(receipt["logs"], "exchange", CASH)
    assert (kept.tokens, kept.cash) == ({}, {})
