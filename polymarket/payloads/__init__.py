"""Strict parsing of what the wires carry into facts; the only place where units are converted (D-07, D-08).

Raw bytes come in, facts or :class:`RejectedRow` go out. A body that is not JSON of the expected shape raises
:class:`MalformedPayload`; a bad row never raises, it is returned, with its reason (R-16). No float is ever made.
"""

from polymarket.payloads.fields import FieldError, MalformedPayload, RejectedRow
from polymarket.payloads.markets import TokenContracts, parse_clob_market, parse_gamma_market, question_index
from polymarket.payloads.money import MAX_MICRO, parse_micro, parse_rounded_micro
from polymarket.payloads.orders import parse_order, parse_trade
from polymarket.payloads.pages import (
    Page,
    decode_clob_page,
    decode_data_page,
    decode_gamma_markets,
    decode_single,
    decode_time,
    decode_token_parent,
)
from polymarket.payloads.positions import DataStatus, parse_data_status, parse_position
from polymarket.payloads.user_channel import UserFrame, parse_user_frame

__all__ = [
    "MAX_MICRO",
    "DataStatus",
    "FieldError",
    "MalformedPayload",
    "Page",
    "RejectedRow",
    "TokenContracts",
    "UserFrame",
    "decode_clob_page",
    "decode_data_page",
    "decode_gamma_markets",
    "decode_single",
    "decode_time",
    "decode_token_parent",
    "parse_clob_market",
    "parse_data_status",
    "parse_gamma_market",
    "parse_micro",
    "parse_order",
    "parse_position",
    "parse_rounded_micro",
    "parse_trade",
    "parse_user_frame",
    "question_index",
]
