"""Class maps as data sets: files or arrays whose pixels are classes, as one-hot samples (H, W, K).

Maps are cut as pictures are, and scaled by taking the nearest pixel, so that no new classes arise.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from minigan.backend import to_numpy
from minigan.common.arguments import numbers
from minigan.common.terminal import bar
from minigan.data.dataset import Dataset
from minigan.data.decode import JPEG, File, Half, decode_by, no_warnings
from minigan.data.folder import THREADS, FolderDataset
from minigan.data.palette import MOST, Palette, colors_of_areas, inside_areas, make_palette, to_rgb
from minigan.data.pictures import SIXTEEN_BIT_MODES, Size, as_size
from minigan.errors import DataError

LOSSY = {*JPEG, "WEBP", "AVIF"}
BITS = {"L;2": 2, "L;4": 4}  # how Pillow names gray of few bits, which it scales to 8
INDEX_MODES = ("P", "PA", "L", "LA", "1", *SIXTEEN_BIT_MODES)
NO_CLASS, NO_CLASS_16 = 255, 65535  # the number of unknown pixels in files of 8 and of 16 bits
LOOKED_AT = 64  # files in which the colors of areas are looked for
FEW_COLORS = 256  # in files without loss; more were made by scaling, or by a JPEG
LISTED = 32  # classes in a sentence


class MapFiles(FolderDataset):
    """Class maps from files: one-hot samples (*img_size, K)."""

    def __init__(self, name: str, paths: list[File], img_size: Size, palette: Palette) -> None:
        super().__init__(name, paths, img_size, 1)
        self.palette = palette
        self.shape = (*as_size(img_size), len(palette.values))

    def values(self, stored: np.ndarray) -> np.ndarray:
        """Return classes (n, H, W, 1) one-hot, float32 (n, H, W, K)."""
        return one_hot(stored, self.palette)

    def _read_whole(self, path: File) -> np.ndarray:
        return self.palette.classes(decode_values(path, self.palette.form))[..., None]

    def _read(self, path: File) -> np.ndarray:
        values = resize(
            decode_values(path, self.palette.form), self.shape[:2]
        )  # first: there are fewer to look up then
        return self.palette.classes(values)[..., None]


class MapArray(Dataset):
    """Class maps in memory, as bytes (N, H, W, 1): one-hot samples (H, W, K)."""

    labels: np.ndarray | None = None
    classes: list[str] | None = None

    def __init__(self, name: str, stored: np.ndarray, palette: Palette) -> None:
        self.name, self.stored, self.palette = name, stored, palette
        self.shape = (*stored.shape[1:3], len(palette.values))

    def __len__(self) -> int:
        return len(self.stored)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return samples (n, *shape) as a new float32 array."""
        return self.values(self.stored[indices])

    def wholes(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return classes (H, W, 1)."""
        return list(self.stored[indices])

    def values(self, stored: np.ndarray) -> np.ndarray:
        """Return classes (n, H, W, 1) one-hot, float32 (n, H, W, K)."""
        return one_hot(stored, self.palette)

    def select(self, indices: np.ndarray) -> MapArray:
        """Return a data set of only these maps."""
        return MapArray(self.name, self.stored[indices], self.palette)

    def fit(self, img_size: Size | None) -> MapArray:
        """Return the maps at `img_size` pixels; None keeps what they have."""
        if img_size is None or self.stored.shape[1:3] == as_size(img_size):
            return self
        fitted = np.stack([resize(x[..., 0], as_size(img_size)) for x in self.stored])
        return MapArray(self.name, fitted[..., None].astype(np.uint8), self.palette)


def one_hot(stored: np.ndarray, palette: Palette) -> np.ndarray:
    """Return classes (…, 1) as float32 (…, K): 1 in the channel of the class, 0 in all channels if it is UNKNOWN."""
    return (stored == np.arange(len(palette.values), dtype=np.uint8)).astype(np.float32)


def sharpened(x: np.ndarray) -> np.ndarray:
    """Return maps (N, H, W, K) that an augmentation has interpolated one-hot again: the class with the largest share.

    Pixels of which more was unknown than of any class are unknown.
    """
    best = x.max(axis=-1, keepdims=True)
    known = best >= 1 - x.sum(axis=-1, keepdims=True)
    first = x.argmax(axis=-1)[..., None] == np.arange(x.shape[-1])  # one class only, where two have the same share
    return (first & known & (best > 0)).astype(np.float32)


def resize(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut the center of values (H, W) to the aspect ratio of `size`, and scale it by taking nearest pixels."""
    height, width = size
    image = Image.fromarray(values.astype(np.int32))
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.NEAREST))


def decode_values(path: File, form: str) -> np.ndarray:
    """Decode the values of a map: numbers or colors 0xRRGGBB, (H, W) integers. Raises DataError, naming the file."""

    def values(image: Image.Image) -> np.ndarray:
        if form != "index":
            return _colors(image, path)
        upright = _upright(image, path)
        if upright.mode not in INDEX_MODES:
            what = "is a class map in color, and the classes are the numbers of pixels"
            raise DataError(f"{path} {what}: save it in gray or with a palette")
        return _numbers(upright)

    return decode_by(path, values)


@dataclass(frozen=True)
class Look:
    """What is in a map file: whether its pixels are numbers; the values that occur; the file's palette.

    colors: that occur; None if there are more than FEW_COLORS
    """

    is_index: bool
    is_wide: bool
    is_lossy: bool
    values: set[int]
    colors: set[int] | None
    palette: np.ndarray | None


def read_palette(paths: Sequence[File], ignore: Sequence[str] = ()) -> tuple[Palette, dict[int, str]]:
    """Return the classes of map files, and {index: problem} of files that can't be read.

    Raises DataError if none can be read, or if their values are no classes.
    """
    looks, bad = [], {}
    with ThreadPoolExecutor(THREADS) as pool, no_warnings(), bar(total=len(paths), desc="reading maps") as shown:
        for i, look in enumerate(pool.map(_look, paths)):
            if isinstance(look, str):
                bad[i] = look
            else:
                looks.append(look)
            shown.update()
    if not looks:
        raise DataError(bad[0])
    lossy = any(look.is_lossy for look in looks)
    if all(look.is_index for look in looks) and not lossy:
        found = set().union(*(look.values for look in looks))
        drawn = next((look.palette for look in looks if look.palette is not None), None)
        unknown = {NO_CLASS_16 if any(look.is_wide for look in looks) else NO_CLASS}
        # a mask of 0 and 255 has two classes
        return make_palette("index", found - unknown if len(found) > 2 else found, ignore, drawn), bad
    if not lossy and all(look.colors is not None for look in looks):
        colors = set().union(*(look.colors or () for look in looks))
        if len(colors) <= FEW_COLORS:
            return make_palette("color", colors, ignore), bad
    return make_palette("nearest", _colors_of_areas([p for i, p in enumerate(paths) if i not in bad]), ignore), bad


def about_classes(palette: Palette) -> str:
    """Describe the classes of a palette."""
    what = {"index": "numbers of the pixels", "color": "colors", "nearest": "colors of areas, found in JPEG files"}
    names, ignored = palette.describe(), Palette(palette.form, palette.unknown, ()).describe()
    shown = ", ".join(names if len(names) <= LISTED else [*names[:LISTED], "..."])
    without = f"; ignored: {', '.join(ignored)}" if ignored else ""
    return f"{len(names)} classes, by the {what[palette.form]}: {shown}{without}"


def _look(path: File) -> Look | str:
    """Read a map file; return the message of an error if it can't be read."""

    def look(image: Image.Image) -> Look:
        lossy, upright = image.format in LOSSY, _upright(image, path)
        wide, is_index = upright.mode in SIXTEEN_BIT_MODES, upright.mode in INDEX_MODES
        palette = _palette_of(upright) if upright.mode == "P" else None
        if not is_index or lossy:
            found = upright.convert("RGB").getcolors(FEW_COLORS)
            return Look(False, False, lossy, set(), found and {r << 16 | g << 8 | b for _, (r, g, b) in found}, None)
        values = np.flatnonzero(np.bincount(_numbers(upright).ravel()))
        used = values % 256
        colors = np.array([[v] * 3 for v in used]) if palette is None else palette[used]
        packed = colors[:, 0] << 16 | colors[:, 1] << 8 | colors[:, 2]
        return Look(True, wide, lossy, set(values.tolist()), set(packed.tolist()), palette)

    try:
        return decode_by(path, look)
    except DataError as error:
        return str(error)


def _colors_of_areas(paths: Sequence[File]) -> list[int]:
    """Return the colors that fill areas of maps, from a sample of the files."""
    areas, n_pixels = [], 0
    with no_warnings():
        for i in np.unique(np.linspace(0, len(paths) - 1, LOOKED_AT).astype(int)):
            values = decode_values(paths[i], "color")
            areas.append(inside_areas(to_rgb(values)))
            n_pixels += values.size
    return colors_of_areas(areas, n_pixels)


def _upright(image: Image.Image, path: File) -> Image.Image:
    """Rotate a map as its EXIF data says, and cut the half that `path` names. The pixels keep their numbers."""
    depth = image.tile[0][3] if image.format == "PNG" and image.tile else None
    image = ImageOps.exif_transpose(image)
    if depth in BITS:
        image = image.point([round(level * (2 ** BITS[depth] - 1) / 255) for level in range(256)])
    if not isinstance(path, Half):
        return image
    middle = image.width // 2
    return image.crop((middle * path.side, 0, middle * (path.side + 1), image.height))


def _numbers(image: Image.Image) -> np.ndarray:
    """Return the numbers of the pixels (H, W), of a picture in one of INDEX_MODES."""
    image = image.getchannel(0) if image.mode in ("LA", "PA") else image
    return np.asarray(image).astype(np.int64)


def _colors(image: Image.Image, path: File) -> np.ndarray:
    return _pack(_upright(image, path))


def _pack(image: Image.Image) -> np.ndarray:
    """Return the colors of the pixels (H, W) as 0xRRGGBB."""
    x = np.asarray(image.convert("RGB")).astype(np.int64)
    return x[..., 0] << 16 | x[..., 1] << 8 | x[..., 2]


def _palette_of(image: Image.Image) -> np.ndarray:
    """Return the colors of a palette file (256, 3)."""
    colors = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    return np.pad(colors, ((0, 256 - len(colors)), (0, 0)))


def map_array(given: Any, who: str, ignore: Sequence[str] = (), palette: Palette | None = None) -> MapArray:
    """Return class maps of an array.

    (N, H, W) or (N, H, W, 1) whole numbers, of which 255 is unknown; (N, H, W, 3) bytes, each color a class; or
    (N, H, W, K) one-hot floats. `palette` are the classes of another set, such as that of training.

    Raises DataError for any other array.
    """
    array = to_numpy(numbers(getattr(given, "samples", given), who, "class maps", DataError))
    if array.ndim == 4 and array.shape[3] > 1 and array.dtype.kind == "f" and np.isin(array, (0, 1)).all():
        if array.shape[3] > MOST or (array.sum(axis=3) > 1).any():
            raise DataError(f"{who} is one-hot, of 2 to {MOST} classes, and some of its pixels are of two classes")
        values = np.where(array.any(axis=3), array.argmax(axis=3), NO_CLASS)
        own = make_palette("index", range(array.shape[3]), ignore)
    elif array.ndim == 4 and array.shape[3] == 3 and array.dtype == np.uint8:
        wide = array.astype(np.int64)
        values = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
        own = palette or make_palette("color", np.unique(values).tolist(), ignore)
    elif array.ndim in (3, 4) and array.shape[3:] in ((), (1,)) and array.size:
        values = array.reshape(array.shape[:3])
        if not (np.isfinite(values) & (values == np.round(values)) & (values >= 0)).all():
            raise DataError(f"{who} has class maps with values that aren't whole numbers from 0 on: round them")
        values = values.astype(np.int64)
        found = set(np.unique(values).tolist())
        own = palette or make_palette("index", found - {NO_CLASS} if len(found) > 2 else found, ignore)
    else:
        raise DataError(f"{who} has class maps: (N, H, W) whole numbers, (N, H, W, 3) bytes, not shape {array.shape}")
    classes = (palette or own).classes(values)
    return MapArray(who, classes[..., None], palette or own)
