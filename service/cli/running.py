"""Commands that run something: the service, one cycle, the demo, the sandbox, the healthcheck."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.context import control, load_config
from service.cli.failures import Exit, say
from service.cli.options import ConfigFile, Json
from service.cli.output import print_json, put

Cycles = Annotated[
    int | None, typer.Option("--cycles", min=1, metavar="N", help="End after so many cycles.", show_default="run on")
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Seed of the sandbox's world.")]
Faults = Annotated[
    str,
    typer.Option("--faults", metavar="LIST", help="Fault switches to turn on, comma-separated.", show_default="none"),
]
Headless = Annotated[bool, typer.Option("--headless", help="Plain lines, also on a terminal.", show_default="off")]
StorageUrl = Annotated[
    str,
    typer.Option("--storage", metavar="URL", help="Database to use.", show_default="SQLite in a temporary directory"),
]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="Loopback port; 0 takes a free one.")
]


commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(epilog="Example: portfolio-sync run --config portfolio-sync.toml")
def run(context: typer.Context, *, config: ConfigFile = None) -> None:
    """Run the service until SIGTERM: all actors, the read API and the healthcheck."""
    settings = load_config(context, config, secrets_needed=True)
    from service.bootstrap import run as run_service

    raise typer.Exit(run_service(settings))


@commands.command(epilog="Example: portfolio-sync sync --json")
def sync(context: typer.Context, *, config: ConfigFile = None, json: Json = False) -> None:
    """Run one full cycle and end; in the running process, if there is one."""
    from service.cli.cycle_output import show_cycle
    from service.client import CYCLE_TIMEOUT_S, NotRunning

    settings = load_config(context, config, secrets_needed=False)
    try:
        cycle = control(settings).post("/v1/sync", timeout_s=CYCLE_TIMEOUT_S)
    except NotRunning:
        from service.bootstrap import sync_once

        cycle = sync_once(load_config(context, config, secrets_needed=True))
    show_cycle(cycle, json=json)


@commands.command(epilog="Example: portfolio-sync demo --cycles 5")
def demo(
    *,
    cycles: Cycles = None,
    seed: Seed = 1,
    faults: Faults = "",
    headless: Headless = False,
    storage: StorageUrl = "",
) -> None:
    """Show it all in one: a local Polymarket, the service, and what it finds. Needs no keys and no network."""
    from service.demo import DemoOptions, run_demo

    options = DemoOptions(cycles=cycles, seed=seed, faults=_names(faults), headless=headless, storage_url=storage)
    raise typer.Exit(run_demo(options))


@commands.command(epilog="Example: portfolio-sync sandbox --seed 7")
def sandbox(*, seed: Seed = 1, faults: Faults = "", port: Port = 0) -> None:
    """Run the local Polymarket alone; prints its URLs and credentials as JSON once it is ready."""
    from service.demo import run_sandbox

    raise typer.Exit(run_sandbox(seed, _names(faults), port))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@commands.command(epilog="Example: portfolio-sync health && echo healthy")
def health(context: typer.Context, *, config: ConfigFile = None, json: Json = False) -> None:
    """Say whether the running process is green, degraded or red; 1 where it is red or not running."""
    from service.client import NotRunning

    settings = load_config(context, config, secrets_needed=False)
    try:
        document = control(settings).get("/internal/health/portfolio-sync")
    except NotRunning as error:
        document = {"service": "portfolio-sync", "status": "red", "reasons": [str(error)]}
    if json:
        print_json(document)
    else:
        put(document["status"])
        for reason in document["reasons"]:
            say(reason)
    if document["status"] == "red":
        raise typer.Exit(int(Exit.FAILED))
