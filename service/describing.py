"""What every actor of the running process holds, and which point of the journal that is (``dump``, D-20)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gevent
import msgspec
from gevent.event import AsyncResult

from actors.base import Ping
from messages.addresses import WRITER, Address, kind_of
from messages.control import Answer, DescribeState
from service.api import ServiceUnavailable
from service.replay import digest_of
from service.wiring import ANSWER_WITHIN_S, STOP_WITHIN_S, Wiring

LOOKS_MAX = 3
"""Times that all actors are asked, until no entry came in between."""

_DESCRIBED = frozenset({"market", "coordinator", "ingest", "gate", "watcher"})


class Describing(Wiring):
    """Asks the actors for what they hold."""

    def describe(self) -> dict[str, Any]:
        """State of every actor that has any, by address; under ``journal`` the entry behind which all of it stood.

        Where entries kept coming while the actors answered, ``journal`` has None: each state is of a moment of its own.
        """
        told: dict[str, Any] = {}
        for _ in range(LOOKS_MAX):
            before = self._head()
            told = self._described()
            self._settle(WRITER)
            if self._head() == before:
                # Nothing was written, and nothing was on its way: all answers are of one moment.
                seq, head_hash = before
                return {**told, "journal": stood(seq, head_hash, () if self._board.quarantined else told.values())}
        return {**told, "journal": stood(None, None, ())}

    def _head(self) -> tuple[int, str]:
        lease = self._ledger.head(self._wallet.name)
        return lease.head_seq, lease.head_hash

    def _settle(self, address: Address) -> None:
        """Wait until an actor has handled what it was told."""
        ref = self._post.ref(address)
        if ref is not None and ref.is_alive():
            self._system.runtime.handled(ref, Ping(), STOP_WITHIN_S)

    def _described(self) -> dict[str, Any]:
        asked = {}
        for address in self._post.addresses:
            if kind_of(address) in _DESCRIBED:
                request_id, asked[address] = self._waiters.open()
                self._post.tell(address, DescribeState(request_id=request_id))
        return {str(address): msgspec.json.decode(self._wait(result).body) for address, result in asked.items()}

    def _wait(self, result: AsyncResult[Answer], within_s: int = ANSWER_WITHIN_S) -> Answer:
        try:
            answer = result.get(timeout=within_s)
        except gevent.Timeout as timeout:
            text = f"no answer within {within_s} s; look at the log of the service"
            raise ServiceUnavailable(text) from timeout
        if answer is None:
            raise ServiceUnavailable("the process is stopping; ask again once it runs")
        return answer


def stood(seq: int | None, head_hash: str | None, told: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A point of the journal, with the digest that a replay up to there gives of these actors; None for none.

    A market that nothing changed yet has no entry, and so no replay has it; the watcher's state is of no journal.
    """
    digests = {
        one["address"]: one["digest"]
        for one in told
        if "digest" in one and (one["state"]["version"] or kind_of(one["address"]) != "market")
    }
    return {"head_seq": seq, "head_hash": head_hash, "state_digest": digest_of(digests) if digests else None}
