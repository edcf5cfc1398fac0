"""UmaDB's server as the other side: appends of one event by 64 client threads, a connection each."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import umadb
from tests.clusters import free_port

from diptych import new_id

THREADS = 64
TO_START_S = 30.0
SERVE = "import sys; from umadb.umadb_server_cli import main; sys.exit(main())"


class Writers:
    """Client threads that append."""

    def __init__(self, url: str, threads: ThreadPoolExecutor) -> None:
        self._clients = [umadb.Client(url) for _ in range(THREADS)]
        self._threads = threads

    def append(self, count: int) -> float:
        """Events a second."""
        share = max(1, count // THREADS)
        began = perf_counter()
        for done in [self._threads.submit(_append_some, client, share) for client in self._clients]:
            done.result()
        return share * THREADS / (perf_counter() - began)


@contextmanager
def on_umadb(folder: Path) -> Iterator[Writers]:
    """A server of its own on this machine, its database a file in *folder*."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-c", SERVE, "--listen", address, "--db-path", str(folder / "uma.db")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server, ThreadPoolExecutor(THREADS) as threads:
        try:
            _wait_for(f"http://{address}")
            yield Writers(f"http://{address}", threads)
        finally:
            server.terminate()


def _append_some(client: umadb.Client, count: int) -> None:
    for number in range(count):
        data = b'{"text":"hello","number":%d}' % number
        client.append([umadb.Event("Noted", data, [f"Note-{new_id()}"])])


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + TO_START_S
    while True:
        try:
            umadb.Client(url).head()
        except umadb.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
