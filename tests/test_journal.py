"""What a job has encoded: it comes back, whatever was torn, and never as something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amber_cache.errors import UtteranceError
from amber_cache.jobs.journal import Journal, Outcome
from amber_cache.jobs.recorder import Recorder
from amber_cache.storage.schema import DONE, FAILED, PENDING

BATCHES = {0: (5, 2), 1: (9,), 2: (7, 3)}
WIDTH = 4


def vector(row: int) -> np.ndarray:
    return np.arange(WIDTH, dtype=np.float32) + row


def outcomes(batch: int) -> list[Outcome]:
    return [(row, vector(row), f"note {row}" if row == 7 else "") for row in BATCHES[batch]]


def opened(folder: Path) -> Journal:
    journal = Journal(folder / "0", BATCHES, width=WIDTH)
    journal.open()
    return journal


def rows_of(journal: Journal) -> dict[int, np.ndarray]:
    """The rows that are DONE."""
    matrix = journal.read(0, len(journal.rows))
    done = np.flatnonzero(journal.status == DONE)
    return {int(journal.rows[i]): matrix[i] for i in done}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    journal = opened(tmp_path)
    journal.write([(0, outcomes(0))])
    journal.write([(2, outcomes(2)), (1, [(9, UtteranceError("too short"), "")])])
    journal.close()
    return tmp_path


def test_everything_is_set_aside_before_the_first_row(tmp_path: Path) -> None:
    opened(tmp_path).close()
    assert (tmp_path / "0.f32").stat().st_size == 5 * 4 * WIDTH
    assert (tmp_path / "0.log").stat().st_size >= 5 * 64


def test_what_was_recorded_comes_back(written: Path) -> None:
    journal = opened(written)
    assert journal.rows.tolist() == [2, 3, 5, 7, 9]
    assert journal.status.tolist() == [DONE] * 4 + [FAILED]
    assert journal.error.tolist() == ["", "", "", "", "too short"]
    assert journal.notes == {7: "note 7"}
    assert journal.finished == {0, 1, 2}
    for row, found in rows_of(journal).items():
        np.testing.assert_array_equal(found, vector(row))


def test_a_log_that_is_cut_off_anywhere_gives_whole_batches_only(written: Path) -> None:
    whole = (written / "0.log").read_bytes().rstrip(b"\0")
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        (written / "0.log").write_bytes(whole[:cut])
        journal = opened(written)
        assert len(journal.finished) == sum(end <= cut for end in ends)
        batches = [BATCHES[batch] for batch in (0, 2, 1)][: len(journal.finished)]
        known = sorted(row for batch in batches for row in batch)
        assert [int(r) for r in journal.rows[journal.status != PENDING]] == known
        journal.close()


def test_every_flipped_byte_of_the_log_is_found(written: Path) -> None:
    whole = (written / "0.log").read_bytes().rstrip(b"\0")
    for place in range(0, len(whole), 3):
        harmed = bytearray(whole)
        harmed[place] ^= 0x04
        (written / "0.log").write_bytes(harmed)
        journal = opened(written)
        assert len(journal.finished) < 3
        for row, found in rows_of(journal).items():
            np.testing.assert_array_equal(found, vector(row))
        journal.close()


def test_a_row_that_the_matrix_lost_costs_its_whole_batch_and_no_other(written: Path) -> None:
    matrix = bytearray((written / "0.f32").read_bytes())
    matrix[2 * 4 * WIDTH + 5] ^= 1  # row 5, of batch 0
    (written / "0.f32").write_bytes(matrix)
    journal = opened(written)
    assert journal.finished == {1, 2}
    assert journal.status.tolist() == [PENDING, DONE, PENDING, DONE, FAILED]


def test_a_matrix_that_is_cut_off_is_no_rows_of_zeros(written: Path) -> None:
    (written / "0.f32").write_bytes(b"")
    assert opened(written).finished == {1}


def test_what_is_written_after_a_torn_line_is_found(written: Path) -> None:
    whole = (written / "0.log").read_bytes().rstrip(b"\0")
    (written / "0.log").write_bytes(whole[:-7])
    journal = opened(written)
    assert journal.finished == {0, 2}
    journal.write([(1, outcomes(1))])
    journal.close()
    journal = opened(written)
    assert journal.finished == {0, 1, 2}
    np.testing.assert_array_equal(rows_of(journal)[9], vector(9))


def test_a_log_of_another_plan_records_nothing(written: Path) -> None:
    journal = Journal(written / "0", {0: (5, 3), 1: (2,), 2: (7, 9)}, width=WIDTH)
    journal.open()
    assert journal.finished == set()


def test_the_recorder_writes_what_it_was_given(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with Recorder(journal) as recorder:
        for batch in BATCHES:
            recorder.put(batch, outcomes(batch))
    assert journal.finished == set(BATCHES)
    assert len(rows_of(opened(tmp_path))) == 5


def test_the_recorder_tells_of_a_disk_that_is_gone(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.close()  # no descriptor any more, as on a lost mount
    with pytest.raises(OSError, match="Bad file descriptor"), Recorder(journal) as recorder:
        recorder.put(0, outcomes(0))


def test_the_recorder_writes_what_it_has_where_the_encoder_fails(tmp_path: Path) -> None:
    journal = opened(tmp_path)

    def encode() -> None:
        with Recorder(journal) as recorder:
            recorder.put(0, outcomes(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        encode()
    assert journal.finished == {0}
