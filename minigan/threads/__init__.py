"""Threads that run the parts of one call in parallel. The kernels in `minigan/kernels/fast` use them, layers don't.

blas.py         NumPy's BLAS: its name, its kernels, its number of threads
crew.py         the thread pool: in_parallel(work, parts)
partition.py    how work is cut into parts: pieces(n, most), shares(parts), over_rows(work, x)
"""
