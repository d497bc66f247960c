"""What can be told from samples of latents, always the same ones, beside as many real samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from minigan.training.doctor.diversity import Look
from minigan.training.doctor.rule import SINCE, Case, Seen

DIVERSE = 0.6  # a diversity at which a generator has learned to draw different samples
GRACE, LATE = 1000, 5000  # steps in which it may not have, and in which it hardly may not
SETTLED = 3000  # steps after which points keep to their modes; the slowest default takes 1,100 on the grid
NEVER = 0.03  # a diversity that is less than that of any generator after GRACE steps
NOISE, PLAIN = 0.5, 0.3  # correlation of neighbouring pixels: in samples beside the data's, and in data that has any
NOISY = 2000  # steps in which samples may be noise
FEW_STEPS = 1000  # hardly any picture is learned in fewer


@dataclass(frozen=True)
class Drawn:
    """An exhibit of samples. `which` names it in a sentence where there are several.

    smooth, real_smooth: the correlation of neighbouring pixels; NaN for points, and where it can't be told
    """

    step: int
    exhibit: str
    which: str
    pictures: bool
    look: Look
    smooth: float
    real_smooth: float


def collapse(case: Case, drawn: Drawn) -> Iterator[Seen]:
    """Samples that are too much alike.

    A generator that hasn't learned anything draws almost the same for every z. So until samples have once differed, or
    for GRACE steps (points: SETTLED), only one counts that draws the very same again and again.
    """
    look, step = drawn.look, drawn.step
    if math.isnan(look.diversity):
        return
    if look.diversity >= DIVERSE:
        case.diverse.add(drawn.exhibit)
    if drawn.pictures:
        learned = drawn.exhibit in case.diverse or step >= LATE or (step >= GRACE and look.diversity < NEVER)
    else:  # points wander from mode to mode before they settle
        learned = step >= SETTLED
    there = step > 0 and look.low and (look.twins or learned)
    yield Seen(there, f"mode collapse{drawn.which}: {look.what}, {SINCE}", drawn.exhibit)


def short_run(case: Case, drawn: Drawn) -> Iterator[Seen]:
    """A run on pictures that ends early. One that went on from another one's weights has that one's steps, too."""
    if _ends_early(case, drawn):
        noise = f", and the samples{drawn.which} are still noise ({_beside(drawn)})" if _is_noise(drawn) else ""
        yield Seen(True, f"{drawn.step} steps are few for pictures, however few of those there are{noise}")


def noise(case: Case, drawn: Drawn) -> Iterator[Seen]:
    """Pictures that are noise still, from NOISY steps on, or at the end."""
    last = drawn.step >= case.config.n_steps
    if not _ends_early(case, drawn):
        there = _is_noise(drawn) and (last or drawn.step >= NOISY)
        why = f"after {drawn.step} steps the samples{drawn.which} are still noise ({_beside(drawn)})"
        yield Seen(there, why, drawn.exhibit, 1 if last else None)


def _ends_early(case: Case, drawn: Drawn) -> bool:
    last = drawn.step >= case.config.n_steps
    return last and drawn.pictures and drawn.step < FEW_STEPS and not case.config.init_from


def _is_noise(drawn: Drawn) -> bool:
    return drawn.real_smooth > PLAIN and drawn.smooth < NOISE * drawn.real_smooth  # not, if either is NaN


def _beside(drawn: Drawn) -> str:
    return f"neighbouring pixels correlate by {drawn.smooth:.2f}, in the data by {drawn.real_smooth:.2f}"
