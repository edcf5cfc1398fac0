"""A log lies on a disk of this machine."""

import pytest

from diptych.store.location import file_system_of, is_network

MOUNTS = r"""/dev/vda / ext4 rw,relatime 0 0
tmpfs /dev/shm tmpfs rw 0 0
server:/export /mnt/share nfs4 rw 0 0
/dev/vdb /mnt/share/local xfs rw 0 0
//server/files /mnt/my\040files cifs rw 0 0
overlay /var/lib/box overlay rw 0 0
/dev/vdc /var/lib/box ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "file_system"),
    [
        ("/data/log.db", "ext4"),
        ("/dev/shm/log.db", "tmpfs"),
        ("/mnt/share/log.db", "nfs4"),
        ("/mnt/shared/log.db", "ext4"),
        ("/mnt/share/local/log.db", "xfs"),
        ("/mnt/my files/deep/log.db", "cifs"),
        ("/var/lib/box/log.db", "ext4"),
    ],
)
def test_a_path_lies_on_the_innermost_and_latest_mount(path: str, file_system: str) -> None:
    assert file_system_of(path, MOUNTS) == file_system


def test_without_mounts_nothing_is_known() -> None:
    assert file_system_of("/data/log.db", "") == ""


@pytest.mark.parametrize(
    "type", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "fuse.sshfs", "fuse.ceph-fuse", "glusterfs"]
)
def test_a_network_file_system_is_one(type: str) -> None:
    assert is_network(type)


@pytest.mark.parametrize(
    "type",
    ["ext4", "xfs", "btrfs", "zfs", "apfs", "tmpfs", "overlay", "9p", "virtiofs", "fuse.grpcfuse", "fuseblk", ""],
)
def test_a_local_or_container_file_system_is_none(type: str) -> None:
    assert not is_network(type)
