"""How many blocks a request for logs may span, and why an endpoint refused one. Pure.

There is no standard for refusals: codes mean one thing here and another there, so the words decide first.
"""

from __future__ import annotations

import enum
import re

import msgspec

LOG_RANGE_BLOCKS = 10_000
"""Blocks of one request before an endpoint has said anything: what most of them take."""

LAG_BLOCKS = 128
"""So far may a node behind a balancer be behind the head that another one told."""

_SMALL_ANSWER = 1_000
_DOUBTED_FROM = 100
_CALM = 16


class Refused(enum.Enum):
    """Why an endpoint would not answer."""

    TOO_LARGE = "too large"
    BEHIND = "behind"
    PRUNED = "pruned"
    UNSUPPORTED = "unsupported"
    THROTTLED = "throttled"
    OTHER = "other"


_WORDS = (
    (
        Refused.THROTTLED,
        r"rate.?limit|request (?:rate|limit)|too many requests|per second|daily|quota|capacity|throughput|compute unit",
    ),
    (
        Refused.BEHIND,
        r"invalid block range|beyond current head|(?:header|block) not found|cannot be found|(?:unknown|future) block",
    ),
    (Refused.PRUNED, r"prun|missing trie|archive|histor"),
    (Refused.TOO_LARGE, r"range|limit|too many|too large|too big|10,?000|10k|exceed|more than|time.?out|timed out"),
    (Refused.UNSUPPORTED, r"not (?:supported|available|allowed|found|exist)|unsupported|disabled|whitelist|batch"),
)
_PATTERNS = tuple((why, re.compile(pattern)) for why, pattern in _WORDS)
_CODES = {
    -32601: Refused.UNSUPPORTED,
    -32004: Refused.UNSUPPORTED,
    -32002: Refused.TOO_LARGE,
    -32005: Refused.TOO_LARGE,
    -32614: Refused.TOO_LARGE,
    -32701: Refused.TOO_LARGE,
    413: Refused.TOO_LARGE,
    429: Refused.THROTTLED,
    4444: Refused.PRUNED,
}


def why_refused(code: int, message: str) -> Refused:
    """What an error means: a method that is not there by its code, anything else by its words, then by its code."""
    if code == -32601:
        return Refused.UNSUPPORTED
    text = message.lower()
    found = next((why for why, pattern in _PATTERNS if pattern.search(text)), None)
    return found or _CODES.get(code, Refused.OTHER)


class RangeSize(msgspec.Struct, frozen=True):
    """Blocks that one request spans with this endpoint.

    Halves when refused. Doubles after a full request with a small answer, up to below what was refused (``ceiling``);
    that is tried again only after a while (``calm`` counts), for an endpoint's limit rarely moves.
    """

    blocks: int = LOG_RANGE_BLOCKS
    ceiling: int | None = None
    calm: int = 0

    def refused(self, asked: int) -> RangeSize:
        """After a request over ``asked`` blocks was too large."""
        return RangeSize(max(1, min(asked, self.blocks) // 2), asked)

    def doubted(self, asked: int) -> RangeSize:
        """After a request over ``asked`` blocks had no answer, which may or may not be for their number."""
        return self if asked <= _DOUBTED_FROM else RangeSize(min(asked, self.blocks) // 2)

    def answered(self, asked: int, logs: int) -> RangeSize:
        """After a request over ``asked`` blocks gave so many logs."""
        if asked < self.blocks or logs > _SMALL_ANSWER or self.blocks >= LOG_RANGE_BLOCKS:
            return self
        wider, calm = min(LOG_RANGE_BLOCKS, self.blocks * 2), self.calm + 1
        if self.ceiling is None or wider < self.ceiling:
            return RangeSize(wider, self.ceiling)
        if calm < _CALM:
            return RangeSize(self.blocks, self.ceiling, calm)
        return RangeSize(wider)
