"""Does this card do what a CPU does, without waiting, and how fast? `minigan selftest`, for a machine with a new GPU.

Five parts, each in a process of its own, because a kernel that fails spoils its process for all that comes after:

    agreement   every layer, loss, penalty, optimiser and a step of every model, beside NumPy in float64
    waiting     no step waits for the device
    training    a minute of DCGAN and its picture; the same seed again gives the same bits, after a resume as well
    kernels     where the time of a step goes: its kernels, how many there are, and how long the card is idle
    speed       beside PyTorch, without TF32 and with it

`report.py` starts them one after the other and writes down what they print as it comes; `part.py` is what they share.
On "strict", the stand-in for a GPU, they rehearse.
"""
