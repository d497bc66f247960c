"""What is due after which step of a run."""

from __future__ import annotations

from dataclasses import dataclass

from minigan.training.settings import RunConfig

RECORD_INTERVAL = 10  # steps; a record is the mean over them
EARLY = (20, 50, 100, 200, 400)  # steps that are shown however far apart other exhibits are: a first look soon


@dataclass(frozen=True)
class Schedule:
    """Of a run with these settings. The last step is due for everything."""

    config: RunConfig

    def record(self, step: int) -> bool:
        """A record, whatever else is due."""
        return step % RECORD_INTERVAL == 0

    def look(self, step: int) -> bool:
        """The doctor's look at exhibits: at equal distances, because it counts signs."""
        return self._every(self.config.sample_interval, step)

    def exhibits(self, step: int) -> bool:
        """Exhibits."""
        return self.look(step) or step in EARLY

    def judgements(self, step: int) -> bool:
        """Judgements, if there is an interval for them."""
        return self._every(self.config.eval_interval, step)

    def checkpoint(self, step: int) -> bool:
        """A checkpoint."""
        return self._every(self.config.checkpoint_interval, step)

    def _every(self, interval: int | None, step: int) -> bool:
        return interval is not None and (step % interval == 0 or step == self.config.n_steps)
