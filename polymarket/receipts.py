"""Reader of receipts: how one transaction ended on chain (R-10). Sans-I/O."""

from __future__ import annotations

from messages.reads import ReadReceipt, ReceiptAnswer
from polymarket.chain_memory import ChainMemory
from polymarket.reading import Findings, ReadContext, ReadResult, Trace, conclude
from polymarket.requests import ReadError, Steps
from polymarket.rpc import (
    Block,
    block_request,
    chain_id_request,
    expect_chain,
    parse_block,
    parse_receipt,
    rpc_request,
)
from polymarket.settings import PolymarketSettings
from portfolio.facts import FailureKind, Receipt, Source


def read_receipt(
    settings: PolymarketSettings, read: ReadReceipt, context: ReadContext, memory: ChainMemory
) -> Steps[ReadResult]:
    """SUCCEEDED, REVERTED, or ABSENT where the node knows the transaction in no block.

    The certificate's block is the newest one that the node had: an ABSENT proves nothing beyond it, and nothing at all
    where the node stands still. The chain id is checked as for balances, in the same round.
    """
    transaction_hash = read.transaction_hash.lower()

    def body(trace: Trace) -> Steps[Findings]:
        try:
            receipt, head = yield from _receipt(trace, settings, transaction_hash, memory)
        except ReadError:
            memory.forget()
            raise
        return Findings(
            rows=(receipt,),
            answer=ReceiptAnswer(receipt=receipt),
            parameters=(("wallet", read.wallet), ("transaction_hash", transaction_hash)),
            block_number=head.number,
            block_hash=head.hash,
            block_time_ms=head.time_ms,
        )

    return conclude(Source.CHAIN_RECEIPT, context, body)


def _receipt(
    trace: Trace, settings: PolymarketSettings, transaction_hash: str, memory: ChainMemory
) -> Steps[tuple[Receipt, Block]]:
    wanted = rpc_request(settings.rpc_url, "eth_getTransactionReceipt", transaction_hash)
    newest = block_request(settings.rpc_url, "latest")
    chain = (chain_id_request(settings.rpc_url),) if memory.chain_id is None else ()
    found, block, *ids = yield from trace.ask_all((wanted, newest, *chain))
    for request, response in zip(chain, ids, strict=True):
        memory.chain_id = expect_chain(request, response, settings.chain_id)
    head = parse_block(newest, block)
    if head is None:
        raise ReadError(FailureKind.REFUSED, "the RPC had no latest block; is it still starting?")
    return parse_receipt(wanted, found, transaction_hash), head
