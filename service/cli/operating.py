"""Commands for operators: they go to the running process by its control socket (D-22).

Without a process, those that only change who may trade take the lease themselves; the others say what to start.
"""

from __future__ import annotations

import enum
import getpass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from service.cli.context import control, load_config, new_id, obey, stored_state
from service.cli.failures import say
from service.cli.options import ConfigFile, Json, NeededReason, Reason, ReviewedBy, StrategyId
from service.cli.output import print_json, put

if TYPE_CHECKING:
    from service.config import Config


class Wanted(enum.StrEnum):
    """What ``kill-switch`` can be asked for."""

    ON = "on"
    OFF = "off"
    STATUS = "status"


Market = Annotated[str, typer.Argument(metavar="MARKET", help="Market or condition id.")]
SwitchTo = Annotated[Wanted, typer.Argument(help="What to do.")]
Operator = Annotated[
    str, typer.Option("--reviewed-by", metavar="NAME", help="Who switches; is recorded.", show_default="your login")
]


commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command("force-sync", epilog="Example: portfolio-sync force-sync --json")
def force_sync(context: typer.Context, *, config: ConfigFile = None, json: Json = False) -> None:
    """Run a full cycle now, in the running process, and show its report."""
    from service.cli.cycle_output import show_cycle
    from service.client import CYCLE_TIMEOUT_S

    settings = load_config(context, config, secrets_needed=False)
    show_cycle(control(settings).post("/v1/sync", timeout_s=CYCLE_TIMEOUT_S), json=json)


@commands.command(
    "pause-strategy", epilog="Example: portfolio-sync pause-strategy --strategy-id market-maker --reviewed-by alice"
)
def pause_strategy(
    context: typer.Context,
    *,
    strategy_id: StrategyId,
    reviewed_by: ReviewedBy,
    reason: Reason = "",
    config: ConfigFile = None,
) -> None:
    """Pause a strategy by hand; it holds until someone resumes it by name."""
    from messages.control import PauseStrategy

    settings = load_config(context, config, secrets_needed=False)
    command = PauseStrategy(request_id=new_id(), strategy_id=strategy_id, operator=reviewed_by, reason=reason)
    body = {"operator": reviewed_by, "reason": reason}
    obey(settings, f"/v1/strategies/{quote(strategy_id, safe='')}/pause", body, command)
    say(f"strategy {strategy_id} is paused")


@commands.command(
    "resume-strategy", epilog="Example: portfolio-sync resume-strategy --strategy-id market-maker --reviewed-by alice"
)
def resume_strategy(
    context: typer.Context,
    *,
    strategy_id: StrategyId,
    reviewed_by: ReviewedBy,
    reason: Reason = "",
    config: ConfigFile = None,
) -> None:
    """Resume a paused strategy, after its drift was reviewed; nothing resumes by itself."""
    from messages.control import ResumeStrategy

    settings = load_config(context, config, secrets_needed=False)
    command = ResumeStrategy(request_id=new_id(), strategy_id=strategy_id, operator=reviewed_by, reason=reason)
    body = {"operator": reviewed_by, "reason": reason}
    obey(settings, f"/v1/strategies/{quote(strategy_id, safe='')}/resume", body, command)
    say(f"strategy {strategy_id} is resumed")


@commands.command(
    "resume-market",
    epilog="Example: portfolio-sync resume-market 0x9b0c… --reviewed-by alice --reason 'books checked by hand'",
)
def resume_market(
    context: typer.Context,
    market: Market,
    *,
    reviewed_by: ReviewedBy,
    reason: NeededReason,
    config: ConfigFile = None,
) -> None:
    """Take a halted market back; refused while what halted it still holds."""
    from messages.control import ResumeMarket

    settings = load_config(context, config, secrets_needed=False)
    name = market.lower()
    command = ResumeMarket(request_id=new_id(), market_id=name, operator=reviewed_by, reason=reason)
    body = {"operator": reviewed_by, "reason": reason}
    obey(settings, f"/v1/markets/{quote(name, safe='')}/resume", body, command)
    say(f"market {market} is resumed")


@commands.command("kill-switch", epilog="Example: portfolio-sync kill-switch on --reason 'exchange incident'")
def kill_switch(
    context: typer.Context,
    action: SwitchTo,
    *,
    reviewed_by: Operator = "",
    reason: Reason = "",
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Switch the kill switch: while it is on, trading is off, and drift alerts but pauses nothing."""
    from messages.control import SetKillSwitch

    settings = load_config(context, config, secrets_needed=False)
    if action is Wanted.STATUS:
        active = _kill_switch_state(settings)
    else:
        active = action is Wanted.ON
        operator = reviewed_by or getpass.getuser()
        command = SetKillSwitch(request_id=new_id(), active=active, operator=operator, reason=reason)
        obey(settings, "/v1/kill-switch", {"active": active, "operator": operator, "reason": reason}, command)
    if json:
        print_json({"active": active})
    else:
        put("on" if active else "off")


def _kill_switch_state(settings: Config) -> bool:
    from service import status as documents
    from service.client import NotRunning

    try:
        return bool(control(settings).get("/v1/status")["gate"]["kill_switch"])
    except NotRunning:
        with stored_state(settings) as queries:
            return documents.stored_kill_switch(queries)


@commands.command("dump", epilog="Example: portfolio-sync dump > state.json")
def dump(context: typer.Context, *, config: ConfigFile = None) -> None:
    """Print the state of every actor of the running process, as JSON, with the journal entry behind which all stood."""
    print_json(control(load_config(context, config, secrets_needed=False)).get("/v1/dump"))
