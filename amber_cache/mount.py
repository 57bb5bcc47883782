"""Whether a corpus's folder is still there: a disk or a network may go away in the middle."""

from __future__ import annotations

import os
from pathlib import Path

from amber_cache.errors import CorpusError


def require_root(root: Path) -> None:
    """Refuse to go on without the corpus's folder: its utterances are lost, not broken.

    What was a mount is often there without it, and empty.

    Raises:
        CorpusError: As said.
    """
    try:
        with os.scandir(root) as found:
            reason = "" if any(found) else "it is empty"
    except (NotADirectoryError, PermissionError):  # a file, or a folder that can't be listed
        return
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise CorpusError(
            f"the corpus's folder {root} is gone: {reason}; bring it back (a lost mount?) and give "
            "the same command again"
        )
