"""Which of the two kernels runs."""

from contextvars import ContextVar

from minigan.kernels import twin
from minigan.kernels.twin import reference_kernels, runs_as


@runs_as(lambda x: f"fast {x}")
def kernel(x):
    """To be read."""
    return f"reference {x}"


def test_the_fast_kernel_runs_and_the_reference_within_a_block(monkeypatch):
    monkeypatch.setattr(twin, "_reference", ContextVar("reference", default=False))  # whatever MINIGAN_KERNELS is
    assert kernel(1) == kernel.fast(1) == "fast 1"
    with reference_kernels():
        assert kernel(x=2) == kernel.reference(2) == "reference 2"
    assert kernel(3) == "fast 3"
    assert kernel.__doc__ == "To be read."
