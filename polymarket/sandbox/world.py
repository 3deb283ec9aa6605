"""The world: exchange, chain and markets under one clock that its caller holds (D-07, X-07).

``advance(now_ms)`` produces every block that is due; each block takes the transactions waiting for it, so a match
settles in the next block. Same seed, same calls, same world. No clock, no I/O, no accounting of the service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from polymarket.sandbox import addresses
from polymarket.sandbox.books import PUSD, USDC_E, WCOL, Books, Operation, fills_of
from polymarket.sandbox.chain import COIN, Chain, RevertedError, Transaction
from polymarket.sandbox.exchange import Exchange
from polymarket.sandbox.feed import Feed
from polymarket.sandbox.markets import Directory, Market
from polymarket.sandbox.names import Names
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.published import Published
from polymarket.sandbox.settling import Settlements
from polymarket.sandbox.trading import BUY, SELL, Order, OrderTerms, Party, Settlement, Trade

LONGEST_LEAP = 5_000
_FIRST_BLOCK = 80_000_000
_MS_PER_S = 1000


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


Inclusion = Submission | Trade | Transaction
"""What stands in a block: a submission, a settled match, or a match's transaction that reverted."""


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
        self.settlements = Settlements(self)
        self.included: list[tuple[int, Inclusion]] = []
        self.returning: dict[int, list[Submission | Transaction]] = {}
        self.returns_until = 0
        self._waiting: list[Submission] = []
        self._finalized = self.chain.first_number
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

    def submit(self, target: str, apply: Callable[[int, int], Operation | None], sender: str = "") -> str:
        """Send a transaction to a contract, from the wallet's signer unless said; the next block takes it. Its hash."""
        sent = Transaction(
            hash=self.names.hash32("transaction"), sender=sender or self.wallet.signer_address.lower(), target=target
        )
        self._waiting.append(Submission(transaction=sent, apply=apply))
        return sent.hash

    def place(
        self, party: Party, terms: OrderTerms, order_id: str = "", settlement: Settlement | None = None
    ) -> tuple[Order, Trade | None]:
        """Place an order now. Raises ``OrderRefusedError`` with the exchange's text."""
        return self.exchange.place(party, terms, self.now_ms, order_id, settlement)

    def finalized(self, head: int | None = None) -> int:
        """Number of the finalized block, which never goes back; of a node whose head is an older block, its own."""
        if head is None or head == self.chain.head.number:
            return self._finalized
        return max(self.chain.first_number, head - self.options.finality_blocks)

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

    def build(self, at_ms: int) -> None:
        """Build one block of that time: what comes back, what waits, then the matches, then confirmations.

        While a reorganisation's transactions come back, what was sent later waits behind the last of them.
        """
        number = self.chain.building
        for one in self.returning.pop(number, []):
            self._include(one, number, at_ms)
        if number > self.returns_until:
            waiting, self._waiting = self._waiting, []
            for submission in waiting:
                self._include(submission, number, at_ms)
        self.settlements.progress(number, at_ms)
        self.chain.seal(at_ms // _MS_PER_S)
        self._finalized = max(self._finalized, number - self.options.finality_blocks)
        self.included = [row for row in self.included if row[0] > self._finalized]
        self.settlements.confirm(number)

    def note(self, what: Inclusion, operation: Operation | None = None) -> None:
        """Something stands in the block being built; the operation is what it did to the wallet."""
        self.included.append((self.chain.building, what))
        if operation is not None:
            self.books.record(operation)
            self.published.record(operation, self.directory)

    def stand_reverted(self, sent: Transaction) -> None:
        """A match's transaction stands in the block being built and did nothing."""
        self.chain.revert(sent)
        self.note(sent)

    def _produce(self, at_ms: int) -> None:
        """One block, then expiries and whoever acts after it."""
        self.now_ms = max(self.now_ms, at_ms)
        self.build(self.now_ms)
        self.exchange.expire(self.now_ms)
        if self.after_block is not None:
            self.after_block(self)

    def _include(self, one: Submission | Transaction, number: int, at_ms: int) -> None:
        if isinstance(one, Transaction):
            self.stand_reverted(one)
            return
        sent = one.transaction
        operation = None
        try:
            with self.chain.transaction(sent):
                operation = one.apply(number, at_ms)
        except RevertedError as error:
            self.chain.revert(sent)
            self.refused[sent.hash] = str(error)
        self.note(one, operation)


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
