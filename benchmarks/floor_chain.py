"""Floor of ``chain-catch-up``: the same requests, sent one after another, their answers decoded as JSON (D-27).

Imports nothing of the product. ``python benchmarks/floor_chain.py URL``: each line on stdin, a JSON array of request
bodies, is answered with ``{"seconds": …, "bytes": …}``. One kept-alive connection; the JSON decoder is the fast one.
"""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

import msgspec

HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}


def fetch(connection: http.client.HTTPConnection, bodies: list[str]) -> dict[str, float]:
    """Send them all and decode what comes."""
    started, size = time.perf_counter(), 0
    for body in bodies:
        connection.request("POST", "/", body, HEADERS)
        response = connection.getresponse()
        content = response.read()
        assert response.status == http.client.OK, f"the status was {response.status}, expected 200"
        assert msgspec.json.decode(content), "an answer was empty"
        size += len(content)
    return {"seconds": time.perf_counter() - started, "bytes": size}


def main(url: str) -> None:
    """Serve until stdin ends."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    print('"ready"', flush=True)
    for line in sys.stdin:
        print(msgspec.json.encode(fetch(connection, msgspec.json.decode(line))).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
