"""How the exchange settles a match on the chain: who sends what to whom, and what it says of it (R-19, R-20).

A taker who meets only orders of the other side of its own token trades with their makers directly (COMPLEMENTARY).
Otherwise everything goes over the exchange, which mints complete sets for buyers of both outcomes (MINT), or merges
those of sellers (MERGE), by the adapter beneath it. One OrderFilled tells of each maker order, and one of the taker's
order, which names the exchange as its taker; OrdersMatched ends it.
"""

from __future__ import annotations

from polymarket.sandbox import addresses
from polymarket.sandbox.books import leg_cash, taker_cash
from polymarket.sandbox.chain import Chain, RevertedError
from polymarket.sandbox.contracts import adapter_of, merge_by, split_by
from polymarket.sandbox.logs import FEE_CHARGED, ORDER_FILLED, ORDERS_MATCHED, Event, Log, Value
from polymarket.sandbox.markets import Market
from polymarket.sandbox.tokens import Way, coin_balance, send_coin, send_shares
from polymarket.sandbox.trading import BUY, Leg, Trade

PUSD = addresses.PUSD
_NO_BUILDER = _NO_METADATA = "0x" + "00" * 32


def exchange_of(market: Market) -> str:
    """The exchange that settles the matches of a market."""
    if market.version == "v2":
        return addresses.EXCHANGE_V3
    return addresses.NEG_RISK_EXCHANGE if market.neg_risk else addresses.EXCHANGE


def settle(chain: Chain, market: Market, trade: Trade, *, fail: bool = False) -> None:
    """The body of a settlement; reverts where somebody lacks something, where it does not add up, or with ``fail``."""
    if fail:
        raise RevertedError("the settlement transaction reverted")
    run = _Settlement(chain, market, trade)
    if all(leg.side != trade.side for leg in trade.legs):
        run.hand_over()
    else:
        run.exchange_all()


class _Settlement:
    """One match on its way through the exchange."""

    def __init__(self, chain: Chain, market: Market, trade: Trade) -> None:
        self._chain = chain
        self._market = market
        self._trade = trade
        self._exchange = exchange_of(market)
        self._taker = trade.taker.address
        self._buys = trade.side == BUY
        self._cash = abs(taker_cash(trade))

    def hand_over(self) -> None:
        """Shares go from seller to buyer; cash too where the taker pays it, else over the exchange."""
        fee, taker = self._trade.taker_fee, self._taker
        for leg in self._trade.legs:
            maker, cash = leg.party.address, abs(leg_cash(leg))
            if self._buys:
                self._send_shares(maker, taker, leg.token, leg.size)
                send_coin(self._chain, PUSD, taker, maker, cash)
            else:
                self._send_shares(taker, maker, leg.token, leg.size)
                send_coin(self._chain, PUSD, maker, self._exchange, cash)
            self._tell_of_maker(leg)
        self._tell_of_fee(fee)
        if not self._buys:
            send_coin(self._chain, PUSD, self._exchange, taker, self._cash - fee)
        self._tell_of_taker()
        self._pay_fee(taker if self._buys else self._exchange, fee)

    def exchange_all(self) -> None:
        """Everybody gives to the exchange, it makes or takes apart complete sets, and everybody is given."""
        trade, fee = self._trade, self._trade.taker_fee
        self._collect(self._taker, trade.token, trade.size, self._cash + fee if self._buys else None)
        for leg in trade.legs:
            self._collect(leg.party.address, leg.token, leg.size, leg_cash(leg) if leg.side == BUY else None)
        adapter = adapter_of(self._market, exchange=True)
        sets = sum(leg.size for leg in trade.legs if leg.side == trade.side)
        make_sets = split_by if self._buys else merge_by
        make_sets(self._chain, adapter, self._exchange, self._market, sets)
        for leg in trade.legs:
            self._give(leg.party.address, leg.token, leg.size, -leg_cash(leg) if leg.side != BUY else None)
            self._tell_of_maker(leg)
        if self._buys:
            self._tell_of_fee(fee)
            self._pay_fee(self._exchange, fee)
            self._send_shares(self._exchange, self._taker, trade.token, trade.size)
            self._tell_of_taker()
        else:
            send_coin(self._chain, PUSD, self._exchange, self._taker, self._cash - fee)
            self._tell_of_fee(fee)
            self._tell_of_taker()
            self._pay_fee(self._exchange, fee)
        self._require_nothing_left()

    def _tell_of_taker(self) -> None:
        """The fill of the taker's order, and the match as a whole."""
        trade = self._trade
        filled = _filled(trade.side, self._cash, trade.size)
        fill = (trade.taker_order_id, self._taker, self._exchange, _side(trade.side), int(trade.token), *filled)
        self._say(ORDER_FILLED, *fill, trade.taker_fee, _NO_BUILDER, _NO_METADATA)
        self._say(ORDERS_MATCHED, trade.taker_order_id, self._taker, _side(trade.side), int(trade.token), *filled)

    def _tell_of_maker(self, leg: Leg) -> None:
        filled = _filled(leg.side, abs(leg_cash(leg)), leg.size)
        fill = (leg.order_id, leg.party.address, self._taker, _side(leg.side), int(leg.token), *filled)
        self._say(ORDER_FILLED, *fill, 0, _NO_BUILDER, _NO_METADATA)

    def _tell_of_fee(self, fee: int) -> None:
        if fee > 0:
            self._say(FEE_CHARGED, addresses.FEE_RECEIVER, fee)

    def _pay_fee(self, payer: str, fee: int) -> None:
        if fee > 0:
            send_coin(self._chain, PUSD, payer, addresses.FEE_RECEIVER, fee)

    def _collect(self, party: str, token: str, size: int, cash: int | None) -> None:
        """The exchange takes what a party gives: its cash, or where it pays none its shares."""
        if cash is None:
            self._send_shares(party, self._exchange, token, size)
        else:
            send_coin(self._chain, PUSD, party, self._exchange, cash)

    def _give(self, party: str, token: str, size: int, cash: int | None) -> None:
        """The exchange gives what a party gets: its cash, or where it gets none its shares."""
        if cash is None:
            self._send_shares(self._exchange, party, token, size)
        else:
            send_coin(self._chain, PUSD, self._exchange, party, cash)

    def _send_shares(self, sender: str, recipient: str, token: str, size: int) -> None:
        way = Way(self._market.token_contract, self._exchange, sender, recipient)
        send_shares(self._chain, way, token, size)

    def _say(self, kind: Event, *values: Value) -> None:
        self._chain.emit(Log(self._exchange, kind, *values))

    def _require_nothing_left(self) -> None:
        left = coin_balance(self._chain, PUSD, self._exchange)
        if left:
            raise RevertedError(f"a match left {left} of pUSD with the exchange; its legs must add up")


def _filled(side: str, cash: int, size: int) -> tuple[int, int]:
    """What an order gave and what it got: cash and shares of a BUY, shares and cash of a SELL."""
    return (cash, size) if side == BUY else (size, cash)


def _side(side: str) -> int:
    return 0 if side == BUY else 1
