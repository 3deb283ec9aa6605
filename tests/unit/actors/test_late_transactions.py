"""Transactions that are told late: read behind a comparison, or waiting for what their tokens are (L-14, X-01)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from actors.following import Handed, LogsFollowed
from messages.following import ChainFollowed
from portfolio.chain import ChainTransaction
from portfolio.events import ChainSeen, MarketDefined
from portfolio.images import image_of
from portfolio.market import transition
from portfolio.state import MarketState
from portfolio.tail import DroppedBlock
from tests.unit.actors.test_followed_blocks import asked, pinned
from tests.unit.actors.test_labels import BOOK, WALLET, meta, received


def following(*known: str) -> LogsFollowed:
    followed = LogsFollowed(WALLET, BOOK, 0)
    followed.learn([meta(condition_id) for condition_id in known])
    return followed


def news(*new: ChainTransaction, dropped: Sequence[int] = (), final: int = 0) -> ChainFollowed:
    blocks = tuple(DroppedBlock(block_number=number, block_hash=f"0xb{number}") for number in dropped)
    return ChainFollowed(wallet="main", transactions=new, dropped=blocks, final_block=final)


def told(handed: Handed) -> list[tuple[str, bool]]:
    """Transactions of the facts, and whether a cycle's balances have them already."""
    facts = [fact for _, event in handed.events if isinstance(event, ChainSeen) for fact in event.facts]
    return sorted({(fact.transaction_hash, fact.kept) for fact in facts})


@pytest.mark.req("X-01", "L-14")
def test_what_waited_is_told_once_when_all_that_it_moved_is_known_unless_its_block_was_dropped() -> None:
    followed = following("0xc1")
    waiting = (received(1, "0xc1-yes", "0xc9-yes"), received(2, "0xc9-no"), received(3, "0xc1-yes"))
    assert told(followed.take(news(*waiting))) == []
    followed.learn([meta("0xc9")])
    assert told(followed.take(news(dropped=[2]))) == [("0xt1", False), ("0xt3", False)]
    assert told(followed.take(news())) == []


@pytest.mark.req("X-01", "L-14", "D-12")
def test_what_waits_is_kept_through_comparisons_with_what_moved_the_same_tokens_behind_it() -> None:
    followed = following("0xc1")
    running = pinned(9)
    asked(followed, running)
    followed.take(news(received(1, "0xc1-yes", "0xc9-yes"), received(3, "0xc1-yes"), received(4, "0xc1-no")))
    followed.planned(running, {})
    followed.complete(running)
    followed.compared(9, (), agreed=True)
    followed.learn([meta("0xc9")])
    assert told(followed.take(news())) == [("0xt1", True), ("0xt3", True)]


@pytest.mark.req("X-01", "L-14", "D-12")
def test_what_is_read_behind_a_comparison_is_told_too_though_its_block_is_final() -> None:
    followed = following("0xc1")
    running = pinned(5)
    asked(followed, running)
    followed.planned(running, {})
    late = news(received(3, "0xc1-yes"), received(6, "0xc1-no"), final=9)
    assert told(followed.take(late)) == [("0xt3", True), ("0xt6", False)]


@pytest.mark.req("X-01", "L-17")
def test_tokens_that_the_markets_have_are_known_before_their_metadata_comes_again() -> None:
    followed = following()
    state = MarketState(wallet="main", market_id="0xc1")
    state = transition(state, MarketDefined(metas=(meta("0xc1"),), question_count=None), 0).state
    running = pinned(1)
    running.images = {"0xc1": image_of(state)}
    asked(followed, running)
    handed = followed.take(news(received(2, "0xc1-yes"), received(3, "0xc9-yes")))
    assert (told(handed), handed.unknown) == ([("0xt2", False)], ("0xc9-yes",))
    learned = following("0xc1")
    assert msgspec.structs.replace(handed, unknown=()) == learned.take(news(received(2, "0xc1-yes")))
