"""
Notice that the process is told to end, before its server does anything about it.

A server waits for its connections before it closes the application, and a stream ends only with
the application: whoever streams has to know earlier.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from diptych.app import Running


@contextmanager
def announced(running: Running) -> Iterator[None]:
    """Let an application know of SIGTERM and SIGINT while the block runs; whoever handles them does so as before."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def told(number: int, frame: FrameType | None) -> None:
        running.stopping = True
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    heard = [number for number, handler in before.items() if callable(handler)]
    for number in heard:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number in heard:
            if signal.getsignal(number) is told:
                signal.signal(number, before[number])
