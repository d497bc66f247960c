"""minigan: a tiny GAN engine on NumPy and CuPy, with every derivative written by hand, to second order.

The engine is what there is to read. It needs NumPy (CuPy for a GPU) and no file of the workshop:

    errors, backend, threads, kernels, layers, losses, penalties, optim, model, options, gans

The workshop trains, measures and shows, with any model:

    common, data, metrics, testing, training, apply, bench, selftest, commands

docs/architecture.md draws which part imports which.
"""

__version__ = "0.1.0"
