"""An exchange where nothing happens: the CLOB, Data API and Gamma of one wallet and one market, over HTTP.

It lists no orders and no trades, and its Data API goes on showing what it was given: whatever the service learns of
the wallet's balances it has from the chain. Rows are the captured ones of ``tests/data`` with this market's ids.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.evm.market import ChainMarket

DATA = Path(__file__).parents[1] / "data"
API_KEY = "00000000-0000-4000-8000-000000000001"
PASSPHRASE = "passphrase of the tests"
SECRET = base64.urlsafe_b64encode(b"secret of the tests").decode()

Body = dict[str, Any]


def captured(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


class QuietExchange:
    """A server on a free port; ``data_rows`` is what its Data API shows."""

    def __init__(self, market: ChainMarket) -> None:
        self._market = market
        self.data_rows: list[Body] = []
        self.asked: list[str] = []
        handler = type("Handler", (_Handler,), {"exchange": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def show(self, balances: dict[str, int]) -> None:
        """Let the Data API show these micro-shares by token id, in shares rounded as it rounds, bought at 0.50."""
        market = self._market
        template = captured("data_api_v2/positions.json")["data"][0]
        tokens = [str(market.yes), str(market.no)]
        sizes = {token: round(micro / 1_000_000, 4) for token, micro in balances.items()}
        self.data_rows = [
            template
            | {
                "proxy_wallet": market.wallet.lower(),
                "condition_id": "0x" + market.condition.hex(),
                "token_id": token,
                "opposite_token_id": tokens[1 - tokens.index(token)],
                "outcome_index": tokens.index(token),
                "current_size": size,
                "entry_cost_usdc": round(size / 2, 4),
                "current_price": 0.5,
                "negative_risk": False,
            }
            for token, size in sizes.items()
        ]

    def answer(self, path: str, query: dict[str, list[str]]) -> Body | None:
        """The body for a path; None where the exchange does not know it."""
        self.asked.append(path)
        match path:
            case "/data/orders" | "/data/trades":
                return {"limit": 500, "count": 0, "next_cursor": "LTE=", "data": []}
            case "/v2/positions":
                mine = query["user"] == [self._market.wallet.lower()]
                pagination = {"limit": 500, "offset": 0, "has_more": False}
                return {"data": self.data_rows if mine else [], "pagination": pagination}
            case "/v2/status":
                return dict(captured("data_api_v2/status.json"))
            case "/markets/keyset":
                return {"markets": [row for row in (self._gamma_row(),) if _selected(row, query)]}
            case _:
                return None

    def _gamma_row(self) -> Body:
        market = self._market
        template: Body = captured("nautilus_http/gamma_market.json")
        return template | {
            "conditionId": "0x" + market.condition.hex(),
            "questionID": "0x" + market.question_id.hex(),
            "clobTokenIds": json.dumps([str(market.yes), str(market.no)]),
        }


def _selected(row: Body, query: dict[str, list[str]]) -> bool:
    """Gamma's filters: open markets only, unless closed ones are asked for."""
    asked = {*query.get("condition_ids", ()), *query.get("clob_token_ids", ())}
    known = {row["conditionId"], *json.loads(row["clobTokenIds"])}
    return query.get("closed", ["false"]) == [str(row["closed"]).lower()] and bool(asked & known)


class _Handler(BaseHTTPRequestHandler):
    exchange: ClassVar[QuietExchange]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        if target.path.startswith("/data/") and not self._signed(target.path):
            self._send(401, {"error": "Unauthorized/Invalid api key"})
            return
        body = self.exchange.answer(target.path, parse_qs(target.query))
        self._send(200 if body is not None else 404, body if body is not None else {"error": "not found"})

    def _signed(self, path: str) -> bool:
        """Whether the level 2 headers are this key's, over this path, and of now."""
        stamp = self.headers.get("POLY_TIMESTAMP", "0")
        message = f"{stamp}GET{path}".encode()
        digest = hmac.new(base64.urlsafe_b64decode(SECRET), message, hashlib.sha256).digest()
        expected = (API_KEY, PASSPHRASE, base64.urlsafe_b64encode(digest).decode())
        given = tuple(self.headers.get(f"POLY_{name}") for name in ("API_KEY", "PASSPHRASE", "SIGNATURE"))
        return given == expected and abs(time.time() - int(stamp)) < 60

    def _send(self, status: int, body: Body) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the paths asked for are in ``asked``."""
