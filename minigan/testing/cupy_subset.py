"""The part of NumPy that device code may use: what NumPy and CuPy have in common.

The tables list, for each method or function, the arguments that both libraries take, in their common order. Arguments
before `/` are positional-only, those after `*` keyword-only, and `*axes` is any number of positional arguments.
`minigan.testing.strict` offers exactly these functions; one that CuPy has and a layer needs may be added here.

CuPy's rules for an argument's type follow from the argument's name: see `ARRAYS`, `OPERANDS` and `SEQUENCES`.
"""

from __future__ import annotations

from inspect import Parameter, Signature

# Arguments that must be device arrays. CuPy rejects lists, whose numbers it would have to upload.
ARRAYS = {"A", "a", "array", "b", "condition", "dst", "operands", "out", "prototype", "self"}
# Arguments that must be device arrays or numbers
OPERANDS = {"a_max", "a_min", "fill_value", "indices", "max", "min", "src", "x", "x1", "x2", "y"}
# Arguments that must be sequences of device arrays
SEQUENCES = {"tup"}
# All other arguments, such as shapes, are needed on the host: reading them from a device array would wait for it

# Methods of arrays
METHODS = {
    "all": "axis out keepdims",
    "any": "axis out keepdims",
    "argmax": "axis out",
    "argmin": "axis out",
    "astype": "dtype copy",
    "clip": "min max out",
    "copy": "order",
    "cumsum": "axis dtype out",
    "dot": "b out",
    "flatten": "order",
    "max": "axis out keepdims",
    "mean": "axis dtype out keepdims",
    "min": "axis out keepdims",
    "prod": "axis dtype out keepdims",
    "ravel": "order",
    "repeat": "repeats axis",
    "reshape": "*shape order",
    "round": "decimals out",
    "squeeze": "axis",
    "std": "axis dtype out ddof keepdims",
    "sum": "axis dtype out keepdims",
    "swapaxes": "axis1 axis2",
    "take": "indices axis out",
    "transpose": "*axes",
    "var": "axis dtype out ddof keepdims",
    "view": "dtype",
}
# Elementwise functions
UFUNC_ARGUMENTS = "x1 x2 / out dtype"
UFUNCS = """
    abs absolute add ceil cos divide equal exp expm1 floor floor_divide greater greater_equal isfinite isinf isnan
    less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or maximum minimum multiply negative
    not_equal power reciprocal rint sign sin sqrt square subtract tanh true_divide
"""
# Other functions
FUNCTIONS = {
    "arange": "start / stop step dtype",
    "argmax": "a axis",
    "argmin": "a axis",
    "argpartition": "a kth axis",
    "argsort": "a axis",
    "ascontiguousarray": "a dtype",
    "broadcast_to": "array shape",
    "clip": "a a_min a_max out",
    "concatenate": "tup / axis out",
    "copyto": "dst src",
    "cumsum": "a axis dtype out",
    "dot": "a b out",
    "einsum": "subscripts / *operands dtype optimize",
    "empty": "shape dtype order",
    "empty_like": "prototype dtype",
    "expand_dims": "a axis",
    "eye": "N M k dtype",
    "flip": "a / axis",
    "full": "shape fill_value dtype",
    "full_like": "a fill_value dtype",
    "linspace": "start stop num endpoint",
    "max": "a axis out keepdims",
    "matmul": "x1 x2 / * out dtype",
    "mean": "a axis dtype out keepdims",
    "min": "a axis out keepdims",
    "moveaxis": "a source destination",
    "ones": "shape dtype",
    "ones_like": "a dtype",
    "outer": "a b",
    "pad": "array pad_width mode",
    "prod": "a axis dtype out keepdims",
    "ravel": "a order",
    "repeat": "a repeats axis",
    "reshape": "a shape / order",
    "roll": "a shift axis",
    "sort": "a axis",
    "squeeze": "a axis",
    "stack": "tup / axis out",
    "std": "a axis dtype out ddof keepdims",
    "sum": "a axis dtype out keepdims",
    "swapaxes": "a axis1 axis2",
    "take": "a indices axis out",
    "take_along_axis": "a / indices axis",
    "tensordot": "a b axes",
    "tile": "A reps",
    "transpose": "a axes",
    "var": "a axis dtype out ddof keepdims",
    "vdot": "a b",
    "where": "condition x y",
    "zeros": "shape dtype order",
    "zeros_like": "a dtype",
}
# Methods of random generators
DRAWS = {
    "exponential": "scale size",
    "integers": "low high size dtype endpoint",
    "random": "size dtype out",
    "standard_exponential": "size dtype",
    "standard_normal": "size dtype out",
    "uniform": "low high size",
}
# Constants and types
CONSTANTS = """
    bool_ dtype e finfo float16 float32 float64 inf int8 int32 int64 nan newaxis pi uint8
"""
OPERATORS = "add sub mul truediv floordiv mod pow matmul and or xor"
COMPARISONS = "lt le gt ge eq ne"


def signature(arguments: str) -> Signature:
    """Parse a table entry into a Signature, with every argument optional."""
    parameters: list[Parameter] = []
    kind = Parameter.POSITIONAL_OR_KEYWORD
    for word in arguments.split():
        if word == "/":
            parameters = [parameter.replace(kind=Parameter.POSITIONAL_ONLY) for parameter in parameters]
        elif word.startswith("*"):
            kind = Parameter.KEYWORD_ONLY
            if word != "*":
                parameters.append(Parameter(word[1:], Parameter.VAR_POSITIONAL))
        else:
            parameters.append(Parameter(word, kind, default=None))
    return Signature(parameters)


def positions(known: Signature, n: int) -> list[str]:
    """Return the names of n positional arguments; `*axes` takes all that follow it."""
    names: list[str] = []
    for name, parameter in known.parameters.items():
        names += [name] * (n if parameter.kind is Parameter.VAR_POSITIONAL else 1)
    return names[:n]
