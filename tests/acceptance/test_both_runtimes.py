"""The same behaviour on both runtimes: greenlets and sockets, and one thread in virtual time (D-05, D-07, D-20).

What the simulator finds is found of production's actors and readers only if both runtimes do the same with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from actors.base import BaseActor, Crashed, Ping, System
from actors.supervisor import RESTARTS_MAX
from actors.writer import LedgerWriter
from messages.addresses import SUPERVISOR, WRITER, Address, gate_address, market_address
from polymarket.sandbox.actions import FillOrder, Merge, Split, TransferOut
from portfolio.entries import FillState
from portfolio.outcomes import Alert, CycleStatus, OperationsReport
from service.config.credentials import PARTS, prefix_of
from service.rebuilt import differences, keyed
from service.replaying import replayed
from service.simulation.process import Poison, Seen
from storage.database import open_readonly
from storage.journal import Journal
from storage.stored import stored_state
from tests.support.live import WALLET
from tests.support.probes import FakeLedger, FakeOutbox, Probe, alive, submit
from tests.support.runtimes import GeventGround, GeventService, Ground, PumpGround, PumpService, Service

pytestmark = pytest.mark.req("D-05", "D-20")

GROUNDS: dict[str, Callable[[], Ground]] = {"gevent": GeventGround, "pump": PumpGround}
SERVICES: dict[str, Callable[[Path, Seen], Service]] = {"gevent": GeventService, "pump": PumpService}
MESSAGES = 200
"""More than an actor handles in a row before it lets others in."""


# -- actors -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=sorted(GROUNDS))
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    made = GROUNDS[request.param]()
    yield made
    made.close()


def probe(ground: Ground, address: str) -> Probe:
    return alive(Probe.start(Address(address), ground.system))


class Teller(BaseActor):
    """Tells somebody so many numbered messages, and begins with one to itself."""

    def __init__(self, address: Address, system: System, receiver: str) -> None:
        self._receiver = Address(receiver)
        super().__init__(address, system)

    def on_start(self) -> None:
        """Nothing that is told from here is lost."""
        self.tell(self.address, MESSAGES)

    def take(self, message: object, now_ms: int) -> None:
        """A message for each number."""
        assert isinstance(message, int)
        for number in range(message):
            self.tell(self._receiver, (self.address, number))
            self.handled_one()


class Fragile(BaseActor):
    """Does what its mail says."""

    def take(self, message: object, now_ms: int) -> None:
        """Leak, fail, or pass on."""
        if message == "leak":
            raise gevent.Timeout(5)
        if message == "fail":
            raise ValueError("broken")
        self.tell(Address("probe"), message)


@pytest.mark.req("L-19")
def test_messages_of_one_sender_arrive_in_its_order_and_none_is_lost(ground: Ground) -> None:
    receiver = probe(ground, "probe")
    senders = [f"teller-{number}" for number in range(5)]
    for sender in senders:
        Teller.start(Address(sender), ground.system, "probe")
    ground.until(lambda: len(receiver.taken) >= len(senders) * MESSAGES, "all messages")
    for sender in senders:
        assert [m for m in receiver.taken if m[0] == sender] == [(sender, n) for n in range(MESSAGES)]  # type: ignore[index]
    assert receiver.stamps == sorted(receiver.stamps)


def test_timers_fire_in_their_order_and_one_that_was_taken_back_never_does(ground: Ground) -> None:
    receiver = probe(ground, "probe")
    receiver.later(90, "third")
    take_back = receiver.later(60, "second")
    fired = receiver.later(30, "first")
    take_back()
    ground.until(lambda: "third" in receiver.taken, "the last timer")
    fired()
    receiver.later(1, "fourth")
    ground.until(lambda: "fourth" in receiver.taken, "a later timer")
    assert receiver.taken == ["first", "third", "fourth"]


@pytest.mark.req("L-12")
@pytest.mark.parametrize(
    ("mail", "detail"),
    [
        ("fail", "ValueError: broken"),
        ("leak", "RuntimeError: a time-out leaked out of the handling of str: 5 seconds"),
    ],
)
def test_a_crash_is_reported_loses_its_mailbox_and_harms_nobody_else(ground: Ground, mail: str, detail: str) -> None:
    supervisor, other = probe(ground, SUPERVISOR), probe(ground, "probe")
    post = ground.system.post
    Fragile.start(Address("fragile"), ground.system)
    for message in ("before", mail, "lost with its mailbox"):
        post.tell(Address("fragile"), message)
    ground.until(lambda: supervisor.taken, "the report of the crash")
    assert supervisor.taken == [Crashed(address=Address("fragile"), detail=detail)]
    assert post.knows(Address("fragile")), "the address stays taken until the supervisor decides"
    post.tell(Address("fragile"), "to the dead")
    post.tell(Address("nobody"), "to nobody")
    assert post.undelivered == 2
    post.tell(other.address, "still here")
    ground.until(lambda: len(other.taken) > 1, "the mail of another")
    assert other.taken == ["before", "still here"]


def test_who_waits_for_a_message_to_be_handled_has_waited_for_all_before_it(ground: Ground) -> None:
    receiver = probe(ground, "probe")
    for number in range(MESSAGES):
        ground.system.post.tell(receiver.address, number)
    ground.system.runtime.handled(receiver.actor_ref, Ping(), 10)
    assert receiver.taken == list(range(MESSAGES))


class Told(Probe):
    """Notes of everything it takes whether the decision behind it was committed by then."""

    ledger: FakeLedger
    early: list[object]

    def take(self, message: object, now_ms: int) -> None:
        """The message is the decision's kind."""
        if message not in self.ledger.kinds:
            self.early.append(message)
        super().take(message, now_ms)


@pytest.mark.req("D-18", "L-02")
def test_nobody_is_told_of_a_decision_before_it_is_durable(ground: Ground) -> None:
    ledger = FakeLedger()
    told = alive(Told.start(Address("told"), ground.system))
    told.ledger, told.early = ledger, []
    LedgerWriter.start(ground.system, ledger, FakeOutbox())
    kinds = [f"kind-{number}" for number in range(MESSAGES)]
    for kind in kinds:
        ground.system.post.tell(WRITER, submit(kind, then=((told.address, kind),)))
    ground.until(lambda: len(told.taken) >= MESSAGES, "all that is told behind a commit")
    assert (told.taken, told.early) == (kinds, [])
    assert ledger.kinds == kinds


# -- the whole service --------------------------------------------------------------------------------------------


class Witness(Seen):
    """Sees what leaves the process, and looks at once whether the disk has it already."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.url = f"sqlite:///{folder}/books.db"
        self.early: list[str] = []

    def cycle(self, report: OperationsReport) -> None:
        """A report leaves."""
        self._look(report.cycle_id.encode())
        super().cycle(report)

    def send(self, alert: Alert) -> None:
        """An alert leaves."""
        super().send(alert)

    def _look(self, wanted: bytes) -> None:
        database = open_readonly(self.url)
        try:
            entries = Journal(database).read(WALLET)
            if not any(wanted in entry.payload for entry in entries if entry.kind == "cycle_closed"):
                self.early.append(wanted.decode())
        finally:
            database.close()


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """A service that has begun; whatever a test did, its journal gives its tables and no actor fell."""
    made = SERVICES[request.param](tmp_path, Witness(tmp_path))
    try:
        made.begin()
        yield made
        assert_replays(tmp_path)
    finally:
        made.close()


def assert_replays(folder: Path) -> None:
    database = open_readonly(f"sqlite:///{folder}/books.db")
    try:
        stored = stored_state(database, WALLET)
        rebuilt = replayed(WALLET, Journal(database).read(WALLET), stored.head_seq)
        assert differences(rebuilt, keyed(stored.rows)) == []
    finally:
        database.close()


def an_order(service: Service) -> str:
    return str(service.process.queries().orders()[0]["order_id"])


def fills(service: Service, order_id: str) -> list[tuple[str, str]]:
    """Feed and state of the stored fills of an order."""
    rows = service.process.queries().fills()
    return [(row["first_seen_by"], row["state"]) for row in rows if row["order_id"] == order_id]


@pytest.mark.req("S-02", "S-14", "X-02")
def test_a_cycle_reads_every_source_and_the_books_are_the_worlds(service: Service) -> None:
    report = service.cycle()
    assert (report.status, report.onchain_reconciled, report.delta_count) == (CycleStatus.OK, True, 0)
    assert service.shares() == service.held()
    assert service.shares()
    gate = service.process.gate("default")
    assert gate is not None
    assert (gate.allowed, gate.reasons) == (True, ())


@pytest.mark.req("L-01", "X-02")
def test_a_fill_is_seen_by_the_stream_and_booked_once(service: Service) -> None:
    order_id = an_order(service)
    before, known = service.shares(), service.process.queries().counts()["fills"]
    service.act(FillOrder(order_id=order_id))
    service.until(lambda: fills(service, order_id), "the fill")
    assert fills(service, order_id)[0][0] == "stream"
    service.cycles_until(lambda: fills(service, order_id) == [("stream", FillState.SETTLED)], "its proof")
    assert service.shares() == service.held() != before
    assert service.process.queries().counts()["fills"] == known + 1
    report = service.cycle()
    assert (report.delta_count, report.pending_count) == (0, 0), "no fill was taken for drift"


@pytest.mark.req("D-18", "L-02")
def test_no_report_leaves_before_its_cycle_is_durable(service: Service) -> None:
    for _ in range(3):
        service.cycle()
    assert isinstance(service.seen, Witness)
    assert len(service.seen.cycles) >= 4
    assert service.seen.early == []


def crash(service: Service, address: Address) -> None:
    """Crash an actor and wait for its next life."""
    before = service.ref(address)
    service.tell(address, Poison())
    service.until(lambda: service.ref(address) not in {None, before}, "a restart")


@pytest.mark.req("L-12", "D-19")
def test_a_market_that_crashes_comes_back_with_its_books_and_goes_on(service: Service) -> None:
    order_id = an_order(service)
    (market_id,) = {r["market_id"] for r in service.process.queries().orders() if r["order_id"] == order_id}
    before = service.shares()
    crash(service, market_address(WALLET, market_id))
    assert service.cycle().status is CycleStatus.OK
    assert service.shares() == before
    service.act(FillOrder(order_id=order_id))
    service.until(lambda: fills(service, order_id), "the fill")
    service.cycles_until(lambda: service.shares() == service.held(), "the world's shares")
    assert len(fills(service, order_id)) == 1


@pytest.mark.req("S-10", "L-12")
def test_settings_that_were_in_the_mailbox_of_a_gate_that_crashed_are_in_force_all_the_same(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in PARTS:
        monkeypatch.setenv(f"{prefix_of(WALLET)}_{part}", "00000000-0000-0000-0000-000000000000")
    file = service.process._config.file
    assert file is not None
    file.write_text(file.read_text(encoding="utf-8") + '\n[strategies.second]\nmarkets = ["0x' + 64 * "0" + '"]\n')
    gate = gate_address(WALLET)
    before = service.ref(gate)
    service.tell(gate, Poison())
    service.process.reload_config()
    service.until(lambda: service.ref(gate) not in {None, before}, "a restart")
    service.until(lambda: service.process.gate("second") is not None, "the strategy")


@pytest.mark.req("L-12")
def test_a_market_that_keeps_crashing_is_quarantined_and_the_others_go_on(service: Service) -> None:
    market_id = service.process.queries().orders()[0]["market_id"]
    address = market_address(WALLET, market_id)
    for _ in range(RESTARTS_MAX):
        crash(service, address)
    service.tell(address, Poison())
    service.until(lambda: service.process.health().quarantined, "the quarantine")
    assert service.process.health().quarantined == (market_id,)
    assert service.cycle().status is CycleStatus.OK
    service.until(lambda: "PORTFOLIO_SYNC_MARKET_HALTED" in [a.code for a in service.seen.alerts], "its alert")
    gate = service.process.gate("default")
    assert gate is not None
    assert gate.reasons == ("a market of the strategy is halted",)


HELD = ("token_id", "shares_micro", "settled_micro", "cost_basis_micro", "realized_pnl_micro", "fees_micro")
FILLED = ("order_id", "token_id", "side", "size_micro", "price_micro", "amount_micro", "fee_micro", "state")
BOOKED = ("token_id", "cause", "size_micro", "cost_micro", "proceeds_micro", "realized_pnl_micro")


def quiet(service: Service) -> bool:
    """Whether nothing is left to be found or proven."""
    reports = service.seen.cycles[-2:]
    settled = all(row["state"] == FillState.SETTLED for row in service.process.queries().fills())
    return settled and not any(report.delta_count or report.pending_count for report in reports)


def told(service: Service) -> dict[str, list[tuple[object, ...]]]:
    """Orders fill, shares are split, merged and sent away; what is then stored, but for when and by which cycle."""
    service.begin()
    orders = sorted(service.process.queries().orders(), key=lambda row: str(row["order_id"]))
    market = orders[0]["condition_id"]
    for order in orders[:2]:
        service.act(FillOrder(order_id=order["order_id"]))
    service.act(Split(condition_id=market, amount="40"))
    service.act(Merge(condition_id=market, amount="15"))
    service.act(TransferOut(condition_id=market, outcome="Yes", amount="5"))
    service.cycle()  # else the cycles before would do
    service.cycles_until(lambda: quiet(service), "two cycles with nothing to do, and every fill settled")
    assert service.shares() == service.held()
    queries = service.process.queries()
    tables = {"positions": (queries.positions(), HELD), "fills": (queries.fills(), FILLED),
              "adjustments": (queries.adjustments(), BOOKED)}  # fmt: skip
    return {
        name: sorted(tuple(row[column] for column in columns) for row in rows)
        for name, (rows, columns) in tables.items()
    }


@pytest.mark.req("D-07", "L-19")
def test_one_story_gives_the_same_books_on_both(tmp_path: Path) -> None:
    books = {}
    for name, make in SERVICES.items():
        folder = tmp_path / name
        folder.mkdir()
        service = make(folder, Witness(folder))
        try:
            books[name] = told(service)
        finally:
            service.close()
    assert books["gevent"] == books["pump"]
    assert {row[1] for row in books["pump"]["adjustments"]} >= {"POSITION_SPLIT", "POSITION_MERGED", "TRANSFER_OUT"}
