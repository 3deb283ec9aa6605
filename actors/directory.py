"""Which market a condition belongs to, as the coordinator learns it from metadata (D-01); cached, refreshed hourly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from messages.addresses import Address, ingest_address, market_address
from messages.cycle import MarketsKnown
from messages.reads import ReadBalances
from portfolio.events import MarketDefined, MarketsRegistered
from portfolio.facts import ConditionTokens, MarketMeta, QuestionCount, TokenIdCheck
from portfolio.token_ids import stated_ids
from portfolio.views import MarketImage
from portfolio.wallet import DirectoryEntry

METADATA_REFRESH_MS = 3_600_000
"""Metadata is asked for again hourly, and by a forced cycle; never per market and cycle (S-02)."""

CHECKS_AT_ONCE = 100
"""Conditions whose token ids one cycle has checked; of many that are new, the rest waits for the next cycles."""

NEED_PREFIX = "need|"
"""Begins the correlation of a question about metadata that the ingest waits for, in a cycle or between two."""

Tell = Callable[[Address, object], None]
Ensure = Callable[[Address], None]
"""Starts a market's actor when nobody is at its address yet; wiring passes it in."""

Entries = Mapping[str, DirectoryEntry]


class Directory:
    """Metadata read in this life of the process, and who is told of it."""

    def __init__(self, wallet: str, tell: Tell, ensure: Ensure) -> None:
        self._wallet = wallet
        self._tell = tell
        self._ensure = ensure
        self._needs: dict[str, tuple[str, ...]] = {}
        self._numbers = itertools.count(1)
        self.read_at_ms: int | None = None
        self.metas: dict[str, MarketMeta] = {}
        self._unchecked: dict[str, ConditionTokens] = {}

    def due(self, now_ms: int, *, forced: bool) -> bool:
        """Whether all metadata is to be read again; notes that it is."""
        overdue = self.read_at_ms is None or now_ms - self.read_at_ms >= METADATA_REFRESH_MS
        if overdue or forced:
            self.read_at_ms = now_ms
        return overdue or forced

    def registration(self, entries: Entries, metas: Iterable[MarketMeta]) -> MarketsRegistered | None:
        """The event that registers conditions first seen; None when all are known."""
        new = tuple(
            (meta.condition_id, meta.market_id, tuple(token.token_id for token in meta.tokens))
            for meta in metas
            if meta.condition_id not in entries
        )
        return MarketsRegistered(entries=new) if new else None

    def hand_out(self, entries: Entries, metas: Sequence[MarketMeta]) -> None:
        """Tell each market its metadata, then the ingest where conditions belong.

        In this order: starting an actor lets others run, and a fill told to an address where nobody is yet is lost.
        """
        grouped: dict[str, list[MarketMeta]] = {}
        for meta in metas:
            self._note_ids(meta)
            self.metas[meta.condition_id] = meta
            grouped.setdefault(entries[meta.condition_id].market_id, []).append(meta)
        for market_id, found in grouped.items():
            address = market_address(self._wallet, market_id)
            self._ensure(address)
            self._tell(address, MarketDefined(metas=tuple(found)))
        known = tuple((meta.condition_id, entries[meta.condition_id].market_id) for meta in metas)
        self._tell(ingest_address(self._wallet), MarketsKnown(entries=known))

    def hand_out_counts(self, images: Mapping[str, MarketImage], counts: Iterable[QuestionCount]) -> None:
        """Tell neg-risk markets the chain's number of questions where theirs differs (R-06)."""
        for count in counts:
            image = images.get(count.neg_risk_market_id)
            if image is not None and image.question_count != count.count:
                address = market_address(self._wallet, count.neg_risk_market_id)
                self._tell(address, MarketDefined(metas=(), question_count=count.count))

    def _note_ids(self, meta: MarketMeta) -> None:
        """Have the contract check token ids once in a life of the process, and again where metadata changes them."""
        stated, before = stated_ids(meta), self.metas.get(meta.condition_id)
        if stated is not None and (before is None or stated_ids(before) != stated):
            self._unchecked[meta.condition_id] = stated

    def checking_ids(self, read: ReadBalances) -> ReadBalances:
        """The read, with the conditions whose token ids it is to check beside (R-18)."""
        stated = tuple(itertools.islice(self._unchecked.values(), CHECKS_AT_ONCE))
        return msgspec.structs.replace(read, token_ids_of=stated)

    def hand_out_checks(
        self, entries: Entries, images: Mapping[str, MarketImage], checks: Iterable[TokenIdCheck]
    ) -> tuple[str, ...]:
        """Tell markets what the contract says, where it is another thing than they know; returns what is unanswered."""
        news: dict[str, list[TokenIdCheck]] = {}
        unanswered = []
        for check in checks:
            asked = self._unchecked.get(check.condition_id)
            if asked is not None and asked.token_ids == check.stated:
                del self._unchecked[check.condition_id]
            if not check.computed:
                unanswered.append(check.condition_id)
                continue
            market_id = entries[check.condition_id].market_id
            known = {one.condition_id: one for one in images[market_id].contradicted} if market_id in images else {}
            if known.get(check.condition_id) != (check if check.contradicted else None):
                news.setdefault(market_id, []).append(check)
        for market_id, found in news.items():
            self._tell(market_address(self._wallet, market_id), MarketDefined(metas=(), token_ids=tuple(found)))
        return tuple(unanswered)

    def need(self, entries: Entries, condition_ids: Sequence[str]) -> str | None:
        """Note what the ingest waits for; names the question to ask for it, None where all is known already."""
        if all(condition in entries for condition in condition_ids):
            self._answer(entries, condition_ids)
            return None
        name = f"{NEED_PREFIX}{next(self._numbers)}"
        self._needs[name] = tuple(condition_ids)
        return name

    def answer_need(self, entries: Entries, name: str) -> None:
        """Tell the ingest what is known of what it waits for under that name, and what could not be had."""
        self._answer(entries, self._needs.pop(name, ()))

    def _answer(self, entries: Entries, condition_ids: Sequence[str]) -> None:
        found = tuple((condition, entries[condition].market_id) for condition in condition_ids if condition in entries)
        unresolved = tuple(condition for condition in condition_ids if condition not in entries)
        self._tell(ingest_address(self._wallet), MarketsKnown(entries=found, unresolved=unresolved))
