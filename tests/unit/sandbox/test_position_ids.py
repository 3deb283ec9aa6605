"""Ids of conditional tokens, against real markets and a real receipt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polymarket import position_ids
from polymarket.sandbox import addresses

DATA = Path(__file__).resolve().parents[2] / "data"
CTF = addresses.CONDITIONAL_TOKENS.lower()


def real(name: str) -> Any:
    """A captured payload."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def derived(condition: str, tokens: list[str]) -> bool | None:
    """What the ids prove, with Polymarket's own collateral addresses."""
    return position_ids.derive_neg_risk(condition, tokens, usdc_e=addresses.USDC_E, wrapped_collateral=addresses.WCOL)


def real_markets() -> list[dict[str, Any]]:
    """The CLOB's first hundred markets, but the one that has no tokens."""
    rows: list[dict[str, Any]] = real("nautilus_http/markets.json")["data"]
    return [row for row in rows if all(token["token_id"] for token in row["tokens"])]


@pytest.mark.req("R-18")
def test_token_ids_of_ninety_nine_real_standard_markets_hash_bridged_usdc() -> None:
    rows = real_markets()
    assert len(rows) == 99
    for row in rows:
        computed = position_ids.token_ids(row["condition_id"], addresses.USDC_E)
        assert computed == tuple(token["token_id"] for token in row["tokens"])
        assert derived(row["condition_id"], [token["token_id"] for token in row["tokens"]]) is row["neg_risk"] is False


@pytest.mark.req("R-18", "R-06")
def test_a_real_neg_risk_market_hashes_wrapped_collateral_and_its_ids_follow_from_its_question() -> None:
    row = real("nautilus_http/market.json")
    tokens = tuple(token["token_id"] for token in row["tokens"])
    assert position_ids.condition_id(addresses.NEG_RISK_ADAPTER, row["question_id"]) == row["condition_id"]
    assert position_ids.token_ids(row["condition_id"], addresses.WCOL) == tokens
    assert position_ids.neg_risk_market_id(row["question_id"]) == row["neg_risk_market_id"]
    assert derived(row["condition_id"], list(tokens)) is row["neg_risk"] is True


@pytest.mark.req("R-18")
def test_gammas_claim_about_a_real_market_is_what_its_ids_prove() -> None:
    row = real("nautilus_http/gamma_market.json")
    assert derived(row["conditionId"], json.loads(row["clobTokenIds"])) is row["negRisk"]


@pytest.mark.req("R-18")
def test_the_shares_of_a_real_mint_match_have_the_computed_ids() -> None:
    logs = real("receipts/polygon_receipt_b5d41ea9.json")
    logs = logs.get("result", logs)["logs"]
    split = "0x2e6bb91f8cbcda0c93623c54d0403a43514fabc40084ec96b6d5379a74786298"
    batch = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
    (condition,) = {log["topics"][3] for log in logs if log["topics"][0] == split}
    minted = [log["data"][2:] for log in logs if log["topics"][0] == batch and log["address"].lower() == CTF]
    words = [[int(data[at : at + 64], 16) for at in range(0, len(data), 64)] for data in minted]
    pairs = {(str(word[3]), str(word[4])) for word in words if word[2] == 2}
    computed = {position_ids.token_ids(condition, token) for token in (addresses.USDC_E, addresses.WCOL)}
    assert pairs
    assert pairs <= computed


def test_the_order_of_the_tokens_does_not_matter_and_other_ids_prove_nothing() -> None:
    row = real_markets()[0]
    first, second = (token["token_id"] for token in row["tokens"])
    assert derived(row["condition_id"], [second, first]) is False
    assert derived(row["condition_id"], [first]) is None
    assert derived(row["condition_id"], [first, str(int(second) + 1)]) is None
    assert derived("0x1234", [first, second]) is None
    assert derived(row["condition_id"], ["", "x"]) is None


def test_a_question_knows_its_index_and_its_event() -> None:
    event = position_ids.prepared_neg_risk_market_id(addresses.ORACLE, 0, b"an event")
    for index in (0, 7, 255):
        question = position_ids.neg_risk_question_id(event, index)
        assert position_ids.neg_risk_question_index(question) == index
        assert position_ids.neg_risk_market_id(question) == event


def test_the_event_id_is_the_hash_of_the_encoded_arguments() -> None:
    from eth_abi.abi import encode
    from eth_utils.crypto import keccak

    arguments = encode(["address", "uint256", "bytes"], [addresses.ORACLE, 12, b"m" * 40])
    expected = "0x" + keccak(arguments).hex()[:-2] + "00"
    assert position_ids.prepared_neg_risk_market_id(addresses.ORACLE, 12, b"m" * 40) == expected


def test_an_id_of_another_length_is_refused_with_what_it_was() -> None:
    with pytest.raises(ValueError, match="0x12 had 1 bytes, expected 32"):
        position_ids.neg_risk_market_id("0x12")
