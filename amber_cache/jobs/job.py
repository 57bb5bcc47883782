"""A job's folder beside the cache: the lock, the plan, what is encoded so far.

cache.h5.job/lock             held while a command works on the cache
cache.h5.job/plan.json        written once, whole or not at all
cache.h5.job/0.f32, 0.log     the first entry's journal, and so on
cache.h5.job/0.limits         where memory ran out, if it did
cache.h5.job/heard.log        what is transcribed, where something is to be
cache.h5.job/part-*           what workers do; taken in, and away, when they end
cache.h5.job/assembled.part   room for the cache that comes out
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from amber_cache.errors import CacheError
from amber_cache.jobs.assembly import assemble, needed_bytes, reserve
from amber_cache.jobs.heard import Heard
from amber_cache.jobs.journal import Journal
from amber_cache.jobs.lock import Lock, take_lock
from amber_cache.jobs.parts import part_folders, take_in, take_in_heard
from amber_cache.jobs.plan import Plan, read_plan
from amber_cache.storage.stream import Entry
from amber_cache.storage.tables import CacheContent
from amber_cache.storage.write import disk_trouble, sync_folder


class Job:
    """The job of one cache; at first nothing but its place is known.

    Attributes:
        cache: The cache as the user named it.
        folder: Where the job is kept.
        plan: None until there is one.
        journals: One for each entry of the plan.
        heard: What is transcribed; None where nothing is to be.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.target = Path(os.path.realpath(cache))
        self.folder = self.target.with_name(self.target.name + ".job")
        self.plan: Plan | None = None
        self.journals: tuple[Journal, ...] = ()
        self.heard: Heard | None = None
        self._lock: Lock | None = None
        self._made: list[Path] = []

    @property
    def num_recorded(self) -> int:
        """Inputs whose outcome is safe on the disk, transcripts among them."""
        return sum(int((one.status > 0).sum()) for one in self.journals) + self.num_heard

    @property
    def num_heard(self) -> int:
        """Utterances that are transcribed, or could not be."""
        return 0 if self.heard is None else len(self.heard.found)

    @property
    def num_planned(self) -> int:
        """Inputs that the job is to encode."""
        return sum(len(one.rows) for one in self.journals)

    @property
    def kept(self) -> str:
        """What is kept, for a line to the user; "" where there is nothing to keep."""
        if not self.num_recorded:
            return ""
        heard = ""
        if self.heard is not None:
            heard = f"{self.num_heard} of {len(self.heard.rows)} utterances are transcribed and "
        return (
            f"{heard}{self.num_recorded - self.num_heard} of {self.num_planned} inputs are encoded "
            f"and kept in {self.cache}.job"
        )

    @property
    def told(self) -> str:
        """What is recorded, counted."""
        heard = f"{self.num_heard} utterances are transcribed and " if self.num_heard else ""
        return f"{heard}{self.num_recorded - self.num_heard} inputs are encoded"

    def stands(self) -> bool:
        """Whether somebody began a job here."""
        return os.path.lexists(self.folder)

    def lock(self) -> None:
        """Make the folder and hold its lock.

        Raises:
            CacheError: Another process holds it, or nothing can be written there.
        """
        if self._lock is not None:
            return
        try:
            for _ in range(100):  # its last holder may be taking the folder away
                missing = [self.folder, *self.folder.parents]
                made = [one for one in missing if not os.path.exists(one)]
                self.folder.mkdir(parents=True, exist_ok=True)
                self._made = made or self._made
                for one in made:  # their names outlive a power cut
                    sync_folder(one.parent)
                with suppress(FileNotFoundError):
                    self._lock = take_lock(self.folder / "lock", what=f"--cache {self.cache}")
                    return
        except OSError as error:
            self._remove_folders()
            raise CacheError(disk_trouble(self.cache, 0, error)) from error
        raise CacheError(f"--cache {self.cache}: {self.folder} can't be locked")

    def load(self) -> None:
        """Read the plan if there is one, and what is recorded, by workers too.

        Raises:
            CacheError: It can't be followed.
        """
        try:
            text = (self.folder / "plan.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        self._take(read_plan(text, place=f"--cache {self.cache}: its unfinished job"))
        self.take_in_parts()

    def begin(self, plan: Plan) -> None:
        """Keep a plan, and set aside what it needs on the disk.

        Raises:
            OSError: There is no room.
        """
        self._take(plan)
        temporary = self.folder / "plan.json.part"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(plan.to_json())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / "plan.json")
        sync_folder(self.folder)

    def take_in_parts(self) -> None:
        """Record what workers have recorded, and take their folders away.

        A worker that is left over from a command that was killed finds its folder gone and ends.

        Raises:
            CacheError: The disk is full or gone.
        """
        assert self.plan is not None
        try:
            for folder in part_folders(self.folder):
                take_in(folder, self.plan, self.journals)
                if self.heard is not None:
                    take_in_heard(folder, self.heard)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            raise CacheError(disk_trouble(self.cache, 0, error, kept=self.kept)) from error

    def reserve(self, content: CacheContent, entries: tuple[Entry, ...]) -> None:
        """Set aside what the cache will need.

        Raises:
            CacheError: There is no room.
        """
        size = needed_bytes(content, entries)
        try:
            reserve(self.folder / "assembled.part", size)
        except OSError as error:
            raise CacheError(disk_trouble(self.cache, size, error, kept=self.kept)) from error

    def assemble(self, content: CacheContent, entries: tuple[Entry, ...]) -> None:
        """Write the cache and put it in its place.

        Raises:
            CacheError: There is no room, or a row is not what was computed.
        """
        try:
            assemble(self.folder / "assembled.part", self.target, content, entries)
        except OSError as error:
            size = needed_bytes(content, entries)
            raise CacheError(disk_trouble(self.cache, size, error, kept=self.kept)) from error

    def clear(self) -> None:
        """Forget plan and journals."""
        self._close()
        self.plan, self.journals, self.heard = None, (), None
        # The plan first: without it, what is left is nothing to go on with.
        for name in ("plan.json", *(one for one in self._names() if one != "lock")):
            with suppress(FileNotFoundError):
                _remove(self.folder / name)

    def discard(self) -> None:
        """Take the folder away, and the folders that were made for it and hold nothing."""
        if self._lock is None:
            return
        self.clear()
        with suppress(OSError):
            (self.folder / "lock").unlink()
        with suppress(OSError):
            self.folder.rmdir()
        self._remove_folders()
        self.release()

    def leave(self) -> None:
        """End with it: keep what is recorded, take away what holds nothing; twice does nothing."""
        if self._lock is None:
            return
        plan_stands = os.path.exists(self.folder / "plan.json")
        if self.num_recorded or (plan_stands and self.plan is None):
            self.release()
        else:
            self.discard()

    def release(self) -> None:
        """Close everything and let others have it; what is recorded stays."""
        self._close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _take(self, plan: Plan) -> None:
        self.plan = plan
        self.journals = tuple(
            Journal(self.folder / str(number), one.mine(plan.shard), width=one.width)
            for number, one in enumerate(plan.entries)
        )
        if plan.hearing is not None:
            self.heard = Heard(self.folder, plan.hearing.mine(plan.shard))
        try:
            for journal in self.journals:
                journal.open()
            if self.heard is not None:
                self.heard.open()
        except OSError as error:
            size = sum(4 * len(one.rows) * one.width for one in self.journals)
            raise CacheError(disk_trouble(self.cache, size, error, kept=self.kept)) from error

    def _close(self) -> None:
        for journal in self.journals:
            journal.close()
        if self.heard is not None:
            self.heard.close()

    def _names(self) -> list[str]:
        return sorted(os.listdir(self.folder)) if self.folder.is_dir() else []

    def _remove_folders(self) -> None:
        for folder in self._made:
            with suppress(OSError):  # it holds something by now
                folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
