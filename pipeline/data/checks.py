"""Everything wrong with the data for a model, found before any work: one line a problem, all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgepipe.events import Emit, silent, step
from edgepipe.facts import TensorPort
from edgepipe.pipeline.data.dataset import Array, Dataset
from edgepipe.pipeline.data.label_checks import check_labels, compare_classes
from edgepipe.pipeline.data.ports import match, shape_problem
from edgepipe.pipeline.data.problem import DataProblem, Finding
from edgepipe.pipeline.data.repeats import find_duplicates, find_leaks
from edgepipe.pipeline.data.scales import Range, check_range, compare_scales, expected_ranges
from edgepipe.pipeline.data.scan import NUMERIC_KINDS, Scan, scan

_SHOWN_FEATURES = 5


def check(
    splits: Mapping[str, Dataset],
    ports: Sequence[TensorPort] = (),
    *,
    classes: int | None = None,
    expects: Mapping[str, Range] | None = None,
    normalizes: bool | None = None,
    emit: Emit = silent,
) -> tuple[DataProblem, ...]:
    """Return every problem of the splits ("train", "validation", "test", "calibration", …) for a model with these input ports.

    `classes` is how many the model tells apart (else as many as the data name; None and no names: labels are not checked).
    `expects` gives an input's real (smallest, largest) value by the port's name, where known otherwise than by a port's own scale
    and zero point. `normalizes`: whether the network begins with Rescaling, Normalization or BatchNormalization (None: unknown).
    All values are taken for real ones, before quantisation. One pass over the data, in pieces; its cost is linear.
    """
    ranges = {**expected_ranges(ports), **(expects or {})}
    problems: list[DataProblem] = []
    scans = _scan_all(splits, emit)
    for split, dataset in splits.items():
        port_of, unmatched = _ports_by_array(dataset, ports)
        problems += [DataProblem(severity="error", split=split, input="", index=None, message=message) for message in unmatched]
        problems += _check_lengths(split, dataset)
        for name, array in dataset.inputs.items():
            findings = [*_check_form(array, port_of.get(name))]
            if name in scans[split]:
                findings += _check_values(array, scans[split][name], split=split, single=len(dataset.inputs) == 1)
                findings += check_range(scans[split][name], port_of[name], ranges, normalizes) if name in port_of else []
            problems += [DataProblem(severity=s, split=split, input=name, index=i, message=m) for s, i, m in findings]
        problems += check_labels(split, dataset, classes)
        problems += find_duplicates(split, dataset, scans[split])
    return (*problems, *compare_classes(splits, classes), *compare_scales(scans), *find_leaks(splits, scans))


def _ports_by_array(dataset: Dataset, ports: Sequence[TensorPort]) -> tuple[dict[str, TensorPort], list[str]]:
    """Return (the model's input by the array's name, what does not match)."""
    if not ports:
        return {}, []
    matched, problems = match(dataset, ports)
    return {matched[port.name]: port for port in ports if port.name in matched}, problems


def _scan_all(splits: Mapping[str, Dataset], emit: Emit) -> dict[str, dict[str, Scan]]:
    """Return the scan of every input that can be read, by split and by the array's name."""
    arrays = {split: {n: array for n, array in dataset.inputs.items() if _readable(array)} for split, dataset in splits.items()}
    done = 0
    with step(
        emit, "check the data", sum(len(array) for named in arrays.values() for array in named.values()), "samples"
    ) as advance:

        def taken(samples: int) -> None:
            nonlocal done
            done += samples
            advance(done)

        return {split: {name: scan(array, taken) for name, array in named.items()} for split, named in arrays.items()}


def _readable(array: Array) -> bool:
    return array.dtype.kind in NUMERIC_KINDS and array.ndim > 0 and array.size > 0


def _check_lengths(split: str, dataset: Dataset) -> Iterator[DataProblem]:
    lengths = {name: len(array) if array.ndim else 0 for name, array in dataset.inputs.items()}
    if not max(lengths.values(), default=0):
        yield DataProblem(severity="error", split=split, input="", index=None, message="there are no samples")
    elif len(set(lengths.values())) > 1:
        message = f"inputs differ in length: {', '.join(f'{name} {length}' for name, length in lengths.items())}"
        yield DataProblem(severity="error", split=split, input="", index=None, message=message)


def _check_form(array: Array, port: TensorPort | None) -> Iterator[Finding]:
    """Yield what is wrong before a value is looked at."""
    if array.dtype.kind not in NUMERIC_KINDS:
        yield "error", None, f"holds {array.dtype}, not numbers"
    elif port is not None and (message := shape_problem(array, port)):
        yield "error", None, message
    elif array.ndim and len(array) and not array.size:
        yield "error", None, "its samples hold no values"


def _check_values(array: Array, found: Scan, *, split: str, single: bool) -> Iterator[Finding]:
    """Yield what is wrong with the values by themselves."""
    if found.nonfinite:
        many = f"{found.nonfinite} values are" if found.nonfinite > 1 else "one value is"
        yield "error", found.first_nonfinite, f"{many} NaN or infinite; this is the first sample with one"
    if found.constant:
        # With several inputs one of them may well be a state or a mask that never changes.
        yield "error" if single else "warning", None, f"every value of all {len(array)} samples is {found.low:g}"
    elif split == "train" and array.ndim == 2 and (stuck := found.constant_features):
        some = ", ".join(map(str, stuck[:_SHOWN_FEATURES])) + (", …" if len(stuck) > _SHOWN_FEATURES else "")
        yield "warning", None, f"{len(stuck)} of {array.shape[1]} features never change (feature {some})"
