"""What the command line and HTTP read: the third part of the contract."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import peewee as pw
import pytest

from portfolio.entries import FillState
from portfolio.facts import OrderStatus
from portfolio.outcomes import OrderRow, Outcome
from portfolio.provisional import PROVISIONAL
from portfolio.reports import render_operations, render_settlement
from storage import journal, tables
from storage import queries as reading
from storage.database import Database
from storage.ledger import Ledger
from storage.queries import EntrySums, FillFilter, Queries, ReportKind, Selection
from storage.stored import TABLES, as_stored, stored_state
from tests.integration.storage import samples
from tests.integration.storage.contract import Fixtures

FIELDS = {
    "positions": "wallet market_id condition_id token_id outcome shares_micro settled_micro in_flight_micro "
    "cost_basis_micro realized_pnl_micro neg_risk updated_at_ms",
    "orders": "wallet market_id condition_id token_id order_id side price_micro original_size_micro "
    "size_matched_micro status created_at_ms",
    "fills": "wallet market_id token_id order_id trade_id side price_micro size_micro fee_micro state "
    "transaction_hash matched_at_ms",
    "adjustments": "wallet market_id token_id cause size_micro cost_micro realized_pnl_micro estimated evidence at_ms",
    "issues": "type severity action wallet market_id before after cause at_ms",
    "strategies": "strategy_id paused pause_reason paused_at_ms",
}


class EntryReadingContract(Fixtures):
    """Queries about fills and adjustments."""

    @pytest.fixture
    def queries(self, database: Database) -> Queries:
        return Queries(database)

    @pytest.mark.req("L-01", "L-03", "X-15")
    def test_a_fill_tells_which_feed_showed_it_first_and_what_of_it_is_settled(
        self, ledger: Ledger, queries: Queries, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "TRADES_ASKED", 2)
        states = (FillState.SETTLED, FillState.OBSERVED, FillState.FAILED)
        fills = [samples.fill(number, size_micro=9, state=state) for number, state in enumerate(states, 1)]
        seen = [
            samples.observation(1, feed="stream", at_ms=samples.AT_MS + 2),
            samples.observation(1, feed="poll", at_ms=samples.AT_MS + 3),
            samples.observation(1, wallet="second", feed="poll", at_ms=samples.AT_MS),
            samples.observation(2, feed="stream", at_ms=samples.AT_MS + 5),
            samples.observation(2, feed="backfill", at_ms=samples.AT_MS + 5),
        ]
        ledger.commit([samples.decision(*fills, *seen)])
        third, second, first = queries.fills()
        assert (first["first_seen_by"], first["first_seen_at_ms"]) == ("stream", samples.AT_MS + 2)
        assert (second["first_seen_by"], second["first_seen_at_ms"]) == ("backfill", samples.AT_MS + 5)
        assert (third["first_seen_by"], third["first_seen_at_ms"]) == (None, None)
        counting = [(row["settled_micro"], row["in_flight_micro"]) for row in (first, second, third)]
        assert counting == [(9, 0), (0, 9), (0, 0)]
        assert queries.booked_since("main", "backfill", samples.AT_MS) == 1
        assert queries.booked_since("main", "backfill", samples.AT_MS + 3) == 0

    @pytest.mark.req("L-03", "D-03")
    def test_fills_are_chosen_by_order_and_state_and_superseded_notices_come_when_asked_for(
        self, ledger: Ledger, queries: Queries
    ) -> None:
        notices = [
            samples.fill(3, trade_id=PROVISIONAL, order_id="over", state=FillState.SUPERSEDED),
            samples.fill(4, trade_id=PROVISIONAL, order_id="open", state=FillState.PROVISIONAL),
        ]
        history = samples.fill(2, state=FillState.SUPERSEDED)
        ledger.commit([samples.decision(samples.fill(1), history, *notices)])

        def found(chosen: FillFilter) -> list[int]:
            return [record["matched_at_ms"] - samples.AT_MS for record in queries.fills(Selection(), chosen)]

        assert found(FillFilter()) == [4, 2, 1]
        assert found(FillFilter(notices=True)) == [4, 3, 2, 1]
        assert found(FillFilter(order_id=samples.ORDER)) == [2, 1]
        assert found(FillFilter(state=FillState.SUPERSEDED)) == [2]
        assert found(FillFilter(state=FillState.SUPERSEDED, notices=True)) == [3, 2]

    @pytest.mark.req("L-10", "L-26")
    def test_an_entry_is_found_by_its_id(self, ledger: Ledger, queries: Queries) -> None:
        legs = [samples.adjustment(token_id=token) for token in ("2", "1")]
        ledger.commit([samples.decision(*legs, samples.adjustment(entry_id="adj-2"))])
        assert [row["token_id"] for row in queries.adjustment("main", "adj-1")] == ["1", "2"]
        assert queries.adjustment("second", "adj-1") == []

    @pytest.mark.req("L-10")
    def test_what_entries_add_up_to_stands_beside_the_positions(self, ledger: Ledger, queries: Queries) -> None:
        fills = [
            samples.fill(1, realized_pnl_micro=7, fee_micro=2),
            samples.fill(2, realized_pnl_micro=-4, fee_micro=3, state=FillState.FAILED),
            samples.fill(3, token_id="5", market_id="other", condition_id="other", fee_micro=1),
        ]
        booked = samples.adjustment(realized_pnl_micro=10, fee_micro=5, at_ms=samples.AT_MS + 2)
        ledger.commit([samples.decision(samples.market(), samples.position(), *fills, booked)])
        found = queries.profits(Selection(limit=1))
        mine, other = ("main", samples.TOKEN), ("main", "5")
        assert found.entries[mine] == EntrySums(market_id=samples.MARKET, realized_pnl_micro=13, fees_micro=7)
        assert found.entries[other] == EntrySums(market_id="other", realized_pnl_micro=-5, fees_micro=1)
        assert [row["token_id"] for row in found.positions] == [samples.TOKEN]
        assert found.titles == {("main", samples.CONDITION): "Will it rain in Zürich?"}
        assert found.since is None
        later = queries.profits(Selection(since_ms=samples.AT_MS + 2, market=samples.MARKET))
        assert later.since == {mine: EntrySums(market_id=samples.MARKET, realized_pnl_micro=6, fees_micro=5)}
        assert set(later.entries) == {mine}

    @pytest.mark.req("X-04")
    def test_all_of_a_market_is_read_at_one_moment_with_the_head_of_its_stream(
        self, ledger: Ledger, queries: Queries
    ) -> None:
        others: list[Outcome] = [
            samples.market(condition_id="0xd", market_id="other"),
            samples.position(token_id="5", market_id="other"),
            samples.fill(2, market_id="other"),
            samples.adjustment(entry_id="adj-2", market_id="other"),
            samples.issue(market_id="other"),
            samples.strategy_event(market_id="", event="resumed", at_ms=samples.AT_MS + 1),
        ]
        ledger.commit([samples.decision(*samples.EVERY_KIND), samples.decision(*others, version=2)])
        found = queries.of_market("main", samples.MARKET)
        assert (found.market_id, found.head_seq) == (samples.MARKET, 2)
        assert [row["slug"] for row in found.conditions] == ["rain-zurich"]
        assert [row["outcome"] for row in found.tokens] == ["Yes"]
        assert [row["shares_micro"] for row in found.positions] == [400_000_000]
        assert [row["matched_at_ms"] for row in found.fills] == [samples.AT_MS + 1]
        assert [row["entry_id"] for row in found.adjustments] == ["adj-1"]
        assert [row["subject"] for row in found.issues] == [samples.ORDER]
        assert [row["event"] for row in found.strategy_events] == ["paused", "resumed"]
        nothing = queries.of_market("second", samples.MARKET)
        assert (nothing.head_seq, nothing.positions, nothing.strategy_events) == (0, (), ())

    @pytest.mark.req("X-04", "X-12")
    def test_the_journal_of_one_address_is_read_in_its_order(
        self, ledger: Ledger, queries: Queries, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal, "BATCH_ENTRIES", 2)
        mine, other = "market:main/mine", "market:main/other"
        written = [mine, other, mine, other, other, mine]
        decisions = (msgspec.structs.replace(samples.decision(version=n), address=to) for n, to in enumerate(written))
        ledger.commit(list(decisions))
        assert [entry.seq for entry in queries.journaled("main", mine)] == [1, 3, 6]
        assert list(queries.journaled("main", "market:main/none")) == []
        assert list(queries.journaled("second", mine)) == []


class ReadingContract(EntryReadingContract):
    """All queries."""

    @pytest.mark.req("S-23", "X-15")
    @pytest.mark.parametrize("name", FIELDS)
    def test_a_record_has_the_fields_of_the_interface(self, ledger: Ledger, queries: Queries, name: str) -> None:
        ledger.commit([samples.decision(*samples.EVERY_KIND)])
        (record,) = getattr(queries, name)()
        assert record.keys() >= set(FIELDS[name].split())

    @pytest.mark.req("S-23")
    def test_values_have_their_own_types_on_both_databases(self, ledger: Ledger, queries: Queries) -> None:
        ledger.commit([samples.decision(*samples.EVERY_KIND)])
        (position,), (market,), (order,) = queries.positions(), queries.markets(), queries.orders()
        assert position["neg_risk"] is False
        assert (market["halted"], market["neg_risk_claimed"], market["title"]) == (
            True,
            None,
            "Will it rain in Zürich?",
        )
        assert (position["cost_basis_micro"], order["side"], type(order["side"])) == (samples.LARGEST, "BUY", str)

    @pytest.mark.req("L-29")
    def test_zero_positions_are_kept_and_shown_when_asked_for(self, ledger: Ledger, queries: Queries) -> None:
        zero = samples.position(token_id="1", shares_micro=0, settled_micro=0, in_flight_micro=0)
        dust = samples.position(token_id="2", shares_micro=0, settled_micro=1, in_flight_micro=-1)
        ledger.commit([samples.decision(zero, dust)])
        assert [record["token_id"] for record in queries.positions()] == ["2"]
        assert [record["token_id"] for record in queries.positions(include_zero=True)] == ["1", "2"]

    @pytest.mark.req("L-06")
    def test_closed_orders_are_kept_and_shown_when_asked_for(self, ledger: Ledger, queries: Queries) -> None:
        statuses = list(OrderStatus)
        rows = [
            samples.order(order_id=f"{number:02d}", status=status, closed_at_ms=None if status.live else samples.AT_MS)
            for number, status in enumerate(statuses)
        ]
        ledger.commit([samples.decision(*rows)])
        live = [record["status"] for record in queries.orders()]
        assert live == [status.value for status in statuses if status.live]
        assert len(queries.orders(include_closed=True)) == len(statuses)

    @pytest.mark.req("L-29")
    def test_nothing_is_cut_off_unless_a_limit_is_asked_for(self, ledger: Ledger, queries: Queries) -> None:
        positions = [samples.position(token_id=str(number)) for number in range(1_200)]
        orders = [samples.order(order_id=str(number)) for number in range(1_200)]
        ledger.commit([samples.decision(*positions, *orders)])
        assert (len(queries.positions()), len(queries.orders())) == (1_200, 1_200)
        assert len(queries.positions(Selection(limit=7))) == 7

    @pytest.mark.req("S-23")
    def test_lists_are_selected_by_wallet_market_and_time(self, ledger: Ledger, queries: Queries) -> None:
        event = samples.hexadecimal(5)
        rows = [
            samples.fill(1),
            samples.fill(2, wallet="second"),
            samples.fill(3, market_id=event, condition_id=samples.hexadecimal(6)),
        ]
        ledger.commit([samples.decision(*rows)])

        def found(selection: Selection) -> list[int]:
            return [record["matched_at_ms"] - samples.AT_MS for record in queries.fills(selection)]

        assert found(Selection()) == [3, 2, 1]
        assert found(Selection(wallet="main")) == [3, 1]
        assert found(Selection(market=event)) == [3]
        assert found(Selection(market=samples.hexadecimal(6))) == [3]
        assert found(Selection(since_ms=samples.AT_MS + 2)) == [3, 2]
        assert found(Selection(limit=1)) == [3]

    @pytest.mark.req("S-08", "S-09", "R-09")
    def test_reports_come_back_as_documents_newest_first(self, ledger: Ledger, queries: Queries) -> None:
        later = samples.settlement(synced_at_ms=samples.AT_MS + 1)
        ledger.commit([samples.decision(samples.settlement(), later, samples.operations())])
        settlements = queries.reports(ReportKind.SETTLEMENT)
        assert [document["synced_at_ms"] for document in settlements] == [samples.AT_MS + 1, samples.AT_MS]
        assert len(queries.reports(ReportKind.SETTLEMENT, Selection(since_ms=samples.AT_MS + 1))) == 1
        (document,) = queries.reports(ReportKind.OPERATIONS)
        assert document == queries.last_operations_report("main")
        assert queries.last_operations_report("second") is None
        assert settlements == [render_settlement(later), render_settlement(samples.settlement())]
        assert document == render_operations(samples.operations())
        assert not any(isinstance(value, float) for value in document.values())

    @pytest.mark.req("S-09", "R-09")
    def test_each_report_says_until_when_it_is_kept(self, database: Database, ledger: Ledger) -> None:
        ledger.commit([samples.decision(samples.settlement(), samples.operations())])

        def kept(reader: pw.Database) -> list[int]:
            found = []
            for table in (tables.SettlementReports, tables.OperationsReports):
                found += [until for (until,) in table.select(table.retained_until_ms).tuples().execute(reader)]
            return found

        # 2025-05-09T12:00Z plus seven years (two leap days) and plus one
        day = 86_400_000
        assert database.read(kept) == [samples.AT_MS + (7 * 365 + 2) * day, samples.AT_MS + 365 * day]

    @pytest.mark.req("L-20", "D-20")
    def test_the_stored_state_is_every_row_of_it_as_it_was_written(self, database: Database, ledger: Ledger) -> None:
        other = samples.position(wallet="second")
        ledger.commit([samples.decision(*samples.EVERY_KIND, samples.order(order_id="1", closed_at_ms=7), other)])
        state = stored_state(database, "main")
        written = {type(row): as_stored(row) for row in samples.EVERY_KIND if type(row) in TABLES}
        assert written.keys() == TABLES.keys()
        assert state.head_seq == 1
        assert {kind: rows[0] for kind, rows in state.rows.items() if len(rows) == 1} == {
            kind: row for kind, row in written.items() if kind is not OrderRow
        }
        assert sorted(TABLES[OrderRow].named(row)["closed_at_ms"] or 0 for row in state.rows[OrderRow]) == [0, 7]
        empty = stored_state(database, "nobody")
        assert (empty.head_seq, set(map(len, empty.rows.values()))) == (0, {0})

    @pytest.mark.req("S-23")
    def test_counts_describe_the_state(self, ledger: Ledger, queries: Queries) -> None:
        assert set(queries.counts().values()) == {0}
        ledger.commit([samples.decision(*samples.EVERY_KIND)])
        assert set(queries.counts().values()) == {1}

    @pytest.mark.req("S-23")
    def test_every_other_list_reads_back_what_was_committed(self, ledger: Ledger, queries: Queries) -> None:
        ledger.commit([samples.decision(*samples.EVERY_KIND)])
        assert queries.wallets()[0]["address"] == "0x" + "a1" * 20
        assert queries.tokens(Selection(market=samples.MARKET))[0]["token_id"] == samples.TOKEN
        assert queries.cursors()[0]["value"] == samples.cursor().value
        assert queries.strategy_events(Selection(market=samples.MARKET))[0]["event"] == "paused"
        assert queries.fill_observations(Selection(wallet="main"))[0]["status"] == "MATCHED"
        assert queries.leases()[0]["head_seq"] == 1

    @pytest.mark.req("S-23", "D-24")
    def test_numbers_of_a_document_keep_their_digits(
        self, database: Database, ledger: Ledger, queries: Queries
    ) -> None:
        ledger.commit([samples.decision(samples.settlement())])
        text = msgspec.json.Encoder(decimal_format="number").encode({"drift_pusd": Decimal("11.600001")}).decode()
        database.write(
            lambda transaction: transaction.execute('UPDATE "settlement_reports" SET "document" = ?', (text,))
        )
        (document,) = queries.reports(ReportKind.SETTLEMENT)
        assert document == {"drift_pusd": Decimal("11.600001")}
        assert isinstance(document["drift_pusd"], Decimal)
