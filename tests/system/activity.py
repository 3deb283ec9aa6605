"""A wallet that is never quiet: seeded things that happen in the sandbox until somebody says stop."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import gevent

from polymarket.sandbox.actions import (
    AnyAction,
    Cancel,
    Deposit,
    ExternalTrade,
    FillOrder,
    Merge,
    Place,
    Split,
    TransferIn,
    TransferOut,
)
from polymarket.sandbox.control import SandboxControl, SandboxControlError

_CENT = 10_000
_MOST_ORDERS = 14


class Activity:
    """Own orders rest, fill in parts and are cancelled; another client trades; shares are merged, split and moved.

    ``done`` counts what happened by kind. ``unlisted`` are trades that no list of the exchange ever shows.
    """

    def __init__(self, control: SandboxControl, seed: int, every_s: float) -> None:
        self._control = control
        self._random = random.Random(seed)
        self._every_s = every_s
        self.done: dict[str, int] = {}
        self.unlisted: set[str] = set()
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """No more; raises what went wrong, if anything did."""
        self._greenlet.kill(block=True)
        if self._greenlet.exception is not None:
            raise self._greenlet.exception

    def _run(self) -> None:
        while True:
            books = self._control.books()
            choose = self._random.choices(
                (self._fill, self._place, self._cancel, self._trade, self._pair, self._move),
                weights=(6, 5, 1, 3, 2, 3),
            )[0]
            action = choose(books)
            if action is not None:
                self._act(action)
            gevent.sleep(self._every_s * self._random.random() * 2)

    def _act(self, action: AnyAction) -> None:
        try:
            done = self._control.act(action)
        except SandboxControlError:
            return  # the wallet has not what it takes, or the order is gone: that happens to traders
        kind = type(action).__name__
        self.done[kind] = self.done.get(kind, 0) + 1
        if isinstance(action, ExternalTrade) and not action.listed:
            self.unlisted.add(done["trade_id"])

    def _fill(self, books: dict[str, Any]) -> AnyAction | None:
        if not books["orders"]:
            return None
        order = self._random.choice(books["orders"])
        return FillOrder(
            order_id=order["id"],
            size=self._size(1, 9),
            cross=self._random.random() < 0.3,
            delay_blocks=self._random.randrange(3),
            fail=self._random.random() < 0.1,
        )

    def _place(self, books: dict[str, Any]) -> AnyAction | None:
        if len(books["orders"]) >= _MOST_ORDERS:
            return None
        market = self._random.choice(books["markets"])
        price = max(1, market["price_micro"] // _CENT - self._random.randrange(3, 9))
        return Place(token_id=market["tokens"][0], side="BUY", price=_cents(price), size=self._size(20, 90))

    def _cancel(self, books: dict[str, Any]) -> AnyAction | None:
        return Cancel(order_id=self._random.choice(books["orders"])["id"]) if books["orders"] else None

    def _trade(self, books: dict[str, Any]) -> AnyAction:
        row = self._random.choice(books["positions"])
        return ExternalTrade(
            token_id=row["token_id"],
            side=self._random.choice(("BUY", "SELL")),
            size=self._size(1, 30),
            price=_cents(max(1, row["price_micro"] // _CENT)),
            role=self._random.choice(("TAKER", "MAKER")),
            listed=self._random.random() < 0.7,
            delay_blocks=self._random.randrange(3),
        )

    def _pair(self, books: dict[str, Any]) -> AnyAction:
        kinds: tuple[Callable[..., AnyAction], ...] = (Split, Merge)
        condition = self._random.choice(books["markets"])["condition_id"]
        return self._random.choice(kinds)(condition_id=condition, amount=self._size(1, 25))

    def _move(self, books: dict[str, Any]) -> AnyAction:
        if self._random.random() < 0.2:
            return Deposit(amount=self._size(5, 50))
        token = self._random.choice(books["positions"])["token_id"]
        kinds: tuple[Callable[..., AnyAction], ...] = (TransferIn, TransferOut)
        return self._random.choice(kinds)(token_id=token, amount=self._size(20, 80))

    def _size(self, least: int, most: int) -> str:
        return f"{self._random.randrange(least, most)}.{self._random.randrange(1_000_000):06d}"


def _cents(price: int) -> str:
    return f"0.{price:02d}"
