"""Several processes on one log, and one that is killed in the middle of its work."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from diptych.store.port import Store
from diptych.store.sqlite import open_sqlite
from diptych.testing.conformance.case import an_append, everything, to

APPENDING = """
import asyncio, sys
from diptych.store.sqlite import open_sqlite
from diptych.testing.conformance.case import an_append, event, to

async def append(store, name, number):
    for turn in range(number):
        sent = an_append(to(f"Order-{turn % 3}", event(), event()), to(f"{name}-{turn}"))
        outcome = await store.append(sent)
        print(sent.id, outcome.position, flush=True)

async def main(path, tasks, number):
    async with open_sqlite(path) as store:
        await asyncio.gather(*[append(store, f"Task{task}", number) for task in range(tasks)])

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def start(path: Path, *, tasks: int, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", APPENDING, str(path), str(tasks), str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)})


async def test_every_answered_append_is_there_once_after_a_kill(tmp_path: Path) -> None:
    process = start(tmp_path / "log.db", tasks=16, number=100_000)
    assert process.stdout is not None
    answered = [await asyncio.to_thread(process.stdout.readline) for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    answered += [line for line in await asyncio.to_thread(process.stdout.readlines) if line.endswith("\n")]
    process.stdout.close()
    process.wait()

    async with open_sqlite(str(tmp_path / "log.db")) as store:
        await check_answers(store, dict(line.split() for line in answered))
        outcome = await store.append(an_append(to("Order-0")))

    assert outcome.position > max(int(line.split()[1]) for line in answered)


async def test_processes_that_write_at_once_lose_nothing_and_see_no_lock(tmp_path: Path) -> None:
    processes = [start(tmp_path / "log.db", tasks=4, number=15) for _ in range(3)]

    outputs = await asyncio.gather(*[asyncio.to_thread(process.communicate) for process in processes])

    assert [process.returncode for process in processes] == [0, 0, 0]
    answers = dict(line.split() for output, _ in outputs for line in output.splitlines())
    assert len(answers) == 3 * 4 * 15
    async with open_sqlite(str(tmp_path / "log.db")) as store:
        assert len(await everything(store)) == 3 * len(answers)
        await check_answers(store, answers)


async def check_answers(store: Store, answers: dict[str, str]) -> None:
    """Each answered append lies complete where it was said to, and every stream is without a gap."""
    events = await everything(store)
    places = {event.id: event.position for event in events}
    assert len(places) == len(events)
    for id, position in answers.items():
        assert places[id] == int(position) - 2
    for stream in ("Order-0", "Order-1", "Order-2"):
        versions = [event.version for event in events if event.stream == stream]
        assert versions == list(range(1, len(versions) + 1))
