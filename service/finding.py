"""Markets, outcomes and entries by the names that people have for them: ids, slugs, names of outcomes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import msgspec

from service.errors import ServiceError
from storage.queries import Queries, Record, Selection

SHOWN_MAX = 8
"""Names that an error lists; more are counted."""


class NotFound(ServiceError):
    """Nothing, or more than one thing, has that name; the text says what there is."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A token with where it belongs."""

    wallet: str
    market_id: str
    condition_id: str
    token_id: str
    outcome: str
    title: str


def conditions(queries: Queries, wallet: str, market: str) -> list[Record]:
    """The conditions that ``market`` means: by condition id, market id (all questions of an event), or slug."""
    known = queries.markets(Selection(wallet=wallet))
    name = market.strip().lower()
    found = [row for row in known if name in {row["condition_id"], row["market_id"], row["slug"].lower()}]
    if found:
        return found
    near = difflib.get_close_matches(name, [row["slug"].lower() for row in known if row["slug"]], n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise NotFound(
        f"wallet {wallet} knows no market {market!r}{hint}; name one by condition id, market id or slug. "
        "Markets that the wallet is in become known by a cycle: run `portfolio-sync sync`"
    )


def one_condition(queries: Queries, wallet: str, market: str) -> Record:
    """The one condition that ``market`` means."""
    return _only(conditions(queries, wallet, market), market)


def token(queries: Queries, wallet: str, market: str, outcome: str) -> Place:
    """The token of an outcome, by the outcome's name in any case, or by token id."""
    found = conditions(queries, wallet, market)
    tokens = [row for condition in found for row in _tokens(queries, condition)]
    chosen = next((row for row in tokens if row["token_id"] == outcome.strip()), None)
    if chosen is None:
        chosen = _named(_tokens(queries, _only(found, market)), market, outcome)
    titles = {row["condition_id"]: row["title"] for row in found}
    return Place(
        wallet=wallet,
        market_id=chosen["market_id"],
        condition_id=chosen["condition_id"],
        token_id=chosen["token_id"],
        outcome=chosen["outcome"],
        title=titles[chosen["condition_id"]],
    )


def inferred_entry(queries: Queries, wallet: str, entry_id: str) -> Place:
    """The token of an entry that may be marked as an external trade. Whether it may be is the market's to say."""
    rows = queries.adjustment(wallet, entry_id)
    if not rows:
        raise NotFound(
            f"wallet {wallet} has no entry {entry_id!r}; `portfolio-sync adjustments --wide` lists them with their ids"
        )
    if len(rows) > 1:
        raise NotFound(f"entry {entry_id} moved {len(rows)} tokens; only a change of one token can be marked external")
    (row,) = rows
    known = queries.markets(Selection(wallet=wallet, market=row["condition_id"]))
    tokens = queries.tokens(Selection(wallet=wallet, market=row["condition_id"]))
    return Place(
        wallet=wallet,
        market_id=row["market_id"],
        condition_id=row["condition_id"],
        token_id=row["token_id"],
        outcome=next((each["outcome"] for each in tokens if each["token_id"] == row["token_id"]), ""),
        title=known[0]["title"] if known else "",
    )


def position(queries: Queries, place: Place) -> Record:
    """What is held of the token; zeros where nothing ever was."""
    rows = queries.positions(Selection(wallet=place.wallet, market=place.condition_id), include_zero=True)
    held = next((row for row in rows if row["token_id"] == place.token_id), dict.fromkeys(HELD, 0))
    return {name: held[name] for name in HELD}


HELD = ("shares_micro", "settled_micro", "in_flight_micro", "cost_basis_micro", "realized_pnl_micro")
"""What is shown of a position before and after a change."""


def _tokens(queries: Queries, condition: Record) -> list[Record]:
    chosen = Selection(wallet=condition["wallet"], market=condition["condition_id"])
    return sorted(queries.tokens(chosen), key=lambda row: row["outcome_index"])


def _only(found: Sequence[Record], market: str) -> Record:
    if len(found) == 1:
        return found[0]
    raise NotFound(f"{market} has {len(found)} questions; name one of them by slug or condition id: {_listed(found)}")


def _named(tokens: Sequence[Record], market: str, outcome: str) -> Record:
    found = [row for row in tokens if row["outcome"].casefold() == outcome.strip().casefold()]
    if len(found) == 1:
        return found[0]
    names = ", ".join(row["outcome"] for row in tokens)
    raise NotFound(f"{market} has no outcome {outcome!r}; it has {names or 'none yet, let a cycle read its metadata'}")


def _listed(found: Sequence[Record]) -> str:
    names = [row["slug"] or row["condition_id"] for row in found]
    more = f" and {len(names) - SHOWN_MAX} more" if len(names) > SHOWN_MAX else ""
    return ", ".join(names[:SHOWN_MAX]) + more
