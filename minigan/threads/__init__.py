"""A few threads that work on the parts of one call side by side.

    blas.py         NumPy's BLAS: its name, its kernels, and how many threads it may use
    crew.py         the threads: in_parallel(work, parts)
    partition.py    how work is cut into parts: pieces(n, most), shares(parts)

Kernels in `minigan/kernels/fast` use them. A layer knows nothing of threads.
"""
