"""``python -m polymarket.sandbox``."""

from polymarket.sandbox.command import app

app(prog_name="python -m polymarket.sandbox")
