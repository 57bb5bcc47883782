"""What `amber compare` compares: one entry a system, and which of them a comparison has.

An entry says what is trained (cells: what they change of the common settings), by which rule of
fusion_rules.py trained heads become a prediction, and where the system is from. A new system is a
new entry. Floors are none: they stand in every table anyway. Nothing here imports NumPy or torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from amber_cache.errors import ConfigError
from amber_heads.configuration.options import DEFAULT_GRID, LOSS_SETTINGS

RuleName = Literal[
    "all heads", "judged head", "audio head", "late average", "late selection", "prior correction"
]

#: The common settings that only systems with AmbER2's loss listen to.
AMBER2_SETTINGS = ("lambda_rai", "lambda_mai", "kappa")

#: How far EMO-SUPERB's protocol smooths labels.
EMO_SUPERB_SMOOTHING = 0.05


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a system comes about.

    Attributes:
        cells: What each trained cell changes of the common settings. Of several, the one that is
            best on validation js is taken, for each fold apart.
        rule: What makes the cell's heads into the system's prediction.
        source: Where it is from.
        paper: The system of the paper's tables that it stands for.
        needs: A modality that must be there.
        needs_several: It has no meaning with one modality.
    """

    name: str
    description: str
    source: str
    cells: tuple[Mapping[str, Any], ...]
    rule: RuleName = "judged head"
    paper: str = ""
    needs: str = ""
    needs_several: bool = False


def _amber2(name: str, description: str, source: str = "ablation", **changes: Any) -> Recipe:
    return Recipe(
        name=name,
        description=description,
        source=source,
        cells=({"loss": "amber2", **changes},),
        needs_several=True,
    )


def _tuned() -> tuple[Mapping[str, Any], ...]:
    names = [name for name, _ in DEFAULT_GRID]
    values = [[float(one) for one in text.split(",")] for _, text in DEFAULT_GRID]
    return tuple(
        {"loss": "amber2", **dict(zip(names, one, strict=True))} for one in product(*values)
    )


_PAPER = "AmbER2 (arXiv 2601.18010)"

_FIRST = (
    Recipe(
        name="cb-ce",
        description="every head on class-balanced cross-entropy",
        source=f"baseline of {_PAPER}, Tables 1 and 2",
        cells=({"loss": "cb-ce"},),
        rule="all heads",
        paper="cb-ce",
    ),
    Recipe(
        name="amber2",
        description="RAI and MAI with the settings given",
        source=f"{_PAPER}, Tables 3 and 4",
        cells=({"loss": "amber2"},),
        rule="all heads",
        needs_several=True,
        paper="amber2",
    ),
    Recipe(
        name="amber2 tuned",
        description="lambda_MAI and kappa chosen on validation js for each fold",
        source=f"{_PAPER}, section 4.2",
        cells=_tuned(),
        needs_several=True,
        paper="amber2",
    ),
    Recipe(
        name="speech alone",
        description="audio head, CB-CE on labels smoothed by 0.05; see f1_multilabel",
        source="EMO-SUPERB (arXiv 2402.13018), its loss and smoothing on this cache",
        cells=({"loss": "cb-ce", "smoothing": EMO_SUPERB_SMOOTHING},),
        rule="audio head",
        needs="audio",
        paper="emo-superb",
    ),
    Recipe(
        name="late selection",
        description="cb-ce's audio head, unless its entropy and varentropy say otherwise",
        source="after arXiv 2508.20796; thresholds on validation js",
        cells=({"loss": "cb-ce"},),
        rule="late selection",
        needs="audio",
        needs_several=True,
        paper="emo_ent",
    ),
    Recipe(
        name="late average",
        description="mean of the modality heads of js",
        source="baseline",
        cells=({"loss": "js"},),
        rule="late average",
        needs_several=True,
    ),
    Recipe(
        name="cb-ce prior-corrected",
        description="cb-ce with the class weights' shift of the prior divided out",
        source="baseline; Saerens et al. 2002",
        cells=({"loss": "cb-ce"},),
        rule="prior correction",
    ),
    Recipe(
        name="soft-ce",
        description="every head on cross-entropy, without class weights",
        source="baseline",
        cells=({"loss": "soft-ce"},),
    ),
    Recipe(
        name="kl",
        description="every head on KL divergence; its gradient is soft-ce's",
        source="baseline",
        cells=({"loss": "kl"},),
    ),
    Recipe(
        name="js",
        description="every head on JS divergence to the raters, none taught by another",
        source="baseline",
        cells=({"loss": "js"},),
        rule="all heads",
    ),
)

_ABLATIONS = (
    _amber2("amber2 expert loss", "each expert's own JS to the raters added", expert_loss=1.0),
    _amber2("amber2 attached", "gradients through the experts' weights", attach_weights=True),
    _amber2("amber2 kappa 0", "all experts weigh alike", kappa=0.0),
    _amber2("amber2 without MAI", "lambda_MAI 0: no head is taught by another", lambda_mai=0.0),
    _amber2(
        "amber2 without RAI",
        "lambda_RAI 0: the raters are seen by the experts' weights u alone",
        lambda_rai=0.0,
    ),
)


def systems_of(modalities: Sequence[str]) -> dict[str, Recipe]:
    """Every system of a cache with these modalities, by name and in table order."""
    students = [
        _amber2(
            f"amber2 student {modality}",
            f"the {modality} head is the student, all others teach it",
            source=f"variant, {_PAPER}, section 3",
            student=modality,
        )
        for modality in modalities
    ]
    return {one.name: one for one in (*_FIRST, *students, *_ABLATIONS)}


def reasons_against(recipe: Recipe, *, modalities: Sequence[str], lambda_mai: float | None) -> str:
    """Why a system can't be trained here; "" where it can.

    Args:
        lambda_mai: The common one.
    """
    if recipe.needs_several and len(modalities) == 1:
        return f"needs several modalities, and there is only {modalities[0]}"
    if recipe.needs and recipe.needs not in modalities:
        return f"needs the modality {recipe.needs}"
    if any(cell.get("lambda_rai") == 0 for cell in recipe.cells) and lambda_mai == 0:
        return "has no loss with --lambda-mai 0"
    return ""


def choose_systems(
    names: Sequence[str], *, modalities: Sequence[str], lambda_mai: float | None
) -> tuple[str, ...]:
    """The systems of a comparison, in table order.

    Args:
        names: As given, with blanks or hyphens; none: all that can be trained.

    Raises:
        ConfigError: One is not known, or can't be trained.
    """
    known = systems_of(modalities)
    here: dict[str, Any] = {"modalities": modalities, "lambda_mai": lambda_mai}
    reasons = {name: reasons_against(one, **here) for name, one in known.items()}
    if not names:
        return tuple(name for name, reason in reasons.items() if not reason)
    by_word = {_word(name): name for name in known}
    for given in names:
        if _word(given) not in by_word:
            raise ConfigError(
                f"--systems: there is no system {given!r}; choose from {', '.join(known)} (the "
                "floors stand in every table anyway)"
            )
    chosen = [by_word[_word(given)] for given in names]
    for name in chosen:
        if reasons[name]:
            raise ConfigError(f"--systems: {name} {reasons[name]}; leave it out")
    return tuple(name for name in known if name in chosen)


def choose_reference(name: str, systems: Sequence[str]) -> str:
    """The system that all others are held against.

    Raises:
        ConfigError: It is none of the comparison's.
    """
    for one in systems:
        if _word(one) == _word(name):
            return one
    raise ConfigError(
        f"--reference {name}: is none of the systems compared; choose from {', '.join(systems)}, "
        "or add it to --systems"
    )


def heard_settings(recipes: Sequence[Recipe], *, lambda_mai: float | None) -> set[str]:
    """The common settings of AmbER2's loss that some cell listens to."""
    heard: set[str] = set()
    for cell in (cell for recipe in recipes for cell in recipe.cells):
        own = {name for name in AMBER2_SETTINGS if name in LOSS_SETTINGS[cell["loss"]]} - set(cell)
        if cell.get("lambda_mai", lambda_mai) == 0:
            own -= {"kappa"}
        heard |= own
    return heard


def left_out_note(
    systems: Sequence[str], *, modalities: Sequence[str], lambda_mai: float | None
) -> tuple[str, ...]:
    """One line that names what can't be trained here, where all else is; else none."""
    here: dict[str, Any] = {"modalities": modalities, "lambda_mai": lambda_mai}
    if tuple(systems) != choose_systems((), **here):
        return ()
    reasons: dict[str, list[str]] = {}
    for name, one in systems_of(modalities).items():
        if reason := reasons_against(one, **here):
            reasons.setdefault(reason, []).append(name)
    return tuple(f"left out, each {why}: {', '.join(names)}" for why, names in reasons.items())


def _word(name: str) -> str:
    return "-".join(name.casefold().split())
