"""What can happen to a wallet in both worlds, and what its logs must then say: kind, legs, cash, fee and order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from portfolio.chain import ChangeKind
from portfolio.facts import Side
from tests.evm.worlds import Bargain, Question, Row, World
from tests.evm.worlds.rows import filled, legs, pusd, usdc

ONE = 1_000_000
HELD = 1_000 * ONE
AMOUNT = 7_123_500
"""Of shares and of cash alike; times a price in cents it is a whole number."""
PRICE = 410_000
STANDARD, NEG_RISK = KINDS = ("standard", "neg_risk")


@dataclass(frozen=True)
class Scene:
    """The wallet holds :data:`HELD` of each outcome of the question, or of all questions of its event."""

    world: World
    question: Question
    event: tuple[Question, ...] = ()

    @classmethod
    def set(cls, world: World, kind: str) -> Scene:
        """New questions, and shares of them, none of which a later reorganisation takes back."""
        event = world.event() if kind == NEG_RISK else ()
        questions = event or (world.market(),)
        with world.together():
            world.pay("usdc_e", HELD)
            for question in questions:
                world.split(question, HELD)
        world.settle()
        return cls(world, questions[0], event)

    def bargain(self, side: Side, **terms: bool | int) -> Bargain:
        """A fill; a taker's across is of NO, which the makers of every world quote by YES."""
        given = Bargain(question=self.question, side=side, shares=AMOUNT, price=PRICE, **terms)  # type: ignore[arg-type]
        return replace(given, outcome=int(given.took and given.across))


Rows = tuple[Row, ...]
Act = Callable[[Scene], Rows]


@dataclass(frozen=True)
class Operation:
    """``act`` makes it happen in one block and says what that is; ``ready`` may set a scene for it before."""

    act: Act
    ready: Callable[[Scene], Scene] = lambda scene: scene
    kinds: tuple[str, ...] = (STANDARD, NEG_RISK)


def answered(yes: int, no: int, payouts: tuple[int, int] = (1, 0)) -> Callable[[Scene], Scene]:
    """Another question of the same kind, which is answered, and of which the wallet has these shares."""

    def ready(scene: Scene) -> Scene:
        world = scene.world
        question = world.event()[0] if scene.event else world.market()
        world.split(question, max(yes, no))
        for outcome, held in enumerate((yes, no)):
            if held < max(yes, no):
                world.move(question, outcome, held - max(yes, no))
        world.resolve(question, payouts)
        return Scene(world, question)

    return ready


def unanswered(scene: Scene) -> Scene:
    """Another question of the same kind, of which the wallet has shares."""
    return Scene.set(scene.world, NEG_RISK if scene.event else STANDARD)


# Positions


def split(*, direct: bool = False) -> Act:
    def act(scene: Scene) -> Rows:
        question = scene.question
        scene.world.split(question, AMOUNT, direct=direct)
        both = legs((question, 0, AMOUNT), (question, 1, AMOUNT))
        return (Row(ChangeKind.POSITION_SPLIT, both, usdc(-AMOUNT) if direct else pusd(-AMOUNT)),)

    return act


def merge(*, direct: bool = False) -> Act:
    def act(scene: Scene) -> Rows:
        question = scene.question
        scene.world.merge(question, AMOUNT, direct=direct)
        both = legs((question, 0, -AMOUNT), (question, 1, -AMOUNT))
        return (Row(ChangeKind.POSITION_MERGED, both, usdc(AMOUNT) if direct else pusd(AMOUNT)),)

    return act


def redeem(yes: int, no: int, paid: int, *, direct: bool = False, operator: bool = False) -> Act:
    def act(scene: Scene) -> Rows:
        question = scene.question
        scene.world.redeem(question, direct=direct, operator=operator)
        gone = legs(*((question, outcome, -held) for outcome, held in enumerate((yes, no)) if held))
        return (Row(ChangeKind.REDEEMED, gone, usdc(paid) if direct else pusd(paid)),)

    return act


def convert(*indices: int, direct: bool = False) -> Act:
    def act(scene: Scene) -> Rows:
        event = scene.event
        scene.world.convert([event[index] for index in indices], AMOUNT, direct=direct)
        given = [(event[index], 1, -AMOUNT) for index in indices]
        taken = [(question, 0, AMOUNT) for question in event if question.index not in indices]
        cash = (len(indices) - 1) * AMOUNT
        return (Row(ChangeKind.CONVERTED, legs(*given, *taken), usdc(cash) if direct else pusd(cash)),)

    return act


def trade(side: Side, **terms: bool | int) -> Act:
    def act(scene: Scene) -> Rows:
        bargain = scene.bargain(side, **terms)
        return (filled(bargain, scene.world.trade(bargain)),)

    return act


# What comes and goes


def move(outcome: int, micro: int) -> Act:
    def act(scene: Scene) -> Rows:
        scene.world.move(scene.question, outcome, micro)
        kind = ChangeKind.TRANSFER_IN if micro > 0 else ChangeKind.TRANSFER_OUT
        return (Row(kind, legs((scene.question, outcome, micro))),)

    return act


def pay(bucket: str, micro: int) -> Act:
    def act(scene: Scene) -> Rows:
        scene.world.pay(bucket, micro)
        return (Row(ChangeKind.DEPOSIT if micro > 0 else ChangeKind.WITHDRAWAL, cash=((bucket, micro),)),)

    return act


def ramp(micro: int) -> Act:
    def act(scene: Scene) -> Rows:
        scene.world.ramp(micro)
        return (Row(ChangeKind.DEPOSIT if micro > 0 else ChangeKind.WITHDRAWAL, cash=pusd(micro)),)

    return act


def wrap(micro: int) -> Act:
    """What goes is told first."""

    def act(scene: Scene) -> Rows:
        scene.world.wrap(micro)
        both = (*usdc(-micro), *pusd(micro))
        return (Row(ChangeKind.WRAP, cash=both if micro > 0 else both[::-1]),)

    return act


def resolve(scene: Scene) -> Rows:
    """An answer moves nothing."""
    scene.world.resolve(scene.question, (1, 0))
    return ()


def nothing(scene: Scene) -> Rows:
    scene.world.mine(1)
    return ()


def in_one_block(scene: Scene) -> Rows:
    """Three transactions, and none hides another."""
    with scene.world.together():
        return tuple(row for act in (split(), move(0, -AMOUNT), merge()) for row in act(scene))


ONLY_STANDARD, ONLY_NEG_RISK = (STANDARD,), (NEG_RISK,)
YES, NO = AMOUNT, AMOUNT - 3 * ONE

TRADES = {
    f"{whose}_{side.value.lower()}_{role}{'_across' * across}": Operation(
        trade(side, own=whose == "own", took=role == "taker", across=across)
    )
    # The sandbox's other client trades in one token only: nothing of its is across, and test_chain_suite has that.
    for whose, across in (("own", False), ("own", True), ("external", False))
    for side in Side
    for role in ("taker", "maker")
}
OPERATIONS: dict[str, Operation] = {
    "split": Operation(split()),
    "split_directly": Operation(split(direct=True)),
    "merge": Operation(merge()),
    "merge_directly": Operation(merge(direct=True)),
    "redeem": Operation(redeem(YES, NO, YES), answered(YES, NO)),
    "redeem_with_zero": Operation(redeem(YES, 0, YES), answered(YES, 0)),
    "redeem_for_nothing": Operation(redeem(0, NO, 0), answered(0, NO)),
    "redeem_halves": Operation(redeem(YES, NO, (YES + NO) // 2), answered(YES, NO, (1, 1)), ONLY_STANDARD),
    "redeem_directly": Operation(redeem(YES, NO, NO, direct=True), answered(YES, NO, (0, 1))),
    "auto_redeem": Operation(redeem(YES, NO, YES, operator=True), answered(YES, NO)),
    "auto_redeem_with_zero": Operation(redeem(0, NO, NO, operator=True), answered(0, NO, (0, 1))),
    "convert_one": Operation(convert(1), kinds=ONLY_NEG_RISK),
    "convert_two": Operation(convert(0, 2), kinds=ONLY_NEG_RISK),
    "convert_all": Operation(convert(0, 1, 2), kinds=ONLY_NEG_RISK),
    "convert_directly": Operation(convert(1, 2, direct=True), kinds=ONLY_NEG_RISK),
    "transfer_in": Operation(move(1, AMOUNT)),
    "transfer_out": Operation(move(0, -AMOUNT)),
    # Nobody sends wrapped collateral around; the sandbox cannot.
    "cash_in": Operation(pay("pusd", AMOUNT), kinds=ONLY_STANDARD),
    "cash_out": Operation(pay("pusd", -AMOUNT), kinds=ONLY_STANDARD),
    "bridged_cash_in": Operation(pay("usdc_e", AMOUNT), kinds=ONLY_STANDARD),
    "bridged_cash_out": Operation(pay("usdc_e", -AMOUNT), kinds=ONLY_STANDARD),
    "deposit": Operation(ramp(AMOUNT), kinds=ONLY_STANDARD),
    "withdraw": Operation(ramp(-AMOUNT), kinds=ONLY_STANDARD),
    "wrap": Operation(wrap(AMOUNT), kinds=ONLY_STANDARD),
    "unwrap": Operation(wrap(-AMOUNT), kinds=ONLY_STANDARD),
    "resolve": Operation(resolve, unanswered),
    "nothing": Operation(nothing, kinds=ONLY_STANDARD),
    "in_one_block": Operation(in_one_block),
    **TRADES,
}


STORY = (
    (STANDARD, "deposit"),
    (STANDARD, "own_buy_taker_across"),
    (NEG_RISK, "split"),
    (NEG_RISK, "own_sell_maker"),
    (NEG_RISK, "convert_two"),
    (STANDARD, "nothing"),
    (STANDARD, "external_buy_maker"),
    (NEG_RISK, "in_one_block"),
    (STANDARD, "transfer_in"),
    (NEG_RISK, "redeem_with_zero"),
    (STANDARD, "wrap"),
    (STANDARD, "merge_directly"),
    (STANDARD, "auto_redeem"),
    (STANDARD, "withdraw"),
)
"""One operation in each block, with nothing else between them."""


@dataclass(frozen=True)
class Story:
    """The operations of :data:`STORY` as they happened in a world, from a block to the newest one then."""

    world: World
    first: int
    last: int
    rows: tuple[Rows, ...]

    @classmethod
    def tell(cls, world: World) -> Story:
        """Let it happen, all of it so deep that no reorganisation reaches it."""
        scenes = {kind: Scene.set(world, kind) for kind in (STANDARD, NEG_RISK)}
        ready = [(OPERATIONS[name].ready(scenes[kind]), OPERATIONS[name].act) for kind, name in STORY]
        first = world.head + 1
        rows = tuple(act(scene) for scene, act in ready)
        last = world.head
        assert last - first + 1 == len(STORY)
        world.settle()
        return cls(world, first, last, rows)
