"""Token ids as metadata states them and as the contract computes them: what to check, and what to say (R-18, R-06).

Balances are read by token id and stay the chain's truth. What an id that the contract contradicts leaves in doubt is
whose shares they are: of which condition, and of which outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from portfolio.facts import ConditionTokens, MarketMeta, TokenIdCheck
from portfolio.views import MarketImage

NOTED_MAX = 5
"""Contradictions that a report tells in full."""

TO_DO = (
    "balances stand, but whose shares they are is in doubt: do not trade or redeem there before the metadata was "
    "compared with the market's page, and usdc_e, wrapped_collateral and conditional_tokens under [polygon]"
)

_STRUCTURED = "v2"


def stated_ids(meta: MarketMeta) -> ConditionTokens | None:
    """What there is to check; None for Protocol V2, whose ids are structured and not hashed."""
    if meta.version == _STRUCTURED:
        return None
    return ConditionTokens(condition_id=meta.condition_id, neg_risk=meta.neg_risk, token_ids=_ids(meta))


def contradictions(
    known: Mapping[str, TokenIdCheck], checks: Iterable[TokenIdCheck], metas: Iterable[MarketMeta]
) -> dict[str, TokenIdCheck]:
    """What the contract contradicts after ``checks``, by condition.

    A check without an answer, or of ids that the metadata states no more, says nothing.
    """
    stated = {meta.condition_id: _ids(meta) for meta in metas}
    found = dict(known)
    for check in checks:
        if not check.computed or stated.get(check.condition_id) != check.stated:
            continue
        found.pop(check.condition_id, None)
        if check.contradicted:
            found[check.condition_id] = check
    return {condition_id: found[condition_id] for condition_id in sorted(found)}


def words(check: TokenIdCheck) -> tuple[str, str, str]:
    """What metadata says, what the contract says, and what follows."""
    if sorted(check.stated) == sorted(check.computed):
        cause = "metadata gives an outcome the token of another one"
    else:
        cause = "metadata is of another market, or was changed"
    stated, computed = (" and ".join(ids) for ids in (check.stated, check.computed))
    return f"metadata says {stated}", f"the contract says {computed}", f"{cause}; {TO_DO}"


def sentence(market_id: str, check: TokenIdCheck) -> str:
    """One contradiction, for a report."""
    before, after, cause = words(check)
    return f"market {market_id}, token ids of condition {check.condition_id}: {before}, {after}; {cause}"


def contradictions_noted(images: Iterable[MarketImage]) -> tuple[str, ...]:
    """What a report says of all that the contract contradicts: the first ones in full, the others by number."""
    sentences = [sentence(image.market_id, check) for image in images for check in image.contradicted]
    more = len(sentences) - NOTED_MAX
    rest = (f"the contract contradicts the token ids of {more} more conditions",) if more > 0 else ()
    return (*sentences[:NOTED_MAX], *rest)


def _ids(meta: MarketMeta) -> tuple[str, ...]:
    return tuple(token.token_id for token in sorted(meta.tokens, key=lambda token: token.outcome_index))
