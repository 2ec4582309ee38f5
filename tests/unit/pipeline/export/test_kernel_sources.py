"""The engine's sources without loading: what a preprocessor would leave, and no file too many."""

from __future__ import annotations

import pytest

from edgepipe.devices.firmware_sources import engine_sources
from edgepipe.pipeline.export.kernel_sources import ENTRY, kernel_sources, without_loading

TEXT = """#ifndef A_H
#define A_H
#ifndef ENGINE_STANDALONE
int loads;
#if 1
int loads_too;
#else
int never;
#endif
#else
int runs;
#endif
#ifdef OTHER
int other;
#else
int another;
#endif
#endif
"""


def test_loading_goes_and_other_conditions_stay() -> None:
    left = without_loading(TEXT)
    assert left == "#ifndef A_H\n#define A_H\nint runs;\n#ifdef OTHER\nint other;\n#else\nint another;\n#endif\n#endif\n"


def test_every_operator_of_the_engine_is_found_and_can_be_exported() -> None:
    engine = engine_sources()
    known = {match[1] for text in engine.values() for match in ENTRY.finditer(text)}
    assert {f"&{name}" for name in known} == set(engine["kernels.c"].split("{", 1)[1].split("}")[0].replace(",", " ").split())
    for kernel in known:
        sources = kernel_sources(engine, {kernel})
        assert any(f"(*const run_{kernel})(const running *now) = " in text for name, text in sources.items() if name.endswith(".c"))
        assert not {"load.c", "plan.c", "flat.c", "tensors.c", "kernels.c"} & set(sources)


def test_a_file_is_the_same_whatever_else_is_exported() -> None:
    engine = engine_sources()
    few, many = kernel_sources(engine, {"ADD"}), kernel_sources(engine, {"ADD", "CONV_2D", "SOFTMAX"})
    assert few.items() < many.items()


def test_an_operator_that_the_engine_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError):
        kernel_sources(engine_sources(), {"GELU"})
