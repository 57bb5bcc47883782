"""Answers for named material: what is said of each item, as records, CSV rows and bars.

Every form says which modalities an item lacks and which head answers then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from amber_heads.results import csv_bytes
from amber_heads.using.answers import Answers

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Which models answered.
ALL_MODELS, OWN_FOLD = "all models", "own fold's models"

_BAR_WIDTH = 24


@dataclass(frozen=True, kw_only=True)
class Item:
    """What is predicted: an utterance, or a window of a recording.

    Attributes:
        id: The utterance's, or the recording's.
        start_s: Where a window starts; None where there are no windows, as `end_s`.
        is_transcribed: Whether its text is a speech-recognition model's.
    """

    id: str
    start_s: float | None = None
    end_s: float | None = None
    is_transcribed: bool = False


@dataclass(frozen=True, kw_only=True)
class Group:
    """Items that lack the same modalities and are answered by the same models.

    Attributes:
        models: `ALL_MODELS` or `OWN_FOLD`.
        missing: The modalities that the items lack.
        answer: The head whose distribution is the answer.
        conflict: How far voice and words lie apart; NaN where there are not two answers.
    """

    items: tuple[Item, ...]
    answers: Answers
    models: str
    missing: tuple[str, ...]
    answer: str
    conflict: Float[np.ndarray, " utterance"]


@dataclass(frozen=True)
class Failure:
    """An item that nothing can be said of, and why."""

    id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run says of some material.

    Attributes:
        conflict_mark: What must be known of the conflicts; "" for nothing.
        notes: What the user should be told, one line each.
        with_members: Whether what each model says is to be shown.
    """

    run: Path
    classes: tuple[str, ...]
    groups: tuple[Group, ...]
    failures: tuple[Failure, ...]
    conflict_mark: str
    notes: tuple[str, ...]
    with_members: bool = False

    @property
    def num_items(self) -> int:
        """Items that were answered."""
        return sum(len(group.items) for group in self.groups)

    @property
    def last_line(self) -> str:
        """What was done and what failed, in a line."""
        lacking: dict[str, int] = {}
        for group in self.groups:
            for modality in group.missing:
                lacking[modality] = lacking.get(modality, 0) + len(group.items)
        parts = [f"{count} without {modality}" for modality, count in lacking.items()]
        told = ", ".join([f"{self.num_items} predicted", *parts, f"{len(self.failures)} failed"])
        return f"{self.run}: {told}"

    def records(self) -> list[dict[str, Any]]:
        """One object an item, by id and time; None stands for what there is no figure of."""
        found = [
            self._record(group, place) for group in self.groups for place in range(len(group.items))
        ]
        return sorted(found, key=lambda one: (one["id"], one["start_s"] or 0.0))

    def rows(self) -> Iterator[dict[str, object]]:
        """One row an item and head for CSV; with members, one more for each of them."""
        for one in self.records():
            shared = {key: one[key] for key in ("id", "start_s", "end_s")}
            lacking = {"missing": "+".join(one["missing"]), "transcribed": one["transcribed"]}
            for head, said in one["heads"].items():
                row = {
                    **shared,
                    "head": head,
                    "member": "",
                    "is_answer": head == one["answer"],
                    **lacking,
                    "models": one["models"],
                    "top": said["top"],
                    **{f"p_{name}": p for name, p in said["distribution"].items()},
                    **{f"std_{name}": p for name, p in said["std"].items()},
                    "entropy": said["entropy"],
                    "spread": said["spread"],
                    "conflict": one["conflict"],
                    "conflict_mark": one["conflict_mark"],
                }
                yield row
                for member, distribution in said.get("members", {}).items():
                    yield {**row, **_of_member(member, distribution)}

    def _record(self, group: Group, place: int) -> dict[str, Any]:
        item, conflict = group.items[place], _number(group.conflict[place])
        heads = [head for h, head in enumerate(group.answers.heads) if _answers(group, place, h)]
        return {
            "id": item.id,
            "start_s": item.start_s,
            "end_s": item.end_s,
            "missing": list(group.missing),
            "transcribed": item.is_transcribed,
            "models": group.models,
            "answer": group.answer,
            "heads": {head: self._said(group, place, head) for head in heads},
            "conflict": conflict,
            "conflict_mark": "" if conflict is None else self.conflict_mark,
        }

    def _said(self, group: Group, place: int, head: str) -> dict[str, Any]:
        answers, number = group.answers, group.answers.heads.index(head)
        distribution = answers.mean[place, number]
        said: dict[str, Any] = {
            "top": self.classes[int(distribution.argmax())],
            "distribution": self._named(distribution),
            "std": self._named(answers.std[place, number]),
            "entropy": _number(answers.entropy[place, number]),
            "spread": _number(answers.spread[place, number]),
        }
        if self.with_members:
            members = answers.distributions[:, place, number]
            said["members"] = {
                _member_name(fold, seed): self._named(one)
                for (fold, seed), one in zip(answers.members, members, strict=True)
            }
        return said

    def _named(self, values: Float[np.ndarray, " class"]) -> dict[str, float | None]:
        return {name: _number(one) for name, one in zip(self.classes, values.tolist(), strict=True)}


def csv_text(forecast: Forecast) -> str:
    """`Forecast.rows` as CSV with a header; numbers to 10 digits, empty where there is none."""
    return csv_bytes(list(forecast.rows())).decode()


def bars(records: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Items for the terminal: the answer as bars, the other heads by their top class."""
    from rich.console import Group as Lines
    from rich.text import Text

    lines: list[Text] = []
    for one in records:
        answer = one["heads"][one["answer"]]
        lines += [Text(), Text(_title(one), style="bold")]
        width = max(map(len, answer["distribution"]))
        for name, p in answer["distribution"].items():
            std = answer["std"][name]
            told = f"{p:.2f}" if std is None else f"{p:.2f} ± {std:.2f}"
            style = "bold" if name == answer["top"] else ""
            lines.append(Text(f"  {name:<{width}}  {_bar(p)}  {told}", style=style))
        lines.append(Text("  " + "; ".join(_told(one)), style="dim"))
    return Lines(*lines)


def _title(one: Mapping[str, Any]) -> str:
    span = "" if one["start_s"] is None else f"  {one['start_s']:g} to {one['end_s']:g} s"
    lacking = f", without {' and '.join(one['missing'])}" if one["missing"] else ""
    heard = ", text by speech recognition" if one["transcribed"] else ""
    name = "".join(sign if sign.isprintable() else "?" for sign in one["id"])
    return f"{name}{span}: {one['heads'][one['answer']]['top']} ({one['answer']}{lacking}{heard})"


def _told(one: Mapping[str, Any]) -> Iterator[str]:
    """What stands below the bars: ambiguity, doubt, conflict, the other heads."""
    answer = one["heads"][one["answer"]]
    yield f"entropy {answer['entropy']:.2f} bits"
    if answer["spread"] is not None:
        yield f"spread {answer['spread']:.3f}"
    if one["conflict"] is not None:
        mark = f" ({one['conflict_mark']})" if one["conflict_mark"] else ""
        yield f"conflict {one['conflict']:.3f}{mark}"
    for head, said in one["heads"].items():
        if head != one["answer"]:
            yield f"{head}: {said['top']} {said['distribution'][said['top']]:.2f}"


def _of_member(member: str, distribution: Mapping[str, float]) -> dict[str, object]:
    """What differs in a member's row: it has no spread of its own."""
    top = max(distribution, key=lambda name: distribution[name])
    return {
        "member": member,
        "is_answer": False,
        "top": top,
        **{f"p_{name}": p for name, p in distribution.items()},
        **{f"std_{name}": None for name in distribution},
        "entropy": None,
        "spread": None,
        "conflict": None,
        "conflict_mark": "",
    }


def _member_name(fold: int, seed: int) -> str:
    return f"seed{seed}" if fold < 0 else f"fold{fold}/seed{seed}"


def _answers(group: Group, place: int, head: int) -> bool:
    return not np.isnan(group.answers.mean[place, head]).any()


def _number(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _bar(share: float) -> str:
    filled = round(share * _BAR_WIDTH)
    return "█" * filled + "░" * (_BAR_WIDTH - filled)
