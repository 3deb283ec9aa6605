"""Markets of the sandbox: standard binary ones, neg-risk events and Protocol V2 ones, with their true ids.

What metadata *claims* about a market can be set apart from the truth (``claimed_neg_risk``), for the recipe in which
Gamma and CLOB deny that a market is neg-risk.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from polymarket import position_ids
from polymarket.sandbox import addresses
from polymarket.sandbox.amounts import ONE

CENT = 10_000
_BINARY_MODULE = 1


@dataclass(kw_only=True)
class Market:
    """A binary market. Prices, sizes and the fee rate in 1e-6; ``mid`` is the mark of its first outcome."""

    market_id: str
    condition_id: str
    question_id: str
    question: str
    slug: str
    tokens: tuple[str, str]
    outcomes: tuple[str, str] = ("Yes", "No")
    version: str = "v1"
    token_contract: str = addresses.CONDITIONAL_TOKENS
    lock: str = addresses.USDC_E
    neg_risk_market_id: str | None = None
    question_index: int = 0
    claimed_neg_risk: bool = False
    tick: int = CENT
    minimum_size: int = 5 * ONE
    fee_rate: int = 0
    fee_exponent: int = 1
    mid: int = ONE // 2
    payouts: tuple[int, int] | None = None
    resolved_block: int | None = None
    resolved_ms: int = 0

    @property
    def neg_risk(self) -> bool:
        """Whether its tokens are neg-risk in truth."""
        return self.neg_risk_market_id is not None

    @property
    def closed(self) -> bool:
        """Whether it is resolved."""
        return self.payouts is not None

    def index_of(self, token: str) -> int:
        """0 for the first outcome's token, 1 for the second's."""
        return self.tokens.index(token)

    def opposite(self, token: str) -> str:
        """The other outcome's token."""
        return self.tokens[1 - self.index_of(token)]

    def outcome_of(self, token: str) -> str:
        """The outcome's name as shown."""
        return self.outcomes[self.index_of(token)]

    def price_of(self, token: str) -> int:
        """The token's mark: its payout once resolved, else the mid."""
        index = self.index_of(token)
        if self.payouts is not None:
            return ONE * self.payouts[index] // sum(self.payouts)
        return self.mid if index == 0 else ONE - self.mid


@dataclass(kw_only=True)
class Event:
    """What groups markets on the site; with a neg-risk id it is a neg-risk event."""

    event_id: str
    title: str
    slug: str
    neg_risk_market_id: str | None = None
    fee_bips: int = 0
    markets: list[Market] = field(default_factory=list)


class Directory:
    """All markets, found by condition, by token, and by event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.by_condition: dict[str, Market] = {}
        self.by_token: dict[str, Market] = {}
        self.by_neg_risk_id: dict[str, Event] = {}
        self.event_of: dict[str, Event] = {}

    @property
    def markets(self) -> list[Market]:
        """Every market in the order of creation."""
        return list(self.by_condition.values())

    def add(self, event: Event) -> Event:
        """Take in an event with its markets."""
        self.events.append(event)
        if event.neg_risk_market_id is not None:
            self.by_neg_risk_id[event.neg_risk_market_id] = event
        for market in event.markets:
            self.by_condition[market.condition_id] = market
            self.event_of[market.condition_id] = event
            for token in market.tokens:
                self.by_token[token] = market
        return event


def standard_market(number: int, question_id: str, mid: int) -> Market:
    """A standard binary market; its token ids hash bridged USDC (R-18)."""
    condition = position_ids.condition_id(addresses.ORACLE, question_id)
    return Market(
        market_id=str(500_000 + number),
        condition_id=condition,
        question_id=question_id,
        question=f"Will sandbox question {number} come true?",
        slug=f"sandbox-question-{number}",
        tokens=position_ids.token_ids(condition, addresses.USDC_E),
        mid=mid,
    )


def protocol_v2_market(number: int, question_id: str, mid: int) -> Market:
    """A Protocol V2 market: structured position ids, balances on the position manager (X-08)."""
    base = _BINARY_MODULE << 248 | (int(question_id, 16) >> 128) << 120
    market = standard_market(number, question_id, mid)
    market.version = "v2"
    market.token_contract = addresses.POSITION_MANAGER
    market.tokens = (str(base | number << 8), str(base | number << 8 | 1))
    return market


def neg_risk_event(number: int, mids: tuple[int, ...], fee_bips: int = 0) -> Event:
    """A neg-risk event with one question for each mid; its token ids hash wrapped collateral (R-18)."""
    metadata = f"sandbox event {number}".encode()
    market_id = position_ids.prepared_neg_risk_market_id(addresses.ORACLE, fee_bips, metadata)
    event = Event(
        event_id=str(30_000 + number),
        title=f"Who wins sandbox election {number}?",
        slug=f"sandbox-election-{number}",
        neg_risk_market_id=market_id,
        fee_bips=fee_bips,
    )
    event.markets = [_question(event, index, mid) for index, mid in enumerate(mids)]
    return event


def _question(event: Event, index: int, mid: int) -> Market:
    market_id = event.neg_risk_market_id or ""
    question = position_ids.neg_risk_question_id(market_id, index)
    condition = position_ids.condition_id(addresses.NEG_RISK_ADAPTER, question)
    return Market(
        market_id=str(int(event.event_id) * 1000 + index),
        condition_id=condition,
        question_id=question,
        question=f"Will candidate {chr(65 + index % 26)} win {event.slug}?",
        slug=f"{event.slug}-candidate-{index}",
        tokens=position_ids.token_ids(condition, addresses.WCOL),
        lock=addresses.WCOL,
        neg_risk_market_id=market_id,
        question_index=index,
        claimed_neg_risk=True,
        mid=mid,
    )
