"""Ctrl-C and SIGTERM, heard where work can be left: at once, or when a batch is finished.

An exception from a signal's handler may come up anywhere, and libraries swallow it in their first
imports. So the signal is also remembered, and asked for at the next place where it is safe to stop.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: What ends a command politely.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """One of `SIGNALS` came; no error, so that no library takes it for one of its own."""


class Stop:
    """Whether one of `SIGNALS` has come, and whether it may cut in.

    Attributes:
        signum: The signal; 0 while none has come.
    """

    def __init__(self) -> None:
        self.signum = 0
        self._is_patient = False

    @property
    def status(self) -> int:
        """The exit status that shells give to a command so ended: 130, 143."""
        return 128 + self.signum

    def check(self) -> None:
        """Raise `Stopped` if a signal has come."""
        if self.signum:
            raise Stopped

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Inside, the first signal is only remembered: whoever is inside asks for it."""
        self.check()
        self._is_patient = True
        try:
            yield
        finally:
            self._is_patient = False

    def hear(self, signum: int, _frame: object = None) -> None:
        """Take a signal: the handler."""
        is_second, self.signum = bool(self.signum), signum
        if is_second or not self._is_patient:
            raise Stopped


@contextmanager
def stop_signals(stop: Stop | None = None) -> Iterator[Stop]:
    """Hear `SIGNALS` for as long as the context lasts.

    Outside the main thread no handler can be set, and the signals stay as they are; so does one
    that the process was told to ignore.
    """
    stop = stop or Stop()
    heard = {}
    if threading.current_thread() is threading.main_thread():
        heard = {one: signal.getsignal(one) for one in SIGNALS}
    heard = {one: old for one, old in heard.items() if old not in (signal.SIG_IGN, None)}
    for one in heard:
        signal.signal(one, stop.hear)
    try:
        yield stop
    finally:
        for one, old in heard.items():
            signal.signal(one, old)
