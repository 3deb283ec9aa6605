"""Metadata: Gamma first, the CLOB for what Gamma does not know, the chain's word on neg-risk (R-06, R-18)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from messages.reads import MarketsAnswer, ReadCompleted, ReadFailed, ReadMarkets
from polymarket.gamma import read_markets
from polymarket.reading import ReadResult
from polymarket.requests import HttpReply, HttpRequest
from portfolio.facts import FailureKind, MarketMeta, Verdict
from tests.unit.polymarket.script import CONTEXT, SETTINGS, Played, failure, play, response

DATA = Path(__file__).parents[2] / "data"
ELECTION = json.loads((DATA / "nautilus_http/market.json").read_bytes())
TRUMP = ELECTION["condition_id"]
YES = ELECTION["tokens"][0]["token_id"]
NO = ELECTION["tokens"][1]["token_id"]


def gamma_row(**changes: object) -> dict[str, object]:
    return {
        "conditionId": TRUMP, "questionID": ELECTION["question_id"], "closed": True, "question": "?", "slug": "s",
        "outcomes": '["Yes", "No"]', "outcomePrices": '["1", "0"]', "clobTokenIds": json.dumps([YES, NO]),
        "negRisk": True,
    } | changes  # fmt: skip


NOT_FOUND = response({"error": "market not found"}, 404)


def markets(
    listing: Callable[[HttpRequest], HttpReply],
    clob: Mapping[str, HttpReply] | None = None,
    read: ReadMarkets | None = None,
) -> tuple[ReadResult, Played]:
    def answer(request: HttpRequest) -> HttpReply:
        if request.url.startswith("http://gamma"):
            return listing(request)
        return (clob or {}).get(request.url.removeprefix("http://clob"), NOT_FOUND)

    return play(read_markets(SETTINGS, read or ReadMarkets(wallet="main", condition_ids=(TRUMP,)), CONTEXT), answer)


def found(result: ReadResult) -> tuple[MarketMeta, ...]:
    assert isinstance(result, ReadCompleted)
    assert isinstance(result.answer, MarketsAnswer)
    return result.answer.markets


def only_closed(request: HttpRequest) -> HttpReply:
    return response({"markets": [gamma_row()] if dict(request.params)["closed"] == "true" else []})


@pytest.mark.req("R-06", "R-18", "S-02")
def test_a_resolved_market_is_found_because_closed_ones_are_asked_for_too() -> None:
    result, played = markets(only_closed)
    (market,) = found(result)
    assert (market.condition_id, market.closed, market.question_index) == (TRUMP, True, 0)
    assert [len(one) for one in played.rounds] == [2]
    assert market.neg_risk_market_id == ELECTION["neg_risk_market_id"], "it is the question's id without its index"


@pytest.mark.req("R-06")
@pytest.mark.parametrize("claimed", [True, False, None])
def test_the_token_ids_prove_the_neg_risk_flag_whatever_the_metadata_claims(claimed: bool | None) -> None:
    result, _ = markets(lambda _: response({"markets": [gamma_row(negRisk=claimed)]}))
    (market,) = found(result)
    assert (market.neg_risk_claimed, market.neg_risk_derived, market.neg_risk) == (claimed, True, True)
    assert market.market_id == ELECTION["neg_risk_market_id"]


@pytest.mark.req("R-06", "D-01")
def test_a_neg_risk_market_whose_question_id_is_none_stays_on_its_own() -> None:
    result, _ = markets(lambda _: response([gamma_row(questionID="0xnonsense")]))
    (market,) = found(result)
    assert (market.neg_risk, market.neg_risk_market_id, market.question_index) == (True, None, None)
    assert market.market_id == TRUMP


@pytest.mark.req("R-06")
def test_a_standard_market_is_proven_standard() -> None:
    row = json.loads((DATA / "nautilus_http/gamma_market.json").read_bytes())
    read = ReadMarkets(wallet="main", condition_ids=(row["conditionId"],))
    result, _ = markets(lambda _: response([row]), read=read)
    (market,) = found(result)
    assert (market.neg_risk_derived, market.neg_risk_market_id, market.question_index) == (False, None, None)
    assert market.market_id == row["conditionId"]


@pytest.mark.req("S-02")
def test_what_gamma_does_not_know_is_looked_up_at_the_clob() -> None:
    result, _ = markets(lambda _: response({"markets": []}), {f"/markets/{TRUMP}": response(ELECTION)})
    (market,) = found(result)
    assert (market.title, market.neg_risk_derived, market.fee_rate_micro) == (ELECTION["question"], True, None)
    assert isinstance(result, ReadCompleted)
    assert result.certificate.verdict is Verdict.COMPLETE


@pytest.mark.req("S-02")
def test_a_token_is_resolved_to_its_condition_at_the_clob() -> None:
    clob = {
        f"/markets-by-token/{NO}": response({"condition_id": TRUMP, "primary_token_id": YES, "secondary_token_id": NO}),
        f"/markets/{TRUMP}": response(ELECTION),
    }
    result, _ = markets(lambda _: response([]), clob, ReadMarkets(wallet="main", token_ids=(NO,)))
    assert [market.condition_id for market in found(result)] == [TRUMP]


@pytest.mark.req("X-09")
def test_what_nobody_knows_is_absent_and_the_answer_complete() -> None:
    result, _ = markets(
        lambda _: response([]), read=ReadMarkets(wallet="main", condition_ids=("0x1",), token_ids=("2",))
    )
    assert found(result) == ()
    assert isinstance(result, ReadCompleted)
    assert result.certificate.verdict is Verdict.COMPLETE


@pytest.mark.req("X-09")
@pytest.mark.parametrize(
    "reply", [failure(), response({}, 500), response(b"<html></html>", 404, "text/html"), response(b"[1", 200)]
)
def test_a_lookup_that_failed_leaves_the_answer_partial(reply: HttpReply) -> None:
    result, _ = markets(lambda _: response([]), {f"/markets/{TRUMP}": reply})
    assert isinstance(result, ReadCompleted)
    assert found(result) == ()
    assert result.certificate.verdict is Verdict.PARTIAL
    assert "look-up failed" in result.certificate.reason


def test_a_listing_that_ignored_its_filter_adds_nothing() -> None:
    result, _ = markets(lambda _: response([gamma_row(conditionId="0xother"), gamma_row()]))
    assert [market.condition_id for market in found(result)] == [TRUMP]


@pytest.mark.req("L-29")
def test_many_ids_are_asked_for_in_portions_and_each_once() -> None:
    ids = tuple(f"0x{n}" for n in range(120))
    read = ReadMarkets(wallet="main", condition_ids=(*ids, *ids[:5]))
    _, played = markets(lambda _: response([]), read=read)
    listed = [r for r in played.rounds[0] if dict(r.params)["closed"] == "false"]
    assert [sum(name == "condition_ids" for name, _ in r.params) for r in listed] == [50, 50, 20]


@pytest.mark.req("R-16")
def test_a_rejected_market_is_counted_and_the_clob_asked_instead() -> None:
    result, _ = markets(lambda _: response([gamma_row(version="v9")]), {f"/markets/{TRUMP}": response(ELECTION)})
    assert isinstance(result, ReadCompleted)
    assert [market.condition_id for market in found(result)] == [TRUMP]
    assert (result.certificate.verdict, result.certificate.rejected_rows) == (Verdict.PARTIAL, 2)


def test_nothing_asked_for_needs_no_request() -> None:
    result, played = markets(lambda _: response([]), read=ReadMarkets(wallet="main"))
    assert (found(result), played.rounds) == ((), [])


@pytest.mark.req("S-11")
def test_gamma_down_is_a_failure() -> None:
    result, _ = markets(lambda _: failure(FailureKind.UNREACHABLE))
    assert isinstance(result, ReadFailed)
    assert result.kind is FailureKind.UNREACHABLE
