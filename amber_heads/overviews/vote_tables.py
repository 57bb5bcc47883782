"""The part of an overview that is about votes, as tables: classes, policies, entropy, agreement."""

from __future__ import annotations

from collections.abc import Sequence

from amber_heads.overviews.overview import Overview
from amber_heads.statistics.reliability import Coefficient
from amber_heads.tables import Table

#: How many pairs of labels are shown; JSON has them all.
MOST_PAIRS = 10

_BAR_WIDTH = 30
_NONE = "-"

#: What an alpha is of.
_COUNTED = ("utterances", "values")


def classes_table(overview: Overview) -> Table:
    """Each class over the utterances that are kept."""
    kept = overview.kept
    tied = sum(one.tied for one in overview.classes)
    notes = [
        f"{kept} of {overview.whole.utterances} utterances are kept ({policy_words(overview)})."
    ]
    if tied:
        notes.append(f"Arg max: the first class on a tie, of which there are {tied}.")
    return Table(
        title="Classes",
        columns=("class", "labels", "votes", "soft mass", "share", "arg max", "tied", "consensus"),
        rows=tuple(
            (
                one.name,
                "+".join(one.labels),
                str(one.votes),
                f"{one.mass:.1f}",
                share(one.mass, kept),
                str(one.arg_max),
                str(one.tied),
                str(one.consensus),
            )
            for one in overview.classes
        ),
        notes=(*notes, *overview.notes, *_no_folds(overview)),
        num_keys=2,
    )


def _no_folds(overview: Overview) -> tuple[str, ...]:
    """Why there is no table of leakage, where utterances are kept."""
    found = overview.leakage
    return (f"No folds, and so no leakage: {found.why_not}.",) if found and found.why_not else ()


def keeps_table(overview: Overview) -> Table:
    """What every `--keep` policy would keep, and what it would leave out for which reason."""
    found, total = overview.keeps, overview.whole.utterances
    reasons = dict.fromkeys(reason for one in found for reason in one.left_out)
    rows = [
        ("kept", *(str(one.kept) for one in found)),
        ("", *(share(one.kept, total) for one in found)),
        ("their mean entropy, bits", *(_figure(one.entropy_mean) for one in found)),
        *((name, *(str(one.left_out.get(name, "")) for one in found)) for name in reasons),
    ]
    chosen = overview.policy["keep"]
    return Table(
        title="What each --keep would leave out",
        columns=("", *(one.keep + "*" * (one.keep == chosen) for one in found)),
        rows=tuple(rows) if found else (),
        notes=("* in use. An utterance left out stands under the first reason that applies.",),
        breaks=frozenset({3}),
    )


def entropy_table(overview: Overview) -> Table:
    """The entropies of the kept soft labels, in bits, as a histogram."""
    found = overview.entropy
    if found is None:
        return Table("", (), ())
    bins = zip(found.edges[:-1], found.edges[1:], strict=True)
    names = ["0", *(f"{low:.2f} to {high:.2f}" for low, high in bins)]
    title = f"Entropy of the soft labels, mean {found.mean:.3f} bits"
    return histogram(title, "bits", names, [found.zero, *found.counts])


def agreement_table(overview: Overview) -> Table:
    """Krippendorff's alpha with its interval and Fleiss' kappa, for each choice of votes."""
    named = [(one.votes, f"{one.num_labels} labels", one) for one in overview.agreements]
    reasons = [
        f"{what} of {name}: {found.why_not}."
        for name, _, one in named
        for what, found in (("Alpha", one.alpha), ("Kappa", one.kappa))
        if found.value is None
    ]
    return Table(
        title="Agreement of raters on labels",
        columns=("votes", "", "alpha", _interval_name(overview), *_COUNTED, "Fleiss' kappa"),
        rows=tuple(
            (name, labels, *_alpha(one.alpha), _figure(one.kappa.value))
            for name, labels, one in named
        ),
        notes=(
            f"Krippendorff's alpha, nominal. {_interval_note(overview)}",
            "A rater's several labels of an utterance are one value, shared by them; only "
            "different raters make a pair.",
            *reasons,
            *_undefined(overview, [(name, one.alpha) for name, _, one in named]),
        ),
        num_keys=2,
    )


def ratings_table(overview: Overview) -> Table:
    """Krippendorff's alpha of the ratings, by dimension and kind."""
    found = overview.ratings
    return Table(
        title="Agreement of raters on ratings",
        columns=(
            *("dimension", "kind", "ratings", "least", "mean", "most"),
            *("alpha", _interval_name(overview), *_COUNTED),
        ),
        rows=tuple(
            (
                one.dimension,
                one.kind,
                str(one.ratings),
                f"{one.least:g}",
                f"{one.mean:.2f}",
                f"{one.most:g}",
                *_alpha(one.alpha),
            )
            for one in found
        ),
        notes=(
            f"Krippendorff's alpha, interval metric. {_interval_note(overview)}",
            *(
                f"Alpha of {one.dimension}, {one.kind}: {one.alpha.why_not}."
                for one in found
                if one.alpha.value is None
            ),
            *_undefined(overview, [(f"{one.dimension}, {one.kind}", one.alpha) for one in found]),
        ),
        num_keys=2,
    )


def pairs_table(overview: Overview) -> Table:
    """The pairs of unlike labels that raters gave most often to one utterance."""
    found = [one for one in overview.pairs if one.label != one.other]
    agreeing = sum(one.observed for one in overview.pairs if one.label == one.other)
    notes = [f"Of all pairs of raters' values {agreeing:.1%} are of one label."]
    if len(found) > MOST_PAIRS:
        notes.append(f"{len(found) - MOST_PAIRS} more pairs occur.")
    return Table(
        title="Labels that raters confuse (counted votes)",
        columns=("label", "other", "of all pairs", "by chance", "observed / by chance"),
        rows=tuple(
            (
                one.label,
                one.other,
                f"{one.observed:.2%}",
                f"{one.expected:.2%}",
                f"{one.observed / one.expected:.2f}" if one.expected > 0 else _NONE,
            )
            for one in found[:MOST_PAIRS]
        ),
        notes=tuple(notes),
        num_keys=2,
    )


def policy_words(
    overview: Overview, names: Sequence[str] = ("protocol", "keep", "raters", "choices")
) -> str:
    """The label settings in words: keep all-in, raters external."""
    policy = overview.policy
    return ", ".join(f"{name} {policy[name]}" for name in names if policy[name])


def histogram(title: str, unit: str, names: Sequence[str], counts: Sequence[int]) -> Table:
    """A row a bin, with a bar that is longest in the fullest."""
    total, most = sum(counts), max(counts, default=0)
    return Table(
        title=title,
        columns=(unit, "", "utterances", "share"),
        rows=tuple(
            (name, "█" * round(_BAR_WIDTH * count / most), str(count), share(count, total))
            for name, count in zip(names, counts, strict=True)
        ),
        num_keys=2,
    )


def share(part: float | int, whole: int) -> str:
    """In percent; a dash of nothing."""
    return f"{part / whole:.1%}" if whole else _NONE


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def _alpha(found: Coefficient) -> tuple[str, ...]:
    interval = _NONE
    if found.low is not None and found.high is not None:
        interval = f"{found.low:.3f} to {found.high:.3f}"
    return _figure(found.value), interval, str(found.num_units), str(found.num_values)


def _interval_name(overview: Overview) -> str:
    return f"{overview.interval['level']:.0%} interval"


def _interval_note(overview: Overview) -> str:
    made = overview.interval
    return (
        f"Interval: percentiles of {made['resamples']} bootstrap samples of the utterances with "
        f"two raters and more, seed {made['seed']}."
    )


def _undefined(overview: Overview, found: Sequence[tuple[str, Coefficient]]) -> list[str]:
    return [
        f"Interval of {name}: alpha is not defined in {one.num_undefined} of "
        f"{overview.interval['resamples']} samples, which are left out."
        for name, one in found
        if one.num_undefined
    ]
