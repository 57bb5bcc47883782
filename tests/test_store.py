import dataclasses
import hashlib
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amber_cache import store
from amber_cache.errors import CacheError
from amber_cache.records import Rating, Utterance, Vote

NUM_FEATURES = 3


def corpus() -> tuple[Utterance, ...]:
    first = Utterance(
        id="Ses01_a",
        audio=Path("wav/Ses01_a.wav"),
        start_s=1.5,
        end_s=4.0,
        place_s=1.5,
        text="Grüße, 你好",
        speaker="Ses01F",
        session="Ses01",
        style="scripted",
        consensus="angry",
        votes=(Vote("r1", "angry"), Vote("r2", "bored", kind="self"), Vote("r1", "sad")),
        ratings=(Rating("r1", "arousal", 2.5), Rating("r2", "valence", 4.0, kind="self")),
    )
    second = Utterance(id="Ses01_b", votes=(Vote("", "neutral", primary=False),))
    return first, second, Utterance(id="Ses02_ö", text="no votes")


def an_embedding(modality: str = "audio", name: str = "mel", **attrs: store.Attribute):
    vectors = np.arange(3 * NUM_FEATURES, dtype=np.float32).reshape(3, NUM_FEATURES) / 7
    return store.make_embedding(
        vectors,
        modality=modality,
        name=name,
        status=np.array([store.DONE, store.FAILED, store.DONE], np.uint8),
        error=["", "b.wav has 212 samples; at least 400 are needed", ""],
        attrs={"encoder": "mel", "layer": -1, "libraries": {"numpy": "2.0"}, **attrs},
    )


def a_content(**changes: object) -> store.CacheContent:
    utterances = corpus()
    content = store.CacheContent(
        corpus="iemocap",
        protocol="iemocap-4",
        utterances=store.utterance_table(utterances, audio_bytes={"Ses01_a": 1234}),
        votes=store.votes_table(utterances),
        ratings=store.ratings_table(utterances),
        embeddings=(an_embedding(), an_embedding("text", "bert-base-uncased")),
        attrs={"created_utc": "2026-01-01T00:00:00+00:00"},
    )
    return dataclasses.replace(content, **changes)


def plain(content: object) -> object:
    """The content as nested tuples that compare equal bit for bit."""
    if dataclasses.is_dataclass(content):
        return tuple(plain(getattr(content, f.name)) for f in dataclasses.fields(content))
    if isinstance(content, np.ndarray):
        stored = content.tolist() if content.dtype == object else content.tobytes()
        return (str(content.dtype), content.shape, stored)
    if isinstance(content, dict):
        return tuple((key, plain(content[key])) for key in sorted(content))
    return tuple(map(plain, content)) if isinstance(content, tuple) else content


def read(path: Path) -> store.CacheContent:
    with store.open_cache(path) as cache:
        return cache.content()


def minimal(path: Path, *, ids: tuple[str, ...] = ("b", "a"), labels: int = 2) -> Path:
    """What another script may write with h5py alone and no checksums."""
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["format_version"] = "amber-cache", 1
        file["utterances/id"] = list(ids)
        file["votes/utterance"] = np.array([0, 1, 1], ">i8")
        file["votes/label"] = [0, 1, 0]
        file["votes"].attrs["labels"] = ["happy", "sad"][:labels]
        entry = file.create_group("embeddings/face/mine")
        entry["vectors"] = np.array([[1.0, 2.0], [3.0, 4.0]], ">f8")
        entry["status"] = [1, 2]
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store.write_cache(tmp_path / "cache.h5", a_content())
    return tmp_path / "cache.h5"


# What goes in comes out.


def test_a_cache_reads_as_it_was_written(path: Path) -> None:
    written, found = a_content(), read(path)
    assert found.attrs["created_utc"] == written.attrs["created_utc"]
    assert plain(dataclasses.replace(found, attrs=written.attrs)) == plain(written)
    report = store.verify_cache(path)
    assert (report.problems, report.unprotected, report.ok) == ((), (), True)
    assert (report.num_utterances, report.num_votes, report.num_ratings) == (3, 4, 2)
    assert report.embeddings[0] == store.EmbeddingCount("audio", "mel", NUM_FEATURES, 2, 1, 0)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
FLOAT = st.floats(width=32, allow_nan=True)


@given(data=st.data(), ids=st.lists(TEXT, unique=True, max_size=4).map(sorted))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_content_comes_back(
    data: st.DataObject, ids: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    utterances = [
        Utterance(
            id=item,
            text=data.draw(TEXT),
            speaker=data.draw(TEXT),
            place_s=data.draw(st.none() | FLOAT),
            votes=tuple(Vote(data.draw(TEXT), x) for x in data.draw(st.lists(TEXT, max_size=2))),
        )
        for item in ids
    ]
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    rows = [data.draw(st.lists(number, min_size=2, max_size=2)) for _ in ids]
    vectors = np.array(rows, np.float32).reshape(-1, 2)
    status = np.array([data.draw(st.integers(0, 2)) for _ in ids], np.uint8)
    content = store.CacheContent(
        corpus=data.draw(TEXT),
        protocol="",
        utterances=store.utterance_table(utterances),
        votes=store.votes_table(utterances),
        embeddings=(store.make_embedding(vectors, modality="face", name="x@9", status=status),),
        attrs={"created_utc": "", "plan": data.draw(TEXT), "lr": 0.5, "words": ["a", "ö"]},
    )
    path = tmp_path_factory.mktemp("any") / "cache.h5"
    store.write_cache(path, content)
    found = read(path)
    assert store.verify_cache(path).ok
    assert {name: found.attrs[name] for name in content.attrs} == content.attrs
    assert plain(dataclasses.replace(found, attrs={})) == plain(
        dataclasses.replace(content, attrs={})
    )


def test_the_same_content_gives_the_same_bytes() -> None:
    assert store.cache_image(a_content()) == store.cache_image(a_content())


def test_rewriting_what_was_read_gives_the_same_file(path: Path, tmp_path: Path) -> None:
    store.write_cache(tmp_path / "again.h5", read(path))
    assert sorted(h5_digests(tmp_path / "again.h5")) == sorted(h5_digests(path))


def h5_digests(path: Path) -> list[str]:
    with h5py.File(path) as file:
        return list(file.attrs["checksums"])


# Records become tables.


def test_votes_table_orders_known_labels_then_others() -> None:
    table = store.votes_table(corpus())
    assert table.labels == ("neutral", "angry", "sad", "bored")
    assert [table.labels[i] for i in table.label] == ["angry", "bored", "sad", "neutral"]
    assert table.utterance.tolist() == [0, 0, 0, 1]
    assert table.primary.tolist() == [True, True, True, False]
    assert table.kind.tolist() == ["external", "self", "external", "external"]


def test_utterance_table_marks_the_unknown() -> None:
    table = store.utterance_table(corpus(), duration_s={"Ses02_ö": 9.0})
    np.testing.assert_array_equal(table.duration_s, np.float32([2.5, np.nan, 9.0]))
    np.testing.assert_array_equal(table.start_s, np.float32([1.5, np.nan, np.nan]))
    assert table.audio_path.tolist() == ["wav/Ses01_a.wav", "", ""]
    assert table.audio_bytes.tolist() == [-1, -1, -1]
    assert store.ratings_table(corpus()[1:]) is None


# The file is what the contract says, for a reader with h5py alone.

STRING_COLUMNS = [
    "id",
    "speaker",
    "gender",
    "session",
    "dialogue",
    "split",
    "style",
    "consensus",
    "text",
    "language",
]
CONTRACT = {
    **{f"utterances/{name}": "O" for name in [*STRING_COLUMNS, "audio_path", "audio_sha256"]},
    "utterances/start_s": "<f4",
    "utterances/duration_s": "<f4",
    "utterances/audio_bytes": "<i8",
    "votes/utterance": "<i4",
    "votes/rater": "O",
    "votes/kind": "O",
    "votes/label": "<i2",
    "votes/primary": "|b1",
    "ratings/utterance": "<i4",
    "ratings/rater": "O",
    "ratings/kind": "O",
    "ratings/dimension": "O",
    "ratings/value": "<f4",
    "embeddings/audio/mel/vectors": "<f4",
    "embeddings/audio/mel/status": "|u1",
    "embeddings/audio/mel/crc32": "<u4",
    "embeddings/audio/mel/error": "O",
}


def test_every_dataset_of_the_contract_is_there_with_its_checksum(path: Path) -> None:
    with h5py.File(path) as file:
        for name, dtype in CONTRACT.items():
            dataset = file[name]
            assert dataset.dtype.str.replace("|O", "O") == dtype, name
            values = dataset[()]
            if dtype == "O":
                assert h5py.check_string_dtype(dataset.dtype).length is None
                assert h5py.check_string_dtype(dataset.dtype).encoding == "utf-8"
                stored = b"".join(item + b"\0" for item in values)
            else:
                stored = values.tobytes()
            assert dataset.attrs["sha256"] == hashlib.sha256(stored).hexdigest(), name


def test_attributes_of_the_contract(path: Path) -> None:
    with h5py.File(path) as file:
        root = {name: file.attrs[name] for name in file.attrs if name != "checksums"}
        assert root.pop("amber_version")
        assert root == {
            "format": "amber-cache",
            "format_version": 1,
            "corpus": "iemocap",
            "protocol": "iemocap-4",
            "created_utc": "2026-01-01T00:00:00+00:00",
        }
        assert list(file["votes"].attrs["labels"]) == ["neutral", "angry", "sad", "bored"]
        entry = file["embeddings/audio/mel"]
        assert entry.attrs["layer"] == -1
        assert entry.attrs["libraries"] == '{"numpy": "2.0"}'


def test_row_checksums_and_rows_not_done(path: Path) -> None:
    with h5py.File(path) as file:
        entry = file["embeddings/text/bert-base-uncased"]
        vectors, crc32 = entry["vectors"][()], entry["crc32"][()]
        assert crc32.tolist() == [zlib.crc32(row.astype("<f4").tobytes()) for row in vectors]
        assert np.isnan(vectors[1]).all()
        assert entry["error"].asstr()[1] == "b.wav has 212 samples; at least 400 are needed"


def test_data_hash_tells_arrays_apart() -> None:
    ids, vectors = np.array(["ab", "c"], object), np.zeros((2, 3), np.float32)
    hashes = {
        store.data_hash(ids, vectors),
        store.data_hash(np.array(["a", "bc"], object), vectors),
        store.data_hash(ids, vectors.T),
        store.data_hash(ids, vectors[:1], vectors[1:]),
        store.data_hash(ids, vectors + 1),
    }
    assert len(hashes) == 5
    assert store.data_hash(ids, np.asfortranarray(vectors).astype(">f4")) in hashes


# What another script may write.


def test_a_minimal_cache_opens(tmp_path: Path) -> None:
    path = minimal(tmp_path / "mine.h5")
    with store.open_cache(str(path)) as cache:
        assert cache.utterances.id.tolist() == ["b", "a"]
        assert cache.utterances.speaker.tolist() == ["", ""]
        assert np.isnan(cache.utterances.start_s).all()
        assert cache.utterances.audio_bytes.tolist() == [-1, -1]
        assert cache.votes.kind.tolist() == ["external"] * 3
        assert cache.votes.primary.all()
        assert cache.votes.labels == ("happy", "sad")
        assert cache.ratings is None
        embedding = cache.embeddings("face")
    np.testing.assert_array_equal(embedding.vectors, np.float32([[1, 2], [np.nan, np.nan]]))
    assert embedding.vectors.dtype == np.float32
    assert embedding.error.tolist() == ["", ""]


def test_verify_names_the_unprotected(tmp_path: Path) -> None:
    report = store.verify_cache(minimal(tmp_path / "mine.h5", ids=("a", "b")))
    assert set(report.unprotected) >= {"/utterances/id", "/votes/label", "/votes/@labels"}
    assert "/embeddings/face/mine/vectors" in report.unprotected
    assert len(report.problems) == 1
    assert "not done, yet not NaN" in report.problems[0]


def test_verify_wants_sorted_ids(tmp_path: Path) -> None:
    problems = store.verify_cache(minimal(tmp_path / "mine.h5")).problems
    assert "/utterances/id: 'a' stands after 'b', ids must be sorted" in problems


def test_an_embedding_added_by_another_script_is_read(path: Path) -> None:
    with h5py.File(path, "a") as file:
        entry = file.create_group("embeddings/face/mine")
        entry["vectors"], entry["status"] = np.ones((3, 2), np.float32), [1, 1, 1]
        entry.attrs["libraries"] = "opencv 4"
    with store.open_cache(path) as cache:
        assert cache.modalities == ("audio", "text", "face")
        assert cache.embeddings("face").attrs == {"libraries": "opencv 4"}
    report = store.verify_cache(path)
    assert report.ok
    assert report.unprotected == (
        "/embeddings/face/mine/@libraries",
        "/embeddings/face/mine/vectors",
        "/embeddings/face/mine/status",
    )


def test_fixed_length_and_compressed_datasets_are_read(tmp_path: Path) -> None:
    path = minimal(tmp_path / "mine.h5")
    with h5py.File(path, "a") as file:
        del file["utterances/id"], file["embeddings/face/mine/vectors"]
        file["utterances/id"] = np.array([b"a", "ö".encode()])
        entry = file["embeddings/face/mine"]
        entry.create_dataset("vectors", data=np.zeros((2, 9)), compression="gzip", chunks=(1, 9))
    with store.open_cache(path) as cache:
        assert cache.utterances.id.tolist() == ["a", "ö"]
        assert cache.embeddings("face").vectors.shape == (2, 9)


# Choosing an embedding.


def test_embeddings_by_name_and_by_encoder(tmp_path: Path) -> None:
    entries = (
        an_embedding(name="org--w2v", encoder="org/w2v"),
        an_embedding(name="mel"),
        an_embedding(name="mel@layer9"),
        an_embedding("text", "hash"),
    )
    path = tmp_path / "cache.h5"
    store.write_cache(path, a_content(embeddings=entries))
    with store.open_cache(path) as cache:
        assert cache.encoders("audio") == ("mel", "mel@layer9", "org--w2v")
        assert cache.encoders("face") == ()
        assert cache.embeddings("text").name == "hash"
        assert cache.embeddings("audio", "org/w2v").name == "org--w2v"
        assert cache.embeddings("audio", "mel").name == "mel"
        with pytest.raises(CacheError, match=r"several.*mel, mel@layer9, org--w2v"):
            cache.embeddings("audio")
        with pytest.raises(CacheError, match=r"none of the audio .* 'wavlm'.*: mel, mel@layer9"):
            cache.embeddings("audio", "wavlm")
        with pytest.raises(CacheError, match="no face embeddings; there are: audio, text"):
            cache.embeddings("face")


def test_an_encoder_with_two_entries_must_be_told_apart(tmp_path: Path) -> None:
    entries = (an_embedding(name="w@layer1", encoder="w"), an_embedding(name="w@mid", encoder="w"))
    store.write_cache(tmp_path / "cache.h5", a_content(embeddings=entries))
    with (
        store.open_cache(tmp_path / "cache.h5") as cache,
        pytest.raises(CacheError, match="several"),
    ):
        cache.embeddings("audio", "w")


def test_a_closed_cache_says_so(path: Path) -> None:
    with store.open_cache(path) as cache:
        table = cache.utterances
    assert cache.utterances is table
    with pytest.raises(CacheError, match="was closed"):
        cache.embeddings("audio")


# Damage is found.


def outcome(path: Path) -> object:
    """What a reader gets: the content, or None where it is refused."""
    try:
        return plain(read(path))
    except CacheError as error:
        message = str(error)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return None


def test_a_flipped_byte_is_found_or_does_no_harm(tmp_path: Path) -> None:
    image, path, rng = store.cache_image(a_content()), tmp_path / "cache.h5", random.Random(3)
    path.write_bytes(image)
    original, refused = outcome(path), 0
    for offset in rng.sample(range(len(image)), 150):
        damaged = bytearray(image)
        damaged[offset] ^= rng.randrange(1, 256)
        path.write_bytes(damaged)
        found = outcome(path)
        assert found in (None, original), offset
        assert found is not None or not store.verify_cache(path).ok, offset
        refused += found is None
    assert 20 < refused < 150


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_a_changed_value_is_found_in_every_dataset(path: Path, name: str) -> None:
    with h5py.File(path, "a") as file:
        values = file[name][()]
        if values.dtype == object:
            values[0] += b"x"
        elif values.dtype == bool:
            values[0] = not values[0]
        else:
            values.view(np.uint8).reshape(-1)[0] ^= 1
        file[name][()] = values
    assert outcome(path) is None
    assert any(f"/{name}: is damaged" in problem for problem in store.verify_cache(path).problems)


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("/", "corpus", "msp-podcast"),
        ("votes", "labels", ["neutral", "sad", "angry", "bored"]),
        ("embeddings/audio/mel", "encoder", "other"),
        ("utterances/speaker", "sha256", "00"),
    ],
)
def test_a_changed_attribute_is_found(path: Path, place: str, name: str, value: object) -> None:
    with h5py.File(path, "a") as file:
        file[place].attrs[name] = value
    with pytest.raises(CacheError, match="is not what was written"):
        store.open_cache(path)
    assert not store.verify_cache(path).ok


@pytest.mark.parametrize("name", ["utterances/speaker", "embeddings/text", "votes/primary"])
def test_what_was_written_and_is_gone_is_missed(path: Path, name: str) -> None:
    with h5py.File(path, "a") as file:
        file.move(name, name + "x")
    with pytest.raises(CacheError, match=f"{name}.*is missing"):
        store.open_cache(path)


@pytest.mark.parametrize("part", [b"/votes/label", b"rater", b"mel", b"speaker", b"checksums"])
def test_a_control_character_never_breaks_up_an_error(tmp_path: Path, part: bytes) -> None:
    image, path = store.cache_image(a_content()), tmp_path / "cache.h5"
    for place in [i for i in range(len(image)) if image.startswith(part, i)]:
        path.write_bytes(image[: place + 1] + b"\n" + image[place + 2 :])
        outcome(path)  # which looks at the message
        assert all(problem.isprintable() for problem in store.verify_cache(path).problems)


def test_a_line_break_in_a_checksum_or_a_name_is_refused(tmp_path: Path) -> None:
    path = minimal(tmp_path / "mine.h5")
    with h5py.File(path, "a") as file:
        file["utterances/id"].attrs["sha256"] = "ab\ncd"
    with pytest.raises(CacheError, match=r"wanted ab\\ncd$"):
        read(path)
    with h5py.File(path, "a") as file:
        file.move("embeddings/face/mine", "embeddings/face/mi\nne")
    with pytest.raises(CacheError, match=r"has the name 'mi\\nne', which is damaged"):
        read(path)


def test_verify_lists_every_damaged_dataset(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["utterances/speaker"][0] = "nobody"
        file["votes/label"][0] = 3
        file["embeddings/audio/mel/vectors"][0, 0] = 99
    problems = store.verify_cache(path).problems
    assert [problem.split(":")[0] for problem in problems] == [
        "/utterances/speaker",
        "/votes/label",
        "/embeddings/audio/mel/vectors",
    ]
    with store.open_cache(path) as cache:  # the text embedding is sound, its table is not
        with pytest.raises(CacheError, match="/utterances/speaker: is damaged"):
            cache.embeddings("text")
        with pytest.raises(CacheError, match="/votes/label: is damaged"):
            _ = cache.votes


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    image, path = store.cache_image(a_content()), tmp_path / "cache.h5"
    lengths = [0, 1, 8, 47, 48, 96, *range(500, len(image), len(image) // 25), len(image) - 1]
    for length in lengths:
        path.write_bytes(image[:length])
        assert outcome(path) is None, length
        assert not store.verify_cache(path).ok, length


# What is no cache is refused with its reason.


def test_missing_folder_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"no such file; `amber extract` makes a cache"):
        store.open_cache(tmp_path / "none.h5")
    with pytest.raises(CacheError, match="no such file"):
        store.verify_cache(tmp_path / "none.h5")
    with pytest.raises(CacheError, match="is a folder"):
        store.open_cache(tmp_path)
    (tmp_path / "text.h5").write_text("id,label\n" * 999)
    with pytest.raises(CacheError, match="not an HDF5 file"):
        store.open_cache(tmp_path / "text.h5")
    with h5py.File(tmp_path / "keras.h5", "w") as file:
        file["weights"] = [1.0]
    with pytest.raises(CacheError, match="not of amber: its format is None"):
        store.open_cache(tmp_path / "keras.h5")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CacheError, match="no regular file"):
        store.open_cache(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("version", "message"),
    [(2, "format_version 2, this amber reads up to 1"), (0, "wanted 1"), ("1", "wanted 1")],
)
def test_another_version_is_refused(tmp_path: Path, version: object, message: str) -> None:
    path = minimal(tmp_path / "mine.h5")
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = version
    with pytest.raises(CacheError, match=message):
        store.open_cache(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("utterances/id", None, "/utterances/id: is missing"),
        ("votes/label", None, "/votes/label: is missing"),
        ("embeddings", None, "/embeddings: there is none"),
        ("embeddings/face/mine/status", None, "status: is missing"),
        ("utterances/id", ["a", "a"], "'a' stands there 2 times"),
        ("utterances/id", [1, 2], "holds int64, wanted text"),
        ("utterances/id", [b"a", b"\xff"], "/utterances/id: .*utf-8"),
        ("utterances/speaker", ["x"], "has 1 rows, wanted 2"),
        ("votes/rater", ["x"], "has 1 rows, wanted 3"),
        ("votes/utterance", [0, 1, 2], "row 2 holds 2, but there are 2 utterances"),
        ("votes/utterance", [0, -1, 1], "row 1 holds -1"),
        ("votes/utterance", [0, 1, 2**32], "holds 4294967296, which does not fit in int32"),
        ("votes/label", [0, 1, 2], "row 2 holds 2, but there are 2 labels"),
        ("votes/label", [0.5, 1, 1], "holds float64, wanted int16"),
        ("votes/primary", [0, 1, 7], "holds 7, which does not fit in bool"),
        ("embeddings/face/mine/status", [1, 3], "3, wanted 0, 1 or 2"),
        ("embeddings/face/mine/vectors", [[1.0, np.nan], [0, 0]], "of 'b': done, yet not finite"),
        ("embeddings/face/mine/vectors", [[1e300, 0], [0, 0]], "done, yet not finite"),
        ("embeddings/face/mine/vectors", [1.0, 2.0], "wanted 2 axes"),
        ("embeddings/face/mine/vectors", np.zeros((2, 0)), "rows of no features"),
        ("embeddings/face/mine/crc32", [1, 1], "crc32: 1 row, first that of 'b'"),
    ],
)
def test_a_wrong_dataset_is_refused(tmp_path: Path, name: str, value: object, message: str) -> None:
    path = minimal(tmp_path / "mine.h5")
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value
    with pytest.raises(CacheError, match=message):
        read(path)
    assert not store.verify_cache(path).ok


def test_votes_without_their_labels_are_refused(tmp_path: Path) -> None:
    path = minimal(tmp_path / "mine.h5", labels=1)
    with pytest.raises(CacheError, match="holds 1, but there are 1 labels"):
        read(path)
    with h5py.File(path, "a") as file:
        del file["votes"].attrs["labels"]
    with pytest.raises(CacheError, match="attribute labels: None"):
        read(path)
    assert any("labels" in problem for problem in store.verify_cache(path).problems)


@pytest.mark.parametrize("kind", ["soft", "external", "storage", "virtual", "group", "empty"])
def test_what_is_no_plain_dataset_is_refused(tmp_path: Path, kind: str) -> None:
    path = minimal(tmp_path / "mine.h5", ids=("a", "b"))
    minimal(tmp_path / "other.h5")
    layout = h5py.VirtualLayout(shape=(2, 2), dtype="f8")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "embeddings/face/mine/vectors", (2, 2))
    with h5py.File(path, "a") as file:
        entry = file["embeddings/face/mine"]
        file.move("embeddings/face/mine/vectors", "spare")
        if kind == "soft":
            entry["vectors"] = h5py.SoftLink("/spare")
        elif kind == "external":
            entry["vectors"] = h5py.ExternalLink("other.h5", "/embeddings/face/mine/vectors")
        elif kind == "storage":
            (tmp_path / "raw").write_bytes(bytes(32))
            entry.create_dataset("vectors", (2, 2), "f8", external=[(str(tmp_path / "raw"), 0, 32)])
        elif kind == "virtual":
            entry.create_virtual_dataset("vectors", layout)
        else:
            entry["vectors"] = h5py.Empty("f4") if kind == "empty" else 1.0
    with pytest.raises(CacheError, match="is a link|lies in another file|wanted 2 axes"):
        read(path)
    assert not store.verify_cache(path).ok


def test_an_absurd_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = minimal(tmp_path / "mine.h5")
    with h5py.File(path, "a") as file:
        del file["embeddings/face/mine/vectors"]
        shape = (2, 1 << 40)
        file.create_dataset("embeddings/face/mine/vectors", shape, "f4", chunks=(1, 4))
    with pytest.raises(CacheError, match="claims 8796093022208 bytes"):
        read(path)


# Writing is whole or not at all.


def test_the_writer_refuses_what_the_reader_would(tmp_path: Path) -> None:
    good, path = a_content(), tmp_path / "cache.h5"
    votes, mel = good.votes, good.embeddings[0]
    twice = dataclasses.replace(good.utterances, id=store.text_array(["a", "a", "b"]))
    unsorted = dataclasses.replace(good.utterances, id=store.text_array(["b", "a", "c"]))
    odd = dataclasses.replace(good.utterances, text=store.text_array(["", "a\0b", ""]))
    surrogate = dataclasses.replace(good.utterances, text=store.text_array(["\udcff", "", ""]))
    far = dataclasses.replace(votes, utterance=votes.utterance + np.int32(2))
    changed = dataclasses.replace(mel, vectors=mel.vectors + np.float32(1))
    number = np.zeros_like(mel.vectors)
    leftover = dataclasses.replace(mel, vectors=number, crc32=store.row_crc32(number))
    for content, message in (
        (a_content(utterances=twice), "'a' stands there 2 times"),
        (a_content(utterances=unsorted), "must be sorted"),
        (a_content(utterances=odd), r"/utterances/text: row 1, 'a\\x00b', has a zero byte"),
        (a_content(utterances=surrogate), "row 0, .*not text in UTF-8"),
        (a_content(votes=far), "row 3 holds 3, but there are 3 utterances"),
        (a_content(embeddings=()), "at least one embedding"),
        (a_content(embeddings=(mel, mel)), "stands there twice"),
        (a_content(embeddings=(dataclasses.replace(mel, name="a/b"),)), "without / and"),
        (a_content(embeddings=(changed,)), "not the one it was computed for"),
        (a_content(embeddings=(leftover,)), "first that of 'Ses01_b': not done, yet not NaN"),
        (a_content(embeddings=(an_embedding(extra=None),)), "None is no text or number"),
        (a_content(attrs={"a\nb": "x"}), "its name is not printable"),
    ):
        with pytest.raises(CacheError, match=message):
            store.write_cache(path, content)
    assert list(tmp_path.iterdir()) == []


def test_writing_replaces_makes_folders_and_follows_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "disk" / "deep" / "cache.h5", tmp_path / "link.h5"
    link.symlink_to(real)
    store.write_cache(link, a_content())
    with store.open_cache(link) as before:
        store.write_cache(link, a_content(corpus="other"))
        assert before.corpus == "iemocap"
        assert len(before.votes) == 4
    assert link.is_symlink()
    assert read(real).corpus == "other"
    assert [item.name for item in real.parent.iterdir()] == ["cache.h5"]


def test_places_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "cache.h5", tmp_path / ("n" * 300)):
        with pytest.raises(CacheError, match=r"could not be written.*MB are free") as caught:
            store.write_cache(path, a_content())
        assert "\n" not in str(caught.value)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_write_leaves_the_cache_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = path.read_bytes()

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((KeyboardInterrupt, CacheError)):
        store.write_cache(path, a_content(corpus="other"))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# No bytecode is written, which Python would leave cut off for others.
FILL_THE_DISK = """
import resource, signal, sys
sys.dont_write_bytecode = True
from amber_cache import store
from amber_cache.errors import CacheError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with store.open_cache(sys.argv[1]) as cache:
    content = cache.content()
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    store.write_cache(sys.argv[1], content)
except CacheError as error:
    print(error)
    sys.exit(2)
"""


def test_a_full_disk_ends_cleanly(path: Path) -> None:
    before = path.read_bytes()
    assert len(before) > 8192
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(store.__file__).parents[1],
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.count("\n") == 1
    assert f"{path}: the cache could not be written: File too large; it needs" in done.stdout
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_store_needs_no_torch() -> None:
    code = "import sys, amber_cache.store; assert 'torch' not in sys.modules"
    root = Path(store.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_a_failed_write_takes_the_folders_away_that_it_made(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="too long"):
        store.write_whole(tmp_path / "new" / "deep" / ("x" * 300), b"content")
    assert list(tmp_path.iterdir()) == []
