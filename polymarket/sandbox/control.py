"""Client of the sandbox's control port, for tests and for the demo: books, actions, faults, time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import requests

from polymarket.sandbox.actions import AnyAction, Mine
from polymarket.sandbox.faults import FaultSpec

_TIMEOUT_S = 10


class SandboxControlError(Exception):
    """The control port refused, with the reason it gave."""


class PlayedFault(msgspec.Struct, kw_only=True):
    """A fault as the sandbox plays it; ``hits`` counts the requests, events or connections that it changed."""

    id: int
    target: str
    kind: str
    path: str
    hits: int
    active: bool


class WorldTime(msgspec.Struct, kw_only=True):
    """The world's time, and where its chain stands."""

    now_ms: int
    paused: bool
    head: int
    finalized: int


class SandboxControl:
    """What a test or a demo can do to a running sandbox."""

    def __init__(self, control_url: str) -> None:
        self._url = control_url
        self._session = requests.Session()

    def books(self) -> dict[str, Any]:
        """The oracle: positions, cash, live orders, trades, operations, markets."""
        return dict(self._call("GET", "/books"))

    def tokens(self) -> dict[str, int]:
        """Shares (1e-6) by token id, as of the latest block."""
        return dict(self.books()["tokens"])

    def cash(self) -> dict[str, int]:
        """Cash (1e-6) by bucket: ``pusd``, ``usdc_e``, ``wcol``."""
        return dict(self.books()["cash"])

    def act(self, action: AnyAction) -> dict[str, Any]:
        """Let something happen; returns the ids that it made. Raises :class:`SandboxControlError`."""
        return dict(self._call("POST", "/actions", action))

    def mine(self, blocks: int = 1) -> int:
        """Produce blocks at once; returns the head's number."""
        return int(self.act(Mine(blocks=blocks))["head"])

    def add_fault(self, spec: FaultSpec) -> PlayedFault:
        """Begin to play a fault."""
        return msgspec.convert(self._call("POST", "/faults", spec), PlayedFault)

    def faults(self) -> list[PlayedFault]:
        """Every fault since the last clearing, with its hits."""
        return msgspec.convert(self._call("GET", "/faults"), list[PlayedFault])

    def hits(self, fault: PlayedFault) -> int:
        """How many requests, events or connections a fault has changed by now."""
        return next(known.hits for known in self.faults() if known.id == fault.id)

    def clear_faults(self) -> list[PlayedFault]:
        """End all faults; returns them with their final hits."""
        return msgspec.convert(self._call("DELETE", "/faults"), list[PlayedFault])

    @contextmanager
    def playing(self, spec: FaultSpec) -> Iterator[PlayedFault]:
        """Play a fault within a block; all faults end after it."""
        fault = self.add_fault(spec)
        try:
            yield fault
        finally:
            self.clear_faults()

    def time(self) -> WorldTime:
        """The world's time."""
        return msgspec.convert(self._call("GET", "/time"), WorldTime)

    def pause(self) -> WorldTime:
        """Stop the world's time: from now on only :meth:`advance` moves it."""
        return msgspec.convert(self._call("POST", "/time", {"pause": True}), WorldTime)

    def resume(self) -> WorldTime:
        """Let the world's time run again."""
        return msgspec.convert(self._call("POST", "/time", {"pause": False}), WorldTime)

    def advance(self, ms: int) -> WorldTime:
        """Move the world's time forward, producing the blocks that fall due."""
        return msgspec.convert(self._call("POST", "/advance", {"ms": ms}), WorldTime)

    def claim_neg_risk(self, market: str, *, neg_risk: bool) -> list[str]:
        """Let Gamma and CLOB claim so of a market (condition id) or event (neg-risk id); the conditions changed."""
        by_event = {"neg_risk_market_id": market, "neg_risk": neg_risk}
        by_market = {"condition_id": market, "neg_risk": neg_risk}
        is_event = any(row["neg_risk_market_id"] == market.lower() for row in self.books()["markets"])
        return list(self._call("POST", "/metadata", by_event if is_event else by_market)["changed"])

    def reseed(self, seed: int, **options: int | bool) -> dict[str, Any]:
        """Begin anew with another seed (markets, positions, orders, activity, block_time_ms too if given)."""
        return dict(self._call("POST", "/seed", {"seed": seed, **options}))

    def settings(self, **settings: int) -> None:
        """Change ``page_size``, ``data_lag_blocks``, ``latency_ms``, ``first_frame_ms`` or ``logs_range_blocks``."""
        self._call("POST", "/settings", settings)

    def requests(self) -> dict[str, int]:
        """How often each path was asked, by method and rule (JSON-RPC as one)."""
        return dict(self._call("GET", "/requests"))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else msgspec.json.encode(body)
        response = self._session.request(method, self._url + path, data=content, timeout=_TIMEOUT_S)
        document = msgspec.json.decode(response.content)
        if response.status_code != requests.codes.ok:
            raise SandboxControlError(f"{method} {path}: {document.get('error', response.status_code)}")
        return document
