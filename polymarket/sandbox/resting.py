"""The orders that rest in the books, by token and side and by address, the oldest first."""

from __future__ import annotations

from collections.abc import Callable

from polymarket.sandbox.trading import Order


class RestingOrders:
    """Every live order."""

    def __init__(self) -> None:
        self._by_token: dict[str, dict[str, dict[str, Order]]] = {}
        self._by_address: dict[str, dict[str, Order]] = {}

    def add(self, order: Order) -> None:
        """An order comes to rest."""
        book = self._by_token.setdefault(order.terms.token, {}).setdefault(order.terms.side, {})
        book[order.order_id] = order
        self._by_address.setdefault(order.party.address, {})[order.order_id] = order

    def remove(self, order: Order) -> None:
        """An order ends; one that does not rest is no error."""
        self._by_token.get(order.terms.token, {}).get(order.terms.side, {}).pop(order.order_id, None)
        self._by_address.get(order.party.address, {}).pop(order.order_id, None)

    def of_token(self, token: str, side: str) -> list[Order]:
        """Orders of a token and side."""
        return list(self._by_token.get(token, {}).get(side, {}).values())

    def of_address(self, address: str) -> list[Order]:
        """Orders of everybody who trades for that address."""
        return list(self._by_address.get(address, {}).values())

    def where(self, wanted: Callable[[Order], bool]) -> list[Order]:
        """Every order that is wanted."""
        books = (book for sides in self._by_token.values() for book in sides.values())
        return [order for book in books for order in book.values() if wanted(order)]
