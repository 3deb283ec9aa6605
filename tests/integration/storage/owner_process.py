"""A process that owns a database until it is killed: ``python -m … URL [MOMENT]``. It says ``ready`` when it owns it.

With a MOMENT it then commits one outcome of each kind and kills itself: when that has ``begun``, is ``written`` but not
committed, or is ``committed``.
"""

from __future__ import annotations

import sys

from storage.database import open_database
from storage.lease import Leases
from storage.ledger import Ledger
from storage.lock import describe_process
from storage.projections import PROJECTIONS
from tests.integration.storage import samples
from tests.integration.storage.faults import FailingConnection, kill_process

COMMIT = 4 + len(PROJECTIONS)
"""Number of the statement that commits: after begin, head, journal and a statement for each kind."""

MOMENTS = {"begun": (2, False), "written": (COMMIT, False), "committed": (COMMIT, True)}


def main(url: str, moment: str | None) -> None:
    database = open_database(url, owner=describe_process(), now_ms=samples.AT_MS)
    ledger = Ledger(database)
    ledger.hold(Leases(database).acquire(samples.STREAM, describe_process(), samples.AT_MS))
    ledger.commit([samples.decision(samples.fill(2))])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if moment is None:
        sys.stdin.read()
        return
    fail_at, after = MOMENTS[moment]
    database.connection = FailingConnection(database.connection, fail_at, after=after, fault=kill_process)
    ledger.commit([samples.decision(*samples.EVERY_KIND)])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
