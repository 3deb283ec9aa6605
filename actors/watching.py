"""The ChainWatcher: follows the chain's logs for all wallets, and knows which blocks may still be dropped (X-01, X-14).

It books nothing. It hands on each transaction once per place on the chain, says which blocks were replaced before it
hands on what took their place, and tells a cycle when everything up to its block was handed on. What is durable of it
is the wallets': a cycle's block, up to which nothing is read again, and the blocks in the markets' books.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import msgspec

from actors.base import BaseActor, System
from actors.board import Board, ChainShown
from actors.ports import ExternalReads
from messages.addresses import REPORTER, WATCHER, Address
from messages.control import Answer, DescribeState
from messages.feeding import Counted
from messages.following import BlockPassed, ChainFollowed, FollowTo, Look
from messages.reads import LogsAnswer, ReadCompleted, ReadFailed, ReadLogs
from portfolio.facts import Certificate, Verdict
from portfolio.tail import DroppedBlock

AGAIN_MS = 250
"""The next look where a cycle waits for a block that the node does not have yet."""

FINAL_DEPTH = 128
"""Blocks under the head that are taken for final where the endpoint does not say which are (R-31)."""

_Place = tuple[int, str]
"""Number and hash of a block."""


class WatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``interval_ms`` is the time between two looks at the head while nobody waits."""

    interval_ms: int


class _Follower(msgspec.Struct, kw_only=True):
    """A wallet that is followed, behind the block ``begun``; up to ``told`` everything was handed on."""

    address: str
    reply_to: Address
    begun: int
    told: int


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    """A look that is under way, and who waits for it. ``doubtful`` are blocks looked at each by itself."""

    name: str
    asked: tuple[FollowTo, ...]
    doubtful: frozenset[_Place]


class ChainWatcher(BaseActor):
    """One per chain."""

    def __init__(self, system: System, settings: WatchSettings, outside: tuple[ExternalReads, Board]) -> None:
        super().__init__(WATCHER, system)
        self._settings = settings
        self._reads, self._board = outside
        self._followers: dict[str, _Follower] = {}
        self._waiting: list[FollowTo] = []
        self._question: _Question | None = None
        self._numbers = itertools.count(1)
        self._cursor = 0
        self._tail: list[_Place] = []
        self._doubtful: set[_Place] = set()
        self._shown = ChainShown()
        self._cancel_look: Callable[[], None] | None = None
        self._over = False

    def on_failure(self, exception_type: object, exception_value: object, traceback: object) -> None:
        """Report the crash; what was asked is not answered any more."""
        self._over = True
        super().on_failure(exception_type, exception_value, traceback)

    def take(self, message: object, now_ms: int) -> None:
        """Requests, looks, answers."""
        match message:
            case FollowTo():
                self._follow(message)
            case Look():
                # An answer that is under way is followed by the next look anyway.
                if self._question is None:
                    self._look()
            case ReadCompleted() | ReadFailed():
                self._answered(message, now_ms)
            case DescribeState():
                self._describe(message)
            case _:
                super().take(message, now_ms)

    def _describe(self, message: DescribeState) -> None:
        wallets = {wallet: follower.told for wallet, follower in sorted(self._followers.items())}
        state = {"shown": self._shown, "cursor": self._cursor, "tail": self._tail, "told": wallets}
        body = msgspec.json.encode({"address": self.address, "state": state})
        self.tell(REPORTER, Answer(request_id=message.request_id, ok=True, detail=self.address, body=body))

    # -- asking ---------------------------------------------------------------------------------------------------

    def _follow(self, message: FollowTo) -> None:
        known = self._followers.get(message.wallet)
        if known is None or message.anew:
            begun = message.from_block - 1
            self._cursor = min(self._cursor, begun) if self._followers else begun
            self._followers[message.wallet] = _Follower(
                address=message.address, reply_to=message.reply_to, begun=begun, told=begun
            )
            # What is being asked begins behind that, or does not name the wallet.
            self._question = None
        firm = _firm(self._shown)
        self._doubtful.update(place for place in message.standing if place[0] > firm and place not in self._tail)
        self._waiting = [one for one in self._waiting if one.wallet != message.wallet]
        self._waiting.append(message)
        if self._question is None:
            self._look()

    def _look(self) -> None:
        """One request: the logs up to the head, and whether all blocks that count still stand."""
        if self._cancel_look is not None:
            self._cancel_look()
        if not self._followers:
            return
        doubtful = self._doubtful.union((one.block_number, one.block_hash) for one in self._waiting)
        name = f"watch|{next(self._numbers)}"
        self._question = _Question(name=name, asked=tuple(self._waiting), doubtful=frozenset(doubtful))
        read = ReadLogs(
            wallet=min(self._followers),
            wallets=tuple(sorted({follower.address for follower in self._followers.values()})),
            from_block=self._cursor + 1,
            known=tuple(self._tail),
            standing=tuple(sorted(doubtful.difference(self._tail))),
        )
        self._reads.request(read, self._hear, name)

    def _hear(self, answer: ReadCompleted | ReadFailed) -> None:
        """The answer to a life that crashed says nothing of what the next one has asked."""
        if not self._over:
            self.tell(self.address, answer)

    # -- answers --------------------------------------------------------------------------------------------------

    def _answered(self, message: ReadCompleted | ReadFailed, now_ms: int) -> None:
        question = self._question
        if question is None or message.correlation != question.name:
            return
        self._question = None
        if isinstance(message, ReadFailed):
            self._fail(question, f"{message.kind.value}: {message.detail}", now_ms)
        elif message.certificate.verdict is not Verdict.COMPLETE:
            # A log that could not be read is a change that would be missed: nothing moves past it.
            verdict = f"{message.certificate.verdict.value}: {message.certificate.reason}"
            self._fail(question, verdict, now_ms)
        elif isinstance(message.answer, LogsAnswer):
            self._take_in(question, message.answer, message.certificate, now_ms)

    def _take_in(self, question: _Question, answer: LogsAnswer, certificate: Certificate, now_ms: int) -> None:
        moved = bool(answer.replaced) or answer.to_block >= answer.from_block
        if answer.replaced:
            self._replace(answer)
        elif moved:
            self._advance(question, answer)
        self._show(answer, now_ms)
        for one in question.asked:
            if (one.block_number, one.block_hash) in answer.replaced:
                self._pass(one, None, f"block {one.block_number} was replaced")
            elif not answer.replaced and self._cursor >= one.block_number and answer.head >= one.block_number:
                self._pass(one, certificate)
        further = moved and (bool(answer.replaced) or answer.to_block < answer.head)
        self._go_on(question, further=further, rest_ms=AGAIN_MS if self._waiting else self._settings.interval_ms)

    def _go_on(self, question: _Question, *, further: bool, rest_ms: int) -> None:
        """Look at once for who came meanwhile, or where there is more to see."""
        if further or any(one not in question.asked for one in self._waiting):
            self._look()
        else:
            self._look_in(rest_ms)

    def _advance(self, question: _Question, answer: LogsAnswer) -> None:
        """What is new goes to the wallets; of the blocks those are kept that may still be dropped, and one below."""
        final = _final(answer)
        places = {(one.block_number, one.block_hash) for one in answer.transactions}
        self._cursor = answer.to_block
        # What was looked at by itself stands, and is watched from now on like what was read in this life.
        self._doubtful -= question.doubtful
        self._tail = _open_places({*self._tail, *question.doubtful, *places, (answer.to_block, answer.to_hash)}, final)
        for wallet, follower in self._followers.items():
            new = tuple(one for one in answer.transactions if one.block_number > follower.told)
            follower.told = max(follower.told, answer.to_block)
            followed = ChainFollowed(wallet=wallet, transactions=new, dropped=(), final_block=final)
            self.tell(follower.reply_to, followed)

    def _replace(self, answer: LogsAnswer) -> None:
        """Go back to the newest block that still stands; what took the place of the others is read next."""
        gone = set(answer.replaced)
        lost = gone & {*self._tail, *self._doubtful}
        self._tail = [place for place in self._tail if place not in gone]
        self._doubtful -= gone
        if lost:
            self._go_back(min(lost)[0])
        dropped = tuple(DroppedBlock(block_number=number, block_hash=block_hash) for number, block_hash in sorted(gone))
        self.tell(REPORTER, Counted(names=("chain_reorganised",)))
        self.log.warning("chain_reorganised", blocks=[block.block_number for block in dropped])
        for wallet, follower in self._followers.items():
            followed = ChainFollowed(wallet=wallet, transactions=(), dropped=dropped, final_block=_final(answer))
            self.tell(follower.reply_to, followed)

    def _go_back(self, lowest: int) -> None:
        """Read again behind the newest block that stands below ``lowest``; where none is known, all since we began."""
        stands = max((number for number, _ in self._tail if number < lowest), default=0)
        for follower in self._followers.values():
            follower.told = min(follower.told, max(stands, min(lowest - 1, follower.begun)))
        self._cursor = min(self._cursor, *(follower.told for follower in self._followers.values()))
        final = self._shown.finalized
        if final is not None and lowest <= final:
            self.log.error("finalized_block_replaced", block=lowest, finalized=final)

    def _fail(self, question: _Question, detail: str, now_ms: int) -> None:
        """Who waits goes on without; the next look is at its time."""
        if not self._shown.detail:
            self.log.warning("chain_not_followed", detail=detail)
        self._shown = msgspec.structs.replace(self._shown, detail=detail, at_ms=now_ms)
        self._board.chain = self._shown
        for one in question.asked:
            self._pass(one, None, detail)
        self._go_on(question, further=False, rest_ms=self._settings.interval_ms)

    def _pass(self, one: FollowTo, certificate: Certificate | None, detail: str = "") -> None:
        self._waiting = [other for other in self._waiting if other is not one]
        passed = BlockPassed(wallet=one.wallet, cycle_id=one.cycle_id, certificate=certificate, detail=detail)
        self.tell(one.reply_to, passed)

    def _show(self, answer: LogsAnswer, now_ms: int) -> None:
        self._shown = ChainShown(
            head=answer.head,
            safe=answer.safe,
            finalized=answer.finalized,
            followed=self._cursor,
            at_ms=now_ms,
        )
        self._board.chain = self._shown

    def _look_in(self, rest_ms: int) -> None:
        self._cancel_look = self.later(rest_ms, Look())


def _final(answer: LogsAnswer) -> int:
    return answer.finalized if answer.finalized is not None else answer.head - FINAL_DEPTH


def _firm(shown: ChainShown) -> int:
    """The newest block that was final at the last look; nothing is before the first one."""
    if shown.head is None:
        return 0
    return shown.finalized if shown.finalized is not None else shown.head - FINAL_DEPTH


def _open_places(places: Iterable[_Place], final: int) -> list[_Place]:
    """Those above the final block, and the newest below it, which ties them to what is past."""
    ordered = sorted(places)
    firm = [place for place in ordered if place[0] <= final]
    return [*firm[-1:], *(place for place in ordered if place[0] > final)]
