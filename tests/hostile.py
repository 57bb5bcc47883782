"""A corpus whose every word is an attack, as a cache and as a run directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.report_runs import Made, make_run
from tests.small_caches import small_cache, utterances

WORDS = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=1">',
    r"\input{/etc/passwd}\write18{id}",
    '=HYPERLINK("http://example.invalid","x")',
    "</script><svg onload=window.pwned=1>",
    "{{ 7*7 }}{% raw %}",
    "[x](javascript:window.pwned=1) `code` **bold** | cell |",
    "-->]]><!--",
    "@wu2026amber2 $x^2$ #1 & ~",
    "\u202eright to left\u2028line\u2029paragraph",
)

CLASSES = ("<b>neutral</b>", r"\input{happy}", '"><i>angry', "=sad")
SYSTEMS = (
    "amber2/fusion",
    "amber2/audio",
    "amber2/text",
    "cb-ce/fusion",
    "cb-ce/audio",
    "cb-ce/text",
    '"><img src=x onerror=window.pwned=1>/fusion',
)


def hostile_ids(number: int) -> list[str]:
    """Sorted, as in a cache."""
    return sorted(f"{WORDS[i % len(WORDS)]} {i:03d}" for i in range(number))


def hostile_run(folder: Path, *, number: int = 60) -> Made:
    """A comparison of three systems on it."""
    return make_run(
        folder,
        heads=SYSTEMS,
        number=number,
        classes=CLASSES,
        num_raters=5,
        ids=hostile_ids(number),
        speakers=[f"{WORDS[i % len(WORDS)]} {i % 10}" for i in range(number)],
        settings={"loss": "amber2", "student": "fusion", "kappa": 4.0, "cache": WORDS[0]},
        corpus=WORDS[0],
    )


def hostile_cache(path: Path, *, number: int = 60) -> Path:
    """Its transcripts."""
    made = utterances(number)
    names = hostile_ids(number)
    texts = [WORDS[i % len(WORDS)] for i in range(number)]
    renamed = [
        replace(one, id=name, text=text) for one, name, text in zip(made, names, texts, strict=True)
    ]
    return small_cache(path, renamed)
