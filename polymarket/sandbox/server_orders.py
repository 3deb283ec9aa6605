"""The exchange's REST API, writing: placing and cancelling orders as the official SDK sends them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from polymarket.sandbox import addresses
from polymarket.sandbox.amounts import ONE
from polymarket.sandbox.markets import Market
from polymarket.sandbox.server_auth import order_hash, recover
from polymarket.sandbox.server_clob import signed
from polymarket.sandbox.server_request import Answer, answer, request
from polymarket.sandbox.server_state import Route, Sandbox
from polymarket.sandbox.trading import BUY, FAK, FOK, KILLED, Order, OrderRefusedError, OrderTerms, Party

_ROUNDING = 200
_NOT_FILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."


class ClobWrites:
    """Views that place and cancel."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Every writing path."""
        views = [
            ("POST", "/order", self._place_one),
            ("POST", "/orders", self._place_many),
            ("DELETE", "/order", self._cancel_one),
            ("DELETE", "/orders", self._cancel_many),
            ("DELETE", "/cancel-all", self._cancel_all),
            ("DELETE", "/cancel-market-orders", self._cancel_market),
        ]
        return [(method, path, signed(self._sandbox, view)) for method, path, view in views]

    def _place_one(self, party: Party) -> Answer:
        try:
            return answer(self._place(party, _body(dict)))
        except OrderRefusedError as error:
            return answer({"error": str(error)}, 400)

    def _place_many(self, party: Party) -> Answer:
        results = []
        for payload in _body(list):
            try:
                results.append(self._place(party, payload))
            except OrderRefusedError as error:
                results.append({"success": True, "orderID": "", "errorMsg": str(error), "status": ""})
        return answer(results)

    def _place(self, party: Party, payload: dict[str, Any]) -> dict[str, Any]:
        try:
            order, owner = payload["order"], payload["owner"]
            market = self._sandbox.world.directory.by_token[str(order["tokenId"])]
            order_id = self._verified(order, market)
            terms = _terms(payload, market)
        except (KeyError, ValueError, TypeError) as error:
            raise OrderRefusedError(f"Invalid order payload: {type(error).__name__} in it") from None
        if owner != party.owner:
            raise OrderRefusedError("the order owner has to be the owner of the API KEY")
        placed, trade = self._sandbox.world.place(party, terms, order_id)
        if placed.status == KILLED:
            raise OrderRefusedError(_NOT_FILLED)
        making, taking = str(order["makerAmount"]), str(order["takerAmount"])
        return {
            "errorMsg": "",
            "orderID": placed.order_id,
            "takingAmount": taking if trade else "",
            "makingAmount": making if trade else "",
            "status": "matched" if trade else "live",
            "success": True,
            "tradeIDs": [] if trade is None else [trade.trade_id],
        }

    def _verified(self, order: dict[str, Any], market: Market) -> str:
        """The order's id, if it is signed for the wallet by its signer."""
        wallet = self._sandbox.world.wallet
        exchange = addresses.NEG_RISK_EXCHANGE if market.claimed_neg_risk else addresses.EXCHANGE
        digest = order_hash(order, exchange=exchange)
        if order["maker"].lower() != wallet.address or order["signer"].lower() != wallet.signer_address.lower():
            raise OrderRefusedError("the order signer address has to be the address of the API KEY")
        if recover(digest, str(order["signature"])) != wallet.signer_address.lower():
            raise OrderRefusedError("invalid signature")
        return "0x" + digest.hex()

    def _cancel_one(self, party: Party) -> Answer:
        return self._cancel(party, [str(_body(dict).get("orderID", ""))])

    def _cancel_many(self, party: Party) -> Answer:
        return self._cancel(party, [str(order_id) for order_id in _body(list)])

    def _cancel_all(self, party: Party) -> Answer:
        return self._cancel(party, [order.order_id for order in self._mine(party)])

    def _cancel_market(self, party: Party) -> Answer:
        wanted = _body(dict)
        market, token = wanted.get("market"), wanted.get("asset_id")
        mine = [o for o in self._mine(party) if market in {None, o.condition_id} and token in {None, o.terms.token}]
        return self._cancel(party, [order.order_id for order in mine])

    def _mine(self, party: Party) -> Iterable[Order]:
        orders = self._sandbox.world.exchange.live_orders(party.address)
        return [order for order in orders if order.party.owner == party.owner]

    def _cancel(self, party: Party, order_ids: list[str]) -> Answer:
        canceled: list[str] = []
        refused: dict[str, str] = {}
        exchange = self._sandbox.world.exchange
        for order_id in order_ids:
            known = exchange.orders.get(order_id)
            if known is None or not known.live or known.party.address != party.address:
                refused[order_id] = "order can't be found - already canceled or matched"
                continue
            exchange.cancel(order_id)
            canceled.append(order_id)
        return answer({"canceled": canceled, "not_canceled": refused})


def _terms(payload: dict[str, Any], market: Market) -> OrderTerms:
    """What the signed amounts mean: shares, and a price that the SDK had to round into them."""
    order = payload["order"]
    making, taking = int(order["makerAmount"]), int(order["takerAmount"])
    cash, shares = (making, taking) if order["side"] == BUY else (taking, making)
    price = (cash * ONE * 2 + shares) // (2 * shares) if shares > 0 else 0
    nearest = (price + market.tick // 2) // market.tick * market.tick
    taker_only = payload["orderType"] in {FOK, FAK}
    return OrderTerms(
        token=str(order["tokenId"]),
        side=order["side"],
        price=nearest if taker_only or abs(price - nearest) <= _ROUNDING else price,
        size=shares,
        order_type=payload["orderType"],
        expires_s=int(order.get("expiration") or 0),
        post_only=bool(payload.get("postOnly")),
    )


def _body(kind: type[Any]) -> Any:
    """The request's JSON, if it is of that kind; else an empty one."""
    try:
        document = msgspec.json.decode(request().body)
    except msgspec.DecodeError:
        return kind()
    return document if isinstance(document, kind) else kind()
