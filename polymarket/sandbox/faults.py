"""The faults that a sandbox can play, as they are asked for; ``server_faults`` plays them."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Target = Literal["clob", "data", "gamma", "rpc", "all"]
Kind = Literal[
    "down",
    "slow",
    "http_425",
    "http_429",
    "http_503",
    "short_page",
    "empty_page",
    "half_rows",
    "moved_pages",
    "stale",
    "lagging",
    "html_error",
    "malformed_json",
    "bad_number",
    "wrong_content_type",
    "loop_cursor",
    "wrong_chain_id",
    "no_code",
]
KINDS: tuple[str, ...] = get_args(Kind)


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault to play: where, what, and until when (``seconds`` or ``count``; neither: until it is cleared).

    ``path`` narrows it to requests whose path below the target begins so; for ``rpc`` it is the method's name.
    ``latency_ms`` is of ``slow``; ``blocks`` of ``stale`` and ``lagging``; ``drop`` of ``short_page``, the rows left
    out (default: half); ``value`` of ``bad_number``, the JSON put in place of a number; ``status`` of ``html_error``.
    """

    target: Target
    kind: Kind
    path: str = ""
    seconds: float | None = None
    count: int | None = None
    latency_ms: int = 8000
    blocks: int = 0
    drop: int | None = None
    value: str = '"NaN"'
    status: int = 502
