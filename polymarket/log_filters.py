"""Which logs are asked for: those that name a wallet, and no others."""

from __future__ import annotations

from collections.abc import Sequence

from polymarket.payloads.log_events import ORDER_FILLED, TRANSFER, TRANSFER_BATCH, TRANSFER_SINGLE, LogContracts
from polymarket.rpc_batch import RpcCall
from polymarket.settings import PolymarketSettings


def contracts_of(settings: PolymarketSettings) -> LogContracts:
    """The contracts whose logs count."""
    return LogContracts(
        conditional_tokens=settings.conditional_tokens,
        neg_risk_adapter=settings.neg_risk_adapter,
        position_contracts=settings.position_contracts,
        buckets=settings.collateral_buckets,
        exchanges=settings.exchanges,
    )


def filters_of(contracts: LogContracts, wallets: Sequence[str]) -> list[dict[str, object]]:
    """Filters without their range, one for each place where an event has the wallet among its topics.

    An ``OrderFilled`` is asked for by its maker alone, which finds either role once. Events that name causes are not
    asked for: adapters stand in them (R-19), and they are in the receipts. No wallets, no filters: an empty list of
    topics would be everybody's.
    """
    if not wallets:
        return []
    whose = ["0x" + wallet.removeprefix("0x").rjust(64, "0") for wallet in wallets]
    tokens = [TRANSFER_SINGLE, TRANSFER_BATCH]
    return [
        {"address": contracts.collaterals, "topics": [[TRANSFER], whose]},
        {"address": contracts.everyone, "topics": [[TRANSFER, *tokens, ORDER_FILLED], None, whose]},
        {"address": contracts.tokens, "topics": [tokens, None, None, whose]},
    ]


def logs_call(log_filter: dict[str, object], first: int, last: int) -> RpcCall:
    """The call for the logs of a filter from one block to another, both included."""
    return RpcCall("eth_getLogs", ({**log_filter, "fromBlock": hex(first), "toBlock": hex(last)},))
