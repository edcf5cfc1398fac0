"""The disk is full, then there is room again: nothing that was answered is lost, and all goes on by itself."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.faults.checks import check_files, check_read_models
from tests.faults.shoppers import Shop

from diptych.fastapi import api
from orders.app import ROUTES, app

DISK_BYTES = 4 * 1024 * 1024


class Disk:
    """A disk of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take the room that is left."""
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                return

    def make_room(self) -> None:
        """Give it back."""
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("NOT TESTED: a full disk. A small disk can be mounted by root only")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("NOT TESTED: a full disk. No small disk can be mounted here")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.timeout(600)
async def test_a_full_disk_refuses_commands_and_loses_none(disk: Disk, amount: Callable[..., int]) -> None:
    http = api(app, ROUTES, log=f"sqlite:///{disk.folder}/log.db", read=f"sqlite:///{disk.folder}/read.db", wait_s=30)
    transport = httpx.ASGITransport(http)
    async with http.router.lifespan_context(http):
        async with Shop("http://orders", transport=transport).open(shoppers=4) as shop:
            await shop.more_accepted(20)
            for _ in range(amount(short=1, long=5)):
                disk.fill()
                await shop.more_asked_again(5)
                disk.make_room()
                await shop.more_accepted(20)

        running = http.state.diptych
        await running.caught_up(60)
        await check_read_models(running)
        assert await running.ready() == (True, "ready")

    await check_files(disk.folder, shop.streams)
