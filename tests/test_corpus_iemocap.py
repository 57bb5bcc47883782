"""The IEMOCAP reader, on made-up releases: every vote, every odd case, every refusal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from amber_cache.corpora.iemocap import NUM_DIALOGUES, NUM_UTTERANCES, read_iemocap
from amber_cache.errors import CorpusError
from amber_cache.records import Rating, Utterance, Vote
from tests.fake_iemocap import REAL_SIZES, make_iemocap, write_lines

LABELS = Path("Session1/dialog/EmoEvaluation")
TEXTS = Path("Session1/dialog/transcriptions")
DIALOGUE = "Ses01F_impro01.txt"
HEAD = "[12.3400 - 15.6700]\tSes01F_impro01_F003\tneu\t[2.5000, 2.5000, 2.5000]"


def read_lines(root: Path, *lines: str) -> tuple[list[Utterance], list[str]]:
    """The utterances of a dialogue with these lines, and the warnings about the evaluations."""
    if not root.exists():
        make_iemocap(root, dialogues=1, utterances=1, audio=False)
    write_lines(root / LABELS / DIALOGUE, ["% head", "", *lines])
    corpus = read_iemocap(root)
    found = [one for one in corpus.utterances if one.dialogue == "Ses01F_impro01"]
    return found, [line for line in corpus.warnings if "EmoEvaluation" in line]


def labels(one: Utterance) -> list[tuple[str, str]]:
    return [(vote.rater, vote.label) for vote in one.votes]


@pytest.mark.parametrize("seed", range(3))
def test_everything_that_was_put_in_is_found_vote_by_vote(tmp_path: Path, seed: int) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=5, utterances=9, seed=seed)
    corpus = read_iemocap(made.root)
    assert len(corpus.utterances) == 5 * 5 * 9
    for found, expected in zip(corpus.utterances, made.utterances, strict=True):
        assert found == expected
    assert (corpus.name, corpus.protocol, corpus.root) == ("iemocap", "iemocap-4", made.root)
    assert corpus.modalities == ("audio", "text")
    assert corpus.warnings == (
        f"{made.root}: has 25 dialogues and 225 utterances; the full release has 151 and 10039",
    )


@pytest.mark.parametrize("dialogues", [2, 4])
def test_odd_copies_give_the_same_and_every_flaw_is_told(tmp_path: Path, dialogues: int) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=dialogues, utterances=5, odd=True)
    corpus = read_iemocap(made.root)
    assert corpus.utterances == made.utterances
    told = "\n".join(corpus.warnings)
    if dialogues == 2:  # with more, only the first of each kind are told in full
        assert [flaw for flaw in made.flaws if f"{flaw}: " not in told] == []
    assert f"{made.unlabelled[0]}: no file of dialog/EmoEvaluation has it" in told
    assert f"{made.silent[0]}: missing" in told
    assert "is missing; 5 utterances have no text" in told
    assert "._" not in told


def test_a_release_of_the_real_size_is_read_whole_and_without_a_warning(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", real_size=True, audio=False)
    corpus = read_iemocap(made.root)
    dialogues, utterances = zip(*REAL_SIZES, strict=True)
    assert (sum(dialogues), sum(utterances)) == (NUM_DIALOGUES, NUM_UTTERANCES)
    assert len(corpus.utterances) == NUM_UTTERANCES
    assert corpus.utterances == made.utterances
    assert len(corpus.warnings) == 1  # no audio
    assert len({one.speaker for one in corpus.utterances}) == 10
    for session, (_, number) in enumerate(REAL_SIZES, start=1):
        assert sum(one.session == f"Session{session}" for one in corpus.utterances) == number


def test_a_block_worked_by_hand(tmp_path: Path) -> None:
    (one,), warnings = read_lines(
        tmp_path / "release",
        "[12.3400 - 15.6700]\tSes01F_impro01_M003\txxx\t[2.5000, 2.5000, 2.5000]",
        "C-E2:\tNeutral state;\t()",
        "C-E3:\tAnger; Frustration;\t(sad (at first); Sadness;)",
        "C-E4:\t\t()",
        "C-E1:\tHappiness; happiness;\t()",
        "C-M1:\tExcited;\t()",
        "A-E3:\tval 3; act 2; dom  ;\t()",
        "A-M1:\tval 4; act ; dom  5;\t()",
    )
    assert warnings == []
    assert one.votes == (
        Vote("E2", "neutral"),
        Vote("E3", "angry"),
        Vote("E3", "frustrated"),
        Vote("E1", "happy"),
        Vote("M1", "excited", kind="self"),
    )
    assert one.ratings == (
        Rating("E3", "valence", 3.0),
        Rating("E3", "arousal", 2.0),
        Rating("M1", "valence", 4.0, kind="self"),
        Rating("M1", "dominance", 5.0, kind="self"),
    )
    assert (one.id, one.consensus, one.place_s) == ("Ses01F_impro01_M003", "", 12.34)
    assert (one.start_s, one.end_s) == (None, None)
    assert (one.speaker, one.gender, one.session) == ("Ses01M", "male", "Session1")
    assert (one.dialogue, one.style, one.language) == ("Ses01F_impro01", "improvised", "en")
    assert one.audio == Path("Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav")


def test_a_line_that_is_cut_off_counts_as_far_as_it_goes(tmp_path: Path) -> None:
    (one,), warnings = read_lines(
        tmp_path / "release",
        HEAD,
        "C-E2:\tAnger; Frus",
        "C-E",
        "C-E4:",
        "A-E3:\tval 3; a",
        "C-F1:\tFear;\t()",
    )
    assert labels(one) == [("E2", "angry"), ("F1", "fear")]
    assert one.ratings == (Rating("E3", "valence", 3.0),)
    assert [f", line {number}: " in "".join(warnings) for number in range(3, 9)] == [
        *(False, True, True, True, True, False)
    ]
    assert f"{LABELS / DIALOGUE}, line 4: C-E2: 'Frus': not counted" in warnings


def test_an_unknown_word_is_told_and_is_no_vote(tmp_path: Path) -> None:
    (one,), warnings = read_lines(tmp_path / "release", HEAD, "C-E2:\tBoredom; Anger;\t()")
    assert labels(one) == [("E2", "angry")]
    assert warnings == [f"{LABELS / DIALOGUE}, line 4: C-E2: 'Boredom': not counted"]


def test_an_unknown_consensus_is_none(tmp_path: Path) -> None:
    (one,), warnings = read_lines(
        tmp_path / "release", HEAD.replace("\tneu\t", "\tbor\t"), "C-E2:\tAnger;\t()"
    )
    assert (one.consensus, labels(one)) == ("", [("E2", "angry")])
    assert warnings == [f"{LABELS / DIALOGUE}, line 3: 'bor' is no label; it has none now"]


def test_a_rater_counts_once(tmp_path: Path) -> None:
    (one,), warnings = read_lines(
        tmp_path / "release", HEAD, "C-E2:\tAnger;\t()", "C-E2:\tSadness;\t()", "A-E2:\tval 1;\t()"
    )
    assert labels(one) == [("E2", "angry")]
    assert len(one.ratings) == 1
    assert "line 5: 'C-E2:\\tSadness;\\t()' is that rater's second line" in warnings[0]


@pytest.mark.parametrize(
    ("damaged", "line"),
    [
        pytest.param(["", HEAD[:25]], 6, id="cut off"),
        pytest.param([HEAD[:25]], 5, id="cut off, no blank line before it"),
        pytest.param([""], 6, id="gone"),
        pytest.param(["", HEAD[14:]], 6, id="its beginning gone"),
        pytest.param([HEAD[14:]], 5, id="its beginning gone, no blank line before it"),
        pytest.param(["", HEAD.replace("Ses01", "Ses04")], 6, id="of another session"),
        pytest.param(["", HEAD.replace("_F003", "_F0 3")], 6, id="its id damaged"),
        pytest.param(["", HEAD.replace("_F003", "_F00")], 6, id="its id cut"),
    ],
)
def test_votes_behind_a_damaged_header_go_to_nobody(
    tmp_path: Path, damaged: list[str], line: int
) -> None:
    found, warnings = read_lines(
        tmp_path / "release",
        HEAD.replace("F003", "F002"),
        "C-E2:\tAnger;\t()",
        *damaged,
        "C-E4:\tSadness;\t()",
        "C-F1:\tSadness;\t()",
        "",
        HEAD.replace("F003", "F004"),
        "C-E2:\tFear;\t()",
    )
    assert [(one.id[-4:], labels(one)) for one in found] == [
        ("F002", [("E2", "angry")]),
        ("F004", [("E2", "fear")]),
    ]
    assert len(warnings) == 1
    assert f"line {line}: " in warnings[0]


@pytest.mark.parametrize("kept", [None, 0, 1, 3, 8, 15, 30, 45])
def test_a_line_lost_or_cut_anywhere_never_moves_a_vote(tmp_path: Path, kept: int | None) -> None:
    """`kept`: characters left of the line; None: it is gone, its line end too."""
    made = make_iemocap(tmp_path / "release", dialogues=1, utterances=3, audio=False)
    truth = {one.id: one for one in made.utterances}
    path = made.root / LABELS / DIALOGUE
    lines = path.read_text().split("\n")
    for number, line in enumerate(lines):
        damaged = [] if kept is None else [line[:kept]]
        write_lines(path, [*lines[:number], *damaged, *lines[number + 1 :]])
        for one in read_iemocap(made.root).utterances:
            assert set(one.votes) <= set(truth[one.id].votes)
            assert set(one.ratings) <= set(truth[one.id].ratings)


def test_bytes_of_all_kinds_are_read(tmp_path: Path) -> None:
    root = make_iemocap(tmp_path / "release", dialogues=1, utterances=2, audio=False).root
    identifier = "Ses01F_impro01_F000"
    (root / LABELS / DIALOGUE).write_bytes(
        b"\xef\xbb\xbf% head\r\r\n\r\r\n"
        + f"[1 - 2.5]  {identifier}\t\tFRU\t[2.5, 2.5, 2.5]  \r\r\n".encode()
        + b"C-E2:\t\tAnger;  \t(d\xe9j\xe0 \x85 vu)\r\r\nC-E3: Fear; (\xc3\xa9)\rC-E4:\tOther;\t()"
    )
    (root / TEXTS / DIALOGUE).write_bytes(
        f"{identifier} [001.0-002.5]: ".encode() + b"d\xe9j\xe0 vu: no!  \r\n"
        b"M: something\n" + f"{identifier[:-4]}MXX0 [1-2]: \xc3\xa9".encode()
    )
    corpus = read_iemocap(root)
    one = corpus.utterances[0]
    assert (one.id, one.text, one.place_s) == (identifier, "déjà vu: no!", 1.0)
    assert one.consensus == "frustrated"
    assert labels(one) == [("E2", "angry"), ("E3", "fear"), ("E4", "other")]


def test_the_second_of_two_transcriptions_is_told(tmp_path: Path) -> None:
    root = make_iemocap(tmp_path / "release", dialogues=1, utterances=1, audio=False).root
    line = "Ses01F_impro01_F000 [001.0000-002.0000]:"
    write_lines(root / TEXTS / DIALOGUE, [f"{line} One.", f"{line} One.", f"{line} Two."])
    corpus = read_iemocap(root)
    assert corpus.utterances[0].text == "One."
    assert any(f"{TEXTS / DIALOGUE}, line 3: " in warning for warning in corpus.warnings)


def test_many_warnings_of_a_kind_are_counted(tmp_path: Path) -> None:
    lines = [
        line for n in range(30) for line in (HEAD.replace("003", f"{n:03d}"), "C-E2:\tHm;\t()", "")
    ]
    found, warnings = read_lines(tmp_path / "release", *lines)
    assert len(found) == 30
    assert len(warnings) == 5
    assert "unknown words: 25 more, 30 in all" in read_iemocap(tmp_path / "release").warnings


@pytest.mark.parametrize("place", ["", "IEMOCAP_full_release", "some name"])
def test_the_folder_above_the_release_will_do(tmp_path: Path, place: str) -> None:
    made = make_iemocap(tmp_path / "root" / place, dialogues=1, utterances=1)
    (tmp_path / "root" / "notes.txt").touch()
    corpus = read_iemocap(tmp_path / "root")
    assert corpus.root == made.root
    assert corpus.utterances == made.utterances


def test_names_in_another_case_are_found(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=1, utterances=2)
    for path in sorted(made.root.rglob("*"), key=lambda one: -len(one.parts)):
        if path.suffix or not path.name.startswith("Ses0"):
            name = path.name if path.suffix else path.name.upper()
            path.rename(path.with_name(name.replace(".txt", ".TXT").replace(".wav", ".WAV")))
    corpus = read_iemocap(made.root)
    assert [one.votes for one in corpus.utterances] == [one.votes for one in made.utterances]
    assert [one.text for one in corpus.utterances] == [one.text for one in made.utterances]
    for one in corpus.utterances:
        assert one.session in ("Session1", "Session2", "Session3", "Session4", "Session5")
        assert (corpus.root / str(one.audio)).is_file()


def test_a_copy_without_audio_or_without_texts_is_read_and_says_so(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=1, utterances=1)
    for session in range(1, 6):
        shutil.rmtree(made.root / f"Session{session}" / "sentences")
    corpus = read_iemocap(made.root)
    assert corpus.modalities == ("text",)
    assert "no session has sentences/wav/<dialogue>/<utterance>.wav" in corpus.warnings[0]
    assert corpus.utterances == made.utterances
    for session in range(1, 6):
        shutil.rmtree(made.root / f"Session{session}" / "dialog" / "transcriptions")
    assert read_iemocap(made.root).modalities == ()


def test_a_missing_session_is_refused(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=1, utterances=1, sessions=(1, 2, 4, 5))
    with pytest.raises(CorpusError, match=r"found Session1, Session2, Session4, Session5 only; .*"):
        read_iemocap(made.root)


@pytest.mark.parametrize(
    "part", ["dialog/EmoEvaluation", "dialog/transcriptions", "sentences/wav", "dialog"]
)
def test_a_session_without_one_of_its_parts_is_refused(tmp_path: Path, part: str) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=1, utterances=1)
    shutil.rmtree(made.root / "Session3" / part)
    with pytest.raises(CorpusError, match=rf"looked for {part}.*, found none in Session3; unpack"):
        read_iemocap(made.root)


def test_what_is_no_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere: no such folder; wanted the folder"):
        read_iemocap(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"looked for the folders Session1 .* found nothing;"):
        read_iemocap(tmp_path)
    (tmp_path / "Sessions").mkdir()
    (tmp_path / "readme.txt").touch()
    with pytest.raises(CorpusError, match=r"found Sessions, readme.txt; wanted the unpacked"):
        read_iemocap(tmp_path)
    for name in ("one", "two"):
        make_iemocap(tmp_path / name, dialogues=1, utterances=1, audio=False)
    with pytest.raises(CorpusError, match=r"several folders hold sessions: one, two; name one"):
        read_iemocap(tmp_path)
    with pytest.raises(CorpusError, match=r"needs --root with the folder IEMOCAP_full_release"):
        read_iemocap(None)
    with pytest.raises(CorpusError, match=r"--votes-file: IEMOCAP brings its own votes"):
        read_iemocap(tmp_path / "one", votes_file=tmp_path / "votes.csv")


def test_an_utterance_that_stands_twice_is_refused(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=1, utterances=2, audio=False)
    folder = made.root / LABELS
    shutil.copy(folder / DIALOGUE, folder / "Ses01F_impro01b.txt")
    with pytest.raises(CorpusError, match=r"stands in .*impro01.txt, line 3, and again in .*01b"):
        read_iemocap(made.root)


def test_files_without_utterances_are_refused(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=1, utterances=2, audio=False)
    (made.root / LABELS / DIALOGUE).write_text("\n\nnothing here\n")
    with pytest.raises(CorpusError, match=r"no utterance in 1 files of Session1/dialog/EmoEval"):
        read_iemocap(made.root)
    (made.root / LABELS / DIALOGUE).write_bytes("[1.0 - 2.0]".encode("utf-16"))
    with pytest.raises(CorpusError, match=r"Ses01F_impro01.txt: has zero bytes"):
        read_iemocap(made.root)


def test_files_that_are_no_dialogues_are_told(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=1, utterances=2)
    shutil.copy(made.root / LABELS / DIALOGUE, made.root / LABELS / "Ses01F_impro01 (copy).txt")
    corpus = read_iemocap(made.root)
    assert corpus.utterances == made.utterances
    assert "(copy).txt: is not named as a dialogue is; left out" in corpus.warnings[0]
