"""The demo itself: sandbox, service and view together, until enough cycles were seen or somebody ends it."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import msgspec
from gevent.event import Event
from rich.console import Console

from actors.ports import AlertSink
from polymarket.sandbox.control import SandboxControl, SandboxControlError
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from portfolio.outcomes import Alert
from portfolio.reasons import Route
from service.bootstrap import open_outside, running
from service.clock import SystemClock
from service.config import Config
from service.demo import summary
from service.demo.faults import DEMO_SECONDS, parse_faults
from service.demo.folder import configure, make_folder
from service.demo.script import DEEDS, Deed, NothingToDo, announce, reorganisation
from service.http import Servers
from service.live import Follower, Kind, Line, Panel, Plain, View, alert_line
from service.logs import set_up
from service.process import Process

LOOK_EVERY_S = 0.2
FIRST_DEED_AFTER_S = 3
NEXT_DEED_AFTER_S = 8
"""So that all of them happen in the first minute, where the number of cycles does not set the pace."""

FOUND_WITHIN_S = 10
READ_IN_S = 1.5
"""What the chain is to drop must have been seen, also by who looks; if it stood still for long it would be stale."""

LAST_CYCLES = 2
"""Left after the last deed, for what it does to be found."""

LAST_LOOKS = 10
LAST_LOOK_EVERY_S = 1.1
"""Longer than the settling window of the demo's configuration."""

WIDE = 200


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for. ``cycles`` None: until somebody ends it."""

    cycles: int | None
    seed: int
    faults: tuple[str, ...]
    headless: bool
    storage_url: str


class ShownAlerts:
    """The alert sink, with what it was told kept for the view."""

    def __init__(self, inner: AlertSink, wallet: str) -> None:
        """``inner`` is the configured one."""
        self.wallet = wallet
        self._inner = inner
        self.alerts: deque[Alert] = deque()

    def send(self, alert: Alert) -> None:
        """Say it as configured; then show it, unless it is only for the log."""
        self._inner.send(alert)
        if alert.route != Route.LOG:
            self.alerts.append(alert)


class Demo:
    """One run. The view gets every line; all of them are kept for the summary."""

    def __init__(self, options: DemoOptions, sandbox: SandboxControl, view: View, sink: ShownAlerts) -> None:
        """Nothing happens before ``follow``."""
        self._options = options
        self._sandbox = sandbox
        self._view = view
        self._clock = SystemClock()
        self.lines: list[Line] = []
        self.deeds: list[Deed] = []
        self.ended = Event()
        self._alerts = sink.alerts
        self._wallet = sink.wallet

    def follow(self, process: Process) -> None:
        """Show what the service finds, and let the script play, until it is enough."""
        follower = self.follower = Follower(process.queries(), self._wallet)
        script: gevent.Greenlet[..., None] | None = None
        try:
            while not (self.ended.is_set() or process.ended.is_set() or self._enough(follower)):
                for line in summary.told(follower.look()):
                    self._show(line)
                while self._alerts:
                    self._show(alert_line(self._alerts.popleft()))
                if script is None and follower.cycles:
                    script = gevent.spawn(self._play)
                self.ended.wait(LOOK_EVERY_S)
        finally:
            if script is not None:
                script.kill()

    def _enough(self, follower: Follower) -> bool:
        return self._options.cycles is not None and follower.cycles >= self._options.cycles

    def _play(self) -> None:
        """Faults first, one after the other; then the deeds."""
        if self._options.faults:
            gevent.sleep(FIRST_DEED_AFTER_S)
        for fault in parse_faults(self._options.faults):
            seconds = fault.seconds or DEMO_SECONDS
            self._sandbox.add_fault(msgspec.structs.replace(fault, seconds=seconds))
            self.say(f"the sandbox now plays {fault.kind} on {fault.target} for {seconds:g} s")
            gevent.sleep(seconds)
        begun = self.follower.cycles - 1
        for number, do in enumerate(DEEDS):
            if do is reorganisation:
                self._wait(self._last_found, FOUND_WITHIN_S)
                gevent.sleep(READ_IN_S)
            else:
                self._await(number, begun)
            self._do(do)

    def _last_found(self) -> bool:
        return any(each.report is not None for each in summary.match(self.deeds[-1:], self.lines))

    def _await(self, number: int, begun: int) -> None:
        """The time of a deed: at its cycle where their number is given, else some seconds after the one before."""
        wanted = self._options.cycles
        rest_s = FIRST_DEED_AFTER_S if number == 0 else NEXT_DEED_AFTER_S
        if wanted is None:
            gevent.sleep(rest_s)
            return
        spread = max(1, (wanted - begun - LAST_CYCLES) / len(DEEDS))
        self._wait(lambda: self.follower.cycles > begun + int(number * spread), rest_s)

    def _wait(self, holds: Callable[[], bool], within_s: float) -> None:
        for _ in range(int(within_s / LOOK_EVERY_S)):
            if holds():
                return
            gevent.sleep(LOOK_EVERY_S)

    def _do(self, do: Callable[[SandboxControl, int], Deed]) -> None:
        try:
            deed = do(self._sandbox, self._clock.now_ms())
        except (NothingToDo, SandboxControlError) as error:
            self.say(str(error))
            return
        self.deeds.append(deed)
        self.say(announce(deed))

    def say(self, text: str) -> None:
        """A line of the demo's own."""
        self._show(Line(kind=Kind.SCRIPT, at_ms=self._clock.now_ms(), text=text))

    def keep(self, line: Line) -> None:
        """For the summary alone."""
        self.lines.append(line)

    def _show(self, line: Line) -> None:
        self.keep(line)
        self._view.show(line)


def run_demo(options: DemoOptions) -> int:
    """Run it; 0 when it ended as asked, 1 when the service gave up."""
    parse_faults(options.faults)
    folder = make_folder()
    world = WorldOptions(seed=options.seed, block_time_ms=1000, finality_blocks=2)
    sandbox = SandboxProcess(world)
    try:
        with _without_interrupts():
            sandbox.start()
        markets = sandbox.control.books()["markets"]
        traded = [market["condition_id"] for market in markets if not market["neg_risk"]]
        config = configure(folder, {**sandbox.info, "markets": traded}, options.storage_url)
        return _run(options, sandbox.control, config, folder)
    finally:
        sandbox.stop()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process that is started here keeps Ctrl-C out for its life: it ends when we end it, after the last look."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _run(options: DemoOptions, sandbox: SandboxControl, config: Config, folder: Path) -> int:
    with (folder / "portfolio-sync.log").open("w", encoding="utf-8") as log:
        set_up(config, log)
        outside = open_outside(config, lines=False)
        sink = ShownAlerts(outside.sink, config.wallets[0].name)
        outside = msgspec.structs.replace(outside, sink=sink)
        with running(config, outside) as process, _serving(process, config) as port:
            view = _view(options, f"portfolio-sync demo · http://127.0.0.1:{port}/v1/portfolio · {folder}")
            demo = Demo(options, sandbox, view, sink)
            with _ending(demo.ended):
                try:
                    demo.follow(process)
                finally:
                    view.close()
            _tell(demo, sandbox, process, config)
            return 1 if process.failure else 0


@contextmanager
def _serving(process: Process, config: Config) -> Iterator[int | None]:
    """The read API and the control socket, so that other commands work beside the demo."""
    servers = Servers(process, config)
    servers.start()
    try:
        yield servers.tcp_port
    finally:
        servers.stop()


@contextmanager
def _ending(ended: Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the demo in order."""
    handlers = [gevent.signal_handler(number, ended.set) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for handler in handlers:
            handler.cancel()


def _view(options: DemoOptions, heading: str) -> View:
    if options.headless or not sys.stdout.isatty():
        view = Plain(sys.stdout)
        view.show(Line(kind=Kind.NOTE, at_ms=SystemClock().now_ms(), text=heading))
        return view
    return Panel(Console(), heading)


def _settled(sandbox: SandboxControl, process: Process, config: Config) -> tuple[str, list[str]]:
    """Let what is under way come to its end, with the sandbox's time in our hand; the last status, and what differs.

    A difference is applied at its second look (D-12), and blocks count once they are final: both take a few blocks.
    """
    sandbox.pause()
    sandbox.clear_faults()
    status, wrong = "", ["no cycle was completed"]
    for _ in range(LAST_LOOKS):
        sandbox.mine()
        gevent.sleep(LAST_LOOK_EVERY_S)
        status = process.force_sync()["operations_report"]["status"]
        wrong = summary.differences(process.queries(), config.wallets[0].name, sandbox.books())
        if not wrong:
            break
    return status, wrong


def _tell(demo: Demo, sandbox: SandboxControl, process: Process, config: Config) -> None:
    """The summary, once nothing is under way any more."""
    demo.say("the demo ends; a last look at both books")
    try:
        status, wrong = _settled(sandbox, process, config)
        verdict = wrong or ["the service's books equal the sandbox's own, to the base unit"]
    except (SandboxControlError, OSError):
        status, verdict = "skipped", ["the sandbox has ended already, so the books were not compared with its own"]
    for line in summary.told(demo.follower.look()):
        demo.keep(line)
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDE, color_system=None)
    if demo.deeds:
        console.print(summary.table(summary.match(demo.deeds, demo.lines)))
    console.print(f"cycles: {summary.cycles_text(demo.lines)}; the last look: {status}")
    for text in verdict:
        console.print(text)
    console.print("look further:")
    for hint in summary.hints(str(config.file), demo.deeds):
        console.print(f"  {hint}", soft_wrap=True)
