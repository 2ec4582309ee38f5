"""A bundle tells of every changed byte, of everything too much or too little in it, and of answers that are no longer given."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.bundles import MANIFEST
from edgepipe.errors import EdgepipeError, UnsupportedModel, UsageError, VerifyFailed
from edgepipe.pipeline.export.bundle import contents, golden, manifest
from edgepipe.workflows.bundle import Wishes, bundle, verify_bundle

pytestmark = pytest.mark.skipif(
    find_spec("tflite_micro") is None, reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'"
)
IN_PYTHON = """
import json, runpy, sys
module = runpy.run_path(sys.argv[1])
print(module["quantize_input"](json.load(sys.stdin)))
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small dense layer for a microcontroller; never changed."""
    from tests.unit.pipeline.conftest import Tiny

    folder = tmp_path_factory.mktemp("bundle")
    weights = np.random.default_rng(0).integers(-127, 128, (5, 20), np.int8)
    (folder / "dense.tflite").write_bytes(Tiny.dense(weights, scale=0.01))
    return bundle(folder / "dense.tflite", to=folder / "dense.bundle", wishes=Wishes(licence="MIT", golden=6)).path


NAMES = (
    *("MODEL_CARD.md", "dense_golden.cc", "dense_golden.h", "dense_model_data.cc", "dense_model_data.h", "dense_op_resolver.h"),
    *("dense_quantize.h", "dense_quantize.py", "golden.npz", "manifest.json", "model.tflite", "model_card.json"),
)


@pytest.fixture
def copied(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "copy"))


def problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(VerifyFailed) as caught:
        verify_bundle(path)
    return caught.value.problems


def resealed(path: Path, **changed: Any) -> None:
    """Let the manifest agree with the files as they are: what somebody does who wants to deceive."""
    files, _ = contents.read(path)
    found, _ = manifest.read(files.pop(MANIFEST))
    (path / MANIFEST).write_bytes(manifest.write(replace(found, **changed), files))


# Whole -----------------------------------------------------------------------------------------------------------------------


def test_a_bundle_as_packed_is_sound(packed: Path) -> None:
    found = verify_bundle(packed)

    assert tuple(sorted(path.name for path in packed.iterdir())) == tuple(sorted(NAMES))
    assert (found.target, found.golden.runtime, found.golden.samples) == ("mcu", "tflm", 6)
    assert found.requirements.ops == {"FULLY_CONNECTED": 1}
    assert found.lineage.missing


def test_packed_twice_it_has_the_same_bytes_as_a_folder_and_as_a_file(packed: Path, tmp_path: Path) -> None:
    model, wishes = tmp_path / "dense.tflite", Wishes(licence="MIT", golden=6)
    shutil.copy(packed / "model.tflite", model)
    for name in ("a.zip", "b.zip", "again"):
        bundle(model, to=tmp_path / name, wishes=wishes)

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert contents.read(tmp_path / "a.zip")[0] == contents.read(tmp_path / "again")[0] == contents.read(packed)[0]
    assert verify_bundle(tmp_path / "a.zip").name == "dense"


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc: apt-get install gcc")
def test_c_code_of_the_bundle_compiles_and_golden_arrays_hold_the_golden_samples(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "dense_golden.h"\n#include "dense_model_data.h"\n#include "dense_quantize.h"\n'
        "int main(void) {\n"
        "  fwrite(g_dense_golden_input_0, 1, DENSE_GOLDEN_SAMPLES * DENSE_INPUT_0_SIZE, stdout);\n"
        "  fwrite(g_dense_golden_output_0, 1, DENSE_GOLDEN_SAMPLES * DENSE_OUTPUT_0_SIZE, stdout);\n"
        "  return g_dense_model_data_size == DENSE_MODEL_DATA_SIZE ? 0 : 1;\n}\n"
    )
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", "-I", str(packed)]
    sources = ["main.c", str(packed / "dense_golden.cc"), str(packed / "dense_model_data.cc")]
    subprocess.run(["gcc", "-x", "c", *flags, *sources, "-o", "main"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout

    samples = golden.unpack((packed / "golden.npz").read_bytes())
    assert said == samples.inputs[0].tobytes() + samples.outputs[0].tobytes()


# Damage ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_byte_in_any_file_is_noticed(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)

    assert any(name in problem for problem in problems(copied))


@pytest.mark.parametrize("name", NAMES)
def test_any_missing_file_is_noticed(copied: Path, name: str) -> None:
    (copied / name).unlink()

    assert any(name in problem for problem in problems(copied))


def test_everything_that_is_too_much_is_noticed_at_once(copied: Path) -> None:
    (copied / "notes.txt").write_text("mine")
    (copied / ".hidden").write_text("mine")
    (copied / "folder").mkdir()
    (copied / "link").symlink_to("/etc/passwd")
    os.mkfifo(copied / "pipe")
    found = problems(copied)

    assert [name for name in ("notes.txt", ".hidden", "folder", "link", "pipe") if not any(name in each for each in found)] == []
    assert len(found) == 5


def test_a_file_replaced_by_a_link_to_the_same_bytes_is_noticed(copied: Path, packed: Path) -> None:
    (copied / "model.tflite").unlink()
    (copied / "model.tflite").symlink_to(packed / "model.tflite")

    assert any("a symbolic link" in problem for problem in problems(copied))


# Deceit: the manifest agrees with what was changed --------------------------------------------------------------------------


def edit(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = (path / name).read_bytes()
        assert old in content
        (path / name).write_bytes(content.replace(old, new, 1))

    return change


def other_answers(path: Path) -> None:
    samples = golden.unpack((path / "golden.npz").read_bytes())
    answers = samples.outputs[0].copy()
    answers[3, 0, 0] ^= 1
    (path / "golden.npz").write_bytes(golden.pack(replace(samples, outputs=(answers,))))


def other_model(path: Path) -> None:
    content = bytearray((path / "model.tflite").read_bytes())
    samples = golden.unpack((path / "golden.npz").read_bytes())
    weights = np.random.default_rng(0).integers(-127, 128, (5, 20), np.int8).tobytes()
    place = bytes(content).index(weights)
    content[place : place + len(weights)] = bytes(len(weights))
    assert samples.count
    (path / "model.tflite").write_bytes(content)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edit("dense_quantize.h", b"_SCALE 0.1", b"_SCALE 0.2"), "dense_quantize.h: its scales, zero points or sizes"),
        (edit("dense_quantize.h", b"_ZERO_POINT (0)", b"_ZERO_POINT (1)"), "dense_quantize.h: its scales, zero points or sizes"),
        (edit("dense_quantize.h", b"rest >= 0.5f", b"rest > 0.5f"), "dense_quantize.h: not the code that is generated"),
        (edit("dense_quantize.py", b"'zero_point': 0", b"'zero_point': 3"), "dense_quantize.py: its scales"),
        (edit("dense_quantize.py", b"+ 0.5", b"+ 0.4"), "dense_quantize.py: not the code that is generated"),
        (edit("dense_model_data.cc", b"0x54, 0x46", b"0x54, 0x47"), "dense_model_data.cc: its array"),
        (edit("dense_model_data.h", b"_ARENA_SIZE ", b"_ARENA_SIZE 1"), "dense_model_data.h: it states another arena"),
        (edit("dense_op_resolver.h", b"AddFullyConnected", b"AddConv2D"), "dense_op_resolver.h: it registers other operators"),
        (edit("dense_golden.cc", b"    ", b"    1"), "dense_golden.cc: its numbers"),
        (edit("MODEL_CARD.md", b"MIT", b"ISC"), "MODEL_CARD.md: it tells another story"),
        (edit("model_card.json", b'"tflm"', b'"mine"'), "model_card.json: it tells another story"),
        (other_answers, "golden.npz: tflm"),
        (other_model, "model.tflite: not the model"),
    ],
)
def test_a_resealed_change_is_noticed_all_the_same(copied: Path, change: Callable[[Path], None], told: str) -> None:
    change(copied)
    resealed(copied)

    assert any(problem.startswith(told) for problem in problems(copied))


def test_an_arena_that_does_not_do_is_noticed(copied: Path) -> None:
    files, _ = contents.read(copied)
    found, _ = manifest.read(files[MANIFEST])
    arena = found.requirements.arena_bytes
    assert arena is not None
    edit("dense_model_data.h", f"_ARENA_SIZE {arena}u".encode(), f"_ARENA_SIZE {arena - 16}u".encode())(copied)
    resealed(copied, requirements=replace(found.requirements, arena_bytes=arena - 16))

    assert any(problem.startswith("model.tflite: tflm does not take it") for problem in problems(copied))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"nonsense", b'{"kind": "edgepipe bundle"}', b"[" * 100_000])
def test_what_is_no_manifest_is_said_to_be_none(copied: Path, content: bytes) -> None:
    (copied / MANIFEST).write_bytes(content)

    assert problems(copied)


@pytest.mark.parametrize("name", ["../model.tflite", "/etc/passwd", "a/b", "", "x\n"])
def test_a_manifest_that_points_outside_is_refused(copied: Path, name: str) -> None:
    document = json.loads((copied / MANIFEST).read_bytes())
    document["files"][name] = document["files"].pop("golden.npz")
    (copied / MANIFEST).write_text(json.dumps(document))

    assert any("not a name that a bundle uses" in problem for problem in problems(copied))


# Hostile files ------------------------------------------------------------------------------------------------------------------


def zipped(path: Path, packed: Path, *members: tuple[zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(packed.iterdir()):
            archive.writestr(file.name, file.read_bytes())
        for member, content in members:
            archive.writestr(member, content)
    return path


def link() -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("link")
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("member", "told"),
    [
        (zipfile.ZipInfo("../evil"), "not a name"),
        (zipfile.ZipInfo("/evil"), "not a name"),
        (zipfile.ZipInfo("model.tflite"), "there twice"),
        (zipfile.ZipInfo("folder/"), "not a name"),
        (link(), "a link"),
        (zipfile.ZipInfo("extra"), "not in the manifest"),
    ],
)
def test_what_a_zip_may_hide_is_noticed(packed: Path, tmp_path: Path, member: zipfile.ZipInfo, told: str) -> None:
    path = zipped(tmp_path / "evil.zip", packed, (member, b"evil"))

    assert any(told in problem for problem in problems(path))
    assert not (tmp_path / "evil").exists() and not (tmp_path.parent / "evil").exists()


def test_a_cut_zip_is_refused(packed: Path, tmp_path: Path) -> None:
    content = zipped(tmp_path / "whole.zip", packed).read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])

    with pytest.raises(VerifyFailed, match=r"no whole \.zip") as found:
        verify_bundle(tmp_path / "cut.zip")
    assert found.value.todo.startswith("Copy the bundle again")


def test_golden_samples_that_are_python_objects_are_not_loaded(copied: Path) -> None:
    evil = io.BytesIO()
    np.savez(evil, input_0=np.array([{"a": 1}], dtype=object), output_0=np.zeros(1))
    (copied / "golden.npz").write_bytes(evil.getvalue())
    resealed(copied)

    assert any(problem.startswith("golden.npz: golden.npz is damaged") for problem in problems(copied))


# Making one ------------------------------------------------------------------------------------------------------------------


def test_what_is_no_bundle_is_never_replaced_and_a_bundle_is(packed: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is no bundle"):
        bundle(packed / "model.tflite", to=mine)
    assert (mine / "thesis.txt").read_text() == "years of work"

    shutil.copytree(packed, tmp_path / "old")
    made = bundle(packed / "model.tflite", to=tmp_path / "old", wishes=Wishes(name="newer", golden=2))
    assert (made.manifest.name, verify_bundle(tmp_path / "old").golden.samples) == ("newer", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "old"]


def test_a_float_model_is_answered_by_litert_and_has_no_arrays(tiny: Any, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    (tmp_path / "float.tflite").write_bytes(tiny.dense(weights, "float32"))
    made = bundle(tmp_path / "float.tflite", to=tmp_path / "out", wishes=Wishes(golden=3))

    assert (made.manifest.target, made.manifest.golden.runtime, made.manifest.golden.in_c) == ("host", "litert-ref", 0)
    assert not list((tmp_path / "out").glob("*.cc"))
    verify_bundle(tmp_path / "out")


def test_real_data_is_kept_beside_its_codes(packed: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(0, 5, (40, 20)).astype("float32")
    np.savez(tmp_path / "test.npz", x=values)
    made = bundle(packed / "model.tflite", to=tmp_path / "out", wishes=Wishes(data=str(tmp_path / "test.npz"), golden=8))
    samples = golden.unpack((tmp_path / "out" / "golden.npz").read_bytes())

    assert made.manifest.golden.has_real
    assert made.manifest.golden.inputs == "8 of the 40 of test.npz, drawn with seed 0"
    assert all((values == row).all(axis=1).any() for row in samples.real[0])
    done = subprocess.run(
        [sys.executable, "-c", IN_PYTHON, str(tmp_path / "out" / "model_quantize.py")],
        input=json.dumps(samples.real[0][0].ravel().tolist()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == samples.inputs[0][0].ravel().tolist()
    verify_bundle(tmp_path / "out")


def test_a_name_from_the_model_makes_no_link_and_no_row(tiny: Any, tmp_path: Path) -> None:
    model = tiny()
    x, y = model.tensor("[x](http://evil) | @all\n# big", (1, 4), scale=0.1), model.tensor("*/ <script>", (1, 4), scale=0.1)
    model.op("RELU", [x], [y])
    model.ports([x], [y])
    (tmp_path / "m.tflite").write_bytes(model.build())
    bundle(tmp_path / "m.tflite", to=tmp_path / "out", wishes=Wishes(golden=1, licence="[a](http://b)"))
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()

    assert "](" not in card.replace("\\]\\(", "")
    assert "<script>" not in card.replace("\\<script\\>", "")
    assert "\n# big" not in card
    verify_bundle(tmp_path / "out")


def test_a_zero_point_outside_of_the_codes_is_refused(tiny: Any, tmp_path: Path) -> None:
    model = tiny()
    x, y = model.tensor("x", (1, 4), scale=0.1, zero_point=1 << 40), model.tensor("y", (1, 4), scale=0.1)
    model.op("RELU", [x], [y])
    model.ports([x], [y])
    (tmp_path / "m.tflite").write_bytes(model.build())

    with pytest.raises(UnsupportedModel, match="cannot be packed"):
        bundle(tmp_path / "m.tflite", to=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_there_is_no_bundle_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(EdgepipeError, match="there is no bundle"):
        verify_bundle(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert problems(tmp_path / "empty")
