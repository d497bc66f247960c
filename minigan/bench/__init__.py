"""Benchmarks: speed and memory of minigan, compared with PyTorch on the same machine.

workloads.py    what is measured: steps of GANs, sampling, single layers
measure.py      runs contenders in turns, each in its own process (with memory.py and machine.py)
torch_peer.py   the same workloads in PyTorch; torch_layers.py: their networks. Only torch_*.py import it
tables.py       results as text
plot.py         time and memory against batch size and picture size
profile.py      the time of a step by kind of layer
"""
