"""What is durable: tables, journal, ledger, leases, outbox and the queries over them, on SQLite or PostgreSQL.

The only package that knows peewee and psycopg2. It stores messages as opaque bytes and outcomes as rows; what they
mean is decided in ``portfolio``, and when to write them by the ledger's one writer. No clock is read here: every time
comes from the caller.
"""
