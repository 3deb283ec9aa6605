"""``backfill``: read the trades since a time again, and book what is missing (L-17)."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.context import control, load_config, new_id, stored_state
from service.cli.failures import CommandFailed, Exit, say
from service.cli.options import ConfigFile, Json
from service.cli.output import moment, print_json, print_pairs
from service.cli.parsing import moment_ms

if TYPE_CHECKING:
    from gevent import Greenlet

    from messages.control import Backfill
    from service.config import Config
    from storage.queries import Queries

T = TypeVar("T")

LOOK_EVERY_S = 0.5
FEED = "backfill"
"""As what the ingest hands on what it read for us."""

HEALTH_PATH = "/internal/health/portfolio-sync"
CONDITION_ID = re.compile(r"0x[0-9a-f]{64}")

Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="TIME",
        help="From this time on: a date or time (UTC), Unix seconds, or how long ago (2h, 3d).",
    ),
]
Market = Annotated[
    str | None,
    typer.Option("--market", metavar="MARKET", help="Only this condition id, market id or slug.", show_default="all"),
]

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(epilog="Example: portfolio-sync backfill --since 3d")
def backfill(
    context: typer.Context, *, since: Since, market: Market = None, config: ConfigFile = None, json: Json = False
) -> None:
    """Read the trades since a time from the exchange again, and book those that are missing.

    Runs in the running process, else in one of its own. What is booked already is recognised: it may run at any time.
    """
    from messages.control import Backfill
    from service.clock import SystemClock

    settings = load_config(context, config, secrets_needed=False)
    began_ms = SystemClock().now_ms()
    since_ms = moment_ms("--since", since, began_ms)
    condition_id = "" if market is None else _condition(settings, market)
    command = Backfill(request_id=new_id(), since_s=since_ms // 1000, condition_id=condition_id)
    done = _run(context, config, command, began_ms)
    if json:
        print_json(done)
    else:
        print_pairs(_lines(done))
    if done["unresolved"]:
        conditions = ", ".join(done["unresolved"])
        say(
            f"error: the exchange has no metadata yet for {conditions}: their trades were not booked. "
            "Run the command again later; the service tries with every cycle"
        )
        raise typer.Exit(int(Exit.FAILED))


def _condition(settings: Config, market: str) -> str:
    """The condition of that name; a condition id that the wallet does not know yet is taken as it is."""
    from service import finding
    from service.one_wallet import the_wallet
    from storage.queries import Selection

    name = market.strip().lower()
    with stored_state(settings) as queries:
        try:
            return str(finding.one_condition(queries, the_wallet(settings).name, name)["condition_id"])
        except finding.NotFound:
            if CONDITION_ID.fullmatch(name) is None or queries.markets(Selection(market=name)):
                raise
    return name


def _run(context: typer.Context, config: Path | None, command: Backfill, began_ms: int) -> dict[str, Any]:
    """In the running process, else in one of our own for as long as it takes; what was read and booked."""
    from service.client import BACKFILL_TIMEOUT_S, NotRunning, Refused

    settings = load_config(context, config, secrets_needed=False)
    body = {"since_s": command.since_s, "condition_id": command.condition_id}
    try:
        control(settings).get(HEALTH_PATH)
    except NotRunning:
        return _run_alone(load_config(context, config, secrets_needed=True), command, began_ms)
    post = partial(control(settings).post, "/v1/backfill", body, timeout_s=BACKFILL_TIMEOUT_S)
    with stored_state(settings) as queries:
        booked = _counter(settings, queries, began_ms)
        try:
            result = _watched(_doing(command), post, booked)["result"]
        except Refused as error:
            raise _failed(str(error)) from error
        return _done(command, result, booked())


def _run_alone(settings: Config, command: Backfill, began_ms: int) -> dict[str, Any]:
    import msgspec

    from service.bootstrap import open_outside, quiet, running
    from service.logs import set_up

    set_up(quiet(settings))
    with running(settings, open_outside(settings, follow=False), begin=False) as process:
        booked = _counter(settings, process.queries(), began_ms)
        answer = _watched(_doing(command), lambda: process.command(command), booked)
        if not answer.ok:
            raise _failed(answer.detail)
        return _done(command, msgspec.json.decode(answer.body), booked())


def _counter(settings: Config, queries: Queries, began_ms: int) -> Callable[[], int]:
    """Counts the fills that this backfill booked."""
    from service.one_wallet import the_wallet

    return partial(queries.booked_since, the_wallet(settings).name, FEED, began_ms)


def _failed(detail: str) -> CommandFailed:
    return CommandFailed(
        f"the backfill did not come to its end: {detail}. What it booked stays booked; run the command again, "
        "and `portfolio-sync status` shows which source is down"
    )


def _doing(command: Backfill) -> str:
    market = f" of {command.condition_id}" if command.condition_id else ""
    return f"reading trades{market} since {moment(command.since_s * 1000)}"


def _done(command: Backfill, result: dict[str, Any], booked: int) -> dict[str, Any]:
    names = ("trades", "pages", "legs", "new_legs", "unresolved")
    asked = {"since_ms": command.since_s * 1000, "condition_id": command.condition_id or None}
    return {**asked, **{name: result[name] for name in names}, "booked_fills": booked}


def _lines(done: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("since", moment(done["since_ms"])),
        ("market", done["condition_id"] or "all"),
        ("trades read", f"{done['trades']} in {done['pages']} page(s)"),
        ("of the wallet", f"{done['legs']} fill(s)"),
        ("booked now", f"{done['booked_fills']} that were missing"),
    ]


def _watched(doing: str, work: Callable[[], T], booked: Callable[[], int]) -> T:
    """Run ``work`` and meanwhile say on stderr what it does: in place on a terminal, elsewhere one line."""
    import gevent

    results: list[T] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - raised again in the greenlet that waits
            failures.append(error)

    greenlet = gevent.spawn(run)
    if sys.stderr.isatty():
        _show_until_done(doing, greenlet, booked)
    else:
        say(doing)
    greenlet.join()
    if failures:
        raise failures[0]
    return results[0]


def _show_until_done(doing: str, work: Greenlet[..., None], booked: Callable[[], int]) -> None:
    from rich.console import Console

    with Console(stderr=True).status(doing) as status:
        while not work.ready():
            work.join(LOOK_EVERY_S)
            count = booked()
            status.update(f"{doing}: {count} missing fill(s) booked so far" if count else doing)
