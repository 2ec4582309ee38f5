"""A fresh process that holds a model's answers to golden inputs against the golden ones: the health check of a trial."""

from time import perf_counter_ns
from typing import Any, Dict, List

from .block import median
from .job import Job, run_job

# Between runtimes and processors answers differ a little. Keyword spotting in int8, 1000 inputs: XNNPACK and TFLite Micro are at
# most 22 steps of 256 apart. A model that is wrong, or not the one that was meant, is further off.
STEPS_OF_8_BIT = 24
RELATIVE = 1e-2


def main() -> int:
    """Be the child process for one health check."""
    return run_job(_check)


def _check(job: Job) -> None:
    """Answer the golden samples one by one, and tell how far off and how fast."""
    model = job.load()
    inputs, outputs = read_golden(job.request["golden"])
    times: List[int] = []
    wrong: List[str] = []
    for number in range(len(inputs[0])):
        model.forget()
        model.feed([each[number].reshape(shape).astype(dtype) for each, (shape, dtype) in zip(inputs, model.inputs)])
        began = perf_counter_ns()
        model.invoke()
        times.append(perf_counter_ns() - began)
        wrong += differences(number, model.answers(), [each[number] for each in outputs])
        job.alive()
    job.answer({"samples": len(times), "median_us": median(times) / 1000, "wrong": wrong[:3], "sha256": job.sha256})


def read_golden(path: str) -> Any:
    """Return the golden inputs and outputs, each a list of arrays with a row a sample. Raises ValueError where they do not fit."""
    import numpy

    with numpy.load(path, allow_pickle=False) as file:
        arrays: Dict[str, Any] = {name: file[name] for name in file.files}
    groups = []
    for group in ("input_", "output_"):
        count = sum(name.startswith(group) for name in arrays)
        groups.append([arrays["%s%d" % (group, number)] for number in range(count)])
    inputs, outputs = groups
    if not inputs or not outputs or len({len(each) for each in inputs + outputs}) != 1:
        raise ValueError("the golden samples are incomplete")
    return inputs, outputs


def differences(number: int, answers: List[bytes], wanted: List[Any]) -> List[str]:
    """Return in words where a sample's answers are too far from the golden ones."""
    import numpy

    if len(answers) != len(wanted):
        return ["sample %d has %d outputs instead of %d" % (number, len(answers), len(wanted))]
    found = []
    for output, (answer, golden) in enumerate(zip(answers, wanted)):
        if len(answer) != golden.nbytes:
            found.append("sample %d, output %d has %d bytes instead of %d" % (number, output, len(answer), golden.nbytes))
            continue
        got = numpy.frombuffer(answer, golden.dtype).astype(float)
        right = golden.reshape(-1).astype(float)
        apart = numpy.abs(numpy.where(numpy.isnan(got) & numpy.isnan(right), 0.0, got - right))
        if not (apart <= tolerance(golden)).all():  # a NaN is not
            found.append("sample %d, output %d is %.4g off (at most %.4g)" % (number, output, apart.max(), tolerance(golden)))
    return found


def tolerance(golden: Any) -> float:
    """Return how far an answer may be off: STEPS_OF_8_BIT of integers, RELATIVE of the largest number of floats."""
    import numpy

    if golden.dtype.kind == "f":
        finite = numpy.abs(golden[numpy.isfinite(golden)])
        return float(RELATIVE * max(1e-3, finite.max() if finite.size else 0.0))
    if golden.dtype.kind in "iu" and golden.dtype.itemsize <= 2:
        return float(STEPS_OF_8_BIT * 256 ** (golden.dtype.itemsize - 1))
    return 0.0
