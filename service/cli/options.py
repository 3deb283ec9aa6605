"""Options that several commands share, with their help and their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file.",
        show_default="./portfolio-sync.toml, else the user's",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, no table.", show_default="off")]
Wide = Annotated[bool, typer.Option("--wide", help="Show ids in full length in the table.", show_default="off")]
Everything = Annotated[bool, typer.Option("--all", help="Closed and empty ones too.", show_default="off")]
WalletName = Annotated[
    str | None, typer.Option("--wallet", metavar="NAME", help="Only this wallet.", show_default="all")
]
MarketId = Annotated[
    str | None,
    typer.Option("--market", metavar="ID", help="Only this market or condition.", show_default="all"),
]
Limit = Annotated[
    int, typer.Option("--limit", min=1, max=1_000_000, metavar="N", help="At most so many, newest first.")
]
SinceMs = Annotated[
    int | None,
    typer.Option(
        "--since-ms", min=0, metavar="MS", help="Only from this time on, in ms UTC.", show_default="beginning"
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only from this time on: a date or time (UTC), Unix seconds, or how long ago (2h, 3d).",
        show_default="beginning",
    ),
]
StrategyId = Annotated[str, typer.Option("--strategy-id", metavar="ID", help="The strategy.")]
ReviewedBy = Annotated[
    str, typer.Option("--reviewed-by", metavar="NAME", help="Who reviewed it and answers for it; is recorded.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; is recorded.", show_default="none")]
NeededReason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; is recorded.")]
