"""The source of a feed: samples by index, as {array name: rows}, where row i of every array belongs to sample i.

A source wraps a `Dataset` for pictures or points, and a NumPy array for labels, masks or other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.arguments import labels_of, numbers
from minigan.common.words import every
from minigan.data.crops import Crops, cropped
from minigan.data.dataset import ArrayDataset, Dataset, counted
from minigan.data.folder import FolderDataset
from minigan.data.maps import MapArray, MapFiles, map_array
from minigan.data.palette import Palette
from minigan.data.pictures import Size, fit_array, size_words
from minigan.data.points import PointDataset
from minigan.errors import DataError
from minigan.model import Kind

SHOWN = ("picture", "points", "samples", "map")  # kinds stored as a data set; the others are plain arrays


class Source:
    """Samples of one feed.

    `parts` maps each array name to a data set or an array (N, …), `kinds` to its Kind, and `shapes` to the shape of one
    sample. `classes` names the label values. `notes` are sentences about what was changed or left out. `centers` (K, 2)
    and `std` describe a mixture of Gaussians; they are None for other data.
    """

    def __init__(
        self,
        name: str,
        parts: Mapping[str, Dataset | np.ndarray],
        kinds: Mapping[str, Kind],
        classes: Sequence[str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.name, self.parts, self.kinds = name, dict(parts), dict(kinds)
        self.classes = None if classes is None else list(classes)
        self.notes = tuple(notes)
        plain = {array: part.shape[1:] if isinstance(part, np.ndarray) else part.shape for array, part in parts.items()}
        self.shapes: dict[str, tuple[int, ...]] = plain
        mixtures = [part for part in parts.values() if isinstance(part, PointDataset)]
        self.centers = mixtures[0].centers if mixtures else None
        self.std = mixtures[0].std if mixtures else None

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    @property
    def labels(self) -> np.ndarray | None:
        """The labels (N,) of all samples; None without any. They may be replaced: see `number_classes`."""
        return next((self.parts[array] for array, kind in self.kinds.items() if kind.what == "label"), None)  # type: ignore[return-value]

    @labels.setter
    def labels(self, labels: np.ndarray) -> None:
        self.parts |= {array: labels for array, kind in self.kinds.items() if kind.what == "label"}

    @property
    def crops(self) -> bool:
        """Whether samples are crops of larger pictures."""
        return any(isinstance(part, Crops) for part in self.parts.values())

    @property
    def palettes(self) -> dict[str, Palette]:
        """The classes of each array of maps."""
        whole = {array: part.pictures if isinstance(part, Crops) else part for array, part in self.parts.items()}
        return {array: part.palette for array, part in whole.items() if isinstance(part, (MapFiles, MapArray))}

    @property
    def names(self) -> list[str] | None:
        """The names of the files of the samples, without suffix; None for data that isn't in files."""
        for part in self.parts.values():
            whole = part.pictures if isinstance(part, Crops) else part
            if isinstance(whole, FolderDataset):
                return [path.stem for path in whole.paths]
        return None

    def read(self, indices: np.ndarray, rngs: Sequence[np.random.Generator] = ()) -> dict[str, np.ndarray]:
        """Return samples as new arrays {array name: (n, …)}, pictures as float32 in [-1, 1].

        Crops are at places drawn from `rngs`, one generator for each sample, the same place in all arrays; without
        generators they are at the centers.
        """
        places = np.array([rng.random(2) for rng in rngs]) if rngs else np.full((len(indices), 2), 0.5)
        return self._parts(
            lambda array: array[indices],
            lambda dataset: dataset.crop(indices, places) if isinstance(dataset, Crops) else dataset.batch(indices),
        )

    def item(self, i: int) -> dict[str, np.ndarray]:
        """Return one sample as {array name: (1, …)}, as it is held out: of crops, the whole pictures."""
        return self._parts(lambda array: array[[i]], lambda dataset: dataset.item(i))

    def select(self, indices: np.ndarray) -> Source:
        """Return a source of only these samples."""
        parts = self._parts(lambda array: array[indices], lambda dataset: dataset.select(indices))
        return Source(self.name, parts, self.kinds, self.classes, self.notes)

    def _parts(self, of_array: Callable[[np.ndarray], Any], of_dataset: Callable[[Dataset], Any]) -> dict[str, Any]:
        return {name: (of_array if isinstance(p, np.ndarray) else of_dataset)(p) for name, p in self.parts.items()}

    def describe(self) -> str:
        """Return one line for the user, such as `mine: 100 samples of input 16x16x1 and target 16x16x1, 3 classes`."""
        shown = [array for array, kind in self.kinds.items() if kind.what in SHOWN]
        others = [array for array, kind in self.kinds.items() if kind.what in ("mask", "numbers")]
        classes = f", {len(self.classes)} classes" if self.classes else ""
        if len(shown) == 1 and not others and self.kinds[shown[0]].what != "map":
            return f"{self.name}: {counted(len(self), self.shapes[shown[0]])}{classes}"
        arrays = [self._describe(array) for array in (*shown, *others)]
        return f"{self.name}: {len(self):,} samples of {every(arrays or ['labels'])}{classes}"

    def _describe(self, array: str) -> str:
        """Describe an array, such as `input 64x64x3`, or `target 64x64 in 11 classes`."""
        shape = self.shapes[array]
        if self.kinds[array].what == "map":
            return f"{array} {size_words(shape[0], shape[1])} in {shape[2]} classes"
        return f"{array} {'x'.join(map(str, shape))}".rstrip()


def source_of(dataset: Dataset, kinds: Mapping[str, Kind]) -> Source:
    """Return a source of a data set's samples and labels, under the array names of one feed of a model.

    Raises DataError if the data set lacks an array of the model.
    """
    shown = [array for array, kind in kinds.items() if kind.what in SHOWN]
    if len(shown) > 1:
        what = f"{dataset.name} has one array of samples, but {quoted(shown)} belong together"
        raise DataError(f"{what}: give both by a function that returns arrays")
    parts: dict[str, Dataset | np.ndarray] = {}
    for array, kind in kinds.items():
        if kind.what in SHOWN:
            check_kind(dataset, kind, f'{dataset.name} as "{array}"')
            parts[array] = dataset
        elif kind.what != "label":
            raise DataError(f'{dataset.name} has no array "{array}": give it by a function that returns arrays')
        elif dataset.labels is None:
            raise DataError(
                f'{dataset.name} has no labels, which the model learns as "{array}": put each class, two at least, '
                "into a folder of its own, or choose other data"
            )
        else:
            parts[array] = dataset.labels
    return Source(dataset.name, parts, kinds, dataset.classes, dataset.notes)


def source_of_arrays(
    arrays: Mapping[str, Any],
    kinds: Mapping[str, Kind],
    name: str = "arrays",
    img_size: Size | None = None,
    channels: Mapping[str, int | None] | None = None,
    crops: bool = False,
    ignore: Sequence[str] = (),
    palettes: Mapping[str, Palette] | None = None,
) -> Source:
    """Return a source of arrays in memory, each checked by its kind. Pictures are stored as bytes.

    Pictures and points are given as arrays for `ArrayDataset` or as a data set, masks as (N, H, W) or (N, H, W, 1) of 0
    and 1, 0 and 255, or booleans. Labels are whole numbers from 0 on; those that occur are the classes. `img_size` and
    `channels`, by array name, apply to arrays of pictures, the size also to masks and maps. With `crops`, samples are
    crops of this size, and not resized. Class maps are given as `map_array` takes them; `palettes` are their classes,
    by default those that occur, without `ignore`.

    Raises DataError if an array is missing, of another kind or another length, or has NaN in it.
    """
    parts: dict[str, Dataset | np.ndarray] = {}
    classes: list[str] | None = None
    notes: list[str] = []
    for array, kind in kinds.items():
        if array not in arrays:
            raise DataError(f'the data has no array "{array}", which the model takes, only {quoted(arrays)}: add it')
        given, who = arrays[array], f'the data\'s array "{array}"'
        if kind.what == "map":
            maps = map_array(given, who, ignore, (palettes or {}).get(array))
            parts[array] = cropped(maps, img_size) if crops else maps.fit(img_size)
        elif kind.what in SHOWN:
            dataset = parts[array] = _shown(given, kind, who, img_size, (channels or {}).get(array), crops)
            notes += [f"{array}: {note}" for note in dataset.notes]
        elif kind.what == "label":
            parts[array], classes = _labels(given, who)
        elif kind.what == "mask":
            if crops:
                raise DataError(f"{who} is a mask, and masks can't be cut into crops: resize all, without `crops`")
            parts[array] = _mask(given, who, img_size)
        else:
            parts[array] = _numbers(given, who)
    _check_rows(parts)
    return Source(name, parts, kinds, classes, notes)


def is_data_set(data: Any) -> bool:
    """Whether this is a `Dataset`, as opposed to an array or a name."""
    return callable(getattr(data, "batch", None))


def _check_rows(parts: Mapping[str, Dataset | np.ndarray]) -> None:
    """Raise DataError unless row i of each part is of the same sample, as far as lengths and file names show."""
    first = next(iter(parts))
    for array, part in parts.items():
        if len(part) != len(parts[first]):
            raise DataError(
                f'the data\'s array "{first}" has {len(parts[first]):,} samples and "{array}" {len(part):,}, but they '
                "belong together, row by row: give as many of each"
            )
    one, *others = [part.paths for part in parts.values() if isinstance(part, FolderDataset)] or [[]]
    for other in others:
        for path, partner in zip(one, other, strict=True):
            if path.stem != partner.stem:
                raise DataError(f"{path} and {partner} are at the same position, but differ in name: rename one")


def check_kind(dataset: Dataset, kind: Kind, who: str) -> None:
    """Raise DataError if a data set holds points and the model takes pictures, or vice versa."""
    pictures = len(dataset.shape) == 3
    if kind.what == ("points" if pictures else "picture"):
        has, needs = ("pictures", "points (N, F)") if pictures else ("points", "pictures (N, H, W, 1 or 3)")
        raise DataError(f"{who} holds {has}, but the model takes {needs}: choose other data, or another model")


def _shown(given: Any, kind: Kind, who: str, img_size: Size | None, channels: int | None, crops: bool) -> Dataset:
    """Return pictures or points as a data set."""
    if is_data_set(given):
        check_kind(given, kind, who)
        return given
    dataset = ArrayDataset(who, _numbers(given, who) if kind.what == "points" else given)
    check_kind(dataset, kind, who)
    if len(dataset.shape) != 3:
        return dataset
    return cropped(dataset.fit(None, channels), img_size) if crops else dataset.fit(img_size, channels)


def _labels(given: Any, who: str) -> tuple[np.ndarray, list[str]]:
    """Return labels (N,), numbered from 0 in order of the values that occur, and these values as class names."""
    array = to_numpy(numbers(given, who, "labels", DataError))
    whole = labels_of(array, len(array) if array.ndim else 0, None, who, DataError)
    values, labels = np.unique(whole, return_inverse=True)
    return labels, [str(value) for value in values]


def _numbers(given: Any, who: str) -> np.ndarray:
    """Return an array (N, …) as float32. Raises DataError for an empty array, NaN and infinity."""
    array = to_numpy(numbers(given, who, "values", DataError))
    if not array.ndim or not array.size:
        raise DataError(f"{who} has no samples, its shape is {array.shape}: give one row for each sample")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise DataError(f"{who} has NaN or infinity in sample {np.argwhere(~np.isfinite(array))[0][0]:,}: take it out")
    return array


def _mask(given: Any, who: str, img_size: Size | None) -> np.ndarray:
    """Return a mask as uint8 (N, H, W, 1) of 0 and 1."""
    array = to_numpy(numbers(given, who, "a mask", DataError))
    if array.ndim == 3:
        array = array[..., None]  # (N, H, W) -> (N, H, W, 1)
    if array.ndim != 4 or array.shape[3] != 1 or not array.size:
        raise DataError(f"{who} is a mask, (N, H, W) or (N, H, W, 1), and not of shape {array.shape}")
    if not (np.isin(array, (0, 1)).all() or np.isin(array, (0, 255)).all()):
        low, high = array.min(), array.max()
        raise DataError(f"{who} is a mask, of 0 and 1 or of 0 and 255, and holds other values: {low!s} to {high!s}")
    fitted = fit_array(np.where(array, np.uint8(255), np.uint8(0)), img_size, None, who)
    return (fitted >= 128).astype(np.uint8)


def quoted(names: Iterable[str]) -> str:
    """Join array names in a sentence: "a", "b" and "c"."""
    return every(f'"{name}"' for name in names)
