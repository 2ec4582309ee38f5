"""What TFLite Micro's kernels refuse although the operator is there: read back from the pinned wheel with single-operator models.

It looks an operator up by its code alone; that a kernel takes no int8, or no tensor of five dimensions, shows as it prepares or
even as it invokes. Sources: tensorflow/lite/micro/kernels/{exp,elementwise,concatenation,strided_slice}.cc of tflite-micro.
"""

from __future__ import annotations

# Operators whose kernel computes in float32 only.
FLOAT_ONLY = frozenset({"EXP", "LOG", "SQRT"})
MOST_JOINED = 10  # inputs of CONCATENATION: kMaxInputNum
MOST_SLICED = 4  # dimensions of STRIDED_SLICE


def refusal(op: str, *, integers: bool, inputs: int = 0, rank: int = 0) -> str:
    """Return why the kernel of `op` refuses a call, nothing where it takes it.

    `integers`: whether it is to compute in int8; `inputs` and `rank` are the number of its inputs and the dimensions of its first.
    """
    if integers and op in FLOAT_ONLY:
        return f"TFLite Micro's {op} computes in float32 only"
    if op == "CONCATENATION" and inputs > MOST_JOINED:
        return f"TFLite Micro joins at most {MOST_JOINED} tensors, and these are {inputs}"
    if op == "STRIDED_SLICE" and rank > MOST_SLICED:
        return f"TFLite Micro slices at most {MOST_SLICED} dimensions, and these are {rank}"
    return ""
