"""An optimizer that leaves the weights as they are, and the slope of a loss along a direction of them."""


class Still:
    """Keeps the gradients in the parameters."""

    def __init__(self, parameters):
        self.parameters = parameters

    def zero_grad(self):
        self.parameters.zero_grad()

    def step(self):
        pass

    def reset(self):
        pass


def slope(loss, values, direction, eps=1e-7):
    """The central difference of `loss()` when `values` move along `direction`."""
    found = []
    for sign in (1, -1):
        values += sign * eps * direction
        found.append(float(loss()))
        values -= sign * eps * direction
    return (found[0] - found[1]) / (2 * eps)
