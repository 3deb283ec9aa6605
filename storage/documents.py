"""How a report is kept: its document as JSON text, and until when (S-09, R-09). The one seam to how reports look.

Numbers are written digit by digit from decimals and read back as such: no float is made in either direction.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from portfolio import reports, retention
from portfolio.outcomes import OperationsReport, SettlementReport

_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")
_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def settlement_document(report: SettlementReport) -> str:
    """The document of a settlement report, as JSON."""
    return _encoder.encode(reports.render_settlement(report)).decode()


def operations_document(report: OperationsReport) -> str:
    """The document of an operations report, as JSON."""
    return _encoder.encode(reports.render_operations(report)).decode()


def decode_document(text: str) -> dict[str, Any]:
    """A kept document; numbers with a point are decimals."""
    return _decoder.decode(text)


def settlement_retained_until_ms(report: SettlementReport) -> int:
    """Until when a settlement report is kept: seven years."""
    return retention.retained_until_ms(report.synced_at_ms, retention.SETTLEMENT_YEARS)


def operations_retained_until_ms(report: OperationsReport) -> int:
    """Until when an operations report is kept: one year."""
    return retention.retained_until_ms(report.synced_at_ms, retention.OPERATIONS_YEARS)
