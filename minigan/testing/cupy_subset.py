"""The part of NumPy that device code may use: what NumPy and CuPy have in common.

Each line of a table lists methods or functions, then the arguments that both libraries take, in common order. Arguments
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


def _table(text: str) -> dict[str, str]:
    """Parse lines of names, two or more spaces, and the arguments that these names have in common."""
    rows = [line.strip().partition("  ") for line in text.strip().splitlines()]
    return {name: arguments.strip() for names, _, arguments in rows for name in names.split()}


# Methods of arrays
METHODS = _table("""
    all any max min     axis out keepdims
    argmax argmin       axis out
    astype              dtype copy
    clip                min max out
    copy flatten ravel  order
    cumsum              axis dtype out
    dot                 b out
    mean prod sum       axis dtype out keepdims
    repeat              repeats axis
    reshape             *shape order
    round               decimals out
    squeeze             axis
    std var             axis dtype out ddof keepdims
    swapaxes            axis1 axis2
    take                indices axis out
    transpose           *axes
    view                dtype
""")
# Elementwise functions
UFUNC_ARGUMENTS = "x1 x2 / out dtype"
UFUNCS = """
    abs absolute add ceil cos divide equal exp expm1 floor floor_divide greater greater_equal isfinite isinf isnan
    less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or maximum minimum multiply negative
    not_equal power reciprocal rint sign sin sqrt square subtract tanh true_divide
"""
# Other functions
FUNCTIONS = _table("""
    arange                                  start / stop step dtype
    argmax argmin argsort expand_dims sort  a axis
    squeeze                                 a axis
    argpartition                            a kth axis
    ascontiguousarray ones_like zeros_like  a dtype
    broadcast_to                            array shape
    clip                                    a a_min a_max out
    concatenate stack                       tup / axis out
    copyto                                  dst src
    cumsum                                  a axis dtype out
    dot                                     a b out
    einsum                                  subscripts / *operands dtype optimize
    empty zeros                             shape dtype order
    empty_like                              prototype dtype
    eye                                     N M k dtype
    flip                                    a / axis
    full                                    shape fill_value dtype
    full_like                               a fill_value dtype
    linspace                                start stop num endpoint
    max min                                 a axis out keepdims
    matmul                                  x1 x2 / * out dtype
    mean prod sum                           a axis dtype out keepdims
    moveaxis                                a source destination
    ones                                    shape dtype
    outer vdot                              a b
    pad                                     array pad_width mode
    ravel                                   a order
    repeat                                  a repeats axis
    reshape                                 a shape / order
    roll                                    a shift axis
    std var                                 a axis dtype out ddof keepdims
    swapaxes                                a axis1 axis2
    take                                    a indices axis out
    take_along_axis                         a / indices axis
    tensordot                               a b axes
    tile                                    A reps
    transpose                               a axes
    where                                   condition x y
""")
# Methods of random generators
DRAWS = _table("""
    exponential             scale size
    integers                low high size dtype endpoint
    random standard_normal  size dtype out
    standard_exponential    size dtype
    uniform                 low high size
""")
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
