"""Self-test of a GPU, `minigan selftest`: does it compute what a CPU computes, without waiting, and how fast?

Five parts, each in its own process, because a failing kernel makes its process unusable:

    agreement   compares every layer, loss, penalty and optimizer, and a step of every model, with NumPy in float64
    waiting     checks that no step waits for the device
    training    trains DCGAN for a minute; the same seed must give the same bits, also after a resume
    kernels     profiles a step: its kernels, how many there are, and how long the GPU is idle
    speed       compares with PyTorch, without and with TF32

`report.py` runs the parts in turn and records their output; `part.py` is what they share. On "strict", the stand-in for
a GPU, they run in a short form, as a rehearsal.
"""
