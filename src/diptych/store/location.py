"""
Say whether a path can hold a database, make its folder, and notice when the file there is exchanged.

Refuses network file systems: SQLite's WAL needs locks and shared memory between
every process on the file, which they do not give. Where the system doesn't tell
what a path lies on, it is accepted.
"""

import os
import re
from pathlib import Path

from diptych.errors import BadDatabase, Unavailable

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|afs|coda|ncpfs|ceph|lustre|glusterfs|beegfs|gpfs|davfs"
    r"|fuse\.(sshfs|glusterfs|ceph(-fuse)?|rclone|s3fs|gcsfuse|davfs2?|smbnetfs|nfs\w*)"
)


class Place:
    """The file that was opened under a path: it is noticed when it goes, or another is put there."""

    def __init__(self, path: str, *, what: str) -> None:
        """*what* the file is, for messages: "the log"."""
        self._path, self._what, self._opened = path, what, _file_at(path)

    def check(self) -> None:
        """
        Insist that the path still leads to the file that is open.

        Raises:
            Unavailable: What is written now would be lost with the file that nobody can find any more.
        """
        if _file_at(self._path) != self._opened:
            raise Unavailable(
                f"{self._what} {self._path} was moved, removed or replaced while it was open: "
                "put it back, or start the application again with the one that is there"
            )


def place_for(path: str) -> str:
    """
    The absolute path of a file that may be made or opened; its folder exists afterwards.

    Raises:
        BadDatabase: The path is a folder, its folder can't be made, or it lies on a network file system.
    """
    real = Path(path).resolve()
    if real.is_dir():
        raise BadDatabase(f"{real} is a folder: name the file in it")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadDatabase(f"no folder for {real}: {error.strerror}") from error
    _refuse_network(str(real))
    return str(real)


def names_same_file(one: str, other: str) -> bool:
    """Whether two URLs of SQLite lead to one file, however they are spelt."""
    prefix = "sqlite:///"
    if not (one.startswith(prefix) and other.startswith(prefix)):
        return False
    return Path(one.removeprefix(prefix)).resolve() == Path(other.removeprefix(prefix)).resolve()


def file_system_of(path: str, mounts: str) -> str:
    """The type of the file system that *path* lies on, "" if unknown; *mounts* as in /proc/mounts."""
    found = ("", "")
    for line in mounts.splitlines():
        _, mounted_at, type, *_ = line.split(" ")
        point = _unescaped(mounted_at)
        if _lies_under(path, point) and len(point) >= len(found[0]):
            found = (point, type)
    return found[1]


def is_network(file_system: str) -> bool:
    """Whether a file system of this type reaches other machines."""
    return _NETWORK.fullmatch(file_system) is not None


def _refuse_network(path: str) -> None:
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    file_system = file_system_of(path, mounts)
    if is_network(file_system):
        raise BadDatabase(
            f"{path} lies on a network file system ({file_system}), where SQLite can lose what was acknowledged: "
            "put it on a local disk"
        )


def _unescaped(mounted_at: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mounted_at)


def _lies_under(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
