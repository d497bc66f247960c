"""Data sets, and feeds that draw batches from them.

`open_dataset` opens a name or a path as a `Dataset`. `open_feeds` opens names, paths or arrays as one `Source` for each
feed of a model, and `Feeds` draws shuffled batches from the sources.
"""

from minigan.data.augment import AUGMENTATIONS, random_crop, random_flip, random_jitter, random_rotation, random_turn
from minigan.data.catalog import DATASETS, DatasetInfo, list_datasets, open_dataset
from minigan.data.crops import Crops
from minigan.data.dataset import ArrayDataset, Dataset, number_classes
from minigan.data.digits import open_digits
from minigan.data.feeds import Feeds
from minigan.data.folder import BadFilesError, FolderDataset, natural_size, open_folder
from minigan.data.held_out import HeldOut, NothingHeldOut, hold_out
from minigan.data.listing import SPLITS, NoSplitError
from minigan.data.pairs import Pairs
from minigan.data.palette import Palette
from minigan.data.pictures import Size, as_size, parse_size
from minigan.data.points import PointDataset, grid, ring
from minigan.data.shapes import ShapesDataset
from minigan.data.source import Source, source_of, source_of_arrays
from minigan.data.sources import open_feeds, open_own_parts

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "SPLITS",
    "ArrayDataset",
    "BadFilesError",
    "Crops",
    "Dataset",
    "DatasetInfo",
    "Feeds",
    "FolderDataset",
    "HeldOut",
    "NothingHeldOut",
    "NoSplitError",
    "Pairs",
    "Palette",
    "PointDataset",
    "ShapesDataset",
    "Size",
    "Source",
    "as_size",
    "grid",
    "hold_out",
    "list_datasets",
    "natural_size",
    "number_classes",
    "open_dataset",
    "open_digits",
    "open_feeds",
    "open_folder",
    "open_own_parts",
    "parse_size",
    "random_crop",
    "random_flip",
    "random_jitter",
    "random_rotation",
    "random_turn",
    "ring",
    "source_of",
    "source_of_arrays",
]
