"""A market's story: a line for each change, with what shows it, and totals that are the positions (X-04, L-10)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause
from portfolio.events import EntryMarked, EventRejected, MarketEvent, MarketResumed, TradeRecorded
from portfolio.facts import MarketMeta, OrderStatus, Payout, Receipt, ReceiptStatus, Role, Side, TradeStatus
from portfolio.market import Step
from portfolio.outcomes import PositionRow
from portfolio.story import NOTHING, Story, Teller, Totals
from portfolio.story_lines import Kind, Line, Proof
from portfolio.views import CauseHint, SettledFill
from tests.unit.portfolio.markets import (
    CENT,
    CONDITION,
    MINUTE,
    NO,
    SECOND,
    SHARE,
    T0,
    WALLET,
    YES,
    Book,
    chain,
    leg,
    meta,
    order,
)


class Heard(Book):
    """A book whose steps a teller hears, numbered from 1."""

    def __init__(self, *metas: MarketMeta) -> None:
        self.teller = Teller(WALLET, CONDITION)
        self.seq = 0
        super().__init__(*metas)

    def tell(self, event: MarketEvent) -> Step:
        step = super().tell(event)
        self.seq += 1
        self.teller.hear(step, self.seq, self.now_ms)
        return step

    def story(self) -> Story:
        """The story, whose totals are the positions."""
        story = self.teller.story()
        held = {
            token_id: Totals(
                shares_micro=position.shares_micro,
                cost_basis_micro=position.cost_basis_micro,
                realized_pnl_micro=position.realized_pnl_micro,
                fees_micro=position.fees_micro,
            )
            for token_id, position in self.state.positions.items()
        }
        assert story.parted == {}
        assert {token_id: story.totals.get(token_id, NOTHING) for token_id in held} == held
        assert story.totals.keys() - held.keys() <= {token for token, all_ in story.totals.items() if all_ == NOTHING}
        return story

    def lines(self, **wanted: Any) -> list[Line]:
        """Those that have all of that."""
        return [line for line in self.story().lines if all(getattr(line, name) == it for name, it in wanted.items())]


def hint(cause: Cause, cash: int, log: int, **legs: int) -> CauseHint:
    transaction = f"0x{cause.value.lower()}"
    return CauseHint(
        cause=cause,
        condition_id=CONDITION,
        legs=tuple(legs.items()),
        cash_micro=cash,
        evidence=f"transaction {transaction}, log {log}, block 47",
        logged_as=f"chain:{transaction}:{log}",
        at_ms=T0 + 94 * SECOND,
    )


def holding(**given: Any) -> Heard:
    """Ten shares of each, proven, at 0.40."""
    book = Heard()
    settled = TradeStatus.CONFIRMED
    book.see(leg("y", status=settled, **given), leg("n", token_id=NO, status=settled, order_id="o2", **given))
    book.look(chain(40, yes=10 * SHARE, no=10 * SHARE))
    return book


def amounts(line: Line) -> tuple[int, int, int, int]:
    return line.shares_micro, line.cost_micro, line.proceeds_micro, line.realized_pnl_micro


@pytest.mark.req("X-04", "L-10", "L-14")
def test_each_change_stands_with_its_transaction_and_the_totals_after_it() -> None:
    """A merge, an external sale, a failed trade, a redemption."""
    book = holding(transaction_hash="0xbought")
    book.look(
        chain(50, yes=6 * SHARE, no=6 * SHARE),
        hints=(hint(Cause.POSITION_MERGED, 4 * SHARE, 3, yes=-4 * SHARE, no=-4 * SHARE),),
    )
    sale = hint(Cause.EXTERNAL_SALE, 1_800_000, 5, yes=-3 * SHARE)
    for block in (51, 52):
        book.look(chain(block, yes=3 * SHARE, no=6 * SHARE), hints=(sale,))
    book.see(leg("f", 2 * SHARE), leg("f", 2 * SHARE, status=TradeStatus.FAILED, transaction_hash="0xreverted"))
    won = (Payout(condition_id=CONDITION, numerators=(1, 0), denominator=1),)
    redeemed = hint(Cause.REDEEMED, 3 * SHARE, 7, yes=-3 * SHARE)
    book.look(chain(60, payouts=won, yes=0, no=6 * SHARE), hints=(redeemed,))

    merged, _ = book.lines(cause="POSITION_MERGED")[::-1]
    assert (merged.kind, merged.proof, merged.transaction_hash) == (
        Kind.ADJUSTMENT,
        Proof.TRANSACTION,
        "0xposition_merged",
    )
    assert (merged.log_index, merged.block_number, merged.estimated) == (3, 47, False)
    assert merged.happened_at_ms == T0 + 94 * SECOND + 999
    assert merged.booked_at_ms == T0 + 100 * SECOND
    (sold,) = book.lines(cause="EXTERNAL_SALE")
    assert (sold.transaction_hash, sold.log_index) == ("0xexternal_sale", 5)
    assert amounts(sold) == (-3 * SHARE, -1_200_000, 1_800_000, 600_000)
    assert (sold.shares_after_micro, sold.cost_basis_after_micro) == (3 * SHARE, 1_200_000)
    seen, failed, taken_back = book.lines(trade_id="f")
    assert [line.kind for line in (seen, failed, taken_back)] == [Kind.FILL, Kind.FAILED, Kind.RESTATEMENT]
    assert {line.transaction_hash for line in (seen, failed, taken_back)} == {"0xreverted"}
    assert (seen.shares_micro, failed.shares_micro, taken_back.shares_micro) == (2 * SHARE, 0, -2 * SHARE)
    assert taken_back.proof is Proof.BOOKS
    (paid,) = book.lines(cause="REDEEMED")
    assert (paid.transaction_hash, paid.block_number, paid.realized_pnl_after_micro) == ("0xredeemed", 47, 2_800_000)
    bought = book.lines(kind=Kind.FILL, token_id=NO)[0]
    assert (bought.proof, bought.transaction_hash, bought.evidence) == (Proof.TRANSACTION, "0xbought", "")
    assert (bought.side, bought.role, bought.size_micro, bought.price_micro) == ("BUY", "MAKER", 10 * SHARE, 40 * CENT)
    assert bought.happened_at_ms == T0
    assert [line.seq for line in book.story().lines] == sorted(line.seq or 0 for line in book.story().lines)


@pytest.mark.req("X-04", "R-13")
def test_a_redemption_realises_the_payout() -> None:
    book = holding()
    redeemed = hint(Cause.REDEEMED, 10 * SHARE, 7, yes=-10 * SHARE)
    won = (Payout(condition_id=CONDITION, numerators=(1, 0), denominator=1),)
    book.look(chain(60, payouts=won, yes=0, no=10 * SHARE), hints=(redeemed,))
    (line,) = book.lines(cause="REDEEMED")
    assert amounts(line) == (-10 * SHARE, -4 * SHARE, 10 * SHARE, 6 * SHARE)
    assert (line.shares_after_micro, line.realized_pnl_after_micro) == (0, 6 * SHARE)


@pytest.mark.req("X-04", "L-15")
def test_what_no_log_shows_is_inferred_and_keeps_its_block_in_words() -> None:
    book = holding()
    book.look_twice({YES: 7 * SHARE, NO: 10 * SHARE})
    (line,) = book.lines(cause="UNTRACKED_REDUCTION")
    assert (line.kind, line.proof, line.estimated) == (Kind.ADJUSTMENT, Proof.INFERRED, True)
    assert (line.transaction_hash, line.log_index, line.block_number) == (None, None, None)
    assert "51" in line.evidence


@pytest.mark.req("X-04", "D-03")
def test_a_provisional_quantity_is_a_notice_whose_shares_are_restated_beside_it() -> None:
    book = Heard()
    book.show(order(size_matched_micro=10 * SHARE))
    notice, stated = book.story().lines
    assert (notice.kind, notice.cause, notice.shares_micro) == (Kind.PROVISIONAL, "PROVISIONAL", 0)
    assert (stated.kind, stated.order_id, stated.shares_micro) == (Kind.RESTATEMENT, "o1", 10 * SHARE)
    book.see(leg(transaction_hash="0xt1"))
    lines = book.story().lines[2:]
    assert [line.kind for line in lines] == [Kind.PROVISIONAL, Kind.FILL, Kind.RESTATEMENT]
    assert [line.cause for line in lines] == ["SUPERSEDED", "OBSERVED", "RESTATED"]
    # what is taken back follows from the trade, which tells more than the notice that it replaces
    assert (lines[2].trade_id, lines[2].transaction_hash, lines[2].shares_micro) == ("t1", "0xt1", -10 * SHARE)


@pytest.mark.req("X-04", "R-10", "R-20")
def test_a_fill_that_comes_back_brings_its_fee_back() -> None:
    book = Heard(meta(fee_rate_micro=50_000, fee_exponent=1))
    taken: dict[str, Any] = {"role": Role.TAKER, "levels": ((10 * SHARE, 40 * CENT),)}
    book.see(leg(**taken))
    book.check()
    book.see(leg(**taken, status=TradeStatus.CONFIRMED, transaction_hash="0xlate", updated_at_ms=T0 + MINUTE))
    fills = [line for line in book.story().lines if line.trade_id == "t1" and line.kind is not Kind.RESTATEMENT]
    assert [line.kind for line in fills] == [Kind.FILL, Kind.EXPIRED, Kind.REINSTATED]
    fee = fills[0].fee_micro
    assert fee > 0
    assert [line.fee_micro for line in fills] == [fee, -fee, fee]
    assert [line.fees_after_micro for line in fills] == [fee, 0, fee]
    assert [line.cause for line in book.lines(kind=Kind.RESTATEMENT)] == ["RESTATED", "REINSTATED"]
    assert {line.transaction_hash for line in fills} == {"0xlate"}


@pytest.mark.req("X-04", "R-10")
def test_a_receipt_gives_the_block_of_the_transaction() -> None:
    book = Heard()
    book.see(leg(transaction_hash="0xt1"))
    receipt = Receipt(transaction_hash="0xt1", status=ReceiptStatus.SUCCEEDED, block_number=77)
    book.check(receipt=receipt)
    fill, settled = book.story().lines
    assert (settled.kind, settled.transaction_hash, settled.block_number) == (Kind.SETTLED, "0xt1", 77)
    assert (fill.transaction_hash, fill.block_number) == ("0xt1", 77)
    assert amounts(settled) == (0, 0, 0, 0)


@pytest.mark.req("X-04", "L-05")
def test_new_terms_are_a_line_and_a_later_hash_is_none() -> None:
    book = Heard()
    book.see(leg())
    book.see(leg(transaction_hash="0xt1", updated_at_ms=T0 + SECOND))
    assert [line.transaction_hash for line in book.story().lines] == ["0xt1"]
    book.see(leg(price=41 * CENT, updated_at_ms=T0 + MINUTE, transaction_hash="0xt1"))
    repriced, restated = book.story().lines[1:]
    assert (repriced.kind, repriced.price_micro) == (Kind.REPRICED, 41 * CENT)
    assert (restated.kind, restated.cost_micro) == (Kind.RESTATEMENT, 100_000)
    assert amounts(book.story().lines[0]) == (10 * SHARE, 4 * SHARE, 0, 0)


@pytest.mark.req("X-04", "D-12", "L-26")
def test_what_took_the_place_of_an_inference_is_told_and_so_is_the_inference() -> None:
    book = holding()
    book.look_twice({YES: 15 * SHARE, NO: 10 * SHARE})
    (inferred,) = book.lines(kind=Kind.ADJUSTMENT)
    assert not inferred.superseded
    marked = EntryMarked(entry_id=inferred.entry_id, price_micro=30 * CENT, operator="ada", reason="a trade of mine")
    book.tell(marked)
    old, new = book.lines(kind=Kind.ADJUSTMENT)
    assert (old.superseded, new.superseded) == (True, False)
    assert (new.proof, new.operator, new.reason) == (Proof.OPERATOR, "ada", "a trade of mine")
    assert [line.shares_micro for line in book.lines(kind=Kind.RESTATEMENT)] == [-5 * SHARE]


@pytest.mark.req("X-04", "D-12", "L-16")
def test_a_sale_that_takes_the_place_of_an_inferred_one_adds_up() -> None:
    """Its row alone does not say which cost left with it: the journal does."""
    book = holding()
    book.look_twice({YES: 6 * SHARE, NO: 10 * SHARE})
    book.see(leg("late", 4 * SHARE, price=70 * CENT, side=Side.SELL, at_ms=T0 + SECOND, order_id="o9"))
    (sold,) = book.lines(trade_id="late", kind=Kind.FILL)
    assert amounts(sold) == (-4 * SHARE, 0, 2_800_000, 0)
    (restated,) = book.lines(trade_id="late", kind=Kind.RESTATEMENT)
    assert amounts(restated) == (4 * SHARE, 0, 0, 1_200_000)


@pytest.mark.req("X-04", "D-12", "R-20")
def test_the_fee_of_an_external_sale_is_told_and_goes_over_to_the_trade_that_takes_its_place() -> None:
    book = holding()
    sale = replace(hint(Cause.EXTERNAL_SALE, 1_764_000, 5, yes=-3 * SHARE), fee_micro=36_000)
    for block in (50, 51):
        book.look(chain(block, yes=7 * SHARE, no=10 * SHARE), hints=(sale,))
    (sold,) = book.lines(cause="EXTERNAL_SALE")
    assert amounts(sold) == (-3 * SHARE, -1_200_000, 1_800_000, 600_000)
    assert (sold.fee_micro, sold.fees_after_micro) == (36_000, 36_000)
    book.see(leg("own", 3 * SHARE, price=60 * CENT, side=Side.SELL, at_ms=T0 + 94 * SECOND, order_id="o9"))
    (restated,) = book.lines(trade_id="own", kind=Kind.RESTATEMENT)
    (own,) = book.lines(trade_id="own", kind=Kind.FILL)
    assert (own.fee_micro, restated.fee_micro, restated.fees_after_micro) == (36_000, -36_000, 36_000)


@pytest.mark.req("X-04", "R-23")
def test_an_opening_sets_history_aside_in_sight() -> None:
    book = Heard()
    book.see(leg(status=TradeStatus.CONFIRMED))
    book.look_twice({YES: 25 * SHARE}, opening=True)
    kinds = [line.kind for line in book.story().lines]
    assert kinds == [Kind.FILL, Kind.SUPERSEDED, Kind.OPENING, Kind.RESTATEMENT]
    (opening,) = book.lines(kind=Kind.OPENING)
    assert (opening.shares_micro, opening.proof) == (25 * SHARE, Proof.INFERRED)


@pytest.mark.req("X-04", "R-29", "D-19")
def test_a_halt_has_its_reason_and_a_resume_who_did_it() -> None:
    book = Heard()
    book.tell(EventRejected(kind="fill_seen", detail="of no known shape"))
    book.tell(MarketResumed(operator="ada", reason="looked into it"))
    halted, resumed = book.story().lines
    assert (halted.kind, halted.cause, halted.token_id) == (Kind.HALT, "HALT", "")
    assert "of no known shape" in halted.evidence
    assert (resumed.kind, resumed.shares_after_micro) == (Kind.RESUME, None)
    assert "ada: looked into it" in resumed.evidence


@pytest.mark.req("X-04", "R-21")
def test_a_trade_by_another_key_is_told_as_one() -> None:
    book = Heard()
    book.see(leg(external=True), leg("t2", order_id="o2"))
    assert [line.external for line in book.lines(kind=Kind.FILL)] == [True, False]


@pytest.mark.req("X-04", "L-10", "L-26")
def test_the_first_entry_whose_rows_do_not_give_its_position_is_named() -> None:
    book = holding()
    step = book.step
    recorded = TradeRecorded(
        entry_id="manual:1",
        token_id=YES,
        side=Side.BUY,
        size_micro=SHARE,
        price_micro=30 * CENT,
        operator="ada",
        reason="r",
    )
    step = Book.tell(book, recorded)
    book.teller.hear(replace(step, rows=tuple(row for row in step.rows if isinstance(row, PositionRow))), 9, T0)
    book.tell(MarketResumed(operator="ada", reason="not halted"))
    assert book.teller.story().parted == {YES: 9}
    assert book.teller.story().totals[NO].shares_micro == 10 * SHARE


@pytest.mark.req("X-04", "L-06")
def test_an_order_given_up_takes_its_provisional_quantity_back() -> None:
    book = Heard()
    book.show(order(size_matched_micro=10 * SHARE, status=OrderStatus.MATCHED))
    book.wait(MINUTE)
    book.check_order(None)
    notices = book.lines(kind=Kind.PROVISIONAL)
    assert [line.cause for line in notices] == ["PROVISIONAL", "EXPIRED"]
    assert [line.shares_after_micro for line in book.lines(kind=Kind.RESTATEMENT)] == [10 * SHARE, 0]


def paid(trade: str, order_id: str, amount: int) -> SettledFill:
    """A fill as a log shows it."""
    transaction = f"0xof-{trade}"
    return SettledFill(
        trade_id=trade,
        order_id=order_id,
        amount_micro=amount,
        fee_micro=0,
        transaction_hash=transaction,
        evidence=f"transaction {transaction}, log 9, block 47",
    )


@pytest.mark.req("X-04", "R-11", "X-02")
def test_what_the_chain_corrects_names_its_fill_where_only_one_can_be_meant() -> None:
    book = Heard()
    book.see(leg("a", order_id="oa"), leg("b", order_id="ob"), leg("n", order_id="on", token_id=NO))
    exact = (paid("a", "oa", 3_900_000), paid("b", "ob", 3_800_000), paid("n", "on", 3_700_000))
    book.look(replace(chain(50, yes=20 * SHARE, no=10 * SHARE), settled=exact, exact=(YES, NO)))
    settled = book.lines(kind=Kind.SETTLED)
    assert {(line.trade_id, line.transaction_hash, line.log_index, line.block_number) for line in settled} == {
        (trade, f"0xof-{trade}", 9, 47) for trade in ("a", "b", "n")
    }
    booked = book.lines(kind=Kind.FILL, trade_id="a")[0]
    assert (booked.transaction_hash, booked.log_index, booked.block_number) == ("0xof-a", 9, 47)
    restated = {line.token_id: line for line in book.lines(kind=Kind.RESTATEMENT)}
    assert {token: line.cost_micro for token, line in restated.items()} == {YES: -300_000, NO: -300_000}
    assert (restated[YES].trade_id, restated[YES].transaction_hash) == ("", None)
    assert (restated[NO].trade_id, restated[NO].transaction_hash) == ("n", "0xof-n")


@pytest.mark.req("X-04", "D-02")
def test_what_a_late_fill_changes_of_another_outcome_names_it() -> None:
    """Its cost changes how a merge's proceeds are split between the two."""
    book = holding()
    merged = hint(Cause.POSITION_MERGED, 4 * SHARE, 3, yes=-4 * SHARE, no=-4 * SHARE)
    book.look(chain(50, yes=6 * SHARE, no=6 * SHARE), hints=(merged,))
    book.see(leg("late", 10 * SHARE, price=80 * CENT, at_ms=T0 + SECOND, order_id="o9", transaction_hash="0xlate"))
    restated = book.lines(kind=Kind.RESTATEMENT)
    assert {line.token_id for line in restated} == {YES, NO}
    assert {(line.trade_id, line.transaction_hash) for line in restated} == {("late", "0xlate")}
