"""A wallet's user channel, kept open: connect, subscribe, hand on what it says, and do it again when it breaks.

The channel has no snapshot, no sequence number and no replay; whoever listens reads over REST what lies between two
connections. It only listens: what goes out is the subscription and PING, never a heartbeat nor an order (R-17, S-21).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import gevent
import msgspec
import structlog
import tenacity

from messages.stream import StreamClosed, StreamEvents, StreamMessage, StreamOpened
from polymarket.driver import Clock
from polymarket.payloads import parse_user_frame
from polymarket.settings import ApiCredentials, PolymarketSettings
from polymarket.user_socket import MAX_MESSAGE_BYTES, SocketEnded, UserSocket

Deliver = Callable[[StreamMessage], None]

_PING = "PING"
_SUSPECT_AFTER = 3
_SUSPECT_WITHIN_MS = 1000
_MS_PER_S = 1000

_log = structlog.get_logger(__name__)


class StreamTimings(msgspec.Struct, frozen=True, kw_only=True):
    """How long things may take, in seconds; and the bound on a message, which is not one of time.

    ``connect_s`` bounds each step of connecting, twice that all together. ``stale_s`` without a whole message, a PONG
    included, ends a connection. The wait before the n-th repetition is drawn between nothing and ``first_wait_s``
    doubled n − 1 times, at most ``longest_wait_s``. A message that comes ``proven_s`` after the subscription proves the
    connection: after it one starts over, at once. A close that comes earlier counts as a failure, for a channel that
    refuses us closes without a word.
    """

    connect_s: float = 5.0
    ping_s: float = 10.0
    stale_s: float = 30.0
    first_wait_s: float = 0.25
    longest_wait_s: float = 30.0
    proven_s: float = 5.0
    max_message_bytes: int = MAX_MESSAGE_BYTES


class _Connection:
    """One attempt, from dialling to its end."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.opened_at_ms: int | None = None
        self.heard_at_ms: int | None = None
        self.asked = ""
        self.by_peer = False

    def proven(self, proven_s: float) -> bool:
        """Whether it worked for some time."""
        if self.opened_at_ms is None or self.heard_at_ms is None:
            return False
        return self.heard_at_ms - self.opened_at_ms >= proven_s * _MS_PER_S

    def refused(self, now_ms: int) -> bool:
        """Whether the server hung up as it does on credentials that it does not know: at once, and in silence."""
        if self.opened_at_ms is None or self.heard_at_ms is not None or not self.by_peer:
            return False
        return now_ms - self.opened_at_ms <= _SUSPECT_WITHIN_MS


def full_jitter(ceiling_s: float) -> float:
    """A wait anywhere between nothing and the ceiling, so that not everybody comes back at the same moment."""
    return random.SystemRandom().uniform(0, ceiling_s)


class PolymarketUserStream:
    """The port ``UserStream`` for one wallet.

    Every attempt has a number and ends in one ``StreamClosed``; those that got as far as subscribing have a
    ``StreamOpened`` before it. All is told from one greenlet, in order. A receiver that raises loses what it was told,
    so its connection is ended as if it had broken: what was lost is then found over REST like all else between two
    connections. Without credentials there is one ``StreamClosed`` and nothing after it.
    """

    def __init__(
        self,
        settings: PolymarketSettings,
        wallet: str,
        clock: Clock,
        timings: StreamTimings | None = None,
        jitter: Callable[[float], float] = full_jitter,
    ) -> None:
        self._url = settings.user_ws_url
        self._wallet = wallet
        self._credentials = settings.wallet(wallet).credentials
        self._clock = clock
        self._timings = timings or StreamTimings()
        self._jitter = jitter
        self._numbers = itertools.count(1)
        self._refusals = 0
        self._deliver: Deliver | None = None
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._open: tuple[_Connection, UserSocket] | None = None
        self._delivering = False
        self._closed = False

    def open(self, deliver: Deliver) -> None:
        """Connect and stay connected. A stream is opened once; RuntimeError for a second time."""
        if self._deliver is not None:
            raise RuntimeError("the user stream is opened once; make another one")
        self._deliver = deliver
        if not self._closed:
            self._greenlet = gevent.spawn(self._run, deliver)

    def reconnect(self, reason: str) -> None:
        """Give up the present connection and make a new one without waiting; nothing where none is open."""
        if self._open is None:
            return
        connection, socket = self._open
        connection.asked = connection.asked or reason
        socket.interrupt()

    def close(self) -> None:
        """Close for good and return at once. A delivery under way ends undisturbed, and none comes after it."""
        self._closed = True
        if self._greenlet is not None and not self._delivering:
            self._greenlet.kill(block=False)

    def _run(self, deliver: Deliver) -> None:
        if self._credentials is None:
            reason = f"wallet {self._wallet!r} has no API credentials; set its API_KEY variables"
            self._end(deliver, _Connection(next(self._numbers)), reason)
            return
        pause_s = 0.0
        while not self._closed:
            try:
                gevent.sleep(pause_s)
                pause_s = self._timings.first_wait_s  # after a crash; a streak that ends as it should begins at once
                self._streak(deliver, self._credentials)
                pause_s = 0.0
            except (Exception, gevent.Timeout):  # noqa: BLE001 - see below
                # a stray time-out that the receiver left behind, or an error of ours: logged, and never the end
                _log.exception("user_stream_crashed", wallet=self._wallet)

    def _streak(self, deliver: Deliver, credentials: ApiCredentials) -> None:
        """Connections until one had worked for some time or was given up by request; waits between those before."""
        timings = self._timings
        ceiling = tenacity.wait_exponential(multiplier=timings.first_wait_s, max=timings.longest_wait_s)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(self._is_failure),
            wait=lambda state: self._jitter(ceiling(state)),
            sleep=gevent.sleep,
        )
        retrying(self._attempt, deliver, credentials)

    def _is_failure(self, connection: _Connection) -> bool:
        return not (self._closed or connection.asked or connection.proven(self._timings.proven_s))

    def _attempt(self, deliver: Deliver, credentials: ApiCredentials) -> _Connection:
        """One connection from beginning to end; whatever happens in it is its reason to end."""
        connection = _Connection(next(self._numbers))
        try:
            self._converse(deliver, credentials, connection)
            reason = ""
        except SocketEnded as ended:
            reason, connection.by_peer = ended.reason, ended.by_peer
        except gevent.Timeout:
            reason = "a time-out fired in the stream that was not its own"
            _log.exception("user_stream_interrupted", wallet=self._wallet)
        except Exception as error:  # noqa: BLE001 - nothing ends the stream for good; it is logged and told
            reason = f"the stream failed unexpectedly ({type(error).__name__}); see the log for its traceback"
            _log.exception("user_stream_failed", wallet=self._wallet)
        self._end(deliver, connection, connection.asked or reason + self._suspicion(connection))
        return connection

    def _converse(self, deliver: Deliver, credentials: ApiCredentials, connection: _Connection) -> None:
        """Subscribe and listen until the connection is over."""
        socket = UserSocket.dial(self._url, self._timings.connect_s, self._timings.max_message_bytes)
        keeper = gevent.Greenlet(self._keep_alive, socket)
        try:
            socket.send(_subscription(credentials))
            connection.opened_at_ms = self._clock()
            self._open = connection, socket
            keeper.start()
            _log.info("user_stream_opened", wallet=self._wallet, connection=connection.number)
            self._tell(deliver, StreamOpened(connection=connection.number, at_ms=connection.opened_at_ms))
            while not (self._closed or connection.asked):
                self._hand_on(deliver, connection, socket.receive(self._timings.stale_s))
        finally:
            self._open = None
            keeper.kill(block=False)
            socket.close()

    def _keep_alive(self, socket: UserSocket) -> None:
        """PING, as the channel asks of its clients; the server's PONG shows that it is still there."""
        while True:
            gevent.sleep(self._timings.ping_s)
            try:
                socket.send(_PING)
            except SocketEnded:
                socket.interrupt()  # who receives will see why
                return

    def _hand_on(self, deliver: Deliver, connection: _Connection, data: bytes) -> None:
        now_ms = self._clock()
        connection.heard_at_ms = now_ms
        frame = parse_user_frame(data)
        if frame.says_something:
            message = StreamEvents(
                connection=connection.number,
                received_at_ms=now_ms,
                events=frame.events,
                rejected=frame.rejected,
                unknown=frame.unknown,
            )
            self._tell(deliver, message)
        gevent.sleep(0)  # a socket that is never empty would keep everybody else waiting

    def _tell(self, deliver: Deliver, message: StreamMessage) -> None:
        """Deliver, unless the stream was closed. Raises :class:`SocketEnded` where the receiver failed."""
        if self._closed:
            return
        self._delivering = True
        try:
            deliver(message)
        except (Exception, gevent.Timeout) as error:  # noqa: BLE001 - the receiver may raise anything; logged and told
            _log.exception("user_stream_receiver_failed", wallet=self._wallet, message=type(message).__name__)
            detail = f"the receiver failed ({type(error).__name__}); see the log for its traceback"
            raise SocketEnded(detail) from None
        finally:
            self._delivering = False

    def _suspicion(self, connection: _Connection) -> str:
        """What silent closes in a row suggest. One that lived or spoke ends the row; one that never opened does not."""
        if connection.refused(self._clock()):
            self._refusals += 1
        elif connection.opened_at_ms is not None:
            self._refusals = 0
        if self._refusals < _SUSPECT_AFTER:
            return ""
        return (
            f"; {self._refusals} connections in a row were closed within a second of subscribing:"
            f" are the API credentials of wallet {self._wallet!r} right?"
        )

    def _end(self, deliver: Deliver, connection: _Connection, reason: str) -> None:
        if self._closed:
            return
        shown = _without_secrets(reason, self._credentials)
        _log.warning("user_stream_closed", wallet=self._wallet, connection=connection.number, reason=shown)
        try:
            self._tell(deliver, StreamClosed(connection=connection.number, reason=shown, at_ms=self._clock()))
        except SocketEnded:
            return  # it was logged, and there is no connection left that could end


def _subscription(credentials: ApiCredentials) -> str:
    """The first message. Without ``markets`` it means all of them; with an empty list there would be no trades."""
    auth = {
        "apiKey": credentials.key.reveal(),
        "secret": credentials.secret.reveal(),
        "passphrase": credentials.passphrase.reveal(),
    }
    return msgspec.json.encode({"auth": auth, "type": "user"}).decode()


def _without_secrets(text: str, credentials: ApiCredentials | None) -> str:
    """The text without what a server may have repeated of the subscription in its words of parting."""
    if credentials is None:
        return text
    for secret in (credentials.key, credentials.secret, credentials.passphrase):
        if secret.reveal():
            text = text.replace(secret.reveal(), "***")
    return text
