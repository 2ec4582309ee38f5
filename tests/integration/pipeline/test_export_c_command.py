"""`edgepipe export --as c` as a user runs it: C99 with its flash and RAM, or every reason why not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from repacked import repacked

Op = schema.BuiltinOperator
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler: apt-get install gcc")


def altered(model: Path, to: Path, codes: dict[int, int]) -> Path:
    """The same graph with other operators in the place of some: builtin code -> builtin code."""

    def exchange(tree: schema.ModelT) -> None:
        for code in tree.operatorCodes:
            known = max(code.builtinCode, code.deprecatedBuiltinCode)
            code.builtinCode = code.deprecatedBuiltinCode = codes.get(known, known)

    to.write_bytes(repacked(model.read_bytes(), exchange))
    return to


def test_the_word_c_alone_is_standalone_c_in_a_folder_named_after_the_model(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    done = edgepipe("export", kws, "--to", "c", "--name", "kws", "--json")
    assert done.code == 0, done.err
    folder = tmp_path / "kws-c"
    assert done.json["files"][:3] == ["kws-c/kws.h", "kws-c/kws.c", "kws-c/kws_quantize.h"]
    assert {str(path.relative_to(tmp_path)) for path in folder.rglob("*.*")} == set(done.json["files"])
    sources = [str(path) for path in folder.rglob("*.c")]
    strict = ("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-c")
    subprocess.run([*strict, *sources], check=True, cwd=tmp_path, capture_output=True)
    assert not (tmp_path / "c").exists()


def test_two_models_in_one_folder_share_its_kernels(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    for model, name in ((kws, "words"), (kws.with_name("ad01_int8.tflite"), "noises")):
        done = edgepipe("export", model, "--to", "both", "--as", "c", "--name", name, "-q")
        assert done.code == 0, done.err
    sources = [str(path) for path in (tmp_path / "both").rglob("*.c")]
    (tmp_path / "main.c").write_text(
        '#include "both/noises.h"\n#include "both/words.h"\nint main(void) { words_invoke(); noises_invoke(); return 0; }\n'
    )
    subprocess.run(["gcc", "-std=c99", "main.c", *sources, "-o", "both.elf"], check=True, cwd=tmp_path, capture_output=True)
    subprocess.run([tmp_path / "both.elf"], check=True)


def test_a_folder_that_is_called_c_gets_arrays(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    done = edgepipe("export", kws, "--to", "./c", "--name", "kws")
    assert done.code == 0, done.err
    assert (tmp_path / "c" / "kws_model_data.cc").is_file()


def test_flash_and_ram_are_counted_for_the_board_that_was_named(edgepipe: Any, kws: Path) -> None:
    host = edgepipe("export", kws, "--to", "there", "--as", "c", "--board", "host", "--json")
    assert host.code == 0, host.err
    counted = host.json["footprint"]
    assert counted["compiler"] == "gcc -O2"
    assert counted["flash_bytes"] > kws.stat().st_size // 3
    assert counted["ram_bytes"] == host.json["memory_bytes"] < 22_916
    if shutil.which("arm-none-eabi-gcc"):
        chip = edgepipe("export", kws, "--to", "there", "--as", "c", "--board", "mps2-an385")
        assert f"{counted['ram_bytes']:,} bytes of RAM beside the stack, by arm-none-eabi-gcc -mcpu=cortex-m3 -O2" in chip.out


def test_every_operator_that_the_engine_does_not_have_is_named_before_anything_is_written(
    edgepipe: Any, kws: Path, tmp_path: Path
) -> None:
    codes = {Op.AVERAGE_POOL_2D: Op.L2_POOL_2D, Op.SOFTMAX: Op.REVERSE_V2}
    done = edgepipe("export", altered(kws, tmp_path / "odd.tflite", codes), "--to", "out", "--as", "c")
    assert done.code == 1
    assert 'operator 9 L2_POOL_2D of layer "average_pooling2d"' in done.err
    assert "operator 12 REVERSE_V2 of layer" in done.err
    assert not (tmp_path / "out").exists()


def test_what_the_engine_refuses_of_an_operator_that_it_has_is_told_with_its_layer(
    edgepipe: Any, kws: Path, tmp_path: Path
) -> None:
    done = edgepipe("export", altered(kws, tmp_path / "odd.tflite", {Op.RESHAPE: Op.TANH}), "--to", "out", "--as", "c")
    assert done.code == 1
    assert 'operator 10 TANH of layer "flatten"' in done.err
    assert not (tmp_path / "out").exists()


def test_a_board_for_arrays_and_one_that_nobody_knows_are_refused(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    assert edgepipe("export", kws, "--to", "out", "--board", "host").code == 2
    unknown = edgepipe("export", kws, "--to", "out", "--as", "c", "--board", "nucleo")
    assert unknown.code == 2 and "mps2-an386" in unknown.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "stm32l4"])
def test_a_board_is_known_by_what_the_inventory_calls_it_and_by_its_port(board: str, edgepipe: Any) -> None:
    told = edgepipe("export", "missing.tflite", "--to", "out", "--as", "c", "--board", board).err
    assert "missing.tflite" in told and "board" not in told
