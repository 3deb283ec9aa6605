"""Commands that record what happened elsewhere: an external trade, or that an inferred change was one (L-26, X-12).

Both make an entry with the operator's name and reason, never an edit.
"""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from service.cli.context import load_config, new_id, obey, stored_state
from service.cli.failures import CommandFailed, say
from service.cli.options import ConfigFile, Json, NeededReason
from service.cli.output import Grid, cell, print_json, print_pairs, title
from service.cli.parsing import amount_micro, price_micro, said

if TYPE_CHECKING:
    from messages.control import MarkExternal, RecordTrade
    from service.config import Config
    from service.finding import Place


class Side(enum.StrEnum):
    """What the wallet did."""

    BUY = "BUY"
    SELL = "SELL"


Market = Annotated[str, typer.Argument(metavar="MARKET", help="Condition id, market id or slug.")]
Entry = Annotated[str, typer.Argument(metavar="ENTRY", help="Entry id, as `adjustments --wide` shows it.")]
Outcome = Annotated[
    str, typer.Option("--outcome", metavar="NAME", help="YES, NO or the outcome's own name; or its token id.")
]
SideOption = Annotated[
    Side, typer.Option("--side", metavar="BUY|SELL", case_sensitive=False, help="Whether it was bought or sold.")
]
Size = Annotated[str, typer.Option("--size", metavar="SHARES", help="Shares, up to six decimals.")]
Price = Annotated[str, typer.Option("--price", metavar="PRICE", help="pUSD per share, above 0 and below 1.")]
KnownPrice = Annotated[
    str | None,
    typer.Option("--price", metavar="PRICE", help="pUSD per share, where it is known.", show_default="own cost, P&L 0"),
]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who records it; stands in the entry.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.", show_default="off")]

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(
    epilog="Example: portfolio-sync adjust rain-zurich --outcome YES --side BUY --size 12.5 --price 0.41 "
    "--by alice --reason 'bought by hand'"
)
def adjust(
    context: typer.Context,
    market: Market,
    *,
    outcome: Outcome,
    side: SideOption,
    size: Size,
    price: Price,
    by: By,
    reason: NeededReason,
    yes: Yes = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Record a purchase or sale that was made elsewhere, as an entry with your name.

    Where the same change was inferred from a balance before, the record takes its place.
    """
    from messages.control import RecordTrade
    from portfolio.facts import Side as TradeSide
    from service import finding

    settings = load_config(context, config, secrets_needed=False)
    size_micro, price_of_share = amount_micro("--size", size), price_micro("--price", price)
    operator, why = said("--by", by), said("--reason", reason)
    with stored_state(settings) as queries:
        place = finding.token(queries, _wallet(settings), market, outcome)
    command = RecordTrade(
        request_id=new_id(),
        market_id=place.market_id,
        token_id=place.token_id,
        side=TradeSide(side.value),
        size_micro=size_micro,
        price_micro=price_of_share,
        operator=operator,
        reason=why,
    )
    if sys.stdin.isatty() and not yes and not typer.confirm(_question(command, place), err=True):
        raise CommandFailed("nothing was recorded")
    show(_booked(settings, command, place), json=json)


@commands.command(
    "mark-external",
    epilog="Example: portfolio-sync mark-external main-1746792000000:0x9b0c…:0 --price 0.41 --by alice "
    "--reason 'sold in the web app'",
)
def mark_external(
    context: typer.Context,
    entry: Entry,
    *,
    price: KnownPrice = None,
    by: By,
    reason: NeededReason,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Say of a change that was inferred from a balance that it was an external trade, at its price where you know it.

    The inferred entry stays visible; an entry with your name takes its place.
    """
    from messages.control import MarkExternal
    from service import finding

    settings = load_config(context, config, secrets_needed=False)
    known = None if price is None else price_micro("--price", price)
    operator, why = said("--by", by), said("--reason", reason)
    with stored_state(settings) as queries:
        place = finding.inferred_entry(queries, _wallet(settings), entry)
    command = MarkExternal(
        request_id=new_id(),
        market_id=place.market_id,
        entry_id=entry,
        price_micro=known,
        operator=operator,
        reason=why,
    )
    show(_booked(settings, command, place), json=json)


def _wallet(settings: Config) -> str:
    from service.one_wallet import the_wallet

    return the_wallet(settings).name


def _question(command: RecordTrade, place: Place) -> str:
    from portfolio.units import format_micro, mul_price

    amount = format_micro(mul_price(command.size_micro, command.price_micro))
    size, price = format_micro(command.size_micro), format_micro(command.price_micro)
    what = f"{command.side.value} of {size} {place.outcome} at {price} pUSD, {amount} pUSD in all"
    return f"Record in {place.title or place.market_id!r}: {what}?"


def _booked(settings: Config, command: RecordTrade | MarkExternal, place: Place) -> dict[str, Any]:
    """Have it booked, and tell the position before and after; a refusal says where to look."""
    import msgspec

    from service import finding
    from service.client import Refused

    plain = msgspec.to_builtins(command)
    path, hint = _PATHS[plain.pop("type")]
    body = {name: value for name, value in plain.items() if name not in {"request_id", "market_id"}}
    with stored_state(settings) as queries:
        before = finding.position(queries, place)
    try:
        entry_id = obey(settings, f"/v1/markets/{quote(place.market_id, safe='')}/{path}", body, command)
    except (Refused, CommandFailed) as error:
        look = f"`portfolio-sync adjustments --market {place.market_id} --wide` lists the market's entries{hint}"
        raise CommandFailed(f"nothing was recorded: {error}; {look}") from error
    with stored_state(settings) as queries:
        after = finding.position(queries, place)
    if "entry_id" in body:
        body["marked_entry_id"] = body.pop("entry_id")
    return {"entry_id": entry_id, **msgspec.to_builtins(place), **body, "before": before, "after": after}


_PATHS = {
    "record_trade": ("trades", ""),
    "mark_external": ("external", ", of which inferred changes of one token (estimated: yes) can be marked, once"),
}
"""Route below the market, and what a refusal adds, by the command's tag."""


def show(done: dict[str, Any], *, json: bool) -> None:
    """The new entry and the position before and after it."""
    if json:
        print_json(done)
        return
    names = (("entry", "entry_id"), ("market", "title"), ("", "market_id"), ("outcome", "outcome"))
    print_pairs((label, done[name]) for label, name in (*names, ("by", "operator"), ("reason", "reason")))
    grid = Grid([("", False), *((title(name), True) for name in done["before"])])
    for label in ("before", "after"):
        grid.add([label, *(cell(name, value, wide=True) for name, value in done[label].items())])
    grid.print()
    if done["before"] == done["after"]:
        say("the position is the same as before: what the entry says was in the books already")
