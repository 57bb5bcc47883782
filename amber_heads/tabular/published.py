"""The figures of the AmbER2 paper's Tables 1 to 5 (arXiv 2601.18010), and where they need a word.

The figures stand in published.csv, as printed: without a deviation where none was printed. Two
metrics go by what they are and not by the column they were printed in: `js_aer`, a distance in
other units than the paper's JS, and `f1_multilabel`, an F1 of thresholded labels.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

#: The protocols under which a corpus has the paper's classes.
PROTOCOLS = {"iemocap": "iemocap-4", "msp-podcast": "msp-podcast-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One printed figure.

    Attributes:
        table: Its number.
        system: "cb-ce", "amber2", "emo-superb", "emo_ent", "aer-llm zero-shot" or "few-shot".
        head: "" where the system has none.
        std: Over seeds; None where it was not printed.
    """

    table: int
    corpus: str
    system: str
    head: str
    metric: str
    mean: float
    std: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """Where the paper's figures don't say what they seem to; "" and () stand for any."""

    text: str
    tables: tuple[int, ...] = ()
    corpus: str = ""
    systems: tuple[str, ...] = ()
    head: str = ""
    metric: str = ""

    def concerns(self, one: Published) -> bool:
        """Whether a figure needs this word."""
        return (
            (not self.tables or one.table in self.tables)
            and self.corpus in ("", one.corpus)
            and (not self.systems or one.system in self.systems)
            and self.head in ("", one.head)
            and self.metric in ("", one.metric)
        )


_AER_LLM = ("aer-llm zero-shot", "aer-llm few-shot")

SLIPS: tuple[Slip, ...] = (
    Slip(
        tables=(5,),
        systems=_AER_LLM,
        metric="js_aer",
        text="AER-LLM's JS is a distance: natural logarithm, square root (js_aer). The paper sets"
        " it beside AmbER2's base-2 divergence; the two are not on one scale.",
    ),
    Slip(
        tables=(5,),
        corpus="msp-podcast",
        systems=_AER_LLM,
        text="AER-LLM's MSP-Podcast figures are of four classes and 4,114 utterances, not of eight"
        " classes.",
    ),
    Slip(
        tables=(2,),
        corpus="iemocap",
        head="audio",
        metric="f1",
        text="A macro F1 of 0.654 beside an accuracy of 0.544: hardly any confusion matrix gives"
        " both.",
    ),
    Slip(
        tables=(2,),
        corpus="msp-podcast",
        head="audio",
        metric="acc",
        text="The audio head's accuracy of 0.478 is above the fusion head's 0.473, although the"
        " text has fusion ahead throughout.",
    ),
    Slip(
        tables=(4,),
        corpus="msp-podcast",
        systems=("amber2",),
        metric="wf1",
        text="The weighted F1 falls from CB-CE's 0.552 by 19%; the text calls the decline slight.",
    ),
    Slip(
        tables=(4, 5),
        corpus="iemocap",
        systems=("amber2",),
        metric="f1",
        text="F1 is 0.695 in Table 4 and 0.675 in Table 5, where 0.675 is also the weighted F1.",
    ),
    Slip(
        tables=(5,),
        corpus="msp-podcast",
        systems=("emo-superb",),
        metric="f1_multilabel",
        text="EMO-SUPERB's 0.363 is of 16 secondary classes, an F1 of labels above a threshold; it"
        " is printed in the column of the single-label F1.",
    ),
    Slip(
        tables=(5,),
        corpus="iemocap",
        systems=("emo-superb",),
        metric="f1_multilabel",
        text="EMO-SUPERB's 0.339 is of nine classes and all 10,039 utterances, an F1 of labels"
        " above a threshold; it is printed in the column of the single-label F1.",
    ),
)

#: What must be known of all of a corpus's figures.
CORPUS_NOTES = {
    "msp-podcast": "Published MSP-Podcast figures: five random folds, so that speakers of test"
    " utterances are heard in training too."
}

#: What the paper says of its Figure 2 and what the figure shows.
FIGURE_2_SLIP = (
    "The paper's abstract has highly uncertain samples benefit most; in its section 5.4 the gains"
    " are in the first two bins, those of low to moderate ambiguity."
)


@cache
def published() -> tuple[Published, ...]:
    """Every figure, in the paper's order."""
    text = files("amber_heads.tabular").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            table=int(row["table"]),
            corpus=row["corpus"],
            system=row["system"],
            head=row["head"],
            metric=row["metric"],
            mean=float(row["mean"]),
            std=float(row["std"]) if row["std"] else None,
        )
        for row in csv.DictReader(text.splitlines())
    )


def published_in(table: int, corpus: str) -> tuple[Published, ...]:
    """A table's figures for one corpus; none for a corpus that the paper does not have."""
    return tuple(one for one in published() if one.table == table and one.corpus == corpus)


def slips_of(one: Published) -> Sequence[Slip]:
    """What must be known of a figure."""
    return [slip for slip in SLIPS if slip.concerns(one)]
