"""The faults that a sandbox can play, as they are asked for; ``server_faults`` plays them."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Target = Literal["clob", "data", "gamma", "rpc", "ws", "all"]
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
    "swapped_tokens",
    "rpc_logs_refused",
    "rpc_logs_pruned",
    "ws_drop",
    "ws_double",
    "ws_delay",
    "ws_reorder",
    "ws_freeze",
    "ws_garbage",
    "ws_cut",
    "ws_close",
    "ws_unauthorized",
]
KINDS: tuple[str, ...] = get_args(Kind)


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault to play: where, what, and until when (``seconds`` or ``count``; neither: until it is cleared).

    ``path`` narrows it to requests whose path below the target begins so; for ``rpc`` it is the method's name.
    ``latency_ms`` is of ``slow``; ``blocks`` of ``stale``, ``lagging`` and ``rpc_logs_pruned``; ``drop`` of
    ``short_page``, the rows left out (default: half); ``value`` of ``bad_number``, the JSON put in place of a number;
    ``status`` of ``html_error``. For ``no_code`` and ``swapped_tokens`` the ``value`` names one contract or condition;
    without, all are meant.

    Two kinds are of ``eth_getLogs`` alone: ``rpc_logs_refused`` answers that the node has no such method, and
    ``rpc_logs_pruned`` that the logs before the last ``blocks`` blocks (default 30) are gone. ``half_rows`` leaves out
    the later half of the logs without a word. ``swapped_tokens`` is of Gamma: each outcome of the condition has the
    other one's token.

    The user channel is the target ``ws``. Six kinds spoil single events, whose path is ``order/PLACEMENT``,
    ``order/UPDATE``, ``order/CANCELLATION`` or ``trade/`` and the status: ``ws_drop`` loses them; ``ws_double`` sends
    them twice; ``ws_delay`` sends them ``latency_ms`` later; ``ws_reorder`` holds one back until the next has gone;
    ``ws_freeze`` lets nothing more out but PONG, and what falls due meanwhile is lost; ``ws_garbage`` sends before each
    a frame that is no JSON and a row with ``value`` as its size. Three are for connections, whose path is ``user``:
    ``ws_cut`` breaks them all and refuses new ones (``down`` does so too), ``ws_close`` closes those that are open, or
    the next one, and is then over, and ``ws_unauthorized`` takes good credentials for wrong ones.
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
