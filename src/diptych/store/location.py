"""
Say whether a path can hold a database, and make its folder.

Refuses network file systems: SQLite's WAL needs locks and shared memory between
every process on the file, which they do not give. Where the system doesn't tell
what a path lies on, it is accepted.
"""

import re
from pathlib import Path

from diptych.errors import BadDatabase

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|afs|coda|ncpfs|ceph|lustre|glusterfs|beegfs|gpfs|davfs"
    r"|fuse\.(sshfs|glusterfs|ceph(-fuse)?|rclone|s3fs|gcsfuse|davfs2?|smbnetfs|nfs\w*)"
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
