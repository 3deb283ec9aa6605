"""Faults planted where sources are read and followed: the exchange's lists and stream, the chain, the Data API."""

from __future__ import annotations

from tests.mutants.planted import Planted

_UNAVAILABLE = '        running.unavailable(key, message.source, f"{message.kind.value}: {message.detail}")\n'


def _only_noted(kind: str, faults: str, what: str) -> Planted:
    """A failure of one kind is no failure of the cycle."""
    return Planted(
        name=f"take {what} for no failure of a source",
        breaks="a cycle that read nothing is called good, and the gate stays open",
        requirements=("S-11", "L-24"),
        file="actors/learning.py",
        old=_UNAVAILABLE,
        new=f"        if message.kind is FailureKind.{kind}:\n"
        "            running.notes.append(message.detail)\n"
        "            return\n" + _UNAVAILABLE,
        faults=faults,
        only=faults,
    )


FEEDS = (
    _only_noted("TIMEOUT", "timeouts", "a time-out"),
    _only_noted("THROTTLED", "http_errors", "a refusal for now"),
    _only_noted("MALFORMED", "broken_bodies", "an unreadable body"),
    _only_noted("UNREACHABLE", "outages", "a broken connection"),
    Planted(
        name="leave a silent stream as it is",
        breaks="fills are seen an interval late for hours, while the socket answers",
        requirements=("L-01", "L-30"),
        file="actors/readings.py",
        old="        if missed:\n            self._count(",
        new="        if missed < 0:\n            self._count(",
        faults="frozen_stream",
        only="frozen_stream",
    ),
    Planted(
        name="read nothing behind a new subscription",
        breaks="fills from before a reconnection wait for the next interval",
        requirements=("L-01", "L-17"),
        file="actors/ingest.py",
        old="        self._show()\n        self._catch_up()\n",
        new="        self._watch.caught_up()\n        self._show()\n",
        faults="disconnects",
        only="disconnects",
        steps=200,
    ),
    Planted(
        name="let a frame that is no JSON raise",
        breaks="one broken frame ends the stream",
        requirements=("L-30",),
        file="polymarket/payloads/user_channel.py",
        old='        return UserFrame(rejected=(f"a frame of {len(body)} bytes was not JSON",))\n',
        new="        raise\n",
        faults="broken_frames",
        only="broken_frames",
    ),
    Planted(
        name="cut off what is finer than a base unit",
        breaks="a size that cannot be is booked as another one",
        requirements=("L-04",),
        file="polymarket/payloads/money.py",
        old="    if finer:\n",
        new="    if finer and value < 0:\n",
        faults="broken_frames,broken_bodies",
    ),
    Planted(
        name="know no trade that is not broadcast yet",
        breaks="while one waits, every list of trades is called partial, and nobody may trade",
        requirements=("L-03", "S-11"),
        file="polymarket/payloads/orders.py",
        old="wire.status.removeprefix(_TRADE_PREFIX)),",
        new='wire.status.removeprefix(_TRADE_PREFIX).replace("_NOT_BROADCASTED", "?")),',
        faults="late_trades",
        only="late_trades",
    ),
    Planted(
        name="read only the first page",
        breaks="a wallet of many orders and trades is cut off",
        requirements=("L-08", "L-29"),
        file="polymarket/paging.py",
        old="        if cursor is None:\n            break\n",
        new="        break\n",
        within=6,
    ),
    Planted(
        name="compare with what the books were before the witnesses were asked",
        breaks="what is booked while they answer is taken for drift, or is missing from it",
        requirements=("S-02", "L-16"),
        file="actors/stages.py",
        old="        running.images = {}\n        self._snapshot(running, now_ms)",
        new="        self._move_on(running, now_ms)",
        steps=200,
    ),
    Planted(
        name="take refused logs for none",
        breaks="the chain is called followed, and what was in the blocks is never read",
        requirements=("X-01", "L-14"),
        file="polymarket/logs.py",
        old="        if not (yield from self._hold(anchored)) or self._refused(logs, first, last):",
        new='        logs = [b"[]" if isinstance(one, RpcRefusal) else one for one in logs]\n'
        "        if not (yield from self._hold(anchored)) or self._refused(logs, first, last):",
        faults="refused_logs",
        only="refused_logs",
    ),
    Planted(
        name="compare with a chain that stands still",
        breaks="a node that lags for minutes is taken for the present",
        requirements=("S-13",),
        file="actors/gathering.py",
        old="            if age_ms > limit_ms:",
        new="            if age_ms < 0:",
        faults="stale_rpc",
        only="stale_rpc",
    ),
    Planted(
        name="believe one endpoint where another contradicts",
        breaks="balances of a branch that is not the chain are booked",
        requirements=("X-14",),
        file="actors/gathering.py",
        old="        if answer.disagreed:\n",
        new="        if answer.waived:\n",
        faults="contradicting_rpc",
        only="contradicting_rpc",
    ),
    Planted(
        name="take the silence of an endpoint for agreement",
        breaks="what one endpoint alone says is final",
        requirements=("X-14",),
        file="actors/gathering.py",
        old="        self.agreed = answer.waived or len(answer.agreeing) > 1\n",
        new="        self.agreed = True\n",
        faults="silent_rpc",
        only="silent_rpc",
        steps=200,
    ),
    Planted(
        name="overlook that blocks were replaced",
        breaks="what stood in dropped blocks stays, or the watcher stops",
        requirements=("X-01",),
        file="actors/watching.py",
        old="        if answer.replaced:\n            self._replace(answer)\n        elif moved:",
        new="        if moved:",
        faults="reorganisations",
    ),
    Planted(
        name="never take back an order that was given up as gone",
        breaks="an order rests on the exchange and is in no book",
        requirements=("L-06", "L-13"),
        file="portfolio/orders.py",
        old="    ended = not known.status.live and known.status is not OrderStatus.GONE\n",
        new="    ended = not known.status.live\n",
        faults="stale_clob",
        only="stale_clob",
        steps=200,
    ),
)
