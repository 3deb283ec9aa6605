"""``python -m polymarket.sandbox``."""

from polymarket.sandbox.command import build_app

build_app()(prog_name="python -m polymarket.sandbox")
