"""The command that runs a sandbox: ``python -m polymarket.sandbox``, and the same for who starts it from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import msgspec
import typer

from polymarket.sandbox.options import ServerOptions, WorldOptions

SEED = Annotated[int, typer.Option(help="The world's seed: same seed, same markets, wallet and keys.")]
BLOCK_TIME = Annotated[int, typer.Option(min=10, help="Milliseconds from block to block.")]
COUNT = Annotated[int | None, typer.Option(min=0, help="How many; the small default portfolio if not given.")]


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def main(
    *,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    seed: SEED = 7,
    block_time_ms: BLOCK_TIME = 2000,
    markets: Annotated[int, typer.Option(min=1, help="Standard binary markets.")] = 6,
    events: Annotated[int, typer.Option(min=0, help="Neg-risk events of three questions each.")] = 1,
    protocol_v2_markets: Annotated[int, typer.Option(min=0, help="Markets with Protocol V2 positions.")] = 0,
    positions: COUNT = None,
    orders: COUNT = None,
    activity: Annotated[bool, typer.Option(help="Let traders and the wallet's strategy act by themselves.")] = True,
    retry_percent: Annotated[int, typer.Option(min=0, max=100, help="Fills that settle at the second attempt.")] = 0,
    fail_percent: Annotated[int, typer.Option(min=0, max=100, help="Fills whose settlement fails.")] = 0,
    finality_blocks: Annotated[int, typer.Option(min=0, help="How far finalized is behind latest.")] = 4,
    latency_ms: Annotated[int, typer.Option(min=0, help="Added to every answer.")] = 0,
    page_size: Annotated[int, typer.Option(min=1, help="Rows in a page of orders or trades.")] = 100,
    data_lag_blocks: Annotated[int, typer.Option(min=0, help="How far the Data API is behind the chain.")] = 0,
    logs_range_blocks: Annotated[int, typer.Option(min=1, help="Most blocks of one eth_getLogs.")] = 10_000,
    log: Annotated[bool, typer.Option(help="Log every request to stderr.")] = False,
) -> None:
    """Run a local Polymarket until SIGTERM or Ctrl-C; prints its URLs and credentials as one line of JSON when ready.

    Example: python -m polymarket.sandbox --port 8700 --seed 7 --no-activity
    """
    from polymarket.sandbox import server

    world = WorldOptions(
        seed=seed,
        block_time_ms=block_time_ms,
        markets=markets,
        events=events,
        protocol_v2_markets=protocol_v2_markets,
        positions=positions,
        orders=orders,
        activity=activity,
        retry_percent=retry_percent,
        fail_percent=fail_percent,
        finality_blocks=finality_blocks,
    )
    options = ServerOptions(port=port, latency_ms=latency_ms, page_size=page_size, log=log)
    options = replace(options, data_lag_blocks=data_lag_blocks, logs_range_blocks=logs_range_blocks)
    server.run(world, options, print_ready)


def print_ready(info: dict[str, Any]) -> None:
    """The one line of JSON on stdout that says where the sandbox is."""
    typer.echo(msgspec.json.encode(info).decode())
