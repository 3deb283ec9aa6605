"""What a transaction moved of a wallet, by its logs alone."""

from __future__ import annotations

from portfolio.chain import ChainTransaction, CollateralTransfer, TokenTransfer


def moved(transaction: ChainTransaction, wallet: str) -> tuple[dict[str, int], int]:
    """Signed shares by token, and signed collateral."""
    tokens: dict[str, int] = {}
    cash = 0
    for log in transaction.logs:
        if isinstance(log, TokenTransfer):
            sign = (log.receiver == wallet) - (log.sender == wallet)
            tokens[log.token_id] = tokens.get(log.token_id, 0) + sign * log.shares_micro
        elif isinstance(log, CollateralTransfer):
            cash += ((log.receiver == wallet) - (log.sender == wallet)) * log.amount_micro
    return tokens, cash
