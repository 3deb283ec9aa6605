"""A reader that has much to do lets others in, without asking anybody anything."""

from __future__ import annotations

import gevent
import pytest

from polymarket.driver import HttpDriver
from polymarket.reading import breath
from polymarket.requests import Steps
from polymarket.settings import PolymarketSettings


@pytest.mark.req("S-25")
def test_others_run_where_a_reader_breathes() -> None:
    seen: list[str] = []

    def reader() -> Steps[str]:
        gevent.spawn(seen.append, "another")
        seen.append("before")
        yield from breath()
        seen.append("after")
        return "done"

    driver = HttpDriver(PolymarketSettings(), lambda: 0)
    try:
        assert driver.run(reader()) == "done"
    finally:
        driver.close()
    assert seen == ["before", "another", "after"]
