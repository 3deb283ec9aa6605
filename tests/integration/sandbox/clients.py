"""A client of the user channel as a strategy would write it, on websocket-client."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

import msgspec
import websocket

from polymarket.payloads import parse_order, parse_trade
from polymarket.sandbox.process import SandboxProcess
from portfolio.facts import OpenOrder, Trade
from tests.integration.sandbox.conftest import TIMEOUT_S

Event = dict[str, Any]


class StreamClient:
    """One connection. After ``subscribe`` it is told; ``frames`` are what has come by now, without waiting for more."""

    def __init__(self, process: SandboxProcess) -> None:
        self._info = process.info
        self.socket: Any = websocket.create_connection(process.info["user_ws_url"], timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close(timeout=0)
        self.socket.shutdown()

    def say(self, frame: Any) -> None:
        """Send a frame: a text as it is, anything else as JSON."""
        self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def subscribe(self, who: str = "wallet", **more: Any) -> Self:
        """Say who this is; on return the channel has taken it in, which it does not say by itself."""
        self.say(first_frame(self._info, who, **more))
        assert self.frames() == []
        return self

    def frames(self) -> list[Any]:
        """Every frame that was on its way: what was sent before a PING comes before its PONG."""
        self.say("PING")
        return [json.loads(text) for text in iter(self.socket.recv, "PONG")]

    def events(self) -> list[Event]:
        """The events of those frames."""
        return [event for frame in self.frames() for event in (frame if isinstance(frame, list) else [frame])]

    def next_text(self) -> str:
        """The next frame, whenever it comes (within the client's time-out)."""
        return str(self.socket.recv())

    def ended(self) -> bool:
        """Whether the channel has hung up without a word."""
        try:
            said = self.socket.recv()
        except websocket.WebSocketConnectionClosedException:
            return True
        raise AssertionError(f"expected the end of the connection, was {said!r}")


def first_frame(info: dict[str, Any], who: str = "wallet", **more: Any) -> Event:
    """The first frame of a client of the strategy's API key, or of ``other_client``."""
    keys = info[who]
    auth = {"apiKey": keys["api_key"], "secret": keys["api_secret"], "passphrase": keys["api_passphrase"]}
    return {"auth": auth, "type": "user", **more}


def order_of(event: Event) -> OpenOrder:
    """The order in an event, as the service's own parser reads it."""
    parsed = parse_order(msgspec.Raw(json.dumps(event).encode()))
    assert isinstance(parsed, OpenOrder), parsed
    return parsed


def trade_of(event: Event) -> Trade:
    """The trade in an event, as the service's own parser reads it."""
    parsed = parse_trade(msgspec.Raw(json.dumps(event).encode()))
    assert isinstance(parsed, Trade), parsed
    return parsed


def orders(events: list[Event]) -> list[tuple[str, str, str]]:
    """Of each ``order`` event the kind, the status and the size matched; each of them must be readable."""
    found = [event for event in events if event["event_type"] == "order"]
    assert all(order_of(event).order_id == event["id"] for event in found)
    return [(event["type"], event["status"], event["size_matched"]) for event in found]


def statuses(events: list[Event]) -> list[str]:
    """The status in each ``trade`` event; each of them must be readable."""
    return [str(trade_of(event).status) for event in events if event["event_type"] == "trade"]
