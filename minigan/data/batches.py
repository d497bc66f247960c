"""An endless stream of minibatches that can be taken up again anywhere.

Batch b depends on the seed and on b alone, not on the batches before it: a run that is resumed with `start=b` sees what
it would have seen. One thread reads ahead, so that decoding and augmentation hide behind the training step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from numbers import Integral
from typing import Any

import numpy as np

from minigan.data.dataset import Dataset
from minigan.errors import DataError, described

READ_AHEAD = 3  # batches

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Batches(Iterator):
    """Shuffled minibatches x (batch_size, *dataset.shape), float32, epoch after epoch without end.

    Each epoch is one permutation of the data set. What is left over at its end is dropped, or comes as a smaller batch
    with `drop_last=False`. `augment` are functions of (x, rng), applied in order. With a `device`, batches are moved
    there when they are handed out. `start` is the number of batches to skip, at no cost.

    An exception in the reading thread is raised by `next`. Raises DataError if the data set is smaller than a batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        seed: int = 0,
        augment: Sequence[Augmentation] = (),
        drop_last: bool = True,
        device: Any = None,
        start: int = 0,
    ):
        if not callable(getattr(dataset, "batch", None)):
            raise DataError(f"Batches takes a data set, such as ArrayDataset(name, array), got {described(dataset)}")
        if not isinstance(batch_size, Integral):
            raise DataError(f"a batch is a whole number of samples, not {batch_size!r}")
        if batch_size < 1:
            raise DataError(f"a batch has at least 1 sample, not {batch_size}: use a larger --batch-size")
        n = len(dataset)
        self.batches_per_epoch = n // batch_size if drop_last else -(-n // batch_size)
        if self.batches_per_epoch == 0:
            raise DataError(
                f"{dataset.name} has only {n:,} samples, less than a batch of {batch_size}: use a smaller --batch-size"
            )
        self.position = start  # batches handed out since the beginning of training; see `seek`
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._augment = tuple(augment)
        self._device = device
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, int))  # an epoch and its permutation
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._pending: deque[Future] = deque()
        self.seek(start)

    def seek(self, position: int) -> None:
        """Go on with this batch, counted from the beginning of training."""
        for batch in self._pending:
            batch.cancel()
        self.position = position
        self._pending = deque(self._reader.submit(self._read, position + ahead) for ahead in range(READ_AHEAD))

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to, from 0."""
        return self.position // self.batches_per_epoch

    def __next__(self) -> Any:
        return self.next_with_labels()[0]

    def next_with_labels(self) -> tuple[Any, Any]:
        """Return the next batch and its labels (batch_size,), which are None if the data set has none."""
        if not self._pending:
            raise ValueError("these batches are closed")
        x, labels = self._pending[0].result()  # stays in the queue if it raises, so that it raises again
        self._pending.popleft()
        self._pending.append(self._reader.submit(self._read, self.position + READ_AHEAD))
        self.position += 1
        if self._device is None:
            return x, labels
        return self._device.array(x), None if labels is None else self._device.array(labels)

    def close(self) -> None:
        """End the thread. Batches that were read ahead are lost."""
        self._pending.clear()
        self._reader.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, b: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Make batch number b. Runs in the reading thread."""
        epoch, k = divmod(b, self.batches_per_epoch)
        if self._order[0] != epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._order = (epoch, rng.permutation(len(self._dataset)))
        indices = self._order[1][k * self._batch_size : (k + 1) * self._batch_size]
        x = self._dataset.batch(indices)
        rng = np.random.default_rng([self._seed, epoch, b + 1])  # + 1: [seed, 0, 0] would give the numbers of [seed, 0]
        for augment in self._augment:
            x = augment(x, [rng] * len(x))
        return x, None if self._dataset.labels is None else self._dataset.labels[indices]
