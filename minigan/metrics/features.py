"""What all feature networks have in common: pictures in, numbers out that say what is on them.

The distances between two sets of pictures are not taken between pixels but between the features that a trained
network sees in them. Every such number depends on the network and on how pictures are resized for it, so it says what
it is.
"""

from __future__ import annotations

from typing import Any


class FeatureNetwork:
    """A trained network that is only asked: pictures (N, H, W, C) in [-1, 1] → features and class probabilities.

    `describe` and `resizer` are phrases for people. `comparable` says whether distances between its features may be
    compared with those that papers publish, and `knows_none` whether it has a last probability, for pictures of nothing
    that it knows, beyond those of its `classes`.
    """

    name: str
    describe: str
    resizer: str
    comparable: bool
    knows_none: bool = False
    n_features: int
    classes: tuple[str, ...]

    def __call__(self, pictures: Any) -> tuple[Any, Any]:
        """Pictures (N, H, W, C) in [-1, 1], C 1 or 3, of any size → features (N, n_features), probabilities (N, K)."""
        raise NotImplementedError
