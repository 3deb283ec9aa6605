"""Cost rules, one by one, with numbers that can be checked by hand (R-13, D-02)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause, EconomicTime, Entry, FillState
from portfolio.facts import Side
from portfolio.invariants import accounting_breaches
from portfolio.position import Folded, Position, Shortfall, economic_order, fold
from tests.property.portfolio.ledgers import NO, YES, buy, carry, conversion, merge, redemption, sell, split, trade


def state(folded: Folded, token_id: str = YES) -> tuple[int, int, int]:
    """Shares, cost basis, realised P&L; checked against the identities on the way."""
    position = folded.position(token_id)
    assert accounting_breaches(position) == ()
    return position.shares_micro, position.cost_basis_micro, position.realized_pnl_micro


def test_nothing_folds_to_nothing() -> None:
    assert fold([]) == Folded(positions=(), effects=(), shortfalls=())
    assert state(fold([])) == (0, 0, 0)


@pytest.mark.req("L-09")
def test_purchases_move_the_average_and_sales_do_not() -> None:
    entries = [buy(1, 100, 40), buy(2, 100, 60)]
    assert fold(entries).position(YES).average_micro == 500_000
    after = fold([*entries, sell(3, 50, 35)])
    assert state(after) == (150, 75, 10)
    assert after.position(YES).average_micro == 500_000


@pytest.mark.req("L-09")
def test_cost_removed_is_floored_and_the_last_share_takes_all() -> None:
    entries = [buy(1, 3, 2), sell(2, 1, 1), sell(3, 1, 1)]
    assert state(fold(entries[:2])) == (2, 2, 1)
    assert state(fold(entries)) == (1, 1, 1)
    assert state(fold([*entries, sell(4, 1, 1)])) == (0, 0, 1)


@pytest.mark.req("L-09")
def test_zero_inventory_resets_the_average() -> None:
    folded = fold([buy(1, 10, 9), sell(2, 10, 5), buy(3, 10, 2)])
    assert state(folded) == (10, 2, -4)
    assert folded.position(YES).average_micro == 200_000
    assert fold([]).position(YES).average_micro is None


@pytest.mark.req("L-03", "L-09")
def test_a_failed_purchase_gives_the_cost_that_was_true_all_along() -> None:
    """Reversing it at the end would leave cost -1 and P&L 2 (D-02)."""
    entries = [buy(1, 10, 4), buy(2, 10, 6), sell(3, 10, 7)]
    assert state(fold(entries)) == (10, 5, 2)
    entries[1] = replace(entries[1], state=FillState.FAILED)
    assert state(fold(entries)) == (0, 0, 3)


@pytest.mark.req("L-01", "L-19")
def test_equal_times_are_ordered_by_their_names_then_by_id() -> None:
    tied = [
        buy(1, 1, 1, entry_id=entry_id, at=EconomicTime(1, tie))
        for entry_id, tie in (("b", "x"), ("a", "x"), ("c", "w"))
    ]
    assert [entry.entry_id for entry in economic_order(tied)] == ["c", "a", "b"]


@pytest.mark.req("L-19")
def test_two_entries_under_one_id_count_once_and_the_same_one_each_time() -> None:
    one, other = buy(1, 10, 4), buy(1, 10, 5)
    assert fold([one, other]) == fold([other, one])
    assert fold([one, other]).position(YES).shares_micro == 10
    assert fold([one, replace(one)]) == fold([one])


@pytest.mark.req("X-15")
def test_matched_and_settled_shares_stand_apart() -> None:
    entries: list[Entry] = [buy(1, 10, 4), buy(2, 5, 2, state=FillState.OBSERVED), carry(3, 7, 1)]
    position = fold(entries).position(YES)
    assert (position.shares_micro, position.settled_micro, position.in_flight_micro) == (22, 17, 5)


@pytest.mark.req("X-10")
def test_fees_stay_out_of_cost_and_profit_and_in_the_cash_flow() -> None:
    entries = [
        buy(1, 10, 4, fee_micro=3),
        sell(2, 10, 7, fee_micro=2),
        buy(3, 10, 5, state=FillState.OBSERVED, fee_micro=1),
    ]
    folded = fold(entries)
    position = folded.position(YES)
    assert state(folded) == (10, 5, 3)
    assert position.fees_micro == 6
    assert position.cash_flow_micro == -4 - 3 + 7 - 2 - 5 - 1
    assert position.cash_flow_settled_micro == -4 - 3 + 7 - 2


@pytest.mark.req("L-15", "X-10", "R-20")
def test_the_fee_of_an_external_trade_stands_apart_as_that_of_a_fill() -> None:
    bought, sold = trade(1, Side.BUY, 10, 4, fee_micro=3), trade(2, Side.SELL, 10, 7, fee_micro=2)
    position = fold([bought, sold]).position(YES)
    assert position == fold([buy(1, 10, 4, fee_micro=3), sell(2, 10, 7, fee_micro=2)]).position(YES)
    assert (position.bought_micro, position.realized_pnl_micro, position.fees_micro) == (4, 3, 5)
    assert position.cash_flow_settled_micro == position.cash_flow_micro == -4 - 3 + 7 - 2


@pytest.mark.req("L-15")
def test_a_split_costs_half_each_and_the_odd_unit_goes_to_yes() -> None:
    folded = fold([split(1, 7)])
    assert state(folded, YES) == (7, 4, 0)
    assert state(folded, NO) == (7, 3, 0)


@pytest.mark.req("L-15")
def test_merge_proceeds_follow_the_cost_of_the_merged_shares() -> None:
    folded = fold([buy(1, 20, 12), buy(2, 10, 2, token_id=NO), merge(3, 10)])
    # Cost of the merged shares: 6 of YES, 2 of NO; the proceeds of 10 are cut 8 to 2 (7.5 and 2.5 floored, odd to YES).
    assert state(folded, YES) == (10, 6, 2)
    assert state(folded, NO) == (0, 0, 0)
    assert [effect.proceeds_micro for effect in folded.by_entry()["merge-3"]] == [8, 2]


@pytest.mark.req("L-15")
def test_a_merge_of_costless_shares_is_cut_in_half_with_the_odd_unit_to_yes() -> None:
    folded = fold([carry(1, 7, 0), carry(2, 7, 0, NO), merge(3, 7)])
    assert state(folded, YES) == (0, 0, 4)
    assert state(folded, NO) == (0, 0, 3)


@pytest.mark.req("L-15")
def test_a_redemption_is_a_sale_at_the_payout_received() -> None:
    assert state(fold([buy(1, 10, 4), redemption(2, 10, 10)])) == (0, 0, 6)
    assert state(fold([buy(1, 10, 4), redemption(2, 10, 0)])) == (0, 0, -4)


@pytest.mark.req("L-15")
def test_external_trades_count_like_fills() -> None:
    folded = fold([trade(1, Side.BUY, 10, 4), trade(2, Side.SELL, 5, 4)])
    assert state(folded) == (5, 2, 2)
    assert folded.position(YES).settled_micro == 5


@pytest.mark.req("L-15")
def test_collateral_of_a_conversion_lowers_the_cost_that_moves_to_yes() -> None:
    """NO of questions 0 and 1 at cost 7 and 8 for 10 collateral: 5 of cost move to YES of question 2."""
    folded = fold([carry(1, 10, 7, "n0"), carry(2, 10, 8, "n1"), conversion(3, 10, (0, 1))])
    assert state(folded, "n0") == (0, 0, 0)
    assert state(folded, "n1") == (0, 0, 0)
    assert state(folded, "y2") == (10, 5, 0)
    assert folded.position("n0").proceeds_micro + folded.position("n1").proceeds_micro == 10
    assert folded.position("n0").carried_out_micro + folded.position("n1").carried_out_micro == 5
    assert folded.position("y2").carried_in_micro == 5


@pytest.mark.req("L-15")
def test_the_cost_moved_is_cut_equally_with_the_odd_unit_to_the_lower_question() -> None:
    folded = fold([carry(1, 10, 7, "n1"), conversion(2, 10, (1,))])
    assert state(folded, "y0") == (10, 4, 0)
    assert state(folded, "y2") == (10, 3, 0)
    assert folded.position("n1").converted_realized_micro == 0


@pytest.mark.req("L-15")
def test_collateral_above_the_cost_is_realised_in_proportion_to_cost() -> None:
    folded = fold([carry(1, 10, 1, "n0"), carry(2, 10, 4, "n1"), conversion(3, 10, (0, 1))])
    assert state(folded, "n0") == (0, 0, 1)
    assert state(folded, "n1") == (0, 0, 4)
    assert state(folded, "y2") == (10, 0, 0)
    assert [folded.position(token_id).converted_realized_micro for token_id in ("n0", "n1", "y2")] == [1, 4, 0]


@pytest.mark.req("L-15")
@pytest.mark.parametrize(("costs", "realised"), [((5, 5, 5), (2, 2, 1)), ((9, 9, 9), (-2, -2, -3))])
def test_a_conversion_of_every_question_realises_profit_or_loss(
    costs: tuple[int, ...], realised: tuple[int, ...]
) -> None:
    opening = [carry(index, 10, cost, f"n{index}") for index, cost in enumerate(costs)]
    folded = fold([*opening, conversion(9, 10, (0, 1, 2))])
    assert tuple(state(folded, f"n{index}") for index in range(3)) == tuple((0, 0, amount) for amount in realised)


@pytest.mark.req("L-13", "L-14")
def test_a_carry_comes_in_at_its_cost_and_leaves_at_own_cost_without_profit() -> None:
    folded = fold([carry(1, 10, 6), carry(2, -4, 99, cause=Cause.TRANSFER_OUT)])
    position = folded.position(YES)
    assert state(folded) == (6, 4, 0)
    assert (position.carried_in_micro, position.carried_out_micro, position.cash_flow_micro) == (6, 2, 0)


@pytest.mark.req("L-12")
def test_a_sale_seen_before_its_purchase_is_a_provisional_shortfall() -> None:
    folded = fold([buy(1, 5, 2), sell(2, 8, 7)])
    assert state(folded) == (-3, 0, 5)
    assert folded.shortfalls == (Shortfall(entry_id="fill-2", token_id=YES, missing_micro=3),)
    assert folded.short_token_ids == (YES,)
    late = fold([buy(1, 5, 2), sell(2, 8, 7), buy(0, 3, 1)])
    assert state(late) == (0, 0, 4)
    assert (late.shortfalls, late.short_token_ids) == ((), ())


@pytest.mark.req("L-11", "L-12")
def test_a_later_purchase_covers_a_sale_and_its_cost_is_realised_there() -> None:
    folded = fold([sell(1, 3, 2), buy(2, 10, 5)])
    # 3 of the 10 shares cover: floor(5 x 3 / 10) = 1 is cost of what was sold, 4 stay as basis.
    assert state(folded) == (7, 4, 1)
    assert [effect.realized_pnl_micro for effect in folded.effects] == [2, -1]
    assert [shortfall.entry_id for shortfall in folded.shortfalls] == ["fill-1"]
    assert folded.short_token_ids == ()


@pytest.mark.req("L-11", "L-12")
def test_a_purchase_that_covers_nothing_more_leaves_no_basis() -> None:
    assert state(fold([sell(1, 5, 3), buy(2, 3, 2)])) == (-2, 0, 1)
    assert state(fold([sell(1, 5, 3), buy(2, 5, 2)])) == (0, 0, 1)


@pytest.mark.req("L-11", "L-13")
def test_what_left_by_a_transfer_is_covered_without_profit_and_after_sales() -> None:
    entries: list[Entry] = [carry(1, -4, 0), sell(2, 2, 2)]
    short = fold(entries).position(YES)
    assert (short.shares_micro, short.owed_out_micro) == (-6, 4)
    folded = fold([*entries, buy(3, 3, 9)])
    # Two of the three shares cover the sale, one covers the transfer: its cost of 3 is carried out.
    assert state(folded) == (-3, 0, -4)
    position = folded.position(YES)
    assert (position.carried_out_micro, position.owed_out_micro, position.cost_of_sold_micro) == (3, 3, 6)
    assert state(fold([*entries, carry(3, 8, 8)])) == (2, 2, 0)


@pytest.mark.req("L-11", "L-13")
def test_each_transfer_owes_only_what_itself_took_too_much() -> None:
    folded = fold([carry(1, 5, 5), sell(2, 2, 2), carry(3, -4, 0), carry(4, -3, 0)])
    assert state(folded) == (-4, 0, 0)
    assert folded.position(YES).owed_out_micro == 4
    assert [shortfall.missing_micro for shortfall in folded.shortfalls] == [1, 3]


def test_an_entry_of_no_shares_keeps_the_identities() -> None:
    assert state(fold([buy(1, 10, 4), buy(2, 0, 1), sell(3, 0, 2)])) == (10, 4, 1)


def test_an_effect_states_what_its_entry_changed() -> None:
    folded = fold([buy(1, 10, 4), sell(2, 5, 3)])
    (effect,) = folded.by_entry()["fill-2"]
    assert (effect.shares_micro, effect.cost_micro, effect.proceeds_micro, effect.realized_pnl_micro) == (-5, -2, 3, 1)


@pytest.mark.req("L-20")
def test_a_token_of_the_checkpoint_without_new_entries_is_kept() -> None:
    start = {NO: Position(token_id=NO, shares_micro=1, settled_micro=1, carried_in_micro=1, cost_basis_micro=1)}
    folded = fold([buy(1, 10, 4)], start=start)
    assert [position.token_id for position in folded.positions] == [NO, YES]
    assert folded.position(NO) == start[NO]
