"""What can go wrong from outside, as exceptions that already read as one line for the user.

Two kinds of trouble are kept apart everywhere: an utterance's (it is left out and listed, the
command goes on) and the whole input's (the command ends with exit status 2).
"""

from __future__ import annotations


class AmberError(Exception):
    """Base of every error that comes from the input, the options or the machine: exit status 2."""


class ConfigError(AmberError):
    """An option, an environment variable or a configuration file asks for something impossible."""


class CorpusError(AmberError):
    """A corpus as a whole can't be read: manifest unreadable, duplicate ids, votes for no one."""


class CacheError(AmberError):
    """A file is not a cache, is of a newer version, is damaged, or belongs to something else."""


class EncoderError(AmberError):
    """An encoder can't be had or can't be trusted: hub out of reach, weights missing, no CUDA."""


class RunError(AmberError):
    """A run directory can't be used: holds something else, is incomplete, is of another version."""


class UtteranceError(AmberError):
    """One utterance can't be used; the rest can. The message is the reason, without the id."""


class InterruptError(AmberError):
    """Ctrl-C or a polite kill ended the command; `status` is its exit status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
