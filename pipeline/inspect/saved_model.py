"""What a SavedModel folder would do when loaded, read without TensorFlow: its operations, its Keras layers, its files.

A SavedModel is a program. Its protobuf files are walked field by field (protobuf's wire format; field numbers from TensorFlow's
saved_model.proto, meta_graph.proto, graph.proto, function.proto, saved_object_graph.proto and Keras's saved_metadata.proto), every
occurrence of every field, so that nothing a loader would see is left out.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgepipe.errors import ModelFileError, UnsupportedModel
from edgepipe.pipeline.inspect.keras_classes import METADATA_VALUES, objections, printable
from edgepipe.pipeline.inspect.keras_training import training_objections
from edgepipe.pipeline.inspect.tensorflow_ops import DANGERS, PLAIN_OPS, SAVING_OPS

LARGEST_PROTO_BYTES = 1 << 30
LARGEST_METADATA_BYTES = 16 << 20
FILES = re.compile(r"saved_model\.pb|keras_metadata\.pb|fingerprint\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})")
FOLDERS = {"variables", "assets"}
SAVING_FUNCTION = re.compile(r"__inference__traced_(save|restore)_\d+")

META_GRAPHS, GRAPH, OBJECTS, ASSETS = 2, 2, 7, 6
LIBRARY, FUNCTION, FUNCTION_SIGNATURE, FUNCTION_NODE, GRAPH_NODE = 2, 1, 1, 3, 1
NODE_NAME, NODE_OP, NODE_ATTRIBUTE = 1, 2, 5
OBJECT, USER_OBJECT, USER_METADATA, METADATA_NODE, METADATA_TEXT = 1, 4, 3, 1, 5
TRAINING = "training_config"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the graph or of one of its functions, and the functions it may call."""

    op: str
    name: str
    function: str
    calls: tuple[str, ...]

    def __str__(self) -> str:
        return f'operation "{self.name}"' + (f" of {self.function}" if self.function else "")


def check_saved_model(folder: Path) -> None:
    """Raise UnsupportedModel that lists everything in a SavedModel that may touch files, run code or was not put there by Keras.

    Raises ModelFileError where it is missing or damaged. Nothing in it is executed.
    """
    problems = [*_foreign_files(folder)]
    try:
        content = _read(folder / "saved_model.pb")
        metadata = _read(folder / "keras_metadata.pb") if (folder / "keras_metadata.pb").is_file() else b""
        problems += _graph_problems(content)
        problems += _layer_problems(memoryview(content), memoryview(metadata))
    except (ValueError, RecursionError) as exc:
        raise ModelFileError(f"{folder} is not a SavedModel: {exc}", cause="the file is damaged or in another format") from exc
    if problems := list(dict.fromkeys(map(printable, problems))):
        raise UnsupportedModel(
            f"{folder} can do more than compute",
            problems=[*problems[:20], *([f"and {len(problems) - 20} more"] if len(problems) > 20 else [])],
            cause="a SavedModel is a program, and this one is not only made of Keras's usual layers",
            todo="Save it as model.save('model.keras'); or, if you know who made it, --trust-model.",
        )


def _foreign_files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield f"{name!r} is a link"
        elif not (name in FOLDERS if stat.S_ISDIR(mode) else stat.S_ISREG(mode) and FILES.fullmatch(name)):
            yield f"{name!r} does not belong in it"


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ModelFileError(f"{path.parent} is a folder without a {path.name}", cause="this is not a SavedModel")
        if path.stat().st_size > LARGEST_PROTO_BYTES:
            raise ModelFileError(f"{path} is larger than {LARGEST_PROTO_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as exc:
        raise ModelFileError(f"cannot read {path}: {exc.strerror}") from exc


def _graph_problems(content: bytes) -> Iterator[str]:
    operations = [*_operations(memoryview(content))]
    if not operations:
        raise ValueError("saved_model.pb holds no operations")
    for operation in operations:
        if reason := DANGERS.get(operation.op):
            yield f"{operation}: {operation.op} {reason}"
        elif operation.op in SAVING_OPS:
            if not SAVING_FUNCTION.fullmatch(operation.function):
                yield f"{operation}: {operation.op} reads or writes files"
        elif operation.op not in PLAIN_OPS:
            yield f"{operation}: {operation.op!r:.80} is not an operation of Keras's usual layers"
        for called in operation.calls:
            if operation.function and SAVING_FUNCTION.fullmatch(called):
                yield f"{operation}: it calls {called}, which reads or writes files"
    yield from _saving_problems(content, operations)
    if any(True for _ in _at(memoryview(content), META_GRAPHS, ASSETS)):
        yield "it brings asset files along"


def _saving_problems(content: bytes, operations: list[Operation]) -> Iterator[str]:
    """Yield what else could run the functions that save and restore: Keras never asks the graph's Saver to."""
    functions = [*_at(memoryview(content), META_GRAPHS, GRAPH, LIBRARY, FUNCTION)]
    saving = [function for function in functions if any(map(_is_saving, _at(function, FUNCTION_SIGNATURE, 1)))]
    called = sum(bool(SAVING_FUNCTION.fullmatch(name)) for operation in operations for name in operation.calls)
    named = len(re.findall(SAVING_FUNCTION.pattern.encode(), content))
    if named > len(saving) + called:
        yield "a function that reads or writes files is offered to be called"
    if any(b"api_implements" in bytes(function) for function in saving):
        yield "a function that reads or writes files is offered in place of another"


def _is_saving(name: memoryview) -> bool:
    return bool(SAVING_FUNCTION.fullmatch(_text(name)))


def _operations(content: memoryview) -> Iterator[Operation]:
    for graph in _at(content, META_GRAPHS, GRAPH):
        functions = [("", node) for node in _at(graph, GRAPH_NODE)]
        for function in _at(graph, LIBRARY, FUNCTION):
            name = "/".join(_text(part) for part in _at(function, FUNCTION_SIGNATURE, 1))
            functions += [(name, node) for node in _at(function, FUNCTION_NODE)]
        for owner, node in functions:
            names = [_text(part) for part in _at(node, NODE_NAME)]
            calls = tuple(_text(part) for attribute in _at(node, NODE_ATTRIBUTE, 2) for part in _called(attribute))
            for op in [_text(part) for part in _at(node, NODE_OP)] or [""]:
                yield Operation(op=op, name=(names or [""])[-1][:120], function=owner[:120], calls=calls)


def _called(attribute: memoryview) -> Iterator[memoryview]:
    """Yield the names of functions in an AttrValue (`func` is field 10, `list.func` 1.9), which may hold attributes again."""
    functions = [*_at(attribute, 10), *_at(attribute, 1, 9)]
    depth = 0
    while functions:
        if (depth := depth + 1) > 1000:
            raise ValueError("an operation's attributes hold more than 1000 functions")
        function = functions.pop()
        yield from _at(function, 1)
        for inner in _at(function, 2, 2):
            functions += [*_at(inner, 10), *_at(inner, 1, 9)]


def training_of(folder: Path) -> object:
    """Return what the model in a SavedModel was compiled with, as Keras 2 wrote it; None where it was not. Only to be read."""
    content = _read(folder / "saved_model.pb")
    metadata = _read(folder / "keras_metadata.pb") if (folder / "keras_metadata.pb").is_file() else b""
    layers = (json.loads(bytes(text)) for text in filter(None, _layer_texts(memoryview(content), memoryview(metadata))))
    return next((layer[TRAINING] for layer in layers if isinstance(layer, dict) and layer.get(TRAINING)), None)


def _layer_texts(content: memoryview, metadata: memoryview) -> list[memoryview]:
    """Return the Keras metadata: older files keep it in the object graph, newer ones in a file of its own. The model's is first."""
    return [*_at(content, META_GRAPHS, OBJECTS, OBJECT, USER_OBJECT, USER_METADATA), *_at(metadata, METADATA_NODE, METADATA_TEXT)]


def _layer_problems(content: memoryview, metadata: memoryview) -> Iterator[str]:
    """Yield what the Keras metadata would bring along."""
    texts = _layer_texts(content, metadata)
    if sum(map(len, texts)) > LARGEST_METADATA_BYTES:
        raise ValueError(f"its Keras metadata is larger than {LARGEST_METADATA_BYTES >> 20} MiB")
    for text in filter(None, texts):
        layer = json.loads(bytes(text))
        name = str(layer.get("name"))[:80] if isinstance(layer, dict) else "?"
        training = layer.pop(TRAINING, None) if isinstance(layer, dict) else None  # never given to Keras
        yield from objections(layer, values=METADATA_VALUES, owner=f'layer "{name}"')
        yield from training_objections(training)


def _at(message: memoryview, *path: int) -> Iterator[memoryview]:
    """Yield the content of every length-delimited field at a path of field numbers."""
    for number, content in _fields(message):
        if number == path[0]:
            if len(path) == 1:
                yield content
            else:
                yield from _at(content, *path[1:])


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield (number, content) of the length-delimited fields of a message. Raises ValueError for what is no protobuf."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        elif kind == BYTES:
            size, at = _varint(message, at)
            if size > end - at:
                raise ValueError("a field is longer than the file")
            yield tag >> 3, message[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {kind} is not used in a SavedModel")
    if at > end:
        raise ValueError("it is cut short")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(message):
            raise ValueError("it is cut short")
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number is longer than 10 bytes")


def _text(content: memoryview) -> str:
    return bytes(content).decode("utf-8", errors="replace")
