"""The worked examples of docs/explanation are computed: each row of a table gives what the row says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from portfolio.causes import Change, Wallet, infer
from portfolio.comparison import TokenExam, examine
from portfolio.facts import Payout
from portfolio.units import MICRO
from portfolio.views import TokenImage, UnprovenFill
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs" / "explanation" / "how-reconciliation-decides.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"[+−]?\d+(?:\.\d+)?")
NOW_MS = 1_000_000
WINDOW_MS = 30_000


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose heading begins so."""
    lines = PAGE[PAGE.index(f"| {heading} ") :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def micro(text: str) -> int:
    whole, _, decimals = text.replace("−", "-").partition(".")
    sign = -1 if whole.startswith("-") else 1
    return int(whole) * MICRO + sign * int(decimals.ljust(6, "0") or 0)


def amounts(text: str) -> list[int]:
    return [micro(number) for number in NUMBER.findall(text)]


def exam_of(books: str, balance: str) -> TokenExam:
    """Examine ``proven 100, in flight +20`` or ``proven 100, confirmed +20 a minute ago``."""
    proven, *fills = amounts(books)
    confirmed = "confirmed" in books
    unproven = tuple(
        UnprovenFill(
            trade_id=f"trade {number}",
            order_id="order",
            shares_micro=shares,
            cash_micro=0,
            confirmed=confirmed,
            matched_at_ms=NOW_MS - (2 * WINDOW_MS if confirmed else 0),
        )
        for number, shares in enumerate(fills)
    )
    token = TokenImage(
        token_id="yes",
        condition_id="condition",
        contract="contract",
        outcome_index=0,
        question_index=None,
        shares_micro=proven + sum(fills),
        settled_micro=proven + (sum(fills) if confirmed else 0),
        proven_micro=proven,
        cost_basis_micro=0,
        unproven=unproven,
        pending=False,
    )
    return examine(token, micro(balance), NOW_MS, WINDOW_MS)


@pytest.mark.req("R-05", "X-02")
@pytest.mark.parametrize(("books", "balance", "verdict"), rows("books"))
def test_a_balance_agrees_or_differs_as_explained(books: str, balance: str, verdict: str) -> None:
    exam = exam_of(books, balance)
    expected = amounts(verdict.partition(" unexplained")[0])[0] if "unexplained" in verdict else 0
    assert exam.difference_micro == expected
    assert bool(exam.explained) == ("proves" in verdict or "only the sale" in verdict)


def changes_of(yes: str, no: str) -> Iterator[Change]:
    for index, text in enumerate((yes.partition(",")[0], no)):
        for shares in amounts(text):
            yield Change(
                token_id=("yes", "no")[index],
                condition_id="condition",
                outcome_index=index,
                question_index=None,
                market_id="condition",
                shares_micro=shares,
            )


@pytest.mark.req("L-14", "L-15")
@pytest.mark.parametrize(("yes", "no", "cash", "causes", "entry"), rows("YES"))
def test_a_change_has_the_cause_that_the_cash_confirms(yes: str, no: str, cash: str, causes: str, entry: str) -> None:
    resolved = {"condition": Payout(condition_id="condition", numerators=(1, 0), denominator=1)}
    wallet = Wallet(
        cash_micro=micro(cash), block_number=1, payouts=resolved if "resolved" in yes else {}, yes_tokens={}
    )
    hints = infer(tuple(changes_of(yes, no)), wallet)
    expected = [name for name in re.findall(r"`([A-Z_]+)`", causes) if not name.startswith("UNTRACKED")]
    assert [hint.cause.value for hint in hints] == expected, entry
    price = re.search(r"at (0\.\d+)", f"{causes} {entry}")
    if price is not None:
        shares = abs(hints[-1].legs[0][1])
        assert abs(hints[-1].cash_micro) * MICRO == shares * micro(price[1])
