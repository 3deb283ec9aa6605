"""The outside world: sans-I/O readers of CLOB, Data API, Gamma and chain, their drivers, and a local Polymarket.

Nothing here knows an actor or a database. ``sandbox`` is a world of its own: no module beside it imports it.
"""
