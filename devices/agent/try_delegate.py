"""A fresh process that loads the Edge TPU's delegate and nothing else: it tells how the board is before any model is sent there."""

from .job import Job, run_job


def main() -> int:
    """Be the child process for one try."""
    return run_job(_loaded)


def _loaded(job: Job) -> None:
    job.answer({"delegate_ns": job.delegate_ns})
