"""What labelling knows beforehand: the tokens, and the addresses that mean something (R-18, R-19).

All addresses are lower-case hex. Whoever makes the book can complete it for any transaction: the condition ids stand in
its events, and token ids follow from them.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

NOBODY = "0x" + "0" * 40
"""Sender of what is minted, receiver of what is burnt."""


class TokenPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where an outcome token belongs; ``outcome_index`` 0 is YES. The last two are a neg-risk question's."""

    condition_id: str
    outcome_index: int
    question_index: int | None = None
    neg_risk_market_id: str = ""


class TokenBook(msgspec.Struct, frozen=True, kw_only=True):
    """Known tokens and addresses.

    ``protocol`` are the contracts that act for a wallet: the conditional tokens, the collaterals and their vault, ramps
    and adapters, the neg-risk adapter, automatic redeemers. ``burns`` are addresses that nothing comes back from (the
    zero address need not be named), ``own`` our other wallets. ``fee_receivers`` take the exchanges' fees;
    ``reward_senders`` pay rewards and rebates, so that what comes from them is no deposit.
    """

    tokens: Mapping[str, TokenPlace] = {}
    exchanges: frozenset[str] = frozenset()
    protocol: frozenset[str] = frozenset()
    burns: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    fee_receivers: frozenset[str] = frozenset()
    reward_senders: frozenset[str] = frozenset()
