"""Causes told from the shape of a change and the cash beside it; what the cash does not confirm stays unnamed."""

from __future__ import annotations

from typing import Any

import pytest

from portfolio.causes import Change, Wallet, changes_of, infer
from portfolio.comparison import TokenExam
from portfolio.entries import Cause
from portfolio.facts import Payout
from portfolio.views import CauseHint
from tests.unit.portfolio.markets import EVENT

EVENT_YES = {EVENT: ((0, "y0"), (1, "y1"), (2, "y2"))}


def change(token: str, shares: int, **given: Any) -> Change:
    values: dict[str, Any] = {
        "token_id": token,
        "condition_id": "0xc0",
        "outcome_index": 1 if token.startswith("n") else 0,
        "question_index": None,
        "market_id": "0xc0",
        "shares_micro": shares,
    }
    return Change(**(values | given))


def leg_of_event(token: str, shares: int) -> Change:
    index = int(token[1:])
    return change(token, shares, condition_id=f"0xc{index}", question_index=index, market_id=EVENT)


def told(changes: list[Change], cash: int, **given: Any) -> list[tuple[Cause, int]]:
    return [(hint.cause, hint.cash_micro) for hint in hints(changes, cash, **given)]


def hints(changes: list[Change], cash: int, **given: Any) -> tuple[CauseHint, ...]:
    values: dict[str, Any] = {"cash_micro": cash, "block_number": 7, "payouts": {}, "yes_tokens": EVENT_YES}
    return infer(changes, Wallet(**(values | given)))


@pytest.mark.req("L-14")
def test_only_exams_with_a_difference_are_changes() -> None:
    def exam(token: str, difference: int) -> TokenExam:
        return TokenExam(
            token_id=token,
            condition_id="0xc0",
            outcome_index=0,
            question_index=3,
            balance_micro=0,
            difference_micro=difference,
        )

    (found,) = changes_of("m", [exam("a", 0), exam("b", -4)])
    assert (found.token_id, found.shares_micro, found.market_id, found.question_index) == ("b", -4, "m", 3)


@pytest.mark.req("L-14")
@pytest.mark.parametrize(
    ("changes", "cash", "expected"),
    [
        ({"yes": -5, "no": -5}, 5, [(Cause.POSITION_MERGED, 5)]),
        ({"yes": 5, "no": 5}, -5, [(Cause.POSITION_SPLIT, -5)]),
        ({"yes": -5}, 3, [(Cause.EXTERNAL_SALE, 3)]),
        ({"yes": 5}, -4, [(Cause.EXTERNAL_BUY, -4)]),
        ({"yes": 5}, 0, [(Cause.TRANSFER_IN, 0)]),
        ({"yes": -5}, 0, [(Cause.TRANSFER_OUT, 0)]),
        ({"yes": 5, "no": -3}, 0, [(Cause.TRANSFER_OUT, 0), (Cause.TRANSFER_IN, 0)]),
        ({"yes": -5, "no": -3}, 3, [(Cause.POSITION_MERGED, 3), (Cause.TRANSFER_OUT, 0)]),
    ],
)
def test_the_cash_names_the_cause(changes: dict[str, int], cash: int, expected: list[tuple[Cause, int]]) -> None:
    found = told([change(token, shares) for token, shares in changes.items()], cash)
    assert sorted(found) == sorted(expected)


@pytest.mark.req("L-14")
@pytest.mark.parametrize(
    ("changes", "cash"),
    [
        ({"yes": -5, "no": -5}, 4),
        ({"yes": -5}, 6),
        ({"yes": -5}, -1),
        ({"yes": 5}, 1),
        ({"yes": 5, "no": -3}, 1),
    ],
)
def test_what_the_cash_does_not_confirm_has_no_cause(changes: dict[str, int], cash: int) -> None:
    assert told([change(token, shares) for token, shares in changes.items()], cash) == []


@pytest.mark.req("L-14")
def test_no_change_has_no_cause() -> None:
    assert hints([], 0) == ()
    assert hints([], 5) == ()


@pytest.mark.req("L-14")
@pytest.mark.parametrize("sign", [1, -1])
def test_a_merge_and_a_sale_of_the_rest_are_told_together(sign: int) -> None:
    found = hints([change("no", -3), change("yes", -5)], 3 + sign)
    if sign < 0:
        assert found == ()
        return
    assert [(hint.cause, hint.legs, hint.cash_micro) for hint in found] == [
        (Cause.POSITION_MERGED, (("yes", -3), ("no", -3)), 3),
        (Cause.EXTERNAL_SALE, (("yes", -2),), 1),
    ]
    assert {hint.evidence for hint in found} == {"inferred from balances and cash at block 7"}


@pytest.mark.req("L-14", "R-13")
def test_a_redemption_is_told_by_the_payout_and_its_cash() -> None:
    payouts = {"0xc0": Payout(condition_id="0xc0", numerators=(1, 0), denominator=1)}
    found = told([change("yes", -5), change("no", -3)], 5, payouts=payouts)
    assert found == [(Cause.REDEEMED, 5), (Cause.REDEEMED, 0)]
    assert told([change("yes", -5)], 4, payouts=payouts) == []


@pytest.mark.req("R-13")
def test_a_redemption_pays_the_floored_share_of_a_split_payout() -> None:
    payouts = {"0xc0": Payout(condition_id="0xc0", numerators=(1, 1), denominator=2)}
    assert told([change("yes", -5)], 2, payouts=payouts) == [(Cause.REDEEMED, 2)]


@pytest.mark.req("L-14")
def test_an_increase_in_a_resolved_market_is_no_redemption() -> None:
    payouts = {"0xc0": Payout(condition_id="0xc0", numerators=(1, 0), denominator=1)}
    assert told([change("yes", 5)], 0, payouts=payouts) == [(Cause.TRANSFER_IN, 0)]


@pytest.mark.req("L-14", "R-13")
def test_a_conversion_is_told_by_its_complement_and_pays_all_but_one_of_its_no() -> None:
    one = hints([leg_of_event("n0", -4), leg_of_event("y1", 4), leg_of_event("y2", 4)], 0)
    assert [(hint.cause, hint.cash_micro) for hint in one] == [(Cause.CONVERTED, 0)]
    assert one[0].legs == (("n0", -4), ("y1", 4), ("y2", 4))
    two = told([leg_of_event("n0", -4), leg_of_event("n1", -4), leg_of_event("y2", 4)], 4)
    assert two == [(Cause.CONVERTED, 4)]


@pytest.mark.req("L-14")
@pytest.mark.parametrize(
    "changes",
    [
        [leg_of_event("n0", -4), leg_of_event("y1", 4)],
        [leg_of_event("n0", -4), leg_of_event("y1", 4), leg_of_event("y2", 5)],
        [leg_of_event("n0", -4), leg_of_event("y1", 4), leg_of_event("y2", 4), leg_of_event("y0", -1)],
    ],
)
def test_a_change_that_is_not_a_whole_conversion_is_none(changes: list[Change]) -> None:
    assert Cause.CONVERTED not in dict(told(changes, 0))


@pytest.mark.req("L-14")
def test_a_lone_no_of_an_event_with_one_known_question_was_sold_and_not_converted() -> None:
    known = {EVENT: ((0, "y0"),)}
    assert told([leg_of_event("n0", -4)], 3, yes_tokens=known) == [(Cause.EXTERNAL_SALE, 3)]


@pytest.mark.req("L-14", "L-15")
@pytest.mark.parametrize(
    ("mark", "price", "believed"),
    [
        (400_000, 199_999, False),
        (400_000, 200_000, True),
        (400_000, 800_000, True),
        (400_000, 800_001, False),
        (10_000, 60_000, True),
        (10_000, 60_001, False),
        (60_000, 10_000, True),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_trade_is_told_only_at_a_price_that_the_mark_makes_believable(
    mark: int, price: int, believed: bool, sign: int
) -> None:
    found = told([change("yes", sign * 1_000_000)], -sign * price, marks={"yes": mark})
    cause = Cause.EXTERNAL_BUY if sign > 0 else Cause.EXTERNAL_SALE
    assert found == ([(cause, -sign * price)] if believed else [])


@pytest.mark.req("L-14")
def test_changes_in_several_markets_share_the_wallets_cash() -> None:
    merged = [change("yes", -5), change("no", -5)]
    sold = change("z", -4, condition_id="0xc9", market_id="0xc9")
    assert told([*merged, sold], 7) == [(Cause.POSITION_MERGED, 5), (Cause.EXTERNAL_SALE, 2)]
