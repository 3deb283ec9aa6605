"""The world: exchange, chain and markets under one clock that its caller holds (D-07, X-07).

``advance(now_ms)`` produces every block that is due; each block takes the transactions waiting for it, so a match
settles in the next block. Same seed, same calls, same world. No clock, no I/O, no accounting of the service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from polymarket.sandbox import addresses, contracts
from polymarket.sandbox.books import (
    PUSD,
    USDC_E,
    WCOL,
    Books,
    Operation,
    fills_of,
    leg_cash,
    taker_cash,
    trade_operation,
)
from polymarket.sandbox.chain import COIN, Chain, RevertedError, Transaction
from polymarket.sandbox.contracts import Payment
from polymarket.sandbox.exchange import Exchange
from polymarket.sandbox.feed import Feed
from polymarket.sandbox.markets import Directory, Market
from polymarket.sandbox.names import Names
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.published import Published
from polymarket.sandbox.trading import (
    BUY,
    CONFIRMED,
    FAILED,
    MATCHED,
    MINED,
    RETRYING,
    SELL,
    Order,
    OrderTerms,
    Party,
    Settlement,
    Trade,
)

LONGEST_LEAP = 5_000
_FIRST_BLOCK = 80_000_000
_MS_PER_S = 1000
_TARGETS = {
    "DEPOSIT": addresses.PUSD,
    "SPLIT": addresses.CTF_ADAPTER,
    "MERGE": addresses.CTF_ADAPTER,
    "REDEEM": addresses.CTF_ADAPTER,
    "CONVERSION": addresses.NEG_RISK_CTF_ADAPTER,
    "TRANSFER": addresses.CONDITIONAL_TOKENS,
    "RESOLUTION": addresses.ORACLE,
}


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """The wallet under test: funder and signer, its strategy's API key, and another key of the same wallet."""

    address: str
    signer_address: str
    private_key: str
    signature_type: int
    strategy: Party
    other: Party


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A transaction on its way into the next block. ``apply`` changes the chain and says what it did to the wallet."""

    transaction: Transaction
    apply: Callable[[int, int], Operation | None]


class World:
    """Everything there is. Built empty; ``genesis.populate`` gives it markets, traders and the wallet's history."""

    def __init__(self, options: WorldOptions, now_ms: int) -> None:
        self.options = options
        self.names = Names(options.seed)
        self.chain = Chain(_FIRST_BLOCK)
        self.directory = Directory()
        self.books = Books()
        self.published = Published()
        self.wallet = _new_wallet(self.names)
        limited = frozenset({self.wallet.address})
        self.feed = Feed(self.names, limited, lambda: self.now_ms)
        self.exchange = Exchange(self.chain, self.directory, self.names, limited, self.feed)
        self.traders = tuple(_new_party(self.names, "trader") for _ in range(5))
        self.makers = tuple(_new_party(self.names, "maker") for _ in range(3))
        self.now_ms = now_ms
        self.refused: dict[str, str] = {}
        self.after_block: Callable[[World], None] | None = None
        self._waiting: list[Submission] = []
        self._unconfirmed: list[Trade] = []
        self._next_block_ms = now_ms

    def advance(self, now_ms: int) -> int:
        """Produce every block due until ``now_ms``; returns how many. Time never goes back.

        After a leap of more than :data:`LONGEST_LEAP` blocks (a suspended machine) only the last of them are produced:
        the chain then has a gap in its time, never in its numbers.
        """
        produced = 0
        due = (now_ms - self._next_block_ms) // self.options.block_time_ms
        self._next_block_ms += max(0, due - LONGEST_LEAP) * self.options.block_time_ms
        while self._next_block_ms <= now_ms:
            self._produce(self._next_block_ms)
            self._next_block_ms += self.options.block_time_ms
            produced += 1
        self.now_ms = max(self.now_ms, now_ms)
        return produced

    def mine(self, blocks: int = 1) -> None:
        """Produce blocks at once, at the present time."""
        for _ in range(blocks):
            self._produce(self.now_ms)

    def submit(self, kind: str, apply: Callable[[int, int], Operation | None]) -> str:
        """Send a transaction; the next block takes it. Returns its hash."""
        sent = Transaction(
            hash=self.names.hash32("transaction"), sender=self.wallet.signer_address.lower(), target=_TARGETS[kind]
        )
        self._waiting.append(Submission(transaction=sent, apply=apply))
        return sent.hash

    def place(
        self, party: Party, terms: OrderTerms, order_id: str = "", settlement: Settlement | None = None
    ) -> tuple[Order, Trade | None]:
        """Place an order now. Raises ``OrderRefusedError`` with the exchange's text."""
        return self.exchange.place(party, terms, self.now_ms, order_id, settlement)

    def finalized(self) -> int:
        """Number of the finalized block."""
        return max(self.chain.first_number, self.chain.head.number - self.options.finality_blocks)

    def balance(self, market: Market, token: str, at: int | None = None) -> int:
        """The wallet's shares of a token after block ``at``, or after the latest one."""
        block = self.chain.head.number if at is None else at
        return self.chain.balance(market.token_contract, self.wallet.address, int(token), block)

    def cash(self, at: int | None = None) -> dict[str, int]:
        """The wallet's cash by bucket after block ``at``, or after the latest one, as the chain has it."""
        block = self.chain.head.number if at is None else at
        coins = {PUSD: addresses.PUSD, USDC_E: addresses.USDC_E, WCOL: addresses.WCOL}
        return {name: self.chain.balance(coin, self.wallet.address, COIN, block) for name, coin in coins.items()}

    def parties(self) -> dict[str, Party]:
        """Everybody who trades, by API key."""
        everybody = (self.wallet.strategy, self.wallet.other, *self.traders, *self.makers)
        return {party.owner: party for party in everybody}

    def _produce(self, at_ms: int) -> None:
        """Build one block: what waits, then the matches, then confirmations, expiries and whoever acts after it."""
        self.now_ms = max(self.now_ms, at_ms)
        number = self.chain.building
        waiting, self._waiting = self._waiting, []
        for submission in waiting:
            self._include(submission, number)
        for trade in list(self.exchange.unsettled.values()):
            self._progress(trade, number)
        self.chain.seal(self.now_ms // _MS_PER_S)
        self._confirm(number)
        self.exchange.expire(self.now_ms)
        if self.after_block is not None:
            self.after_block(self)

    def _include(self, submission: Submission, number: int) -> None:
        sent = submission.transaction
        try:
            with self.chain.transaction(sent):
                operation = submission.apply(number, self.now_ms)
        except RevertedError as error:
            self.chain.revert(sent)
            self.refused[sent.hash] = str(error)
            return
        if operation is not None:
            self._record(operation)

    def _progress(self, trade: Trade, number: int) -> None:
        """Bring an unsettled match one block further, as its settlement says."""
        plan = trade.settlement
        if plan.delay_blocks > 0:
            plan.delay_blocks -= 1
        elif plan.retries > 0:
            plan.retries -= 1
            sent = self._send(trade)
            trade.transaction_hash = sent.hash
            if not plan.dropped:
                self.chain.revert(sent)
            self._become(trade, RETRYING)
        elif not plan.stuck:
            del self.exchange.unsettled[trade.trade_id]
            self._settle(trade, number)

    def _send(self, trade: Trade) -> Transaction:
        """The next transaction of a match: the one that was announced with the match, after that each a new one."""
        announced = trade.transaction_hash if trade.status == MATCHED else ""
        neg_risk = self.directory.by_token[trade.token].neg_risk
        return Transaction(
            hash=announced or self.names.hash32("transaction"),
            sender=addresses.SETTLEMENT_OPERATOR,
            target=addresses.NEG_RISK_EXCHANGE if neg_risk else addresses.EXCHANGE,
        )

    def _settle(self, trade: Trade, number: int) -> None:
        """The last transaction of a match: MINED, or FAILED where it is to fail or somebody could not deliver."""
        sent, plan = self._send(trade), trade.settlement
        market = self.directory.by_token[trade.token]
        try:
            with self.chain.transaction(sent):
                self._fund_others(trade)
                contracts.settle(self.chain, market, payments_of(trade), fail=plan.fail)
        except RevertedError as error:
            if not plan.dropped:
                trade.transaction_hash = sent.hash
                self.chain.revert(sent)
            trade.error = str(error)
            self._become(trade, FAILED)
            return
        trade.block, trade.transaction_hash = number, sent.hash
        self._become(trade, MINED)
        self._unconfirmed.append(trade)
        if self.wallet.address in trade.parties:
            self._record(trade_operation(trade, self.wallet.address, number, self.now_ms))

    def _become(self, trade: Trade, status: str) -> None:
        trade.status, trade.updated_ms = status, self.now_ms
        self.feed.trade(trade)

    def _record(self, operation: Operation) -> None:
        self.books.record(operation)
        self.published.record(operation, self.directory)

    def _confirm(self, head: int) -> None:
        deep = [trade for trade in self._unconfirmed if (trade.block or head) <= head - self.options.confirm_blocks]
        for trade in deep:
            self._become(trade, CONFIRMED)
        self._unconfirmed = [trade for trade in self._unconfirmed if trade.status != CONFIRMED]

    def _fund_others(self, trade: Trade) -> None:
        """Everybody but the wallet has enough money: what they lack comes in by a deposit, shares by a split."""
        market = self.directory.by_token[trade.token]
        payments = [payment for payment in payments_of(trade) if payment.holder != self.wallet.address]
        for holder, token in dict.fromkeys((payment.holder, payment.token) for payment in payments):
            given = -sum(p.shares for p in payments if (p.holder, p.token) == (holder, token))
            lacking = given - self.chain.balance(market.token_contract, holder, int(token))
            if lacking > 0:
                contracts.deposit(self.chain, holder, lacking)
                contracts.split(self.chain, holder, market, lacking)
        for holder in dict.fromkeys(payment.holder for payment in payments):
            paid = sum(max(p.cash + p.fee, 0) for p in payments if p.holder == holder)
            lacking = paid - self.chain.balance(addresses.PUSD, holder)
            if lacking > 0:
                contracts.deposit(self.chain, holder, lacking)


def payments_of(trade: Trade) -> list[Payment]:
    """What each party of a match gives and takes: every maker leg, and the taker over all of them."""
    found = [
        Payment(
            holder=leg.party.address,
            token=leg.token,
            shares=leg.size if leg.side == BUY else -leg.size,
            cash=leg_cash(leg),
        )
        for leg in trade.legs
    ]
    taker = Payment(
        holder=trade.taker.address,
        token=trade.token,
        shares=trade.size if trade.side == BUY else -trade.size,
        cash=taker_cash(trade),
        fee=trade.taker_fee,
    )
    return [*found, taker]


def in_flight(world: World, token: str) -> int:
    """Shares of the wallet that are matched but in no block yet: bought (+) or sold (−)."""
    fills = [fill for trade in world.exchange.unsettled.values() for fill in fills_of(trade, world.wallet.address)]
    return sum(fill.shares for fill in fills if fill.token == token)


def other_side(side: str) -> str:
    """SELL for BUY and the reverse."""
    return SELL if side == BUY else BUY


def _new_party(names: Names, purpose: str) -> Party:
    return Party(owner=names.uuid(f"{purpose} key"), address=names.address(purpose))


def _new_wallet(names: Names) -> Wallet:
    key = names.private_key("signer")
    address = names.address("wallet")
    return Wallet(
        address=address,
        signer_address=key.public_key.to_checksum_address(),
        private_key="0x" + key.to_bytes().hex(),
        signature_type=2,
        strategy=Party(owner=names.uuid("strategy key"), address=address),
        other=Party(owner=names.uuid("other key"), address=address),
    )
