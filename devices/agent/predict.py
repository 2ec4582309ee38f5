"""A fresh process that loads a model and answers samples, group by group, until its input ends."""

from typing import Any, List

from .job import Job, run_job
from .lines import PartBuffer, parts
from .runtimes.model import Port


def main() -> int:
    """Be the child process for one stream of samples."""
    return run_job(_predict)


def _predict(job: Job) -> None:
    """Answer each group of samples (all bytes one after another) with every output's length, then all their bytes."""
    model = job.load()
    sizes = [byte_size(port) for port in model.inputs]
    job.answer({"sample_bytes": sum(sizes)})
    buffer = PartBuffer()
    for message in job.lines():
        group = buffer.add(message)
        if group is None:
            continue
        if not group or len(group) % sum(sizes):
            raise ValueError("%d bytes are no whole number of samples of %d bytes" % (len(group), sum(sizes)))
        answers: List[List[bytes]] = []
        for start in range(0, len(group), sum(sizes)):
            model.forget()
            model.feed(unpack(group[start : start + sum(sizes)], model.inputs))
            model.invoke()
            answers.append(model.answers())
            job.alive()
        job.answer({"lengths": [[len(output) for output in answer] for answer in answers]})
        for part in parts(b"".join(output for answer in answers for output in answer)):
            job.answer(part)


def byte_size(port: Port) -> int:
    """Return the bytes of one input."""
    import numpy

    shape, dtype = port
    return int(numpy.prod(shape, dtype=numpy.int64)) * numpy.dtype(dtype).itemsize


def unpack(sample: bytes, ports: List[Port]) -> List[Any]:
    """Return a sample's arrays, one an input."""
    import numpy

    arrays, start = [], 0
    for shape, dtype in ports:
        end = start + byte_size((shape, dtype))
        arrays.append(numpy.frombuffer(sample[start:end], dtype=dtype).reshape(shape))
        start = end
    return arrays
