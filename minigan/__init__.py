"""minigan: a tiny GAN engine on NumPy and CuPy, with every derivative written by hand, to second order.

The engine is what there is to read. It needs NumPy (CuPy for a GPU) and nothing else, no file of the workshop either:

    errors, backend             sentences for the user; arrays and the devices they are on
    threads, kernels, layers    arithmetic: products, convolutions and norms; layers are written in terms of them
    losses, penalties, optim    objectives with their gradients, gradient penalties, update rules
    model, options, gans        what a model is, and eight published GANs

The workshop trains, measures and shows, with any model. It imports the engine:

    common, data, metrics       users' own files, data sets, FID and its like
    training, apply             runs in folders that can be resumed; a trained network on large pictures
    testing, bench, selftest    gradient checks, speed beside PyTorch, a check of a new GPU
    commands                    the command line

docs/architecture.md draws which part may import which.
"""

__version__ = "0.1.0"
