"""The whole story of a market: every change with what shows it, and whether they add up to what is stored (X-04, L-10).

The lines are told from the journal, in the order in which they were booked, and held against the tables: the positions
must be what the lines add up to, to the base unit, and every stored fill and adjustment must be the one that the
journal gives. Issues and pauses stand among the lines where they were noted; they change no numbers. Amounts are
integers of 1e-6, times ms UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import accumulate, chain
from typing import Any

import gevent
import msgspec

from messages.addresses import market_address
from messages.codec import CodecError, decode
from portfolio.facts import Source
from portfolio.market import transition
from portfolio.outcomes import AdjustmentRow, FillRow
from portfolio.story import NOTHING, Story, Teller, Totals
from portfolio.story_lines import Kind, Line, Proof
from portfolio.units import format_micro
from service import finding
from service.errors import ServiceError
from storage.queries import Queries, Record, ReportKind, Selection
from storage.queries_market import MarketRows

BREATHE_EVERY = 50
"""Journal entries after which a running process may do other work."""

CYCLES_LOOKED_AT = 100
"""For one that compared with the chain; where there is none, what the chain may still drop is told as such."""

_HELD = ("shares_micro", "settled_micro", "in_flight_micro", "cost_basis_micro", "realized_pnl_micro", "fees_micro")
_TOLD = Totals.__struct_fields__
_FILL_KEY = ("trade_id", "order_id")
_ADJUSTMENT_KEY = ("entry_id", "token_id")
_NUMBERS = (
    "token_id",
    "side",
    "state",
    "cause",
    "price_micro",
    "size_micro",
    "amount_micro",
    "fee_micro",
    "cost_micro",
    "proceeds_micro",
    "realized_pnl_micro",
)
"""Columns of fills and adjustments that numbers follow from; texts may be worded anew by a later version."""


class CannotExplain(ServiceError):
    """The journal cannot be told; the text says at which entry and what to do."""


def document(queries: Queries, wallet: str, market: str, limit: int | None = None) -> Record:
    """The story of the market, or of the one question of an event, that ``market`` names; ``limit`` keeps the newest.

    Raises:
        finding.NotFound: nothing has that name, or several markets have it.
        CannotExplain: an entry of its journal cannot be read by this version.
    """
    found = finding.conditions(queries, wallet, market)
    if len({row["market_id"] for row in found}) > 1:
        found = [finding.one_condition(queries, wallet, market)]
    market_id = found[0]["market_id"]
    rows = queries.of_market(wallet, market_id)
    story = _told(queries, wallet, market_id, rows.head_seq).story(_final_block(queries, wallet))
    chosen = _Chosen(rows, {row["condition_id"] for row in found})
    lines = _woven(story, rows, chosen)
    problems = tuple(_problems(story, rows, chosen))
    names = ("condition_id", "title", "slug", "closed", "halted", "halt_reason")
    return {
        "wallet": wallet,
        "market_id": market_id,
        "conditions": [{name: row[name] for name in names} for row in rows.conditions if chosen.condition(row)],
        "lines_total": len(lines),
        "lines": [_shown(line, chosen.outcomes) for line in (lines if limit is None else lines[-limit:])],
        "positions": [_position(story, row) for row in _positions(story, rows, chosen)],
        "adds_up": not problems,
        "problems": list(problems),
    }


class _Chosen:
    """Which of a market's rows are asked for: an event has many questions, and one of them may be meant."""

    def __init__(self, rows: MarketRows, condition_ids: set[str]) -> None:
        self._ids = condition_ids
        others = [row for row in rows.conditions if not self.condition(row)]
        fills = [row for row in rows.fills if not self.condition(row)]
        self.outcomes = {row["token_id"]: row["outcome"] for row in rows.tokens}
        self._other_tokens = {row["token_id"] for row in rows.tokens if not self.condition(row)}
        self._other_subjects = self._other_tokens.union(
            (row["condition_id"] for row in others),
            (row["order_id"] for row in fills),
            (f"{row['trade_id']}/{row['order_id']}" for row in fills),
        )

    def condition(self, row: Mapping[str, Any]) -> bool:
        """Whether a row with a condition is of a chosen one."""
        return row["condition_id"] in self._ids

    def token(self, token_id: str) -> bool:
        """Whether it is no token of another question; a line about none concerns all."""
        return token_id not in self._other_tokens

    def subject(self, subject: str) -> bool:
        """Whether an issue's subject is not another question's."""
        return subject not in self._other_subjects


def _final_block(queries: Queries, wallet: str) -> int:
    """The block of the newest comparison with the chain that no endpoint left in doubt: nothing up to it is undone.

    With the default ``confirmations`` cycles compare at the chain's finalized block (R-31). 0: nothing is known.
    """
    cycles = queries.reports(ReportKind.OPERATIONS, Selection(wallet=wallet, limit=CYCLES_LOOKED_AT))
    doubted = Source.CHAIN_AGREEMENT.value
    sure = (
        int(row["block_number"])
        for row in cycles
        if row["onchain_reconciled"] and not any(reason.startswith(doubted) for reason in row["reasons"])
    )
    return next(sure, 0)


def _told(queries: Queries, wallet: str, market_id: str, head_seq: int) -> Teller:
    teller = Teller(wallet, market_id)
    for number, entry in enumerate(queries.journaled(wallet, market_address(wallet, market_id)), start=1):
        if entry.seq > head_seq:
            break
        try:
            event: Any = decode(entry.payload, entry.kind, entry.schema)
        except CodecError as error:
            raise CannotExplain(f"journal entry {entry.seq} cannot be told: {error}") from error
        teller.hear(transition(teller.state, event, entry.at_ms), entry.seq, entry.at_ms)
        if number % BREATHE_EVERY == 0:
            gevent.idle()
    return teller


def _woven(story: Story, rows: MarketRows, chosen: _Chosen) -> list[Line]:
    """The lines with what others noted meanwhile; at one moment the change stands before what was noted of it."""
    told = story.lines
    # A clock that was set back must not change the order of the journal.
    reached = accumulate((line.booked_at_ms for line in told), max)
    keyed = [((at_ms, 0), line) for at_ms, line in zip(reached, told, strict=True) if chosen.token(line.token_id)]
    issues = (_issue(row, chosen.outcomes) for row in rows.issues if chosen.subject(row["subject"]))
    notes = chain(issues, map(_strategy, _pauses(rows.strategy_events, rows.market_id)))
    keyed += [((line.booked_at_ms, 1), line) for line in notes]
    return [line for _, line in sorted(keyed, key=lambda each: each[0])]


def _issue(row: Record, tokens: Collection[str]) -> Line:
    """Its subject is a token, an order, a fill by trade and order, or the market or condition itself (L-22)."""
    subject = row["subject"]
    trade_id, _, order_id = subject.rpartition("/")
    own = subject in {row["market_id"], ""}
    return Line(
        seq=None,
        booked_at_ms=row["at_ms"],
        happened_at_ms=row["at_ms"],
        kind=Kind.ISSUE,
        cause=row["type"],
        token_id=subject if subject in tokens else "",
        trade_id=trade_id,
        order_id="" if own or subject in tokens else order_id,
        evidence=f"{row['severity']}: {row['before']} → {row['after']}, {row['cause']}",
        reason=row["action"],
    )


def _strategy(row: Record) -> Line:
    return Line(
        seq=None,
        booked_at_ms=row["at_ms"],
        happened_at_ms=row["at_ms"],
        kind=Kind.STRATEGY,
        cause=row["event"],
        proof=Proof.OPERATOR if row["operator"] else Proof.BOOKS,
        evidence=f"strategy {row['strategy_id']}",
        operator=row["operator"],
        reason=row["reason"],
    )


def _pauses(events: Iterable[Record], market_id: str) -> Iterator[Record]:
    """The pauses that the market gave reason for, and their resumes, which name no market."""
    paused: set[str] = set()
    for row in events:
        if row["market_id"] == market_id:
            paused.add(row["strategy_id"])
            yield row
        elif row["event"] == "resumed" and row["strategy_id"] in paused:
            paused.remove(row["strategy_id"])
            yield row


def _shown(line: Line, outcomes: Mapping[str, str]) -> Record:
    shown: Record = msgspec.to_builtins(line)
    return {**shown, "outcome": outcomes.get(line.token_id, "")}


def _positions(story: Story, rows: MarketRows, chosen: _Chosen) -> Iterator[Record]:
    """What is stored of every token that was told of or is held, in the order of outcomes; zeros where nothing is."""
    stored = {row["token_id"]: row for row in rows.positions}
    named = [row["token_id"] for row in rows.tokens]
    for token_id in dict.fromkeys([*named, *sorted(stored.keys() | story.totals.keys())]):
        if chosen.token(token_id) and (token_id in stored or token_id in story.totals):
            held = stored.get(token_id, dict.fromkeys(_HELD, 0))
            outcome = chosen.outcomes.get(token_id, "")
            yield {"token_id": token_id, "outcome": outcome, **{name: held[name] for name in _HELD}}


def _position(story: Story, held: Record) -> Record:
    told = story.totals.get(held["token_id"], NOTHING)
    return {
        **held,
        "told": msgspec.to_builtins(told),
        "difference": {name: held[name] - getattr(told, name) for name in _TOLD},
    }


def _problems(story: Story, rows: MarketRows, chosen: _Chosen) -> Iterator[str]:
    """In words, all that does not add up; nothing in sound books."""
    for held in _positions(story, rows, chosen):
        shown = _position(story, held)
        name = f"{held['outcome'] or 'token'} ({held['token_id']})"
        for field, apart in shown["difference"].items():
            if apart:
                told, stored = format_micro(shown["told"][field]), format_micro(held[field])
                what = field.removesuffix("_micro").replace("_", " ")
                yield f"{name}: the lines add up to {what} {told}, stored is {stored}"
    yield from (
        f"token {token_id}: from journal entry {seq} on, its lines do not add up to what it gave"
        for token_id, seq in story.parted.items()
        if chosen.token(token_id)
    )
    fills = {(row.trade_id, row.order_id): row for row in story.fills.values()}
    yield from _different("fill", _FILL_KEY, rows.fills, fills, chosen)
    yield from _different("adjustment", _ADJUSTMENT_KEY, rows.adjustments, story.adjustments, chosen)


def _different(
    what: str,
    names: tuple[str, str],
    stored: Iterable[Record],
    told: Mapping[tuple[str, str], FillRow | AdjustmentRow],
    chosen: _Chosen,
) -> Iterator[str]:
    """Stored rows, by the columns of their key, whose numbers are not those that the journal gives."""
    found = {(row[names[0]], row[names[1]]): row for row in stored if chosen.token(row["token_id"])}
    given = {key: msgspec.to_builtins(row) for key, row in told.items() if chosen.token(row.token_id)}
    for key in sorted(found.keys() | given.keys()):
        name = f"{what} {key[0]} of {key[1]}"
        if key not in found:
            yield f"{name} is in the journal and not stored"
        elif key not in given:
            yield f"{name} is stored and in no journal entry"
        else:
            row, expected = found[key], given[key]
            apart = [column for column in _NUMBERS if row.get(column) != expected.get(column)]
            if apart:
                told_apart = ", ".join(f"{column} {row[column]!r} for {expected[column]!r}" for column in apart)
                yield f"{name} is not as the journal gives it: {told_apart}"
