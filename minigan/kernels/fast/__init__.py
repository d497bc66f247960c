"""Fast twins of the reference kernels: blocks that fit in the cache, threads, fewer multiplications, fewer passes.

Each function has the signature and, up to rounding, the results of the reference kernel that names it.
"""
