"""What a cycle's report says of its sources, against the faults that were played while it ran (S-11, S-12, S-13)."""

from __future__ import annotations

from collections.abc import Iterator

from polymarket.sandbox.world import World
from portfolio.facts import Source
from portfolio.outcomes import CycleStatus, OperationsReport
from portfolio.thresholds import stale_limit_ms
from service.simulation.findings import Finding
from service.simulation.troubles import Troubles

_MS_PER_S = 1000
_SOME_BLOCKS_MS = 10_000
_WITHOUT_CLOB = frozenset({CycleStatus.CLOB_UNAVAILABLE, CycleStatus.STALE})
_COMPARED = frozenset({CycleStatus.OK, CycleStatus.DATA_API_UNAVAILABLE})


def cycle(report: OperationsReport, troubles: Troubles, world: World, interval_ms: int) -> Iterator[Finding]:
    """A source that did not answer one request of a whole cycle is not called up by it."""
    if report.status is CycleStatus.ABORTED:
        return
    span = (report.synced_at_ms, report.synced_at_ms + report.sync_duration_ms)
    if troubles.silent("clob", *span) and report.status not in _WITHOUT_CLOB:
        yield _status(report, "the CLOB", "clob_unavailable")
    if report.status is CycleStatus.CLOB_UNAVAILABLE and not troubles.any_of(("clob",), *span):
        yield Finding(
            rule="a cycle in which nothing was wrong with the CLOB believes it",
            subject=report.cycle_id,
            expected="another status",
            found=report.status.value,
            detail="; ".join(report.reasons),
        )
    if troubles.silent("rpc", *span) and report.onchain_reconciled:
        yield _status(report, "the chain", "no comparison with the chain")
    if troubles.contradicted(*span) and report.onchain_reconciled:
        yield _status(report, "one chain", "no comparison with a chain that is not agreed on")
    agreement = any(reason.startswith(Source.CHAIN_AGREEMENT.value) for reason in report.reasons)
    if troubles.alone(*span) and report.onchain_reconciled and not agreement:
        yield _status(report, "one of two endpoints", Source.CHAIN_AGREEMENT.value)
    if troubles.silent("data", *span) and report.status is CycleStatus.OK:
        yield _status(report, "the Data API", "data_api_unavailable")
    if report.status in _COMPARED and report.block_number is not None:
        block = world.chain.block(report.block_number)
        age_ms = span[1] - block.timestamp_s * _MS_PER_S if block is not None else 0
        if age_ms > stale_limit_ms(interval_ms) + report.sync_duration_ms:
            yield Finding(
                rule="a cycle compares with a chain that moves",
                subject=report.cycle_id,
                expected=f"a block younger than {stale_limit_ms(interval_ms)} ms",
                found=f"block {report.block_number}, {age_ms} ms old",
            )


def _status(report: OperationsReport, source: str, expected: str) -> Finding:
    return Finding(
        rule=f"a cycle in which {source} answered nothing says so",
        subject=report.cycle_id,
        expected=expected,
        found=report.status.value,
        detail=f"{report.sync_duration_ms} ms",
    )


def logs(report: OperationsReport, troubles: Troubles) -> Iterator[Finding]:
    """A cycle for which no logs could be had says that its causes are inferred (L-14); the first one needs none."""
    span = (report.synced_at_ms - _SOME_BLOCKS_MS, report.synced_at_ms + report.sync_duration_ms)
    told = any(reason.startswith(Source.CHAIN_LOGS.value) for reason in report.reasons)
    if report.onchain_reconciled and troubles.refuses_logs(*span) and not told:
        yield Finding(
            rule="a cycle without logs says so",
            subject=report.cycle_id,
            expected=Source.CHAIN_LOGS.value,
            found="; ".join(report.reasons) or "no word",
        )


def cash(report: OperationsReport, world: World) -> Iterator[Finding]:
    """The cash that a report shows is what the wallet had at its block (X-10)."""
    if not report.onchain_reconciled or report.block_number is None:
        return
    total = sum(world.cash(at=report.block_number).values())
    if report.onchain_balance_micro != total:
        yield Finding(
            rule="the cash at a cycle's block is the chain's",
            subject=report.cycle_id,
            expected=str(total),
            found=str(report.onchain_balance_micro),
        )
