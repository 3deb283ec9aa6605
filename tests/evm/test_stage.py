"""The stage of the chain watcher's tests: it logs what Polymarket's contracts log, and moves what it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from polymarket import position_ids
from polymarket.settings import PolymarketSettings
from tests.evm import receipts as logged
from tests.evm.scene import ONE, Scene, changes
from tests.evm.stage import Reader, Side, Stage, Wallet
from tests.evm.stage.chain import CASH
from tests.evm.stage.log import BURN

pytestmark = pytest.mark.req("X-01", "R-19")


@pytest.fixture(scope="module")
def wallet(stage: Stage) -> Wallet:
    return stage.wallet()


@pytest.fixture(scope="module", params=[False, True], ids=["standard", "neg_risk"])
def scene(request: pytest.FixtureRequest, stage: Stage, wallet: Wallet) -> Scene:
    return Scene.set(stage, wallet, neg_risk=request.param)


def direct(scene: Scene, operation: str, *held: int) -> logged.Lines:
    return logged.called_by("wallet", operation, *held, neg_risk=scene.market.neg_risk)


OPERATIONS: dict[str, tuple[Callable[[Scene], str], Callable[[Scene], logged.Lines]]] = {
    "split": (lambda s: s.wallet.split(s.market, ONE), lambda s: logged.adapter_split(s.adapter)),
    "merge": (lambda s: s.wallet.merge(s.market, ONE), lambda s: logged.adapter_merged(s.adapter)),
    "redeem": (lambda s: s.wallet.redeem(s.answered()), lambda s: logged.adapter_redeemed(s.adapter, 2)),
    "redeem_with_zero": (lambda s: s.wallet.redeem(s.answered(no=0)), lambda s: logged.adapter_redeemed(s.adapter, 1)),
    "auto_redeem": (
        lambda s: s.wallet.auto_redeem(s.answered()),
        lambda s: logged.auto_redeemed(neg_risk=s.market.neg_risk, held=2),
    ),
    "split_directly": (lambda s: s.wallet.split_directly(s.market, ONE), lambda s: direct(s, "split")),
    "merge_directly": (lambda s: s.wallet.merge_directly(s.market, ONE), lambda s: direct(s, "merged")),
    "redeem_directly": (lambda s: s.wallet.redeem_directly(s.answered()), lambda s: direct(s, "redeemed", 2)),
    "transfer_out": (
        lambda s: s.wallet.transfer_out(s.market.tokens[0], ONE),
        lambda s: logged.single("wallet", "wallet", "house"),
    ),
    "transfer_in": (
        lambda s: s.wallet.transfer_in(s.market.tokens[0], ONE),
        lambda s: logged.single("house", "house", "wallet"),
    ),
    "batch_with_zero": (
        lambda s: s.wallet.batch_with_zero(s.market, ONE),
        lambda s: logged.batch("wallet", "wallet", "house"),
    ),
    "buy_as_taker": (
        lambda s: s.wallet.fill_as_taker(s.terms(Side.BUY)),
        lambda s: logged.bought(s.exchange, "wallet", "house", fee_of="wallet"),
    ),
    "buy_as_maker": (
        lambda s: s.wallet.fill_as_maker(s.terms(Side.BUY)),
        lambda s: logged.sold(s.exchange, "house", "wallet", fee_of="wallet"),
    ),
    "sell_as_taker": (
        lambda s: s.wallet.fill_as_taker(s.terms(Side.SELL)),
        lambda s: logged.sold(s.exchange, "wallet", "house", fee_of="wallet"),
    ),
    "sell_as_maker": (
        lambda s: s.wallet.fill_as_maker(s.terms(Side.SELL, fee=0)),
        lambda s: logged.bought(s.exchange, "house", "wallet"),
    ),
    "buy_against_a_buy": (
        lambda s: s.wallet.fill_as_taker(s.terms(Side.BUY, across=True)),
        lambda s: logged.both_bought(s.exchange, s.factory, "wallet", "house"),
    ),
    "sell_against_a_sell": (
        lambda s: s.wallet.fill_as_taker(s.terms(Side.SELL, across=True)),
        lambda s: logged.both_sold(s.exchange, s.factory, "wallet", "house"),
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_logs_the_published_events_in_order_and_moves_what_its_transfers_say(
    operation: str, scene: Scene
) -> None:
    act, expected = OPERATIONS[operation]
    receipt = scene.stage.receipt(act(scene))
    assert scene.reader.lines(receipt["logs"]) == expected(scene)
    moves = scene.reader.moves(receipt["logs"], "wallet", CASH)
    assert changes(scene.wallet, receipt["blockNumber"]) == (moves.tokens, moves.cash)
    assert moves.tokens, "every one of these moves shares"


@pytest.mark.parametrize(
    ("indices", "fee_bips", "directly"),
    [({1}, 0, False), ({0, 2}, 0, False), ({0, 2}, 100, False), ({0, 1, 2}, 0, False), ({0, 2}, 100, True)],
)
def test_a_conversion_pays_all_but_one_of_its_no_and_yes_of_all_others(
    stage: Stage, wallet: Wallet, indices: set[int], fee_bips: int, *, directly: bool
) -> None:
    event, amount = stage.event(3, fee_bips), 1_999_999
    given, received, fee = len(indices), 3 - len(indices), fee_bips > 0
    for index in indices:
        wallet.transfer_in(event.markets[index].tokens[1], amount)
    if directly:
        transaction = wallet.convert_directly(event, indices, amount)
        lines = logged.converted("wallet", given, received, fee=fee)
    else:
        transaction = wallet.convert(event, indices, amount)
        lines = logged.adapter_converted(given, received, fee=fee)
    assert Scene(stage, wallet, event.markets[0]).lines(transaction) == lines
    out = amount - amount * fee_bips // 10_000
    yes = {str(market.tokens[0]): out for index, market in enumerate(event.markets) if index not in indices}
    no = {str(event.markets[index].tokens[1]): -amount for index in indices}
    cash = {"usdc_e" if directly else "pusd": (given - 1) * out} if given > 1 else {}
    assert changes(wallet, stage.head) == (yes | no, cash)
    burned = stage.contract("conditional_tokens").functions.balanceOf
    assert all(burned(BURN, market.tokens[1]).call() == amount for market in event.markets)


@pytest.mark.req("X-10")
def test_cash_comes_goes_and_changes_its_bucket(stage: Stage, wallet: Wallet) -> None:
    cases = (
        (wallet.deposit(7), {"pusd": 7}, ["pusd Transfer house wallet"]),
        (wallet.deposit(7, "usdc_e"), {"usdc_e": 7}, ["usdc_e Transfer house wallet"]),
        (wallet.withdraw(5), {"pusd": -5}, ["pusd Transfer wallet house"]),
        (wallet.unwrap(3), {"pusd": -3, "usdc_e": 3}, logged.unwrapped("wallet", "ramp", "wallet")),
        (
            wallet.wrap(2),
            {"pusd": 2, "usdc_e": -2},
            [*logged.spent("wallet", "pusd", "ramp"), *logged.minted("ramp", "wallet")],
        ),
    )
    reader = Reader.of(stage.addresses, wallet=wallet.address)
    for transaction, cash, lines in cases:
        receipt = stage.receipt(transaction)
        assert reader.lines(receipt["logs"]) == lines
        assert changes(wallet, receipt["blockNumber"]) == ({}, cash)


@pytest.mark.req("R-18")
def test_a_resolution_is_logged_and_pays_by_its_payouts(stage: Stage, wallet: Wallet) -> None:
    reader = Reader.of(stage.addresses)
    reported = f"{logged.NRA} NegRisk.OutcomeReported"
    resolved = f"{logged.CTF} ConditionResolution"
    cases = (
        (stage.market(), (1, 1), [f"{resolved} deployer"], ONE // 2),
        (stage.event(2).markets[1], (0, 1), [f"{resolved} {logged.NRA}", reported], 0),
    )
    for market, payouts, lines, paid in cases:
        wallet.transfer_in(market.tokens[0], ONE)
        assert reader.lines(stage.receipt(stage.resolve(market, payouts))["logs"]) == lines
        wallet.redeem_directly(market)
        tokens, cash = changes(wallet, stage.head)
        assert tokens == {str(market.tokens[0]): -ONE}
        assert cash == ({"usdc_e": paid} if paid else {})


@pytest.mark.req("R-18")
def test_ids_are_those_that_the_service_computes(stage: Stage) -> None:
    event = stage.event(3)
    adapter, wrapped = stage.address("neg_risk_adapter"), stage.address("wrapped_collateral")
    for index, market in enumerate(event.markets):
        question = event.market_id[:-1] + bytes([index])
        assert market.question == question
        condition = position_ids.condition_id(adapter, "0x" + question.hex())
        assert condition == "0x" + market.condition.hex()
        assert position_ids.token_ids(condition, wrapped) == tuple(map(str, market.tokens))


def test_the_addresses_are_settings_of_the_service(stage: Stage, wallet: Wallet) -> None:
    settings = PolymarketSettings(**stage.chain_settings)
    assert dict(settings.collateral_buckets) == {name: stage.address(contract) for name, contract in CASH.items()}
    assert set(wallet.balances_at(stage.head).cash) == {name for name, _ in settings.collateral_buckets}
    for address in (settings.conditional_tokens, settings.neg_risk_adapter, settings.multicall, *settings.exchanges):
        assert stage.node.web3.eth.get_code(stage.node.web3.to_checksum_address(address))
