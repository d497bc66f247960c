"""How fast is minigan, how much memory does it need, and how does PyTorch do the same on the same machine?

workloads.py    what is measured: steps of GANs, sampling, single layers
measure.py      contenders take turns, each in a process of its own (with memory.py and machine.py)
torch_peer.py   the same in PyTorch, the only file that imports it
tables.py       the figures as text
plot.py         how time and memory grow with the batch and with the pictures
profile.py      where the time of a step goes, by kind of layer
"""
