"""One command at a time: a lock that lasts as long as the process that holds it.

The kernel gives an flock up when its holder dies, however it dies; what the file says of the holder
is for the next one's error message only.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from amber_cache.errors import CacheError


class Lock:
    """A held lock."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it up; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def take_lock(path: Path, *, what: str) -> Lock:
    """Take the lock of an existing folder's file, without waiting.

    Args:
        path: The lock's file; it is made.
        what: The thing that is locked, as an error names it ("--cache a.h5").

    Raises:
        CacheError: Another process holds it; the message says who.
        OSError: The file can't be made, or the file system has no locks.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                _sign(descriptor)
                return Lock(path, descriptor)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise CacheError(
                f"{what}: {holder} is writing it; wait for that, or name another file with --cache"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder has finished and taken the file away: a new one, then


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
    with suppress(OSError):  # a full disk: the lock holds without it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        said = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {said['pid']} on {said['host']}, since {said['since']},"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"
