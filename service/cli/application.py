"""The application: which commands there are, and the options before a command."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli import (
    backfilling,
    configuring,
    explaining,
    operating,
    profit,
    reading,
    recording,
    replaying,
    running,
    simulating,
)
from service.cli.options import ConfigFile
from service.cli.output import put

SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - how a callback of an option is called
    if wanted:
        from service.version import version

        put(version())
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", help="Say the version and end.", is_eager=True, callback=_say_version, show_default="off"
    ),
]


def build() -> typer.Typer:
    """``portfolio-sync``."""
    application = typer.Typer(name="portfolio-sync", **SETTINGS)
    application.callback(epilog="Example: portfolio-sync demo")(_top)
    for module in (running, reading, profit, explaining, replaying, simulating, operating, recording, backfilling):
        _take(application, module.commands)
    configuration = typer.Typer(name="config", help="Check, show and reload the configuration.", **SETTINGS)
    _take(configuration, configuring.commands)
    application.add_typer(configuration, epilog="Example: portfolio-sync config check")
    application.add_typer(_governance(), hidden=True)
    return application


def build_polytraders() -> typer.Typer:
    """``polytraders``: only ``gov portfolio`` with the operators' commands (S-19)."""
    application = typer.Typer(name="polytraders", **SETTINGS)
    application.callback(epilog="Example: polytraders gov portfolio force-sync")(_top)
    application.add_typer(_governance())
    return application


def _governance() -> typer.Typer:
    governance = typer.Typer(name="gov", help="Governance services.", **SETTINGS)
    portfolio = typer.Typer(name="portfolio", help="PortfolioSync, as `portfolio-sync` has it.", **SETTINGS)
    _take(portfolio, operating.commands)
    governance.add_typer(portfolio, epilog="Example: polytraders gov portfolio force-sync")
    return governance


def _take(application: typer.Typer, commands: typer.Typer) -> None:
    """Add a module's commands side by side with the others, not as a group."""
    application.registered_commands.extend(commands.registered_commands)


def _top(context: typer.Context, *, config: ConfigFile = None, version: Version = False) -> None:
    """Keep the books of Polymarket wallets equal to the exchange and the chain, and say what changed and why.

    The configuration is ./portfolio-sync.toml, else $XDG_CONFIG_HOME/portfolio-sync/config.toml, else built-in.
    """
    del version  # its callback has ended the program
    context.obj = config
