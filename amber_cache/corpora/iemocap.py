"""IEMOCAP as it unpacks: five sessions, every rater's votes and ratings, transcriptions, times.

Session1 to Session5, in each `sentences/wav/<dialogue>/<utterance>.wav`,
`dialog/transcriptions/<dialogue>.txt` and `dialog/EmoEvaluation/<dialogue>.txt`. The last holds all
raters, so the folders below it (Categorical, Attribute, Self-evaluation) are not read. C-E* votes
and A-E* ratings are of kind "external", those of the actors (F*, M*) of kind "self"; raters keep
their names without the letter of the task, "E2"; activation is called arousal. Sessions are named
as their folders are, speakers by session and sex, "Ses01F". Leave-one-session-out with a session
missing would be another protocol under the same name: such a copy is refused, as is one where some
sessions only have audio or transcriptions. Where none has, the corpus is read without.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from amber_cache.corpora.base import told
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Rating, Utterance, Vote

SESSIONS = ("Session1", "Session2", "Session3", "Session4", "Session5")

#: What the full release holds.
NUM_DIALOGUES, NUM_UTTERANCES = 151, 10_039

#: The raters' words.
_LABELS = {
    "neutral": "neutral",
    "happiness": "happy",
    "anger": "angry",
    "sadness": "sad",
    "disgust": "disgust",
    "fear": "fear",
    "surprise": "surprise",
    "excited": "excited",
    "frustration": "frustrated",
    "other": "other",
}
#: A consensus is a word's first three letters, or xxx where the raters did not agree.
_CODES = {"xxx": "", **{word[:3]: label for word, label in _LABELS.items()}}
_LABELS["neutral state"] = "neutral"
_DIMENSIONS = {"val": "valence", "act": "arousal", "dom": "dominance"}
_GENDERS = {"F": "female", "M": "male"}
_STYLES = {"impro": "improvised", "script": "scripted"}

_DIALOGUE = re.compile(r"Ses0\d[FM]_\w+")
_HEADER = re.compile(
    r"\[\s*(?P<start>\d+\.?\d*)\s*-\s*\d+\.?\d*\s*\]\s*"
    r"(?P<id>(?P<session>Ses0\d)[FM]_\w+_(?P<sex>[FM])\d{3})\s+(?P<code>[A-Za-z]{3})(?!\S)"
)
_RATER = re.compile(
    r"(?P<who>(?P<task>[CA])-(?P<name>[EFM]\d+))\s*:(?P<marks>[^(]*)(?P<comment>\(?)"
)
_CUT_RATER = re.compile(r"[CA](-([EFM]\d*)?)?")
_RATING = re.compile(r"(val|act|dom)\s*(\d+\.?\d*)?")
_TRANSCRIPTION = re.compile(r"(Ses0\d[FM]_\w+)\s*\[[^\]]*\]\s*:?\s*(.*)")
#: A carriage return too many before a line feed makes no blank line.
_LINE_END = re.compile(rb"\r*\n|\r")


#: Takes the kind of what was read past, its place, and what to say of it.
_Note: TypeAlias = Callable[[str, object, str], None]
#: Lines with their numbers.
_Block: TypeAlias = list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class _Session:
    """A session's files: evaluations and transcriptions by dialogue, audio by utterance."""

    name: str
    wav: Path
    evaluations: Mapping[str, Path]
    transcriptions: Mapping[str, Path]
    audio: Mapping[str, Path]


def read_iemocap(root: Path | None, *, votes_file: Path | None = None) -> Corpus:
    """Read the release at `root`: the folder with the five sessions, or the one above it.

    Raises:
        CorpusError: It is no such release or only a part of it, an utterance stands in it twice,
            or `votes_file` is given: the corpus brings its own votes.
    """
    if votes_file is not None:
        raise CorpusError("--votes-file: IEMOCAP brings its own votes; use --corpus manifest")
    if root is None:
        raise CorpusError("--corpus iemocap needs --root with the folder IEMOCAP_full_release")
    folder = _release(root)
    noted: dict[str, list[str]] = defaultdict(list)
    note = partial(_add_note, noted)
    sessions = [_session(path, note) for path in _session_folders(folder)]
    modalities = _modalities(folder, sessions, note)
    places: dict[str, str] = {}
    found = [one for session in sessions for one in _read_session(folder, session, places, note)]
    num_dialogues = sum(len(session.evaluations) for session in sessions)
    if (num_dialogues, len(found)) != (NUM_DIALOGUES, NUM_UTTERANCES):
        counted = f"{num_dialogues} dialogues and {len(found)} utterances"
        expected = f"{NUM_DIALOGUES} and {NUM_UTTERANCES}"
        note("counts", folder, f"has {counted}; the full release has {expected}")
    return Corpus(
        name="iemocap",
        root=folder,
        utterances=tuple(sorted(found, key=lambda one: one.id)),
        protocol="iemocap-4",
        modalities=modalities,
        warnings=tuple(told(noted)),
    )


def _add_note(noted: dict[str, list[str]], kind: str, place: object, text: str) -> None:
    noted[kind].append(f"{place}: {text}")


def _release(root: Path) -> Path:
    """The folder that holds the sessions: `root`, or the only such one in it."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; wanted the folder IEMOCAP_full_release")
    if _session_folders(root):
        return root
    inside = _entries(root)
    holding = [place for place in inside if _session_folders(place)]
    if len(holding) == 1:
        return holding[0]
    if holding:
        names = ", ".join(place.name for place in holding)
        raise CorpusError(f"{root}: several folders hold sessions: {names}; name one of them")
    there = ", ".join(place.name for place in inside[:8]) or "nothing"
    raise CorpusError(
        f"{root}: is no IEMOCAP release: looked for the folders Session1 to Session5 in it and one "
        f"level below, found {there}{', ...' if len(inside) > 8 else ''}; wanted the unpacked "
        "IEMOCAP_full_release"
    )


def _session_folders(folder: Path) -> list[Path]:
    """The folders that are named as sessions are, in order, in whatever case."""
    there = [one for one in _entries(folder) if one.name.capitalize() in SESSIONS and one.is_dir()]
    return sorted(there, key=lambda one: one.name.lower())


def _session(path: Path, note: _Note) -> _Session:
    """List a session's files."""
    dialog = _child(path, "dialog")
    wav = _child(_child(path, "sentences"), "wav")
    evaluations = _files(_child(dialog, "EmoEvaluation"), ".txt")
    for stem in [stem for stem in evaluations if not _DIALOGUE.fullmatch(stem)]:
        note("files left out", evaluations.pop(stem), "is not named as a dialogue is; left out")
    audio: dict[str, Path] = {}
    for dialogue in _entries(wav):
        for stem, file in _files(dialogue, ".wav").items():
            if stem not in audio or stem.startswith(f"{dialogue.name}_"):
                audio[stem] = file
    return _Session(
        name=path.name.capitalize(),
        wav=wav,
        evaluations=evaluations,
        transcriptions=_files(_child(dialog, "transcriptions"), ".txt"),
        audio=audio,
    )


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, by name, but for what macOS leaves beside files (`._*`)."""
    if not folder.is_dir():
        return []
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise CorpusError(f"{folder}: can't be read: {error.strerror}") from None


def _child(folder: Path, name: str) -> Path:
    """The entry of that name in whatever case; where there is none, where it should be."""
    same = (one for one in _entries(folder) if one.name.lower() == name.lower())
    return next(same, folder / name)


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    return {one.stem: one for one in _entries(folder) if one.suffix.lower() == suffix}


def _modalities(folder: Path, sessions: Sequence[_Session], note: _Note) -> tuple[str, ...]:
    """Refuse a copy that lacks a session or a part of one; tell what none of them has."""
    if len(sessions) != len(SESSIONS):
        raise CorpusError(
            f"{folder}: looked for {SESSIONS[0]} to {SESSIONS[-1]}, found {_names(sessions)} only; "
            "the protocol leaves out one of five sessions in turn: unpack the whole release"
        )
    parts = {
        "dialog/EmoEvaluation/<dialogue>.txt": [one for one in sessions if one.evaluations],
        "sentences/wav/<dialogue>/<utterance>.wav": [one for one in sessions if one.audio],
        "dialog/transcriptions/<dialogue>.txt": [one for one in sessions if one.transcriptions],
    }
    for place, having in parts.items():
        lacking = [one for one in sessions if one not in having]
        if lacking and (having or "EmoEvaluation" in place):
            raise CorpusError(
                f"{folder}: looked for {place} in every session, found none in {_names(lacking)}; "
                "unpack the whole release"
            )
        if lacking:
            note("parts", folder, f"no session has {place}; the corpus is read without")
    _, audio, texts = parts.values()
    return tuple(name for name, there in (("audio", audio), ("text", texts)) if there)


def _names(sessions: Sequence[_Session]) -> str:
    return ", ".join(one.name for one in sessions)


def _read_session(
    folder: Path, session: _Session, places: dict[str, str], note: _Note
) -> list[Utterance]:
    """A session's utterances; `places` has where each id stands, over all sessions."""
    texts = _read_texts(folder, session, note)
    found: list[Utterance] = []
    for path in session.evaluations.values():
        where = path.relative_to(folder)
        for block in _blocks(path):
            one = _utterance(block, where, session, note)
            if one is None:
                continue
            place = f"{where}, line {block[0][0]}"
            if one.id in places:
                raise CorpusError(
                    f"{folder}: the utterance {one.id} stands in {places[one.id]}, and again in "
                    f"{place}; take out the wrong one"
                )
            places[one.id] = place
            audio = session.audio.get(one.id, session.wav / one.dialogue / f"{one.id}.wav")
            text = texts.get(one.id, "")
            found.append(replace(one, text=text, audio=audio.relative_to(folder)))
    if not found:
        raise CorpusError(
            f"{folder}: no utterance in {len(session.evaluations)} files of {session.name}/dialog/"
            "EmoEvaluation; looked for lines like '[1.2000 - 3.4000] Ses01F_impro01_F000 neu'"
        )
    _note_gaps(folder, session, texts, found, note)
    return found


def _read_texts(folder: Path, session: _Session, note: _Note) -> dict[str, str]:
    """Transcriptions by utterance; lines of another shape are not of utterances."""
    texts: dict[str, str] = {}
    for path in session.transcriptions.values():
        for number, line in _lines(path):
            match = _TRANSCRIPTION.fullmatch(line)
            if match and texts.setdefault(match[1], match[2]) != match[2]:
                place = f"{path.relative_to(folder)}, line {number}"
                note("second transcriptions", place, f"{match[1]} has another one, which is used")
    return texts


def _note_gaps(
    folder: Path,
    session: _Session,
    texts: Mapping[str, str],
    found: Sequence[Utterance],
    note: _Note,
) -> None:
    """Tell which utterances lack audio or a transcription, and which audio has no labels."""
    silent = Counter(one.dialogue for one in found if one.id not in texts)
    for dialogue, number in silent.items() if session.transcriptions else ():
        file = f"{session.name}/dialog/transcriptions/{dialogue}.txt"
        lacks = "lacks lines" if dialogue in session.transcriptions else "is missing"
        note("missing transcriptions", file, f"{lacks}; {number} utterances have no text")
    for one in found:
        if session.audio and one.id not in session.audio:
            note("missing audio", one.audio, f"missing; {one.id} has labels")
    for stem in sorted(session.audio.keys() - {one.id for one in found}):
        place = session.audio[stem].relative_to(folder)
        note("audio without labels", place, "no file of dialog/EmoEvaluation has it; left out")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a file, stripped; one that is not UTF-8 is read as Latin-1."""
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from None
    if b"\0" in data:
        raise CorpusError(f"{path}: has zero bytes, so it is no plain text; unpack it again")
    for number, line in enumerate(_LINE_END.split(data), start=1):
        try:
            yield number, line.decode().strip()
        except UnicodeDecodeError:
            yield number, line.decode("latin-1").strip()


def _blocks(path: Path) -> Iterator[_Block]:
    """Lines that stand together: a blank line ends a block, and a header starts one.

    What follows a lost header is thus a block of its own, not more votes for the one before.
    """
    block: _Block = []
    for number, line in _lines(path):
        if block and (not line or line.startswith("[")):
            yield block
            block = []
        if line and not line.startswith("%"):
            block.append((number, line))
    if block:
        yield block


def _utterance(block: _Block, where: Path, session: _Session, note: _Note) -> Utterance | None:
    """What a block says, but for text and audio; None where its header can't be trusted."""
    number, line = block[0]
    header = _HEADER.match(line)
    place = f"{where}, line {number}"
    if header is None or header["session"][-1] != session.name[-1]:
        reason = f"{line[:60]!r} is not the head of an utterance of {session.name}"
        note("blocks left out", place, f"{reason}; the {len(block)} lines are left out")
        return None
    consensus = _CODES.get(header["code"].lower())
    if consensus is None:
        note("unknown consensus", place, f"{header['code']!r} is no label; it has none now")
    votes, ratings = _marks(block[1:], where, note)
    dialogue = header["id"].rpartition("_")[0]
    return Utterance(
        id=header["id"],
        place_s=float(header["start"]),
        speaker=header["session"] + header["sex"],
        gender=_GENDERS[header["sex"]],
        session=session.name,
        dialogue=dialogue,
        style=next((style for part, style in _STYLES.items() if f"_{part}" in dialogue), ""),
        consensus=consensus or "",
        language="en",
        votes=votes,
        ratings=ratings,
    )


def _marks(lines: _Block, where: Path, note: _Note) -> tuple[tuple[Vote, ...], tuple[Rating, ...]]:
    """What the raters chose; lines that can't be read are told."""
    votes: list[Vote] = []
    ratings: list[Rating] = []
    seen: set[str] = set()
    for number, line in lines:
        rater = _RATER.match(line)
        place = f"{where}, line {number}"
        if rater is None and not _CUT_RATER.fullmatch(line):
            note("lines left out", place, f"{line[:60]!r} is no rater's; the block ends there")
            break
        if rater is None or rater["who"] in seen:
            reason = "is cut off" if rater is None else "is that rater's second line"
            note("lines left out", place, f"{line[:60]!r} {reason}; it is left out")
            continue
        seen.add(rater["who"])
        unknown = _add_marks(rater, votes, ratings)
        if not rater["comment"]:
            note("raters' lines", place, f"{line[:60]!r} is cut off; what it still says is read")
        if unknown:
            words = ", ".join(map(repr, unknown))
            note("unknown words", place, f"{rater['who']}: {words}: not counted")
    return tuple(dict.fromkeys(votes)), tuple(ratings)


def _add_marks(rater: re.Match[str], votes: list[Vote], ratings: list[Rating]) -> list[str]:
    """Add a line's labels or ratings to the others; gives what is neither. Blanks are nothing."""
    name, unknown = rater["name"], []
    kind = "external" if name.startswith("E") else "self"
    for part in rater["marks"].split(";"):
        mark = " ".join(part.split())
        label, rating = _LABELS.get(mark.lower()), _RATING.fullmatch(mark.lower())
        if rater["task"] == "C" and label:
            votes.append(Vote(name, label, kind))
        elif rater["task"] == "A" and rating:
            if rating[2]:
                ratings.append(Rating(name, _DIMENSIONS[rating[1]], float(rating[2]), kind))
        elif mark:
            unknown.append(mark)
    return unknown
