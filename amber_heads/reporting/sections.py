"""What stands where on the page: sections of tables and figures, with a few words each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from amber_heads.reading.evidence import Evidence
from amber_heads.reporting.contents import Contents
from amber_heads.reporting.difference_tables import p_value
from amber_heads.reporting.differences import PRIMARY
from amber_heads.reporting.drawing import Drawn
from amber_heads.reporting.page import (
    Block,
    Card,
    Page,
    Section,
    figure_block,
    list_of,
    more_block,
    table_block,
)
from amber_heads.reporting.paper_rows import encoders_of
from amber_heads.reporting.parts import Part
from amber_heads.reporting.score_tables import ROUNDING
from amber_heads.reporting.scores import ENSEMBLE, FLOOR, SYSTEM, Score
from amber_heads.tables import Table
from amber_heads.tabular.interval_words import confidence

#: (section, title, what is said of it), the two headline figures first. "{...}" is filled from the
#: part.
_SECTIONS = (
    ("differences", "Differences to {reference}", "Is it more than chance? Paired by utterance, "
     "averaged over seeds, whole {clusters} clusters at a time."),
    ("ambiguity", "Where raters agree, and where they don't", "The six metrics by level of the "
     "raters' entropy (the paper's Figure 2); all systems share the levels."),
    ("results", "Results", "Every system and head on pooled out-of-fold predictions; below them "
     "predictions that look at no input, and what raters allow."),
    ("anatomy", "Anatomy of the gain", "What each step from CB-CE to AmbER2 brings."),
    ("conflict", "Where voice and words disagree", "Conflict is the JS between {conflict}, which "
     "were trained apart, each with its own supervision, out of fold."),
    ("raters", "What raters allow", "One rater more, and a model that knew the truth."),
    ("calibration", "Calibration", "Whether a probability of 0.6 is 0.6 of the raters."),
    ("selective", "Selective prediction", "What is left of the error where the system may pass on "
     "the utterances it is least certain of."),
    ("confusion", "Confusion", "Which class is taken for which."),
    ("experts", "Whom the student trusts", "Expert weights u (Eq. 5) over the raters' entropy."),
    ("search", "Hyper-parameters", "Every cell of the grid, and what validation chose."),
)  # fmt: skip

#: So many folds are named in the page's head.
_LISTED_FOLDS = 6


def make_page(
    contents: Contents,
    tables: Mapping[str, Mapping[str, Mapping[str, Table]]],
    figures: Mapping[str, Mapping[str, Sequence[Drawn]]],
    curves: Sequence[Drawn],
    *,
    version: str,
) -> Page:
    """Put a page together.

    Args:
        tables: By test set, section and file. Likewise `figures`, by test set and section.
    """
    evidence = contents.evidence
    sections: list[Section] = []
    for number, part in enumerate(contents.parts, start=1):
        suffix = "" if len(contents.parts) == 1 else f"-{number}"
        sections += _sections_of(part, tables[part.name], figures[part.name], suffix)
    whole = tables.get("", {})
    if curves or whole.get("training"):
        sections.append(_section("training", "Training", ["Epoch by epoch."], whole, curves))
    if whole.get("paper"):
        lead = ["As the paper numbers them, its published figures beside those of these runs."]
        place = 1 + max(
            i for i, one in enumerate(sections) if one.id.startswith(("results", "anatom"))
        )
        sections.insert(place, _section("paper", "The paper's tables", lead, whole, ()))
    if whole.get("policies"):
        lead = ["How much the figures move with --keep and --raters."]
        sections.append(_section("policies", "Label policies", lead, whole, ()))
    return Page(
        title=f"{evidence.corpus or 'A corpus without a name'}: {_who(contents.parts[0])}",
        mark=contents.mark.rstrip(": "),
        facts=tuple(_facts(evidence)),
        cards=tuple(_cards(contents.parts[0])),
        warnings=tuple(warnings_of(contents)),
        sections=tuple(sections),
        list=list_of(contents),
        footer=(
            f"Made by amber {version} from {len(evidence.summaries)} run "
            f"director{'y' if len(evidence.summaries) == 1 else 'ies'}; what was run, in words, "
            "stands in protocol.md beside this page, every number in data.json.",
        ),
    )


def warnings_of(contents: Contents) -> list[str]:
    """What a reader should know before believing a figure."""
    evidence = contents.evidence
    found = [f"{one}." for one in evidence.problems]
    if len(evidence.seeds) == 1:
        found.append("One seed: there is no standard deviation over seeds, and no test is made.")
    if contents.parts[0].choices.reference is None:
        found.append("One system: there is nothing to compare it with.")
    for part in contents.parts:
        found += [
            f"In fold {fold} no tested utterance leads with {name}: its F1 there counts as 0."
            for fold, name in part.absent
        ]
        if part.conflict is None:
            found.append(
                "No system here trained its modality heads apart, so nothing is said of modality "
                "conflict; give a run of `amber fit --loss cb-ce` too."
            )
    told = [one for summary in evidence.summaries.values() for one in summary.get("warnings", ())]
    return list(dict.fromkeys([*found, *(f"{one}." for one in told)]))


def _sections_of(
    part: Part,
    tables: Mapping[str, Mapping[str, Table]],
    figures: Mapping[str, Sequence[Drawn]],
    suffix: str,
) -> list[Section]:
    reference = part.choices.reference
    words = {
        "reference": "" if reference is None else reference.name,
        "clusters": part.clusters.kind,
        "conflict": "" if part.conflict is None else part.conflict[1],
    }
    found = []
    for name, title, lead in _SECTIONS:
        if tables.get(name) or figures.get(name):
            ending = f" · {part.name}" if suffix else ""
            said = [_filled(lead, words)]
            heading = _filled(title, words) + ending
            found.append(
                _section(name + suffix, heading, said, tables, figures.get(name, ()), key=name)
            )
    return found


def _section(
    id_: str,
    title: str,
    lead: Sequence[str],
    tables: Mapping[str, Mapping[str, Table]],
    figures: Sequence[Drawn],
    *,
    key: str = "",
) -> Section:
    """Figures first, then the first table, the others behind a click."""
    own = [table_block(file, one) for file, one in (tables.get(key or id_) or {}).items()]
    drawn = [figure_block(one) for one in figures]
    blocks: list[Block] = [*own[:1], *drawn] if id_.startswith("results") else [*drawn, *own[:1]]
    if id_ == "paper":
        blocks += own[1:]
    elif len(own) > 1:
        names = "Further tables" if len(own) > 2 else "One more table"
        blocks.append(more_block(names, *own[1:]))
    return Section(id_, title, tuple(lead), tuple(blocks))


def _filled(text: str, words: Mapping[str, str]) -> str:
    for key, word in words.items():
        text = text.replace(f"{{{key}}}", word)
    return text


def _who(part: Part) -> str:
    against = part.choices.reference
    leading = part.choices.leading.label
    return leading if against is None else f"{leading} against {against.label}"


def _facts(evidence: Evidence) -> list[tuple[str, str]]:
    summary = next(iter(evidence.summaries.values()))
    named = [f"{key} {' or '.join(one)}" for key, one in encoders_of(evidence).items()]
    folds = [str(one.get("name", "")) for one in summary.get("folds", ())]
    listed = f" ({', '.join(folds)})" if 1 < len(folds) <= _LISTED_FOLDS else ""
    return [
        ("corpus", evidence.corpus or "-"),
        ("protocol", evidence.protocol or "-"),
        ("classes", ", ".join(evidence.classes)),
        ("utterances", str(len(evidence.ids))),
        ("folds", f"{len(set(evidence.fold.tolist()))}{listed}"),
        ("seeds", ", ".join(map(str, evidence.seeds))),
        ("encoders", ", ".join(named) or "-"),
        ("runs", ", ".join(path.name for path in evidence.summaries)),
    ]


def _cards(part: Part) -> list[Card]:
    leading, reference = part.choices.leading, part.choices.reference
    rows = {(one.label, one.kind): one for one in part.scores}
    first = rows[leading.label, SYSTEM]
    cards = [_score_card(first, f"JS of {first.label}")]
    if reference is not None:
        cards.append(_score_card(rows[reference.label, SYSTEM], f"JS of {reference.label}"))
        cards += [_difference_card(part)]
    together = f"{leading.label}, seed ensemble"
    if (together, ENSEMBLE) in rows:
        cards.append(_score_card(rows[together, ENSEMBLE], "JS of its seed ensemble"))
    cards.append(_score_card(rows["training mean", FLOOR], "JS of the training mean, a floor"))
    one = part.raters.reference.values.get("js", math.nan)
    cards.append(Card("JS of one rater more", _three(one), "a reference, no ceiling"))
    return cards


def _score_card(one: Score, what: str) -> Card:
    figure = one.figures["js"]
    varies = not (math.isnan(figure.std) or figure.std < ROUNDING)
    more = f"± {figure.std:.3f} over seeds; lower is better" if varies else ""
    return Card(what, _three(figure.mean), more or "lower is better")


def _difference_card(part: Part) -> Card:
    label = part.choices.leading.label
    found = next((one for one in part.compared[PRIMARY] if one.label == label), None)
    if found is None or math.isnan(found.difference.mean):
        return Card("difference", "–", "no comparison could be made")
    d = found.difference
    ends = f"[{d.low:+.4f}, {d.high:+.4f}]"
    interval = "" if math.isnan(d.low) else f"{confidence(d.num_clusters)} {ends}"
    p = f"; Holm p {p_value(d.p_adjusted)}" if not math.isnan(d.p_adjusted) else "; no test"
    return Card(f"difference to {found.reference}", f"{d.mean:+.4f}", interval + p)


def _three(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"
