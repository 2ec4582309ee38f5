"""Whether the HDF5 file in a `.keras` holds plain arrays and nothing else. HDF5's own library reads it, in a process of its own.

The library that checks is the one that will load the file, so both see the same; a second reader written here could be led past
what HDF5 does (two caches of each group's address, four ways to store links, five to lay out data). HDF5 is C code, and damaged
files crash or stall it: therefore a child process, with limits and without TensorFlow. Only headers are read, no link is followed.
"""

from __future__ import annotations

import io
import json
import resource
import signal
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgepipe.errors import InternalError, MissingExtra, ModelFileError
from edgepipe.pipeline.inspect.keras_classes import printable

MEMBER = "model.weights.h5"
SECONDS = 60
MEMORY_BYTES = 1 << 30  # beyond twice the file itself
MOST_OBJECTS = 100_000
DEEPEST = 64


def check_weights(path: Path) -> None:
    """Raise ModelFileError that lists what is no plain array in the weights of a `.keras` file, or where HDF5 cannot read them.

    Raises MissingExtra without h5py, which comes with TensorFlow.
    """
    # -P: whatever lies in the current folder, perhaps beside the model, is not imported.
    command = [sys.executable, "-P", "-m", "edgepipe.pipeline.inspect.weights_file", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(command, -signal.SIGKILL, b"", b"")
    if done.returncode > 0:  # Python's own, and no signal: not what a file can do
        last = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
        raise InternalError(f"the check of {path} failed: {last:.300}")
    answer: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    if "missing" in answer:
        raise MissingExtra(f"h5py is not ready to use: {answer['missing']}", cause="edgepipe was installed without [compress]")
    problems = answer.get("problems", ["it crashes or stalls the HDF5 library"])
    if problems:
        raise ModelFileError(
            f"{path}: {MEMBER} is not a file of plain arrays",
            problems=problems,
            cause="it is damaged, or was not written by Keras",
            todo="Save it again as model.save('model.keras'), with the code that made it.",
        )


def problems_in(content: bytes) -> Iterator[str]:
    """Yield a line for each link, layout or type that Keras never writes. Raises OSError and others for what is no HDF5 file."""
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:
        yield from _group_problems(h5py.h5g.open(file.id, b"/"), len(content))


def _group_problems(root: Any, file_bytes: int) -> Iterator[str]:
    from h5py import h5g, h5l, h5o

    pending: list[tuple[Any, str, int]] = [(root, "", 0)]
    seen = {h5o.get_info(root).addr}
    total = 0
    while pending:
        group, path, depth = pending.pop()
        yield from _attribute_problems(group, path or "/")
        for name in [*group]:
            where = f"{path}/{name.decode(errors='replace'):.80}"
            kind = group.links.get_info(name).type
            if kind != h5l.TYPE_HARD:
                yield f"{where} is {LINKS.get(kind, 'a link of an unknown kind')}"
                continue
            info = h5o.get_info(group, name)
            if info.addr in seen:
                yield f"{where} is a second link to the same object"
                continue
            seen.add(info.addr)
            if len(seen) > MOST_OBJECTS or depth == DEEPEST:
                yield f"{where}: more than {MOST_OBJECTS} objects, or groups more than {DEEPEST} deep"
                return
            if info.type == h5o.TYPE_GROUP:
                pending.append((h5g.open(group, name), where, depth + 1))
            elif info.type == h5o.TYPE_DATASET:
                dataset = h5o.open(group, name)
                yield from _attribute_problems(dataset, where)
                yield from _dataset_problems(dataset, where)
                total += dataset.get_space().get_simple_extent_npoints() * dataset.get_type().get_size()
                if total > file_bytes:
                    yield f"{where}: its arrays are larger than the file"
                    return
            else:
                yield f"{where} is neither a group nor an array"


def _dataset_problems(dataset: Any, where: str) -> Iterator[str]:
    from h5py import h5d

    created = dataset.get_create_plist()
    layout = created.get_layout()
    if layout == h5d.VIRTUAL:
        yield f"{where} is a virtual dataset, made of parts of other files"
    elif created.get_external_count():
        yield f"{where} keeps its values in another file ({created.get_external(0)[0].decode(errors='replace'):.80})"
    elif layout == h5d.CHUNKED or created.get_nfilters():
        yield f"{where} is stored in pieces or packed, which Keras does not do"
    elif dataset.get_space().get_simple_extent_npoints() * dataset.get_type().get_size() > dataset.get_storage_size():
        yield f"{where} has a shape larger than what is stored of it"
    if not _is_plain(dataset.get_type()):
        yield f"{where} holds references or objects and not numbers"


def _attribute_problems(thing: Any, where: str) -> Iterator[str]:
    from h5py import h5a, h5t

    for index in range(min(h5a.get_num_attrs(thing), 1000)):
        attribute = h5a.open(thing, index=index)
        text = attribute.get_type().get_class() == h5t.STRING
        if not text and not _is_plain(attribute.get_type()):
            yield f"{where}: its attribute {attribute.name.decode(errors='replace'):.80} holds references or objects"


def _is_plain(kind: Any) -> bool:
    from h5py import h5t

    if kind.get_class() == h5t.STRING:
        return not kind.is_variable_str()
    return kind.get_class() in (h5t.INTEGER, h5t.FLOAT, h5t.BITFIELD, h5t.OPAQUE, h5t.ENUM)


LINKS = {1: "a soft link", 64: "an external link to another file"}  # H5L_type_t of H5Lpublic.h


def _answer(path: Path) -> dict[str, Any]:
    limit = MEMORY_BYTES + 3 * path.stat().st_size
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        import h5py  # noqa: F401
    except ImportError as exc:
        return {"missing": str(exc)}
    problems = []
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(MEMBER)
        for problem in problems_in(content):
            problems.append(printable(problem))
            if len(problems) == 20:
                break
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        MemoryError,
        OverflowError,
        zipfile.BadZipFile,
        zlib.error,
    ) as exc:
        problems.append(f"HDF5 cannot read it: {str(exc).splitlines()[0] if str(exc) else type(exc).__name__:.200}")
    return {"problems": problems}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer(Path(sys.argv[1]))))
