"""Data: `open_dataset` turns a name or a path into a `Dataset`, and `Batches` turns that into minibatches."""

from minigan.data.augment import AUGMENTATIONS, random_crop, random_flip, random_rotation
from minigan.data.batches import Batches
from minigan.data.catalogue import DATASETS, DatasetInfo, list_datasets, open_dataset
from minigan.data.dataset import ArrayDataset, Dataset, number_classes
from minigan.data.digits import open_digits
from minigan.data.folder import BadFilesError, FolderDataset, natural_size, open_folder
from minigan.data.listing import SPLITS
from minigan.data.pairs import Pairs
from minigan.data.points import PointDataset, grid, ring
from minigan.data.shapes import ShapesDataset

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "SPLITS",
    "ArrayDataset",
    "BadFilesError",
    "Batches",
    "Dataset",
    "DatasetInfo",
    "FolderDataset",
    "Pairs",
    "PointDataset",
    "ShapesDataset",
    "grid",
    "list_datasets",
    "natural_size",
    "number_classes",
    "open_dataset",
    "open_digits",
    "open_folder",
    "random_crop",
    "random_flip",
    "random_rotation",
    "ring",
]
