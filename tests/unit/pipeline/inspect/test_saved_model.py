"""A SavedModel is a program: it is read without TensorFlow, and what could touch files or run code is refused by name."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepipe.errors import EdgepipeError, ModelFileError, UnsupportedModel
from edgepipe.events import Event, Note
from edgepipe.pipeline.inspect.admission import admit
from edgepipe.pipeline.inspect.saved_model import check_saved_model
from edgepipe.pipeline.inspect.tensorflow_ops import DANGERS, PLAIN_OPS, SAVING_OPS

REAL = Path(__file__).resolve().parents[5] / "shared" / "data" / "models" / "kws_ref_savedmodel"
SAVE = "__inference__traced_save_7"


def field(number: int, content: bytes | str) -> bytes:
    """A length-delimited field of a protobuf."""
    data = content.encode() if isinstance(content, str) else content
    size, length = len(data), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def node(op: str, name: str = "n", *, calls: str = "") -> bytes:
    called = field(5, field(1, "f") + field(2, field(10, field(1, calls)))) if calls else b""
    return field(1, name) + field(2, op) + called


def function(name: str, *nodes: bytes, more: bytes = b"") -> bytes:
    return field(1, field(1, name)) + b"".join(field(3, each) for each in nodes) + more


def saved_model(
    folder: Path, *nodes: bytes, functions: tuple[bytes, ...] = (), objects: bytes = b"", metadata: bytes = b""
) -> Path:
    """A SavedModel's folder as Keras lays it out, with these operations in its graph."""
    graph = b"".join(field(1, each) for each in (node("MatMul", "dense"), *nodes))
    library = b"".join(field(1, each) for each in functions)
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "variables" / "variables.index").write_bytes(b"x")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"x")
    (folder / "fingerprint.pb").write_bytes(b"x")
    (folder / "keras_metadata.pb").write_bytes(metadata)
    (folder / "saved_model.pb").write_bytes(b"\x08\x01" + field(2, field(2, graph + field(2, library)) + field(7, objects)))
    return folder


def keras_layer(kind: str) -> bytes:
    return field(1, field(5, json.dumps({"name": "pre", "class_name": kind, "config": {"name": "pre"}})))


def in_object_graph(kind: str) -> bytes:
    return field(1, field(4, field(3, json.dumps({"name": "pre", "class_name": kind, "config": {"name": "pre"}}))))


GRAPHS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "ReadFile": (lambda to: saved_model(to, node("ReadFile", "secret")), 'operation "secret": ReadFile reads files'),
    "WriteFile": (lambda to: saved_model(to, node("WriteFile")), "WriteFile writes files"),
    "PyFunc": (lambda to: saved_model(to, node("PyFunc")), "PyFunc runs Python code"),
    "EagerPyFunc": (lambda to: saved_model(to, node("EagerPyFunc")), "EagerPyFunc runs Python code"),
    "PyFuncStateless": (lambda to: saved_model(to, node("PyFuncStateless")), "PyFuncStateless runs Python code"),
    "XlaCallModule": (lambda to: saved_model(to, node("XlaCallModule")), "compiled code"),
    "a custom operation": (lambda to: saved_model(to, node("MyOwnOp")), "'MyOwnOp' is not an operation"),
    "an operation without a name": (lambda to: saved_model(to, field(1, "n")), "'' is not an operation"),
    "a second operation in the same node": (lambda to: saved_model(to, node("Relu") + field(2, "ReadFile")), "ReadFile"),
    "a danger inside a function": (
        lambda to: saved_model(to, functions=(function("f", node("WriteFile", "inner")),)),
        'operation "inner" of f: WriteFile',
    ),
    "saving in a function of one's own": (
        lambda to: saved_model(to, functions=(function("f", node("SaveV2")),)),
        "SaveV2 reads or writes files",
    ),
    "a call to the function that saves": (
        lambda to: saved_model(
            to, functions=(function(SAVE, node("SaveV2")), function("f", node("PartitionedCall", "c", calls=SAVE)))
        ),
        f"it calls {SAVE}",
    ),
    "the function that saves offered as the model's": (
        lambda to: saved_model(to, functions=(function(SAVE, node("SaveV2")),), objects=field(2, field(1, SAVE))),
        "offered to be called",
    ),
    "the function that saves offered in place of another": (
        lambda to: saved_model(to, functions=(function(SAVE, node("SaveV2"), more=field(5, field(1, "api_implements"))),)),
        "in place of another",
    ),
    "a Lambda in the Keras metadata": (lambda to: saved_model(to, metadata=keras_layer("Lambda")), 'layer "pre": a Lambda'),
    "a Lambda in the object graph": (lambda to: saved_model(to, objects=in_object_graph("Lambda")), "a Lambda holds Python code"),
    "a class of one's own in the metadata": (
        lambda to: saved_model(to, metadata=keras_layer("Mine")),
        "Mine is a class of your own",
    ),
    "an old TensorFlow layer": (lambda to: saved_model(to, metadata=keras_layer("TensorFlowOpLayer")), "any TensorFlow operation"),
}


def _with(name: str, put: Callable[[Path], object]) -> Callable[[Path], Path]:
    def write(to: Path) -> Path:
        saved_model(to)
        (to / name).parent.mkdir(exist_ok=True)
        put(to / name)
        return to

    return write


FOLDERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a link": (_with("variables/variables.data-00001-of-00002", lambda at: at.symlink_to("/etc/passwd")), "is a link"),
    "a linked folder": (_with("extra", lambda at: at.symlink_to("/etc")), "'extra' is a link"),
    "code": (_with("custom.py", lambda at: at.write_text("x")), "'custom.py' does not belong"),
    "a library": (_with("assets/op.so", lambda at: at.write_bytes(b"x")), "'assets/op.so' does not belong"),
    "a pipe": (_with("fifo", os.mkfifo), "'fifo' does not belong"),
    "the text form of the graph": (_with("saved_model.pbtxt", lambda at: at.write_text("x")), "does not belong"),
}
KINDS = {**GRAPHS, **FOLDERS}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_refused_by_name_and_let_in_with_a_warning_when_trusted(tmp_path: Path, kind: str) -> None:
    write, words = KINDS[kind]
    folder = write(tmp_path / "model")
    notes: list[Event] = []
    with pytest.raises(UnsupportedModel) as caught:
        admit(folder, trusted=False, emit=notes.append)
    assert any(words in problem for problem in caught.value.problems), caught.value.problems
    assert len(caught.value.problems) == 1
    assert notes == []
    admit(folder, trusted=True, emit=notes.append)
    assert [isinstance(note, Note) and note.warning and words in note.text for note in notes] == [True]


def test_saving_and_restoring_where_keras_puts_it_is_let_in(tmp_path: Path) -> None:
    saver = node("StatefulPartitionedCall", "saver", calls=SAVE)
    check_saved_model(saved_model(tmp_path / "m", saver, functions=(function(SAVE, node("SaveV2"), node("MergeV2Checkpoints")),)))


def test_the_same_folder_without_the_danger_is_let_in(tmp_path: Path) -> None:
    layers = keras_layer("Dense") + keras_layer("ConvLSTM2D") + keras_layer("ConvLSTMCell")
    check_saved_model(saved_model(tmp_path / "m", metadata=layers, objects=in_object_graph("Conv2D")))


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/models")
def test_the_real_keyword_spotting_model_is_let_in() -> None:
    check_saved_model(REAL)


def test_models_of_either_keras_from_the_zoo_are_let_in(zoo: Path) -> None:
    for name in (
        "saved_model",
        "keras3.keras",
        "keras2.keras",
        "two_inputs.keras",
        "sequential.keras",
        "no_weights.keras",
        "open.keras",
    ):
        notes: list[Event] = []
        admit(zoo / name, trusted=False, emit=notes.append)
        assert notes == []


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 50, b"\x12\xff\xff\xff\x0f", b"PK\x03\x04", b"\x13\x14", b"\x08" + b"\xff" * 12]
)
def test_what_is_no_protobuf_is_damaged(tmp_path: Path, content: bytes) -> None:
    folder = saved_model(tmp_path / "m")
    (folder / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelFileError):
        admit(folder, trusted=True, emit=lambda event: None)


def test_two_thousand_damaged_graphs_raise_nothing_but_our_errors(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m", functions=(function(SAVE, node("SaveV2")),), metadata=keras_layer("Dense"))
    whole, dice = (folder / "saved_model.pb").read_bytes(), random.Random(11)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        (folder / "saved_model.pb").write_bytes(bytes(damaged))
        try:
            check_saved_model(folder)
        except EdgepipeError as exc:
            refused += exc.exit_code == 2
    assert refused > 1000


def test_no_operation_stands_in_two_tables() -> None:
    assert not PLAIN_OPS & set(DANGERS)
    assert not SAVING_OPS & (PLAIN_OPS | set(DANGERS))
