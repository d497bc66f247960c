"""The arithmetic of layers: reference kernels in plain NumPy, to be read, and in `fast/` the code that runs for them.

Read the files of this folder to learn what a layer computes. A kernel marked `@runs_as(fast_kernel)` has a twin with
the same signature in `fast/`, in blocks, on several threads, or with fewer multiplications; tests hold the two equal,
to second order. `reference_kernels` (twin.py) makes everything run on the reference kernels.
"""
