"""The exchange's REST API, reading: orders, trades, markets, prices, balances, time, API keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from polymarket.sandbox import addresses
from polymarket.sandbox.amounts import ONE, decimal_text
from polymarket.sandbox.depth import levels, midpoint
from polymarket.sandbox.markets import Market
from polymarket.sandbox.server_auth import UnauthorizedError, authenticate, authenticate_wallet
from polymarket.sandbox.server_faults import met
from polymarket.sandbox.server_pages import BadCursorError, clob_page
from polymarket.sandbox.server_request import Answer, answer, request
from polymarket.sandbox.server_rows import compact_row, market_row, order_row, trade_row
from polymarket.sandbox.server_state import Route, Sandbox
from polymarket.sandbox.trading import Party

_MARKET_PAGE = 1000
_ALLOWANCE = str(2**256 - 1)


class ClobReads:
    """Views that change nothing."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Every reading path."""
        public: list[tuple[str, Callable[..., Answer]]] = [
            ("/ok", lambda: answer("OK")),
            ("/time", lambda: answer(self._sandbox.clock.now_ms() // 1000)),
            ("/version", lambda: answer({"version": 2})),
            ("/markets", self._markets),
            ("/markets/<condition_id>", self._market),
            ("/markets-by-token/<token>", self._market_by_token),
            ("/clob-markets/<condition_id>", self._compact_market),
            ("/neg-risk", self._of_token(lambda market, _: {"neg_risk": market.claimed_neg_risk})),
            ("/tick-size", self._of_token(lambda market, _: {"minimum_tick_size": market.tick / ONE})),
            ("/fee-rate", self._of_token(lambda market, _: {"base_fee": 1000 if market.fee_rate else 0})),
            ("/midpoint", self._of_token(self._midpoint)),
            ("/book", self._of_token(self._book)),
            ("/auth/derive-api-key", self._derive_key),
        ]
        private: list[tuple[str, Callable[..., Answer]]] = [
            ("/data/orders", self._orders),
            ("/data/order/<order_id>", self._order),
            ("/data/trades", self._trades),
            ("/balance-allowance", self._balance),
            ("/balance-allowance/update", lambda _party: answer("")),
            ("/auth/api-keys", self._keys),
            ("/auth/ban-status/closed-only", lambda _party: answer({"closed_only": False})),
        ]
        routes = [("GET", path, view) for path, view in public]
        routes += [("GET", path, signed(self._sandbox, view)) for path, view in private]
        return [*routes, ("POST", "/auth/api-key", self._create_key)]

    def frozen(self) -> dict[str, Any]:
        """The wallet's lists as they are now; what a ``stale`` exchange goes on showing."""
        address = self._sandbox.world.wallet.address
        return {"orders": self._order_rows(address), "trades": self._trade_rows(address)}

    def _order_rows(self, address: str) -> list[dict[str, Any]]:
        return [order_row(order) for order in self._sandbox.world.exchange.live_orders(address)]

    def _trade_rows(self, address: str, after_s: int = 0, trade_id: str = "") -> list[dict[str, Any]]:
        trades = self._sandbox.world.exchange.trades_of(address, after_s)
        wanted = [trade for trade in trades if trade.listed and trade_id in {"", trade.trade_id}]
        return [trade_row(trade, address) for trade in reversed(wanted)]

    def _orders(self, party: Party) -> Answer:
        order_id = request().args.get("id")
        if order_id:
            known = self._sandbox.world.exchange.orders.get(order_id)
            rows = [order_row(known)] if known is not None and known.party.address == party.address else []
        else:
            stale = met("stale")
            if stale is None:
                rows = self._order_rows(party.address)
            else:
                stale.hit()
                rows = stale.frozen["orders"]
        return self._paged(_filtered(rows, {"market": "market", "asset_id": "asset_id"}))

    def _order(self, party: Party, order_id: str) -> Answer:
        stale = met("stale")
        if stale is not None:
            stale.hit()
            return answer(next((row for row in stale.frozen["orders"] if row["id"] == order_id), None))
        order = self._sandbox.world.exchange.orders.get(order_id)
        if order is None or order.party.address != party.address:
            return answer({"error": "order not found"}, 404)
        return answer(order_row(order))

    def _trades(self, party: Party) -> Answer:
        args, stale = request().args, met("stale")
        before, after = args.get("before"), args.get("after")
        if stale is None:
            rows = self._trade_rows(party.address, int(after or "0"), args.get("id", ""))
        else:
            stale.hit()
            rows = stale.frozen["trades"]
        rows = _filtered(rows, {"id": "id", "market": "market", "asset_id": "asset_id"})
        if before:
            rows = [row for row in rows if int(row["match_time"]) < int(before)]
        if after:
            rows = [row for row in rows if int(row["match_time"]) > int(after)]
        maker = args.get("maker_address")
        return self._paged([row for row in rows if not maker or _has_address(row, maker.lower())])

    def _paged(self, rows: list[dict[str, Any]]) -> Answer:
        try:
            return answer(clob_page(rows, request().args.get("next_cursor"), self._sandbox.page_size))
        except BadCursorError as error:
            return answer({"error": str(error)}, 400)

    def _markets(self) -> Answer:
        rows = [market_row(market) for market in self._sandbox.world.directory.markets]
        try:
            return answer(clob_page(rows, request().args.get("next_cursor"), _MARKET_PAGE))
        except BadCursorError as error:
            return answer({"error": str(error)}, 400)

    def _market(self, condition_id: str) -> Answer:
        market = self._sandbox.world.directory.by_condition.get(condition_id.lower())
        return answer({"error": "market not found"}, 404) if market is None else answer(market_row(market))

    def _market_by_token(self, token: str) -> Answer:
        market = self._sandbox.world.directory.by_token.get(token)
        if market is None:
            return answer({"error": "market not found"}, 404)
        first, second = market.tokens
        return answer({"condition_id": market.condition_id, "primary_token_id": first, "secondary_token_id": second})

    def _compact_market(self, condition_id: str) -> Answer:
        market = self._sandbox.world.directory.by_condition.get(condition_id.lower())
        return answer({"error": "market not found"}, 404) if market is None else answer(compact_row(market))

    def _of_token(self, make: Callable[[Market, str], dict[str, Any]]) -> Callable[[], Answer]:
        def view() -> Answer:
            token = request().args.get("token_id", "")
            market = self._sandbox.world.directory.by_token.get(token)
            if market is None:
                return answer({"error": "No orderbook exists for the requested token id"}, 404)
            return answer(make(market, token))

        return view

    def _midpoint(self, market: Market, token: str) -> dict[str, Any]:
        return {"mid": decimal_text(midpoint(self._sandbox.world.exchange, market, token))}

    def _book(self, market: Market, token: str) -> dict[str, Any]:
        bids, asks = levels(self._sandbox.world.exchange, market, token)
        return {
            "market": market.condition_id,
            "asset_id": token,
            "timestamp": str(self._sandbox.clock.now_ms()),
            "hash": self._sandbox.world.chain.head.hash[2:42],
            "bids": _levels(bids, descending=False),
            "asks": _levels(asks, descending=True),
            "min_order_size": decimal_text(market.minimum_size),
            "tick_size": decimal_text(market.tick),
            "neg_risk": market.claimed_neg_risk,
            "last_trade_price": decimal_text(market.price_of(token)),
        }

    def _balance(self, party: Party) -> Answer:
        chain, head = self._sandbox.world.chain, self._sandbox.world.chain.head.number
        if request().args.get("asset_type") == "COLLATERAL":
            balance = chain.balance(addresses.PUSD, party.address, at=head)
        else:
            token = request().args.get("token_id", "")
            market = self._sandbox.world.directory.by_token.get(token)
            if market is None:
                return answer({"error": "Invalid token id"}, 400)
            balance = chain.balance(market.token_contract, party.address, int(token), head)
        spenders = (addresses.EXCHANGE, addresses.NEG_RISK_EXCHANGE, addresses.NEG_RISK_ADAPTER)
        return answer({"balance": str(balance), "allowances": dict.fromkeys(spenders, _ALLOWANCE)})

    def _keys(self, _party: Party) -> Answer:
        return answer({"apiKeys": list(self._sandbox.credentials)})

    def _derive_key(self) -> Answer:
        try:
            nonce = authenticate_wallet(self._sandbox, request())
        except (UnauthorizedError, ValueError) as error:
            return answer({"error": str(error)}, 401)
        keys = list(self._sandbox.credentials.values())
        if nonce >= len(keys):
            return answer({"error": "Could not derive api key!"}, 400)
        key = keys[nonce]
        return answer({"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase})

    def _create_key(self) -> Answer:
        try:
            authenticate_wallet(self._sandbox, request())
        except (UnauthorizedError, ValueError) as error:
            return answer({"error": str(error)}, 401)
        return answer({"error": "Could not create api key"}, 400)


def signed(sandbox: Sandbox, view: Callable[..., Answer]) -> Callable[..., Answer]:
    """A view behind level 2 authentication; it is given who asks."""

    def checked(**arguments: str) -> Answer:
        present = request()
        try:
            party = authenticate(sandbox, present, present.path.removeprefix("/clob"))
        except UnauthorizedError as error:
            return answer({"error": str(error)}, 401)
        return view(party, **arguments)

    return checked


def _levels(levels: dict[int, int], *, descending: bool) -> list[dict[str, str]]:
    return [
        {"price": decimal_text(price), "size": decimal_text(levels[price])}
        for price in sorted(levels, reverse=descending)
    ]


def _filtered(rows: Iterable[dict[str, Any]], names: dict[str, str]) -> list[dict[str, Any]]:
    """Rows that equal every given query parameter; of a trade they look at the taker's order only."""
    args = request().args
    wanted = [(column, value) for name, column in names.items() if (value := args.get(name))]
    return [row for row in rows if all(row[column] == value for column, value in wanted)]


def _has_address(row: dict[str, Any], address: str) -> bool:
    makers = [row["maker_address"], *(leg["maker_address"] for leg in row["maker_orders"])]
    return address in {maker.lower() for maker in makers}
