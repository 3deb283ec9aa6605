"""The faults: where each is planted, and the test that must fail then. How they are run is in ``runner``."""

from __future__ import annotations

from dataclasses import dataclass

BOOKING = "tests/unit/portfolio/test_booking.py"
RECONCILING = "tests/unit/portfolio/test_reconciling.py"
ORDERS = "tests/unit/portfolio/test_orders.py"
COORDINATOR = "tests/unit/actors/test_coordinator.py"
INGEST = "tests/unit/actors/test_ingest.py"
WRITER = "tests/unit/actors/test_writer.py"
CLOB = "tests/unit/polymarket/test_clob.py"
LIFECYCLE = "tests/unit/portfolio/test_lifecycle.py"
ORDER_MESSAGES = "tests/unit/portfolio/test_order_messages.py"
PROVISIONAL = "tests/unit/portfolio/test_provisional.py"
CHAIN = "tests/unit/polymarket/test_chain.py"
LOGGED = "tests/unit/portfolio/test_logged_differences.py"
UNDONE = "tests/unit/portfolio/test_chained_undone.py"
AS_OF = "tests/unit/portfolio/test_as_of.py"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One fault: ``old``, which stands exactly once in ``file``, becomes ``new``, and ``test`` must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        name="skip the duplicate check of fills",
        file="portfolio/booking.py",
        old="    known = draft.state.fills.get(fill_key(leg.trade_id, leg.order_id))\n",
        new="    known: BookedFill | None = None\n",
        test=f"{BOOKING}::test_a_repetition_changes_nothing_and_says_nothing",
    ),
    Mutant(
        name="let a status move back",
        file="portfolio/booking.py",
        old="    if (_told(leg), _terms(told)) <= (known.told, _terms(fill)):",
        new="    if (_told(leg), _terms(told)) == (known.told, _terms(fill)):",
        test=f"{BOOKING}::test_a_status_never_moves_back",
    ),
    Mutant(
        name="fold in arrival order",
        file="portfolio/position.py",
        old="    return tuple(sorted(chosen.values(), key=lambda entry: (entry.at, entry.entry_id)))",
        new="    return tuple(chosen.values())",
        test="tests/property/portfolio/test_position_properties.py::test_arrival_order_and_repetition_do_not_matter",
    ),
    Mutant(
        name="count failed trades",
        file="portfolio/position.py",
        old="    return not isinstance(entry, Fill) or entry.state.effective",
        new="    return True",
        test=f"{BOOKING}::test_a_failed_fill_is_reversed_and_both_stay_visible",
    ),
    Mutant(
        name="round cost up when selling",
        file="portfolio/position.py",
        old="    return floor_share(held.cost_basis_micro, shares, held.shares_micro)",
        new="    return -floor_share(-held.cost_basis_micro, shares, held.shares_micro)",
        test="tests/unit/portfolio/test_position.py::test_cost_removed_is_floored_and_the_last_share_takes_all",
    ),
    Mutant(
        name="let a tolerance of one base unit into the comparison",
        file="portfolio/comparison.py",
        old="        if total == target:",
        new="        if abs(total - target) <= 1:",
        test="tests/unit/portfolio/test_comparison.py::test_one_base_unit_is_a_difference",
    ),
    Mutant(
        name="let the stand-in close positions",
        file="portfolio/comparison.py",
        old="    if size_micro <= STAND_IN_RESOLUTION_MICRO:\n        return 0\n",
        new="",
        test="tests/unit/portfolio/test_mutation_gaps_stand_in.py::test_the_stand_in_does_not_close_what_the_chain_has_proven",
    ),
    Mutant(
        name="take the same block for a second look",
        file="portfolio/reconciling.py",
        old="known.block_number is not None and block_number <= known.block_number:",
        new="known.block_number is not None and block_number < known.block_number:",
        test=f"{RECONCILING}::test_the_same_block_seen_again_is_no_second_look",
    ),
    Mutant(
        name="let matched sizes fall",
        file="portfolio/orders.py",
        old="    return ended or shown.size_matched_micro < known.size_matched_micro",
        new="    return ended",
        test=f"{ORDERS}::test_a_matched_size_that_falls_is_counted_and_changes_nothing",
    ),
    Mutant(
        name="close an order although its fate says that it lives",
        file="portfolio/orders.py",
        old="    if not known.status.live or (fate is not None and fate.status.live):",
        new="    if not known.status.live:",
        test=f"{ORDERS}::test_a_fate_that_says_live_proves_that_the_list_was_short",
    ),
    Mutant(
        name="pause although the kill switch is on",
        file="portfolio/gate.py",
        old="        if state.kill_switch or not state.auto_pause:",
        new="        if not state.auto_pause:",
        test="tests/unit/actors/test_gate.py::test_the_kill_switch_suppresses_the_pause_and_syncing_goes_on",
    ),
    Mutant(
        name="allow an interval above the locked maximum",
        file="portfolio/thresholds.py",
        old="    if Decimal(seconds).is_nan() or not 0 < seconds <= INTERVAL_MAX_S:",
        new="    if Decimal(seconds).is_nan() or not seconds > 0:",
        test="tests/unit/service/test_config.py::test_a_locked_value_is_refused_by_its_code",
    ),
    Mutant(
        name="treat a failed reading as an empty one",
        file="actors/gathering.py",
        old="            self.clob_failure = self.clob_failure or sentence\n",
        new="            self.orders, self.orders_read_at_ms = (), self.started_at_ms\n",
        test="tests/acceptance/test_failure_recipes.py::test_clob_api_unavailable",
    ),
    Mutant(
        name="believe a partial reading",
        file="actors/learning.py",
        old="        elif message.certificate.verdict is Verdict.COMPLETE and key not in NOTED:",
        new="        elif key not in NOTED:",
        test=f"{COORDINATOR}::test_a_partial_answer_is_unknown_and_never_empty",
    ),
    Mutant(
        name="take the answer to another cycle for one to this",
        file="actors/gathering.py",
        old="        return key if cycle_id == self.cycle_id and key in self.awaiting else None",
        new="        return key if key in self.awaiting else None",
        test=f"{COORDINATOR}::test_a_late_answer_is_dropped_by_its_correlation",
    ),
    Mutant(
        name="advance the cursor first",
        file="actors/readings.py",
        old="            self._outflow.when_durable(lambda arrived: self._advance(job) if arrived else None)",
        new="            self._advance(job)",
        test=f"{INGEST}::test_the_cursor_moves_behind_the_fills_that_it_covers",
    ),
    Mutant(
        name="move the cursor past a trade that may still fail",
        file="actors/jobs.py",
        old="min(open_ones, default=newest)",
        new="newest",
        test=f"{INGEST}::test_a_trade_is_followed_through_its_statuses_and_the_cursor_waits_for_its_end",
    ),
    Mutant(
        name="tell before it is durable",
        file="actors/writer.py",
        old="        self._batch.append(message)\n",
        new="        self._batch.append(message)\n"
        "        for address, told in message.then:\n            self.tell(address, told)\n",
        test=f"{WRITER}::test_what_waits_for_durability_is_told_after_the_commit",
    ),
    Mutant(
        name="go on after a failed commit",
        file="actors/writer.py",
        old="            self._broken = True\n",
        new="            self._broken = False\n",
        test=f"{WRITER}::test_a_failed_commit_escalates_and_nothing_follows_it",
    ),
    Mutant(
        name="drop the version check of the journal's head",
        file="storage/ledger.py",
        old="        if transaction.execute(_MOVE_HEAD, values) != 1:",
        new="        if transaction.execute(_MOVE_HEAD, values) > 1:",
        test="tests/integration/storage/test_sqlite.py"
        "::TestSqliteWriting::test_a_head_that_moved_behind_the_writers_back_stops_it",
    ),
    Mutant(
        name="read only the first page",
        file="polymarket/paging.py",
        old="        if cursor is None:\n            break\n",
        new="        break\n",
        test=f"{CLOB}::test_many_pages_are_read_and_all_but_the_last_looked_at_again_at_once",
    ),
    Mutant(
        name="never look at the pages of a moving list again",
        file="polymarket/paging.py",
        old="    if not moved and listing.verify and len(sheets) > 1:",
        new="    if not moved and listing.verify and len(sheets) < 1:",
        test=f"{CLOB}::test_an_order_that_slid_between_pages_is_found_by_the_second_look_and_the_set_is_read_again",
    ),
    Mutant(
        name="cut off what is finer than a base unit",
        file="polymarket/payloads/money.py",
        old="    if finer:\n",
        new="    if finer and value < 0:\n",
        test="tests/unit/polymarket/test_money.py::test_what_is_no_amount_is_refused",
    ),
    Mutant(
        name="believe balances of another block",
        file="polymarket/chain.py",
        old="        if number != at.block.number:\n",
        new="        if number < 0:\n",
        test=f"{CHAIN}::test_a_call_that_ran_at_another_block_is_not_believed",
    ),
    Mutant(
        name="book a trade beside the provisional quantity that it explains",
        file="portfolio/provisional.py",
        old="    order = replace(order, booked_micro=order.booked_micro + more_micro)\n",
        new="",
        test=f"{PROVISIONAL}::test_the_trade_takes_the_place_of_the_provisional_quantity_at_its_own_price",
    ),
    Mutant(
        name="let an order's matched figure fall",
        file="portfolio/provisional.py",
        old="    matched = max(known.size_matched_micro, shown.size_matched_micro)\n",
        new="    matched = shown.size_matched_micro\n",
        test=f"{ORDER_MESSAGES}::test_a_late_or_repeated_message_changes_nothing_and_is_counted",
    ),
    Mutant(
        name="close an order before its fills",
        file="portfolio/provisional.py",
        old="    if order.status.live or order.waiting_micro:\n",
        new="    if order.status.live:\n",
        test=f"{ORDER_MESSAGES}::test_a_cancellation_with_a_part_matched_closes_the_order_when_that_part_is_booked",
    ),
    Mutant(
        name="take the figure's dust for a fill",
        file="portfolio/views.py",
        old="(self.booked_micro > 0 and waiting < DUST_MICRO)",
        new="False",
        test=f"{PROVISIONAL}::test_an_order_closes_although_its_trades_stay_behind_its_figure_by_dust",
    ),
    Mutant(
        name="drop an expired fill in silence",
        file="portfolio/lifecycle.py",
        old='    issue(draft, IssueType.FILL_EXPIRED, known.fill, ("in flight", "reversed", f"{seen}, {chain}"))\n',
        new="",
        test=f"{LIFECYCLE}::test_a_fill_that_nothing_speaks_for_is_taken_back_in_sight_of_all",
    ),
    Mutant(
        name="reverse a fill that is being retried",
        file="portfolio/lifecycle.py",
        old="    if event.status is TradeStatus.RETRYING:\n",
        new="    if event.status is TradeStatus.CONFIRMED:\n",
        test=f"{LIFECYCLE}::test_a_fill_that_something_speaks_for_gets_another_time_to_live",
    ),
    Mutant(
        name="settle a fill beside the marks behind it",
        file="portfolio/state.py",
        old="            mark if mark.at < fill.at else replace(mark, positions=_with_settled(mark.positions, fill))\n",
        new="            mark\n",
        test="tests/unit/portfolio/test_marks.py::test_a_fill_before_a_mark_that_settles_or_fails_changes_the_marks_behind_it",
    ),
    Mutant(
        name="keep the first transaction hash for good",
        file="portfolio/booking.py",
        old='    if (_hash_told(leg), leg.transaction_hash or "") > (known.hash_told, fill.transaction_hash or ""):\n',
        new="    if not fill.transaction_hash:\n",
        test="tests/unit/portfolio/test_fill_messages.py::"
        "test_a_hash_is_replaced_until_the_trade_is_confirmed_and_the_latest_stands_in_any_order",
    ),
    Mutant(
        name="let a trade replace what an operator recorded",
        file="portfolio/superseding.py",
        old="    if booked.superseded or booked.operator or not isinstance(",
        new="    if booked.superseded or not isinstance(",
        test="tests/unit/portfolio/test_recording.py::test_a_mark_is_refused_for_what_is_no_standing_inferred_entry",
    ),
    Mutant(
        name="book a log twice",
        file="portfolio/reconciling.py",
        old="hint for hint in logs.values() if not stands_booked(draft.state, hint.logged_as))",
        new="logs.values())",
        test=f"{LOGGED}::test_one_log_is_booked_once_however_often_it_is_read",
    ),
    Mutant(
        name="believe the log of a fill without its trade",
        file="portfolio/views.py",
        old="        return bool(self.logged_as) and self.cause not in _TRADED",
        new="        return bool(self.logged_as)",
        test=f"{LOGGED}::test_a_fill_of_an_unknown_order_waits_for_its_trade_until_the_second_look",
    ),
    Mutant(
        name="leave the fee of an external fill in its price",
        file="portfolio/labelling_hints.py",
        old="        fee_micro=change.fee_micro,\n",
        new="",
        test="tests/unit/portfolio/test_labelling_hints.py::"
        "test_a_fill_is_an_external_trade_at_what_it_moved_with_its_fee_beside_it",
    ),
    Mutant(
        name="count the fee of an external fill beside that of the own one it turned out to be",
        file="portfolio/rows.py",
        old="        fee = fees.get(token_id, 0)\n",
        new="        fee = 0\n",
        test=f"{LOGGED}::test_a_fee_is_counted_once_where_its_fill_turns_out_to_be_an_own_one",
    ),
    Mutant(
        name="let a message take back what the chain says of a fill",
        file="portfolio/booking.py",
        old="    stands = logged and ",
        new="    stands = False and ",
        test=f"{LOGGED}::test_the_amount_and_the_fee_of_the_log_win_over_computed_ones_and_over_later_messages",
    ),
    Mutant(
        name="count a deposit again when its block is read again",
        file="portfolio/hinting.py",
        old=" and change.block_number > logs.cash_until_block)",
        new=")",
        test="tests/unit/portfolio/test_hinting.py::test_a_deposit_is_told_once_though_its_block_is_read_again",
    ),
    Mutant(
        name="forget the logs of a difference that waits",
        file="actors/following.py",
        old="        if self._until is None or (agreed and self._complete and not waits):",
        new="        if True:",
        test="tests/unit/actors/test_following.py"
        "::test_while_a_difference_waits_its_blocks_are_read_again_by_a_watcher_that_knows_nothing",
    ),
    Mutant(
        name="believe logs of another fork",
        file="actors/watching.py",
        old='                self._pass(one, None, f"block {one.block_number} was replaced")',
        new="                self._pass(one, certificate)",
        test="tests/unit/actors/test_following.py"
        "::test_of_a_cycle_whose_block_was_replaced_the_report_says_so_and_the_next_look_finds_the_merge",
    ),
    Mutant(
        name="compare what later blocks showed with the balance of an earlier one",
        file="portfolio/comparison.py",
        old="if change.block_number > block_number and change.legs]",
        new="if False]",
        test=f"{AS_OF}::test_a_cycle_finds_no_difference_whichever_side_of_a_booked_fact_its_block_is",
    ),
    Mutant(
        name="leave a log's amount and fee with the fill whose block was dropped",
        file="portfolio/chained.py",
        old="        restored = replace(restored, amount_micro=was.amount_micro, fee_micro=was.fee_micro)\n",
        new="        pass\n",
        test=f"{UNDONE}::test_a_fill_whose_block_is_dropped_is_in_flight_again_with_the_exchanges_own_numbers",
    ),
    Mutant(
        name="book a log again under the id that was undone",
        file="portfolio/adjusting.py",
        old='    entry_id = f"{hint.logged_as}#{len(ids) + 1}" if ids else hint.logged_as\n',
        new="    entry_id = hint.logged_as\n",
        test=f"{UNDONE}::"
        "test_the_transaction_in_another_block_undoes_the_old_entry_and_books_a_new_one_under_an_id_of_its_own",
    ),
    Mutant(
        name="take a difference of the same size for the same difference, whatever makes it up",
        file="portfolio/reconciling.py",
        old=" or _is_another(draft, view, known):",
        new=":",
        test="tests/unit/portfolio/test_chained_cycles.py"
        "::test_a_difference_that_another_log_makes_up_by_now_is_looked_at_for_the_first_time",
    ),
)
