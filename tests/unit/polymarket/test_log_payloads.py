"""Raw logs: every event that counts, the captures with the amounts they are known for, and whatever else may come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket.log_filters import contracts_of
from polymarket.payloads import RejectedRow, log_events
from polymarket.payloads.logs import LogParser, PlacedLog, decode_logs, decode_receipt_logs
from polymarket.settings import PolymarketSettings
from portfolio.chain import (
    ChainLog,
    CollateralTransfer,
    CollateralWrapped,
    ConditionResolved,
    OrderFilled,
    PayoutRedeemed,
    PositionsConverted,
    PositionsMerged,
    PositionSplit,
    TokenTransfer,
)
from portfolio.facts import Side
from tests.unit.polymarket import raw_logs as raw
from tests.unit.polymarket.script import FUNDER

RECEIPTS = Path(__file__).parents[2] / "data" / "receipts"
NO_PLACE = {"blockHash": "0x" + "00" * 32, "logIndex": "0x0"}
"""Some of the captures were published without."""

CAPTURED = {name: NO_PLACE | log for name, log in json.loads((RECEIPTS / "polygon_logs.json").read_bytes()).items()}
MINTED = json.loads((RECEIPTS / "polygon_receipt_b5d41ea9.json").read_bytes())
PARSER = LogParser(contracts_of(PolymarketSettings()))
ADAPTER_IN_USE = "0xada100874d00e3331d00f2007a9c336a65009718"
TAKER = "0x6e1d5040d0ac73709b0621f620d2a60b80d2d0fa"
HUGE = 2**200


def parse(log: dict[str, Any]) -> PlacedLog | RejectedRow | None:
    return PARSER.parse(json.dumps(log).encode())


def events(log: dict[str, Any]) -> tuple[ChainLog, ...]:
    parsed = parse(log)
    assert isinstance(parsed, PlacedLog), parsed
    return parsed.events


def event(log: dict[str, Any]) -> ChainLog:
    (found,) = events(log)
    return found


def at(log: dict[str, Any]) -> dict[str, Any]:
    return {"log_index": int(log["logIndex"], 16), "contract": log["address"]}


@pytest.mark.req("X-01")
@pytest.mark.parametrize("name", raw.SIGNATURES)
def test_the_topics_are_the_hashes_of_the_signatures(name: str) -> None:
    assert getattr(log_events, name) == raw.topic0(name)


@pytest.mark.req("X-01", "R-20")
def test_captured_fills_have_their_sides_amounts_and_roles() -> None:
    bought, sold = CAPTURED["orderfilled_v2_maker_buy"], CAPTURED["orderfilled_v2_taker_sell_6"]
    buy, sell = event(bought), event(sold)
    assert isinstance(buy, OrderFilled)
    assert isinstance(sell, OrderFilled)
    assert (buy.side, buy.amount_micro, buy.shares_micro, buy.fee_micro) == (Side.BUY, 2_355_200, 2_560_000, 0)
    assert (sell.side, sell.shares_micro, sell.amount_micro, sell.fee_micro) == (
        Side.SELL,
        6_000_000,
        2_880_000,
        104_830,
    )
    assert (buy.took, sell.took) == (False, True)
    assert buy.maker == sell.maker == "0x335ac48637a3bc37c2eac9e0c9799c32b3cda494"
    assert buy.order_id == bought["topics"][1]
    assert buy.token_id == str(0x3AF5E0DF554714AB5502AF32084F9ED36E1910366284A76D464FF8AF8603ED5E)


@pytest.mark.req("X-01", "R-19")
def test_captured_causes_name_their_condition_and_who_called() -> None:
    split, merge, redemption, resolution = (
        CAPTURED[name]
        for name in (
            "ctf_position_split_direct_user",
            "ctf_positions_merge_via_adapter",
            "ctf_payout_redemption",
            "ctf_condition_resolution",
        )
    )
    assert event(split) == PositionSplit(
        **at(split),
        stakeholder="0x20d2309cd92b797ae7ca175ed828ed8a27fbe29d",
        condition_id="0xb907d819a95244f9e19dc779e3db2a33133a864d22e9ce222d09a16b48759f49",
        amount_micro=20_000_000,
    )
    merged, redeemed = event(merge), event(redemption)
    assert isinstance(merged, PositionsMerged)
    assert merged.amount_micro == 21_120_000
    assert isinstance(redeemed, PayoutRedeemed)
    assert redeemed.condition_id == "0x62530e00e2f67d9757e0b06e168e9929e0661daff1276354a3018f1568120c2f"
    assert redeemed.payout_micro == 59_076_955
    assert event(resolution) == ConditionResolved(
        **at(resolution), condition_id=resolution["topics"][1], numerators=(1, 0)
    )


@pytest.mark.req("X-01", "R-19")
def test_a_captured_batch_keeps_its_leg_of_nothing() -> None:
    batch, burn = CAPTURED["erc1155_transfer_batch_user_to_adapter"], CAPTURED["erc1155_transfer_single_burn_same_tx"]
    legs = events(batch)
    assert all(isinstance(leg, TokenTransfer) for leg in legs)
    assert [(leg.part, leg.shares_micro) for leg in legs if isinstance(leg, TokenTransfer)] == [(0, 5_000_000), (1, 0)]
    burned = event(burn)
    assert isinstance(burned, TokenTransfer)
    assert (burned.shares_micro, burned.receiver) == (5_000_000, raw.NOBODY)
    assert isinstance(legs[0], TokenTransfer)
    assert legs[0].token_id == burned.token_id


@pytest.mark.req("X-01", "R-20")
def test_a_captured_mint_pays_what_its_fill_says_with_the_fee_on_top() -> None:
    found = [each for each in map(parse, MINTED["logs"]) if each is not None]
    logs = [one for each in found if isinstance(each, PlacedLog) for one in each.events]
    assert len(found) == len(MINTED["logs"]) - 5, (
        "approvals, fee notices, the exchange's own summary and gas are passed over"
    )
    fill = next(log for log in logs if isinstance(log, OrderFilled) and log.took)
    out = next(log for log in logs if isinstance(log, CollateralTransfer) and log.sender == TAKER)
    got = next(log for log in logs if isinstance(log, TokenTransfer) and log.receiver == TAKER)
    assert (fill.maker, fill.amount_micro, fill.fee_micro) == (TAKER, 15_199_998, 255_400)
    assert out.amount_micro == 15_199_998 + 255_400 == 15_455_398
    assert (got.shares_micro, got.token_id) == (fill.shares_micro, fill.token_id)
    assert [log.amount_micro for log in logs if isinstance(log, CollateralWrapped) and log.unwrapped] == [20_001_050]
    assert [log.stakeholder for log in logs if isinstance(log, PositionSplit)] == [ADAPTER_IN_USE]
    assert {log.bucket for log in logs if isinstance(log, CollateralTransfer)} == {"pusd", "usdc_e"}


@pytest.mark.req("X-01", "R-19", "X-08")
@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            raw.moved(FUNDER, raw.STRANGER, 2**256 - 1, 5, raw.POSITION_MANAGER),
            TokenTransfer(
                log_index=7,
                contract=raw.POSITION_MANAGER,
                operator=raw.EXCHANGE,
                sender=FUNDER,
                receiver=raw.STRANGER,
                token_id=str(2**256 - 1),
                shares_micro=5,
            ),
        ),
        (
            raw.paid(FUNDER, raw.STRANGER, 0, raw.USDC_E),
            CollateralTransfer(
                log_index=7,
                contract=raw.USDC_E,
                bucket="usdc_e",
                sender=FUNDER,
                receiver=raw.STRANGER,
                amount_micro=0,
            ),
        ),
        (
            raw.ctf_change("CTF_POSITIONS_MERGE", FUNDER, 9),
            PositionsMerged(
                log_index=7, contract=raw.CTF, stakeholder=FUNDER, condition_id=raw.CONDITION, amount_micro=9
            ),
        ),
        (
            raw.nra_change("NRA_POSITION_SPLIT", FUNDER, 9),
            PositionSplit(
                log_index=7, contract=raw.NRA, stakeholder=FUNDER, condition_id=raw.CONDITION, amount_micro=9
            ),
        ),
        (
            raw.nra_change("NRA_POSITIONS_MERGE", FUNDER, 9),
            PositionsMerged(
                log_index=7, contract=raw.NRA, stakeholder=FUNDER, condition_id=raw.CONDITION, amount_micro=9
            ),
        ),
        (
            raw.ctf_redeemed(FUNDER, 0),
            PayoutRedeemed(log_index=7, contract=raw.CTF, redeemer=FUNDER, condition_id=raw.CONDITION, payout_micro=0),
        ),
        (
            raw.nra_redeemed(FUNDER, [3, 0], 3),
            PayoutRedeemed(log_index=7, contract=raw.NRA, redeemer=FUNDER, condition_id=raw.CONDITION, payout_micro=3),
        ),
        (
            raw.converted(FUNDER, 1 << 255, 4),
            PositionsConverted(
                log_index=7,
                contract=raw.NRA,
                stakeholder=FUNDER,
                neg_risk_market_id=raw.MARKET,
                index_set=1 << 255,
                amount_micro=4,
            ),
        ),
        (
            raw.wrapped("WRAPPED", raw.STRANGER, FUNDER, 6),
            CollateralWrapped(
                log_index=7,
                contract=raw.PUSD,
                caller=raw.STRANGER,
                asset=raw.USDC_E,
                receiver=FUNDER,
                amount_micro=6,
                unwrapped=False,
            ),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, tuple | TokenTransfer) else None,
)
def test_an_event_is_read_as_what_it_says(log: raw.Raw, expected: ChainLog) -> None:
    assert event(raw.placed(log)) == expected


def test_a_log_stands_in_its_block_and_transaction_in_lower_case() -> None:
    log = raw.placed(raw.paid(FUNDER, raw.STRANGER, 1), blockHash="0x" + "AB" * 32, transactionHash="0x" + "CD" * 32)
    parsed = parse(log | {"address": raw.PUSD.upper().replace("0X", "0x")})
    assert isinstance(parsed, PlacedLog)
    assert (parsed.block_number, parsed.block_hash) == (100, "0x" + "ab" * 32)
    assert (parsed.transaction_hash, parsed.block_time_ms) == ("0x" + "cd" * 32, 1_700_000_100_000)
    untimed = parse({key: value for key, value in log.items() if key != "blockTimestamp"})
    assert isinstance(untimed, PlacedLog)
    assert untimed.block_time_ms is None


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    "log",
    [
        raw.paid(FUNDER, raw.STRANGER, 1, raw.STRANGER),
        raw.moved(FUNDER, raw.STRANGER, 1, 1, raw.STRANGER),
        raw.filled(FUNDER, raw.STRANGER, 0, 1, (1, 1, 0)) | {"address": raw.STRANGER},
        raw.ctf_change("CTF_POSITION_SPLIT", FUNDER, 1) | {"address": raw.NRA},
        raw.paid(FUNDER, raw.STRANGER, 1) | {"topics": []},
        raw.paid(FUNDER, raw.STRANGER, 1) | {"topics": ["0x" + "12" * 32], "data": "not even data"},
    ],
)
def test_an_event_that_does_not_count_is_passed_over_whatever_it_holds(log: raw.Raw) -> None:
    assert parse(raw.placed(log)) is None


@pytest.mark.req("X-01", "R-16")
def test_a_stranger_cannot_stop_the_reader_with_tokens_of_his_own() -> None:
    assert parse(raw.placed(raw.moved(raw.STRANGER, FUNDER, 1, HUGE))) is None
    assert parse(raw.placed(raw.moved_together(raw.STRANGER, FUNDER, {}))) is None
    assert parse(raw.placed(raw.ctf_change("CTF_POSITION_SPLIT", raw.STRANGER, HUGE))) is None
    assert parse(raw.placed(raw.ctf_redeemed(raw.STRANGER, HUGE))) is None
    assert parse(raw.placed(raw.resolved([HUGE, 1]))) is None
    mixed = events(raw.placed(raw.moved_together(raw.STRANGER, FUNDER, {1: HUGE, 2: 3})))
    assert [(leg.part, leg.token_id, leg.shares_micro) for leg in mixed if isinstance(leg, TokenTransfer)] == [
        (1, "2", 3)
    ]


def change(place: int, word: str) -> Callable[[raw.Raw], raw.Raw]:
    """Another word in the data."""
    return lambda log: log | {"data": log["data"][: 2 + 64 * place] + word + log["data"][66 + 64 * place :]}


def put(**fields: Any) -> Callable[[raw.Raw], raw.Raw]:
    return lambda log: log | fields


FILL = raw.filled(FUNDER, raw.STRANGER, 0, 1, (1, 1, 0))
PAID = raw.paid(FUNDER, raw.STRANGER, 1)
BATCH = raw.moved_together(FUNDER, raw.STRANGER, {1: 1, 2: 2})
SPLIT = raw.ctf_change("CTF_POSITION_SPLIT", FUNDER, 1)


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    ("log", "spoil", "reason"),
    [
        (PAID, put(topics=PAID["topics"][:2]), "topics were 2, expected 3"),
        (PAID, put(topics=[*PAID["topics"][:2], "0x" + "1" * 64]), "to was not an address"),
        (PAID, put(data="0x"), "data was 0 words long, expected 1"),
        (PAID, put(data=PAID["data"] + "00"), "data was not whole words"),
        (PAID, put(data="0x" + "_" * 64), "data was not whole words"),
        (PAID, put(data=PAID["data"][2:]), "data was not whole words"),
        (PAID, change(0, f"{HUGE:064x}"), "value was larger than any amount"),
        (PAID, put(blockNumber=None), "blockNumber"),
        (PAID, put(blockNumber="latest"), "blockNumber was not a quantity"),
        (PAID, put(logIndex="7"), "logIndex was not a quantity"),
        (PAID, put(blockHash="0x12"), "blockHash was not 32 bytes"),
        (PAID, put(transactionHash=""), "transactionHash was not 32 bytes"),
        (PAID, put(blockTimestamp="soon"), "blockTimestamp was not a quantity"),
        (PAID, put(removed=True), "its block was replaced"),
        (PAID, put(topics="0x"), "topics"),
        (FILL, change(0, f"{2:064x}"), "side was neither 0 nor 1"),
        (FILL, change(4, f"{HUGE:064x}"), "fee was larger than any amount"),
        (FILL, put(data=FILL["data"][:-64]), "data was 6 words long, expected 7"),
        (BATCH, change(0, f"{96:064x}"), "ids was not where its event has it"),
        (BATCH, change(2, f"{9:064x}"), "ids was longer than the data"),
        (BATCH, change(5, f"{1:064x}"), "ids and values were not of one length"),
        (BATCH, put(data=BATCH["data"] + "0" * 64), "ids and values were not of one length"),
        (BATCH, put(data="0x"), "ids was not where its event has it"),
        (SPLIT, put(data=SPLIT["data"] + "0" * 64), "partition was shorter than the data"),
        (raw.nra_redeemed(FUNDER, [1, 1], 2), change(0, "f" * 64), "amounts was not where its event has it"),
        (raw.resolved([1, 0]), change(0, f"{3:064x}"), "payoutNumerators were not one for each slot"),
    ],
)
def test_a_log_that_counts_and_cannot_be_believed_is_rejected(
    log: raw.Raw, spoil: Callable[[raw.Raw], raw.Raw], reason: str
) -> None:
    rejected = parse(spoil(raw.placed(log)))
    assert isinstance(rejected, RejectedRow), rejected
    assert reason in rejected.reason


@pytest.mark.req("R-16")
@pytest.mark.parametrize("body", [b"", b"7", b"{", b"[]", b'{"address": 1}', b"\xff\xfe", b'{"data": "\xff"}'])
def test_what_is_no_log_is_rejected(body: bytes) -> None:
    assert isinstance(PARSER.parse(body), RejectedRow)


EVERY_EVENT = [
    *CAPTURED.values(),
    *MINTED["logs"],
    *(raw.placed(log) for log in (PAID, BATCH, SPLIT, FILL, raw.converted(FUNDER, 6, 1), raw.resolved([1, 0]))),
]


@pytest.mark.req("R-16")
@given(
    log=st.sampled_from(EVERY_EVENT).map(lambda log: json.dumps(log).encode()),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3), st.integers(0, 3)), max_size=4),
)
def test_a_mutilated_log_is_a_log_or_rejected_and_never_a_crash(
    log: bytes, edits: list[tuple[int, bytes, int]]
) -> None:
    for place, insert, removed in edits:
        start = place % len(log)
        log = log[:start] + insert + log[start + removed :]
    parsed = PARSER.parse(log)
    assert parsed is None or isinstance(parsed, PlacedLog | RejectedRow)
    if not edits:
        assert not isinstance(parsed, RejectedRow)


@pytest.mark.req("R-16")
@pytest.mark.parametrize("body", [b"{}", b"7", b"null", b"\xff", b'"0x"'])
def test_a_result_of_another_shape_is_malformed(body: bytes) -> None:
    with pytest.raises(ValueError, match="was not a list of logs"):
        decode_logs(body)
    if body != b"null":
        with pytest.raises(ValueError, match="was not a receipt with its logs"):
            decode_receipt_logs(body)


def test_a_receipt_gives_its_logs_and_its_block() -> None:
    receipt = decode_receipt_logs(json.dumps(MINTED).encode())
    assert receipt is not None
    assert (receipt.transaction_hash, receipt.block_hash) == (MINTED["transactionHash"], MINTED["blockHash"])
    assert len(receipt.logs) == len(MINTED["logs"])
    assert decode_receipt_logs(b"null") is None
