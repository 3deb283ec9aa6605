"""Why a transaction changed a wallet: its own movements are what happened, the other events say why (R-19, L-14).

Fills are told first, by the exchange's events; then what the events of splits, merges, redemptions and conversions
explain; then shares that came from nobody or went there, and collateral that only changed its bucket. The rest is
transfers of tokens, deposits, withdrawals, and rewards from those who are known to pay them. Nothing is left out and
nothing is made up: per token and per bucket the changes add up to the wallet's own movements (X-01, X-10).
"""

from __future__ import annotations

from msgspec.structs import replace

from portfolio.chain import ChainChange, ChainTransaction, ChangeKind
from portfolio.labelling_book import TokenBook
from portfolio.labelling_causes import causes, wraps
from portfolio.labelling_fills import fills
from portfolio.labelling_mints import mints
from portfolio.labelling_scene import Rest, Scene, scene_of


class IncompleteTransactionError(ValueError):
    """Tokens moved otherwise than by fills in a transaction of which only the wallet's own logs are known.

    The events that would name the cause may be among those that are missing: read the whole receipt, then label.
    """


def label(transaction: ChainTransaction, wallet: str, book: TokenBook) -> tuple[ChainChange, ...]:
    """The changes of one wallet in one transaction, by log; none where the transaction did not move anything of it.

    A self transfer, a leg of zero and the resolution of a condition change nothing.

    Raises:
        IncompleteTransactionError: the transaction is not complete and a token movement is no fill's.

    """
    scene = scene_of(transaction, wallet, book)
    changes = fills(scene)
    if transaction.complete:
        changes += causes(scene)
        changes += mints(scene)
    elif scene.tokens.rest():
        tokens = ", ".join(rest.asset for rest in scene.tokens.rest())
        raise IncompleteTransactionError(
            f"transaction {transaction.transaction_hash} moved {tokens} of {wallet} without a fill, and only the"
            " wallet's own logs of it are known; read the whole receipt before labelling it"
        )
    changes += wraps(scene)
    changes += (_transferred(scene, rest) for rest in scene.tokens.rest())
    changes += (_paid(scene, rest) for rest in scene.cash.rest())
    return tuple(sorted(changes, key=lambda change: (change.log_index, change.kind, change.legs, change.cash)))


def _transferred(scene: Scene, rest: Rest) -> ChainChange:
    kind = ChangeKind.TRANSFER_IN if rest.amount > 0 else ChangeKind.TRANSFER_OUT
    change = scene.change(kind, rest.log_index, [(rest.asset, rest.amount)], [])
    return replace(scene.of_token(change, rest.asset), counterparty=rest.party)


def _paid(scene: Scene, rest: Rest) -> ChainChange:
    if rest.amount < 0:
        kind = ChangeKind.WITHDRAWAL
    else:
        kind = ChangeKind.REWARD if rest.party in scene.book.reward_senders else ChangeKind.DEPOSIT
    return replace(scene.change(kind, rest.log_index, [], [(rest.asset, rest.amount)]), counterparty=rest.party)
