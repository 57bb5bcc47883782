"""What an ensemble says of utterances: distributions, and how ambiguous, at odds and unsure: pure.

A member is one trained model, a (fold, seed). A head that could not answer an utterance, since a
modality that it reads is missing, has NaN there, and so has everything that follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_heads.configuration.options import FUSION
from amber_heads.formulas.agreement import entropy_per_utterance, js_between, js_per_utterance

#: A member: index of its fold, and its seed.
Member = tuple[int, int]

_BLOCK_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Every member's distributions of every head, for the same utterances.

    Attributes:
        members: In the order of the first axis.
        heads: One a modality, then fusion where there are several.
        classes: In the order of the last axis.
        distributions: Rows sum to one, or are NaN.
    """

    members: tuple[Member, ...]
    heads: tuple[str, ...]
    classes: tuple[str, ...]
    distributions: Float[np.ndarray, "member utterance head class"]

    def __len__(self) -> int:
        return int(self.distributions.shape[1])

    @cached_property
    def mean(self) -> Float[np.ndarray, "utterance head class"]:
        """The ensemble's distributions: the mean over its members, in float64."""
        return np.asarray(self.distributions.mean(axis=0, dtype=np.float64))

    @cached_property
    def entropy(self) -> Float[np.ndarray, "utterance head"]:
        """Bits of each head's distribution: how ambiguous it takes the utterance to be."""
        return entropy_per_utterance(self.mean)

    @cached_property
    def conflict(self) -> Float[np.ndarray, " utterance"]:
        """How far voice and words lie apart; NaN where there are not two answers."""
        return js_between(
            self.mean[:, place] for place, head in enumerate(self.heads) if head != FUSION
        )

    @cached_property
    def spread(self) -> Float[np.ndarray, "utterance head"]:
        """Mean JS of the members to their mean, in [0, 1]: how unsure the ensemble is.

        NaN where there is but one member, which can't differ from itself.
        """
        found = np.full(self.mean.shape[:2], np.nan)
        for part in self._blocks() if len(self.members) > 1 else ():
            members = self.distributions[:, part]
            found[part] = js_per_utterance(self.mean[part], members).mean(axis=0)
        return found

    @cached_property
    def std(self) -> Float[np.ndarray, "utterance head class"]:
        """Standard deviation (ddof = 1) of each probability over members; NaN for one member."""
        found = np.full(self.mean.shape, np.nan)
        for part in self._blocks() if len(self.members) > 1 else ():
            found[part] = self.distributions[:, part].std(axis=0, ddof=1, dtype=np.float64)
        return found

    def _blocks(self) -> Iterator[slice]:
        """Utterances, some at a time: in float64, all members' take much memory at once."""
        return (slice(start, start + _BLOCK_ROWS) for start in range(0, len(self), _BLOCK_ROWS))

    def of_seed(self, seed: int) -> Answers:
        """The members of one seed alone.

        Raises:
            ValueError: There are none.
        """
        places = [place for place, (_, one) in enumerate(self.members) if one == seed]
        if not places:
            raise ValueError(f"no member has the seed {seed}")
        return Answers(
            members=tuple(self.members[place] for place in places),
            heads=self.heads,
            classes=self.classes,
            distributions=self.distributions[places],
        )


def supervised_heads(settings: Mapping[str, Any], heads: tuple[str, ...]) -> tuple[str, ...]:
    """The heads that some settings train on the raters' labels; all but those of AmbER2's Eq. 6.

    There the raters' term is the student's (`lambda_rai`); the others learn from the student alone
    unless `expert_loss` gives them a term of their own.

    >>> eq6 = {"loss": "amber2", "student": "fusion", "lambda_rai": 1.0, "expert_loss": 0.0}
    >>> supervised_heads(eq6, ("audio", "text", "fusion"))
    ('fusion',)
    >>> supervised_heads({"loss": "cb-ce"}, ("audio", "text", "fusion"))
    ('audio', 'text', 'fusion')
    """
    if settings.get("loss") != "amber2":
        return heads
    student = settings.get("student") or heads[-1]
    weight = {head: settings.get("expert_loss") or 0.0 for head in heads}
    weight[student] = settings.get("lambda_rai") or 0.0
    return tuple(head for head in heads if weight[head] > 0)
