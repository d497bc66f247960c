"""PyTorch computes with one thread: for the small arrays of these tests, starting more costs more than it saves."""

import contextlib

with contextlib.suppress(ImportError):
    import torch

    torch.set_num_threads(1)
