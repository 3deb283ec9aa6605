"""Mailbox → pure transition → effects. One owner per piece of state; no sockets, no SQL, no clock of its own.

What an actor needs from outside it names in ``ports``; ``service.bootstrap`` passes the real one in.
"""
