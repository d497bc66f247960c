"""The list of all rules: what is reported, how long a sign must stay for that, and what to try."""

from __future__ import annotations

from minigan.training.doctor import records, samples, start
from minigan.training.doctor.rule import Rule

SOON = 2  # records, of ten steps each, of what is past doubt
PATIENCE = 20  # records, of everything else
LOOKS = 3  # pictures of the run

AT_START = (
    Rule("batch-norm", 1, start.small_batch, ("batch",)),
    Rule("pictures", 1, start.few_pictures, ("augmentation", "more_pictures")),
    Rule("lr", 1, start.large_update, ("much_smaller_lr",)),
)
OF_RECORDS = (
    Rule("saturated", PATIENCE, records.certain_critic, ("smoothing", "weaker_critic", "smaller_lr", "seed")),
    Rule("vanishing", PATIENCE, records.vanishing_gradient, ("smoothing", "weaker_critic", "smaller_lr", "seed")),
    Rule("silent", PATIENCE, records.silent_layer, ("smaller_lr", "seed"), only_one=True),  # it silences its neighbours
    Rule("weights", SOON, records.exploding_weights, ("much_smaller_lr", "seed")),
    Rule("loss", PATIENCE, records.runaway_loss, ("smaller_lr", "penalty", "seed")),
    Rule("penalty", PATIENCE, records.steep_critic, ("penalty", "smaller_lr", "seed")),
    Rule("range", PATIENCE, records.unhealthy_measure),
)
OF_SAMPLES = (
    Rule("collapse", LOOKS, samples.collapse, ("smaller_lr", "smoothing", "stronger_critic", "seed")),
    Rule("steps", 1, samples.short_run, ("go_on",)),
    Rule("noise", LOOKS, samples.noise, ("longer", "smaller_lr", "seed")),
)
