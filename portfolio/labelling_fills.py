"""Fills: what the exchange's own event says of each order of the wallet (R-20: the exchange log wins).

A buyer pays amount and fee, a seller is paid the amount less the fee. Two things make the wallet's movements differ:

- The taker's order brings all it was filled with to the exchange, and what the makers did not need comes back in the
  same transaction: collateral to a buyer, shares to a seller. The event states the amount before that. What came back
  from the exchange to the taker is part of its fill, up to what it brought.
- Anything else is not the fill's. It stays a movement (a transfer, deposit or withdrawal) of its own, with the exchange
  as its other side where the event states more than moved. No contract known does that.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from portfolio.chain import ChainChange, ChangeKind, OrderFilled
from portfolio.facts import Side
from portfolio.labelling_scene import Among, Leg, Moves, Scene

EXCHANGE_BUCKET = "pusd"
"""The collateral of every V2 exchange."""


def fills(scene: Scene) -> list[ChainChange]:
    """One change for each order of the wallet that was filled, the movements behind it taken out."""
    logs = [log for log in scene.transaction.logs if isinstance(log, OrderFilled) and log.maker == scene.wallet]
    missing = [said for log in logs for said in _settle(scene, log)]
    found = [_fill(scene, log, _refund(scene, log) if log.took else 0) for log in logs]
    for moves, leg in missing:
        moves.add(leg)
    return found


def _settle(scene: Scene, log: OrderFilled) -> Iterator[tuple[Moves, Leg]]:
    """Take what the event states; yields what it states beyond the movements, turned round."""
    others = _others(scene, log)
    for moves, asset, amount in ((scene.tokens, log.token_id, _shares(log)), (scene.cash, EXCHANGE_BUCKET, _cash(log))):
        left = amount
        for among in others:
            if left != 0:
                left -= moves.take(asset, left, among)
        if left != 0:
            yield moves, Leg(asset=asset, amount=-left, party=log.contract, log_index=log.log_index)


def _others(scene: Scene, log: OrderFilled) -> tuple[Among, ...]:
    """Who may stand on the other side, the likeliest first.

    In the match: the exchange and all whose orders it matched. Then who takes its fees, then the wallet itself where it
    met its own order, at last anybody outside the protocol. Where only the wallet's own logs are known, these come
    sooner: the makers that its taker's order met are in none of them.
    """
    matches = [other for other in scene.transaction.logs if isinstance(other, OrderFilled)]
    matched = {log.contract} | {user for other in matches for user in (other.maker, other.taker)}
    met_itself = any(other.maker == other.taker == scene.wallet for other in matches)
    strange = scene.trusted | {scene.wallet}
    here = _match(scene, log)

    def met(leg: Leg) -> bool:
        return here(leg) and leg.party in matched - {scene.wallet}

    def fees(leg: Leg) -> bool:
        return leg.party in scene.book.fee_receivers

    def itself(leg: Leg) -> bool:
        return met_itself and here(leg) and leg.party == scene.wallet

    def near(leg: Leg) -> bool:
        return here(leg) and leg.party not in strange

    known = (fees, itself) if scene.transaction.complete else (itself, near, fees)
    return (met, *known, lambda leg: leg.party not in strange)


def _match(scene: Scene, log: OrderFilled) -> Among:
    """The movements of a match, which ends with its taker's event: what moved for a fill did so before its own event.

    Only fees may follow.
    """
    takers = [other.log_index for other in scene.transaction.logs if isinstance(other, OrderFilled) and other.took]
    begin = max((index for index in takers if index < log.log_index), default=-1)
    return lambda leg: begin < leg.log_index < log.log_index


def _refund(scene: Scene, log: OrderFilled) -> int:
    """What the exchange gave back in the match of what the taker's order brought."""
    here = _match(scene, log)
    moves, asset = (scene.cash, EXCHANGE_BUCKET) if log.side is Side.BUY else (scene.tokens, log.token_id)
    return moves.take(asset, log.maker_amount_micro, lambda leg: here(leg) and leg.party == log.contract)


def _fill(scene: Scene, log: OrderFilled, refund: int) -> ChainChange:
    shares, cash = _shares(log), _cash(log)
    if log.side is Side.BUY:
        cash += refund
    else:
        shares += refund
    change = scene.change(ChangeKind.FILL, log.log_index, [(log.token_id, shares)], [(EXCHANGE_BUCKET, cash)])
    return replace(
        scene.of_token(change, log.token_id),
        fee_micro=log.fee_micro,
        order_id=log.order_id,
        took=log.took,
        counterparty=log.taker,
    )


def _shares(log: OrderFilled) -> int:
    return log.shares_micro if log.side is Side.BUY else -log.shares_micro


def _cash(log: OrderFilled) -> int:
    return -(log.amount_micro + log.fee_micro) if log.side is Side.BUY else log.amount_micro - log.fee_micro
