"""A local Polymarket in a process of its own: CLOB, Data API, Gamma and JSON-RPC over one seeded world (X-07).

The world (``world``, ``chain``, ``exchange``, ``books``, ``scenario``) is pure: it takes its time and its seed and does
no I/O. The ``server_*`` modules serve it, ``process`` starts it and talks to its control port. Nothing here knows the
service's accounting: what the wallet did is recorded independently, so that it can be compared with the service (D-07).
"""
