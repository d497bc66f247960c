"""minigan: a tiny GAN engine on NumPy and CuPy, with every derivative written by hand, to second order."""

__version__ = "0.1.0"
