"""Labels of a wallet's transactions: made once, by the tokens that are known, and in parts where they are many."""

from __future__ import annotations

from typing import Any

import pytest

from actors import following
from actors.following import LogsFollowed
from actors.labels import Labels
from actors.told import PART
from messages.following import ChainFollowed
from portfolio.chain import ChainTransaction, ChangeKind, OrderFilled, TokenTransfer
from portfolio.events import ChainSeen
from portfolio.facts import MarketMeta, Side, TokenMeta
from portfolio.labelling_book import TokenBook

WALLET, STRANGER, EXCHANGE = "0xa1", "0xb2", "0xe0"
BOOK = TokenBook(exchanges=frozenset({EXCHANGE}))


def meta(condition_id: str) -> MarketMeta:
    tokens = tuple(
        TokenMeta(token_id=f"{condition_id}-{name}", outcome=name, outcome_index=index, contract="0xctf")
        for index, name in enumerate(("yes", "no"))
    )
    return MarketMeta(
        condition_id=condition_id,
        question_id=condition_id,
        title="",
        slug="",
        version="v1",
        tokens=tokens,
        neg_risk_claimed=False,
        neg_risk_derived=False,
        neg_risk_market_id=None,
        question_index=None,
        closed=False,
        fee_rate_micro=None,
        fee_exponent=None,
    )


def bought(number: int, condition_id: str = "0xc1", *, complete: bool = False, filled: bool = True) -> ChainTransaction:
    """A purchase of YES, or shares from a stranger."""
    token = f"{condition_id}-yes"
    moved: dict[str, Any] = {"contract": "0xctf", "operator": EXCHANGE, "token_id": token, "shares_micro": 7}
    order = OrderFilled(
        log_index=2,
        contract=EXCHANGE,
        order_id=f"0xo{number}",
        maker=WALLET,
        taker=STRANGER,
        side=Side.BUY,
        token_id=token,
        maker_amount_micro=3,
        taker_amount_micro=7,
        fee_micro=0,
    )
    sender = EXCHANGE if filled else STRANGER
    return ChainTransaction(
        transaction_hash=f"0x{number}",
        block_number=number,
        block_hash=f"0xb{number}",
        block_time_ms=0,
        logs=(TokenTransfer(log_index=1, sender=sender, receiver=WALLET, **moved), *((order,) if filled else ())),
        complete=complete,
    )


@pytest.mark.req("X-01")
def test_a_transaction_is_labelled_once_and_anew_when_tokens_are_learned() -> None:
    labels = Labels(WALLET, BOOK)
    labels.learn([meta("0xc1")])
    first = labels.of(bought(1))
    assert [change.condition_id for change in first if change.kind is ChangeKind.FILL] == ["0xc1"]
    assert labels.of(bought(1)) is first
    labels.learn([meta("0xc1")])
    assert labels.of(bought(1)) is first
    labels.learn([meta("0xc2")])
    assert labels.of(bought(1)) is not first
    assert labels.of(bought(1)) == first


@pytest.mark.req("X-01")
def test_what_cannot_be_told_has_no_label_and_is_not_among_those_that_have() -> None:
    labels = Labels(WALLET, BOOK)
    labels.learn([meta("0xc1")])
    partial = bought(2, filled=False)
    known = labels.of(bought(1))
    assert labels.of(partial) == ()
    assert labels.among([bought(1), partial]) == {"0x1": known}
    labels.keep([partial])
    assert labels.among([bought(1), partial]) == {}


@pytest.mark.req("X-01", "L-17")
def test_tokens_of_no_known_market_are_named_and_only_the_wallets() -> None:
    labels = Labels(WALLET, BOOK)
    labels.learn([meta("0xc1")])
    assert labels.unplaced(bought(1)) == set()
    assert labels.unplaced(bought(1, "0xc9")) == {"0xc9-yes"}
    assert Labels(STRANGER, BOOK).unplaced(bought(1, "0xc9")) == set()


def followed(transactions: list[ChainTransaction]) -> tuple[LogsFollowed, ChainFollowed]:
    held = LogsFollowed(WALLET, BOOK, 0)
    held.learn([meta("0xc1"), meta("0xc2")])
    return held, ChainFollowed(wallet="main", transactions=tuple(transactions), dropped=(), final_block=0)


@pytest.mark.req("X-01", "S-25")
def test_a_long_absence_is_worked_out_in_parts_and_no_market_is_told_more_than_a_part_at_once() -> None:
    many = [bought(number, f"0xc{1 + number % 2}") for number in range(1, 5 * PART)]
    held, message = followed(many)
    assert sum(1 for _ in held.prepared(message)) == 4
    events = held.take(message).events
    assert [market_id for market_id, _ in events] == ["0xc1"] * 3 + ["0xc2"] * 3
    told = [[fact.transaction_hash for fact in event.facts] for _, event in events if isinstance(event, ChainSeen)]
    assert max(len(part) for part in told) == PART
    mine = [one.transaction_hash for one in many if one.block_number % 2 == 0]
    assert [*told[0], *told[1], *told[2]] == mine
    assert sum(len(part) for part in told) == len(many)


@pytest.mark.req("X-01")
def test_what_was_worked_out_before_is_what_would_be_worked_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held, message = followed([bought(number) for number in range(1, 4)])
    apart = held.take(message)
    held, _ = followed([])
    list(held.prepared(message))
    monkeypatch.setattr(following, "facts_of", lambda *_given: pytest.fail("it was worked out twice"))
    assert held.take(message) == apart


def received(number: int, *tokens: str) -> ChainTransaction:
    """Shares of these tokens from a stranger, by one transaction."""
    moved: dict[str, Any] = {"contract": "0xctf", "operator": STRANGER, "sender": STRANGER, "receiver": WALLET}
    logs = tuple(
        TokenTransfer(log_index=index, token_id=token_id, shares_micro=7, **moved)
        for index, token_id in enumerate(tokens)
    )
    return ChainTransaction(
        transaction_hash=f"0xt{number}",
        block_number=number,
        block_hash=f"0xb{number}",
        block_time_ms=number,
        logs=logs,
        complete=True,
    )


@pytest.mark.req("X-01", "L-14")
def test_what_follows_of_a_token_of_which_something_waits_is_left_to_the_cycle_too() -> None:
    followed = LogsFollowed(WALLET, BOOK, 0)
    followed.learn([meta("0xc1")])
    new = (received(1, "0xc1-yes", "strange"), received(2, "0xc1-yes"), received(3, "0xc1-no"))
    handed = followed.take(ChainFollowed(wallet="main", transactions=new, dropped=(), final_block=0))
    told = [fact.transaction_hash for _, event in handed.events if isinstance(event, ChainSeen) for fact in event.facts]
    assert (told, handed.unknown) == (["0xt3"], ("strange",))
    later = ChainFollowed(wallet="main", transactions=(received(4, "0xc1-yes"),), dropped=(), final_block=0)
    assert followed.take(later).events == ()
