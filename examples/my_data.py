"""Your own data for `minigan train`: a function without arguments that returns an array.

Shows a complete data source, here pictures of rings with random sizes and positions:

    minigan train dcgan --data examples/my_data.py:make_data --features 16 --n-steps 600     about a minute

What you should see in samples/: noise after 200 steps, parts of rings after 400, mostly closed rings at the end.

Pictures are an array (N, H, W, C) of floats in [−1, 1] or of bytes. For a model with several arrays, return a dict such
as {"input": …, "target": …}.
"""

import numpy as np


def make_data():
    """Return pictures (2000, 16, 16, 1) of white rings on black."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16] - 7.5
    radius, top, left = rng.uniform((2.5, -2, -2), (5, 2, 2), (2000, 3)).T[..., None, None]  # each (2000, 1, 1)
    distance = np.abs(np.hypot(y - top, x - left) - radius)  # (2000, 16, 16), from the ring's line
    return (2 * np.exp(-(distance**2)) - 1)[..., None].astype(np.float32)
