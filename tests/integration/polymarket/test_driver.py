"""The driver against a server that misbehaves: deadlines, limits, repetitions, and nothing that leaks (S-15, D-15)."""

from __future__ import annotations

import socket

import gevent
import gevent.event
import msgspec
import pytest
import requests

from polymarket.driver import HttpDriver
from polymarket.requests import HttpFailure, HttpReply, HttpRequest, HttpResponse, Signing, Steps
from polymarket.settings import PolymarketSettings
from portfolio.facts import FailureKind
from tests.integration.polymarket.conftest import Connection, Handler, Server, now_ms


def request(settings: PolymarketSettings, path: str = "/data/orders", **changes: object) -> HttpRequest:
    return msgspec.structs.replace(HttpRequest(label=f"GET {path}", url=settings.clob_url + path), **changes)


def asking(*requests: HttpRequest) -> Steps[tuple[HttpReply, ...]]:
    """A reader of one round."""
    return (yield requests)


def one(driver: HttpDriver, wanted: HttpRequest) -> HttpReply:
    (reply,) = driver.run(asking(wanted))
    return reply


def failure(reply: HttpReply) -> HttpFailure:
    assert isinstance(reply, HttpFailure), reply
    return reply


def answered(reply: HttpReply) -> HttpResponse:
    assert isinstance(reply, HttpResponse), reply
    return reply


@pytest.fixture
def hasty(hasty: PolymarketSettings) -> PolymarketSettings:
    """Not so soon that a loaded machine has not passed the request on by then, or an answer back."""
    return msgspec.structs.replace(hasty, timeout_ms=1_000)


def silent(_connection: Connection) -> None:
    gevent.event.Event().wait()


def trickling(connection: Connection) -> None:
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.socket.sendall(b" ")
        gevent.sleep(0.02)


@pytest.mark.req("D-05")
def test_an_answer_comes_back_whole_with_its_times(
    server: Server, driver: HttpDriver, settings: PolymarketSettings
) -> None:
    server.handler = lambda connection: connection.answer(b'{"a": 1}', "200 OK", "X-Trace-Id: t1")
    before = now_ms()
    reply = answered(one(driver, request(settings, params=(("id", "1"), ("id", "2")))))
    assert (reply.status, reply.body, reply.content_type) == (200, b'{"a": 1}', "application/json")
    assert reply.headers["x-trace-id"] == "t1"
    assert before <= reply.started_at_ms <= reply.completed_at_ms <= now_ms()
    assert server.heads[0].startswith(b"GET /data/orders?id=1&id=2 HTTP/1.1")


@pytest.mark.req("S-15")
def test_connections_are_kept_and_used_again(server: Server, driver: HttpDriver, settings: PolymarketSettings) -> None:
    for _ in range(5):
        answered(one(driver, request(settings)))
    assert (server.connections, len(server.heads)) == (1, 5)


@pytest.mark.req("S-15", "S-11", "D-15")
@pytest.mark.parametrize("handler", [silent, trickling], ids=["silent", "trickling"])
def test_a_call_ends_at_its_deadline_and_is_not_repeated(
    handler: Handler, server: Server, hasty: PolymarketSettings
) -> None:
    server.handler = handler
    reply = failure(one(HttpDriver(hasty, now_ms), request(hasty)))
    assert reply.kind is FailureKind.TIMEOUT
    assert "1000 ms" in reply.detail
    assert len(server.heads) == 1


@pytest.mark.req("D-15")
def test_a_silent_socket_is_a_timeout_too_and_not_repeated(
    driver: HttpDriver, settings: PolymarketSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []

    def silent_socket(_session: object, method: str, *_args: object, **_options: object) -> None:
        attempts.append(method)
        raise requests.ConnectTimeout

    monkeypatch.setattr(requests.Session, "request", silent_socket)
    assert failure(one(driver, request(settings))).kind is FailureKind.TIMEOUT
    assert attempts == ["GET"]


@pytest.mark.req("D-15")
def test_a_timeout_reaches_nobody_else_and_leaves_no_half_read_connection_behind(
    server: Server, hasty: PolymarketSettings
) -> None:
    server.handler = trickling
    driver = HttpDriver(hasty, now_ms)
    done = gevent.event.Event()
    beside = gevent.spawn(done.wait)
    reply, other = driver.run(asking(request(hasty), request(hasty)))
    assert {failure(reply).kind, failure(other).kind} == {FailureKind.TIMEOUT}
    server.handler = lambda connection: connection.answer(b"[]")
    assert answered(one(driver, request(hasty))).body == b"[]"
    done.set()
    assert beside.get() is True, "the greenlet beside it was not disturbed"


@pytest.mark.req("S-11")
def test_nobody_there_is_unreachable_after_the_budget_is_spent(settings: PolymarketSettings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = HttpDriver(msgspec.structs.replace(settings, timeout_ms=5_000, retries_per_read=1), now_ms)
    reply = failure(one(driver, HttpRequest(label="GET /x", url=f"http://127.0.0.1:{port}/x?key=hidden")))
    assert reply.kind is FailureKind.UNREACHABLE
    assert "hidden" not in reply.detail


@pytest.mark.req("D-15")
def test_a_connection_that_breaks_is_tried_again(
    server: Server, driver: HttpDriver, settings: PolymarketSettings
) -> None:
    def breaking_once(connection: Connection) -> None:
        if len(server.heads) == 1:
            connection.socket.close()
            raise OSError
        connection.answer(b"[1]")

    server.handler = breaking_once
    assert answered(one(driver, request(settings))).body == b"[1]"
    assert len(server.heads) == 2


@pytest.mark.req("D-15")
@pytest.mark.parametrize("status", ["425 Too Early", "429 Too Many Requests", "503 Service Unavailable"])
def test_try_later_is_tried_again_when_the_server_says_and_within_the_budget(
    status: str, server: Server, settings: PolymarketSettings
) -> None:
    driver = HttpDriver(msgspec.structs.replace(settings, timeout_ms=10_000), now_ms)
    server.handler = lambda connection: connection.answer(b"{}", status, "Retry-After: 0")
    assert answered(one(driver, request(settings))).status == int(status[:3])
    assert len(server.heads) == 1 + settings.retries_per_read


@pytest.mark.req("D-15")
def test_a_wait_longer_than_the_deadline_is_not_waited(
    server: Server, driver: HttpDriver, settings: PolymarketSettings
) -> None:
    server.handler = lambda connection: connection.answer(b"{}", "429 Too Many Requests", "Retry-After: 60")
    reply = answered(one(driver, request(settings)))
    assert (reply.status, len(server.heads)) == (429, 1)


@pytest.mark.req("D-15")
def test_the_budget_is_one_for_all_calls_of_a_read(server: Server, settings: PolymarketSettings) -> None:
    driver = HttpDriver(msgspec.structs.replace(settings, timeout_ms=10_000, retries_per_read=2), now_ms)
    server.handler = lambda connection: connection.answer(b"{}", "503 Service Unavailable", "Retry-After: 0")
    driver.run(asking(*(request(settings, f"/{n}") for n in range(4))))
    assert len(server.heads) == 4 + 2


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "500 Internal Server Error"]
)
def test_other_statuses_come_back_at_once(
    status: str, server: Server, driver: HttpDriver, settings: PolymarketSettings
) -> None:
    server.handler = lambda connection: connection.answer(b"{}", status)
    assert answered(one(driver, request(settings))).status == int(status[:3])
    assert len(server.heads) == 1


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_larger_than_the_limit_is_cut_off(
    announced: bool, server: Server, driver: HttpDriver, settings: PolymarketSettings
) -> None:
    def endless(connection: Connection) -> None:
        length = b"Content-Length: 999999999\r\n" if announced else b"Transfer-Encoding: chunked\r\n"
        connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + length + b"\r\n")
        while True:
            connection.socket.sendall(b" " * 0x1000 if announced else b"1000\r\n" + b" " * 0x1000 + b"\r\n")

    server.handler = endless
    reply = failure(one(driver, request(settings)))
    assert reply.kind is FailureKind.MALFORMED
    assert "larger than 100000 bytes" in reply.detail


def test_a_body_that_is_not_what_its_encoding_says_is_malformed(
    server: Server, driver: HttpDriver, settings: PolymarketSettings
) -> None:
    server.handler = lambda connection: connection.answer(b"not gzip", "200 OK", "Content-Encoding: gzip")
    assert failure(one(driver, request(settings))).kind is FailureKind.MALFORMED


def test_a_redirect_is_not_followed(server: Server, driver: HttpDriver, settings: PolymarketSettings) -> None:
    server.handler = lambda connection: connection.answer(b"", "302 Found", f"Location: {server.url}/elsewhere")
    assert answered(one(driver, request(settings))).status == 302
    assert len(server.heads) == 1


@pytest.mark.req("R-15")
def test_a_repeated_request_is_signed_again(server: Server, settings: PolymarketSettings) -> None:
    ticks = iter(range(1_700_000_000_000, 1_700_000_999_000, 1_000))
    driver = HttpDriver(msgspec.structs.replace(settings, timeout_ms=600_000), lambda: next(ticks))
    server.handler = lambda connection: connection.answer(b"{}", "425 Too Early", "Retry-After: 0")
    one(driver, request(settings, signing=Signing(wallet="main", path="/data/orders")))
    stamps = {line for head in server.heads for line in head.split(b"\r\n") if line.startswith(b"POLY_TIMESTAMP")}
    assert len(stamps) == len(server.heads) == 1 + settings.retries_per_read


def test_a_wallet_without_credentials_is_unauthorized_without_a_request(
    server: Server, driver: HttpDriver, settings: PolymarketSettings
) -> None:
    reply = failure(one(driver, request(settings, signing=Signing(wallet="other", path="/x"))))
    assert (reply.kind, server.heads) == (FailureKind.UNAUTHORIZED, [])


@pytest.mark.req("S-15")
def test_never_more_requests_are_in_flight_than_allowed(server: Server, settings: PolymarketSettings) -> None:
    driver = HttpDriver(msgspec.structs.replace(settings, max_in_flight=8, timeout_ms=10_000), now_ms)
    gate = gevent.event.Event()

    def waiting(connection: Connection) -> None:
        if server.busy == 8:
            gate.set()
        gate.wait()
        connection.answer(b"{}")

    server.handler = waiting
    reads = [gevent.spawn(driver.run, asking(*(request(settings, f"/{r}/{n}") for n in range(10)))) for r in range(4)]
    replies = [reply for read in reads for reply in read.get()]
    assert (len(replies), server.busiest) == (40, 8)
    assert {answered(reply).status for reply in replies} == {200}
