"""The reader of logs as ``chain-catch-up`` sees it: a process that reads a whole chain on each line of its stdin.

``python -m gevent.monkey --module benchmarks.chain_subject URL``. A catch-up begins with nothing known of the endpoint
and ends when the last answer was handed on through the port, certified; nothing is booked. The answer is
``{"seconds": …, "logs": …, "transactions": …, "whole": …}``: logs that were decoded and handed on, all of them, and
transactions, all of them and those with all their logs.
"""

from __future__ import annotations

import sys
import time

import msgspec
from gevent.event import AsyncResult

from benchmarks.chain_world import BLOCKS, WALLET
from messages.reads import LogsAnswer, ReadCompleted, ReadLogs
from polymarket.reading import ReadResult
from polymarket.reads import PolymarketReads
from polymarket.settings import PolymarketSettings
from portfolio.facts import Verdict
from service.clock import SystemClock

WITHIN_S = 60


def read(reads: PolymarketReads, wanted: ReadLogs) -> LogsAnswer:
    """One read through the port."""
    told: AsyncResult[ReadResult] = AsyncResult()
    reads.request(wanted, told.set, "bench")
    result = told.get(timeout=WITHIN_S)
    assert isinstance(result, ReadCompleted), result
    assert isinstance(result.answer, LogsAnswer)
    assert result.certificate.verdict is Verdict.COMPLETE, result.certificate.reason
    return result.answer


def catch_up(url: str) -> dict[str, float]:
    """Read from the first block to the last."""
    reads = PolymarketReads(PolymarketSettings(rpc_url=url), SystemClock().now_ms)
    started_s = time.perf_counter()
    logs = transactions = whole = 0
    known: tuple[tuple[int, str], ...] = ()
    covered = 0
    while covered < BLOCKS:
        wanted = ReadLogs(wallet="bench", wallets=(WALLET,), from_block=covered + 1, known=known)
        answer = read(reads, wanted)
        covered, known = answer.to_block, ((answer.to_block, answer.to_hash),)
        logs += sum(len({log.log_index for log in each.logs}) for each in answer.transactions)
        transactions += len(answer.transactions)
        whole += sum(each.complete for each in answer.transactions)
    seconds = time.perf_counter() - started_s
    reads.close(WITHIN_S)
    return {"seconds": seconds, "logs": logs, "transactions": transactions, "whole": whole}


def main(url: str) -> None:
    """Serve until stdin ends."""
    print('"ready"', flush=True)
    for _ in sys.stdin:
        print(msgspec.json.encode(catch_up(url)).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
