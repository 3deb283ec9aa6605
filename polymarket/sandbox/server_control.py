"""The control port: the books as oracle, actions, faults, time, and a world begun anew. No real service has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import AnyAction
from polymarket.sandbox.application import play
from polymarket.sandbox.books import Operation
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.markets import Market
from polymarket.sandbox.server_channel import UserChannel
from polymarket.sandbox.server_faults import Fault
from polymarket.sandbox.server_request import Answer, answer, request
from polymarket.sandbox.server_rows import order_row, trade_row
from polymarket.sandbox.server_state import Route, Sandbox
from polymarket.sandbox.trading import OrderRefusedError
from polymarket.sandbox.world import in_flight


class TimeCommand(msgspec.Struct, forbid_unknown_fields=True):
    """``pause`` stops the world's time, so that only ``advance`` moves it; False lets it run again."""

    pause: bool


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    """Move the world's time forward."""

    ms: int


class Metadata(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What Gamma and CLOB say of a market, or of all questions of a neg-risk event, whatever the truth is."""

    neg_risk: bool
    condition_id: str = ""
    neg_risk_market_id: str = ""


class Reseed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Begin anew; what is not given stays as it was."""

    seed: int
    markets: int | None = None
    positions: int | None = None
    orders: int | None = None
    activity: bool | None = None
    block_time_ms: int | None = None


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the server answers; what is not given stays as it is."""

    page_size: int | None = None
    data_lag_blocks: int | None = None
    latency_ms: int | None = None
    first_frame_ms: int | None = None
    logs_range_blocks: int | None = None


class ControlApi:
    """Views of the control port."""

    def __init__(self, sandbox: Sandbox, channel: UserChannel, set_latency: Callable[[int], None]) -> None:
        self._sandbox = sandbox
        self._channel = channel
        self._set_latency = set_latency

    def routes(self) -> list[Route]:
        """Every path."""
        return [
            ("GET", "/books", self._books),
            ("POST", "/actions", self._reading(AnyAction, lambda action: act(self._sandbox.world, action))),
            ("GET", "/faults", lambda: answer(self._faults())),
            ("POST", "/faults", self._reading(FaultSpec, self._add_fault)),
            ("DELETE", "/faults", self._clear_faults),
            ("GET", "/time", lambda: answer(self._time())),
            ("POST", "/time", self._reading(TimeCommand, self._pause)),
            ("POST", "/advance", self._reading(Advance, self._advance)),
            ("POST", "/seed", self._reading(Reseed, self._reseed)),
            ("POST", "/metadata", self._reading(Metadata, self._claim)),
            ("POST", "/settings", self._reading(Settings, self._settings)),
            ("GET", "/requests", lambda: answer(dict(self._sandbox.requests))),
        ]

    def _reading(self, kind: Any, run: Callable[[Any], Any]) -> Callable[[], Answer]:
        """A view that reads a body of that kind and answers with the result."""

        def view() -> Answer:
            try:
                return answer(run(msgspec.json.decode(request().body, type=kind)))
            except (msgspec.MsgspecError, OrderRefusedError, ValueError) as error:
                return answer({"error": str(error)}, 400)

        return view

    def _books(self) -> Answer:
        world = self._sandbox.world
        address, head = world.wallet.address, world.chain.head
        return answer(
            {
                "block": {"number": head.number, "hash": head.hash, "timestamp_s": head.timestamp_s},
                "finalized": world.finalized(),
                "now_ms": self._sandbox.clock.now_ms(),
                "cash": world.books.cash,
                "tokens": world.books.tokens,
                "positions": self._positions(),
                "consistent": self._consistent(),
                "orders": [order_row(order) for order in world.exchange.live_orders(address)],
                "trades": [trade_row(trade, address) for trade in world.exchange.trades_of(address)],
                "operations": [_operation_row(operation) for operation in world.books.operations],
                "refused": world.refused,
                "markets": [_market_row(market) for market in world.directory.markets],
            }
        )

    def _positions(self) -> list[dict[str, Any]]:
        """Every token that the wallet has or is about to have, by the chain and by the open matches."""
        world = self._sandbox.world
        rows = []
        for market in world.directory.markets:
            for token in market.tokens:
                settled, pending = world.balance(market, token), in_flight(world, token)
                if settled or pending:
                    rows.append(
                        {
                            "condition_id": market.condition_id,
                            "token_id": token,
                            "outcome": market.outcome_of(token),
                            "contract": market.token_contract,
                            "settled_micro": settled,
                            "in_flight_micro": pending,
                            "price_micro": market.price_of(token),
                        }
                    )
        return rows

    def _consistent(self) -> bool:
        """Whether the books and the chain agree on every token and on the cash."""
        world = self._sandbox.world
        tokens = {row["token_id"]: row["settled_micro"] for row in self._positions() if row["settled_micro"]}
        return tokens == world.books.tokens and world.cash() == world.books.cash

    def _add_fault(self, spec: FaultSpec) -> dict[str, Any]:
        fault = play(self._sandbox, spec)
        self._channel.meet_faults()
        return self._fault_row(fault)

    def _clear_faults(self) -> Answer:
        rows = self._faults()
        self._sandbox.board.clear()
        return answer(rows)

    def _faults(self) -> list[dict[str, Any]]:
        return [self._fault_row(fault) for fault in self._sandbox.board.faults]

    def _fault_row(self, fault: Fault) -> dict[str, Any]:
        return {
            "id": fault.fault_id,
            "target": fault.spec.target,
            "kind": fault.spec.kind,
            "path": fault.spec.path,
            "hits": fault.hits,
            "active": not self._sandbox.board.is_over(fault),
        }

    def _time(self) -> dict[str, Any]:
        world = self._sandbox.world
        return {
            "now_ms": self._sandbox.clock.now_ms(),
            "paused": self._sandbox.clock.paused,
            "head": world.chain.head.number,
            "finalized": world.finalized(),
        }

    def _pause(self, command: TimeCommand) -> dict[str, Any]:
        if command.pause:
            self._sandbox.clock.pause()
        else:
            self._sandbox.clock.resume()
        self._sandbox.present()
        return self._time()

    def _advance(self, command: Advance) -> dict[str, Any]:
        if command.ms < 0:
            raise OrderRefusedError(f"ms was {command.ms}; time moves forward only")
        self._sandbox.clock.step(command.ms)
        self._sandbox.present()
        return self._time()

    def _reseed(self, command: Reseed) -> dict[str, Any]:
        given = {name: value for name, value in msgspec.structs.asdict(command).items() if value is not None}
        self._sandbox.reset(self._sandbox.world.options.changed(given))
        self._sandbox.board.clear()
        return self._sandbox.describe()

    def _claim(self, command: Metadata) -> dict[str, Any]:
        wanted = {command.condition_id.lower(), command.neg_risk_market_id.lower()} - {""}
        changed = [
            market
            for market in self._sandbox.world.directory.markets
            if not wanted.isdisjoint({market.condition_id, market.neg_risk_market_id})
        ]
        if not changed:
            raise OrderRefusedError("no market has that condition_id or neg_risk_market_id; see /control/books")
        for market in changed:
            market.claimed_neg_risk = command.neg_risk
        return {"changed": [market.condition_id for market in changed]}

    def _settings(self, command: Settings) -> dict[str, Any]:
        if command.page_size is not None:
            self._sandbox.page_size = max(1, command.page_size)
        if command.data_lag_blocks is not None:
            self._sandbox.data_lag_blocks = max(0, command.data_lag_blocks)
        if command.latency_ms is not None:
            self._set_latency(max(0, command.latency_ms))
        if command.first_frame_ms is not None:
            self._sandbox.first_frame_ms = max(0, command.first_frame_ms)
        if command.logs_range_blocks is not None:
            self._sandbox.logs_range_blocks = max(1, command.logs_range_blocks)
        return {"page_size": self._sandbox.page_size, "data_lag_blocks": self._sandbox.data_lag_blocks}


def _operation_row(operation: Operation) -> dict[str, Any]:
    return {
        "kind": operation.kind,
        "at_ms": operation.at_ms,
        "block": operation.block,
        "transaction_hash": operation.transaction_hash,
        "condition_id": operation.condition_id,
        "trade_id": operation.trade_id,
        "tokens": operation.tokens,
        "cash": operation.cash,
        "fee_micro": sum(fill.fee for fill in operation.fills),
        "details": operation.details,
    }


def _market_row(market: Market) -> dict[str, Any]:
    return {
        "condition_id": market.condition_id,
        "question": market.question,
        "version": market.version,
        "contract": market.token_contract,
        "tokens": market.tokens,
        "outcomes": market.outcomes,
        "neg_risk": market.neg_risk,
        "neg_risk_claimed": market.claimed_neg_risk,
        "neg_risk_market_id": market.neg_risk_market_id,
        "question_index": market.question_index,
        "price_micro": market.mid,
        "fee_rate_micro": market.fee_rate,
        "payouts": market.payouts,
    }
