"""Reader of the Data API v2: positions, and how far behind the chain they are.

Sans-I/O. What it says is a second witness: rounded, late, and silent about what it does not show (D-13, R-15).
"""

from __future__ import annotations

import msgspec

from messages.reads import PositionsAnswer, ReadPositions
from polymarket.paging import Listing, gather
from polymarket.payloads import DataStatus, MalformedPayload, decode_data_page, parse_data_status, parse_position
from polymarket.reading import Findings, ReadContext, ReadResult, Trace, alongside, conclude
from polymarket.requests import HttpReply, HttpRequest, HttpResponse, Steps
from polymarket.settings import PolymarketSettings
from portfolio.facts import DataPosition, Source

_LIMIT = "500"


def read_positions(settings: PolymarketSettings, read: ReadPositions, context: ReadContext) -> Steps[ReadResult]:
    """All positions of the wallet's funder, dust and archived ones included, by token id.

    Sorted by size, which moves less between pages than the default, the value. ``_`` changes from read to read, past
    the cache that is keyed by URL. The certificate's block and time are what the source says of its own lag; they are
    None where it does not say.
    """
    base = settings.data_api_url.rstrip("/")
    parameters = (
        ("user", settings.wallet(read.wallet).address.lower()),
        ("filter_amount", "0"),
        ("include_archived", "true"),
        ("limit", _LIMIT),
        ("sort_by", "TOKENS"),
        ("sort_direction", "DESC"),
    )
    listing = _listing(f"{base}/v2/positions", parameters, context.nonce)
    status = HttpRequest(label="GET /v2/status", url=f"{base}/v2/status", params=(("_", context.nonce),))

    def body(trace: Trace) -> Steps[Findings]:
        found, reply = yield from alongside(gather(trace, listing), status)
        positions = tuple(found.rows[key] for key in sorted(found.rows))
        findings = Findings(
            rows=positions,
            answer=PositionsAnswer(positions=positions),
            parameters=(("wallet", read.wallet), *parameters),
            pages=found.pages,
            rejected=found.rejected,
            doubts=(found.moved,) if found.moved else (),
        )
        return _with_lag(findings, reply)

    return conclude(Source.DATA_POSITIONS, context, body)


def _listing(url: str, parameters: tuple[tuple[str, str], ...], nonce: str) -> Listing[DataPosition]:
    """The list of positions. A cursor is sent with the parameters it was made for: others silently begin elsewhere."""

    def request(cursor: str | None, attempt: int) -> HttpRequest:
        following = () if cursor is None else (("cursor", cursor),)
        params = (*parameters, *following, ("_", f"{nonce}{attempt}"))
        return HttpRequest(label="GET /v2/positions", url=url, params=params)

    return Listing[DataPosition](
        request=request,
        decode=decode_data_page,
        parse=parse_position,
        key=lambda position: position.token_id,
        newer=lambda _one, other: other,
        verify=False,
    )


def _with_lag(findings: Findings, reply: HttpReply) -> Findings:
    if not isinstance(reply, HttpResponse) or reply.status != 200:
        return findings
    try:
        status: DataStatus = parse_data_status(reply.body)
    except MalformedPayload:
        return findings  # the lag stays unknown, which the certificate shows by having no block and no time
    return msgspec.structs.replace(
        findings, block_number=status.block_number, block_time_ms=reply.started_at_ms - status.lag_ms
    )
