"""A project that `make` builds: a model, an engine, and a program that runs golden inputs and says pass or fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from edgepipe.errors import UnsupportedModel
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.export.bundle.golden import Samples, golden_header, golden_source
from edgepipe.pipeline.export.bundle.quantize import quantize_header
from edgepipe.pipeline.export.micro_arrays import model_header, model_source
from edgepipe.pipeline.export.project_makefile import NOTICE, Toolchain, makefile
from edgepipe.pipeline.export.tflm_ops import TFLM_OPS


def project(
    name: str,
    content: bytes,
    facts: ModelFacts,
    samples: Samples,
    arena_bytes: int,
    toolchain: Toolchain,
    program: Mapping[str, str],
) -> dict[str, str]:
    """Return the project's files by path.

    `samples` are golden inputs and outputs, `arena_bytes` what the engine is given for its arena, `program` the sources around the
    model, which include `model.h`.
    """
    folders = tuple(dict.fromkeys(str(PurePosixPath(path).parent) for path in (".", *program)))
    return {
        "Makefile": makefile(name, folders, toolchain),
        **program,
        "model.h": _binding(name, facts, arena_bytes),
        f"{name}_model_data.h": model_header(name, content, None),
        f"{name}_model_data.c": model_source(name, content),
        f"{name}_golden.h": golden_header(name, facts.inputs, facts.outputs, samples),
        f"{name}_golden.c": golden_source(name, facts.inputs, facts.outputs, samples),
        f"{name}_quantize.h": quantize_header(name, facts.inputs, facts.outputs),
    }


def _binding(name: str, facts: ModelFacts, arena_bytes: int) -> str:
    """Return the header by which main.c knows the model."""
    macro = name.upper()
    inputs = ", ".join(f"(const uint8_t *)g_{name}_golden_input_{number}" for number, _ in enumerate(facts.inputs))
    outputs = ", ".join(f"(const uint8_t *)g_{name}_golden_output_{number}" for number, _ in enumerate(facts.outputs))
    return f"""/* The model of this program, as main.c knows it. {NOTICE} */
#ifndef MODEL_H
#define MODEL_H

#include "{name}_golden.h"
#include "{name}_model_data.h"
#include "{name}_quantize.h"

#define MODEL_NAME "{name}"
#define MODEL_DATA g_{name}_model_data
#define MODEL_BYTES {macro}_MODEL_DATA_SIZE
#define MODEL_SAMPLES {macro}_GOLDEN_SAMPLES
#define MODEL_ARENA_BYTES {arena_bytes}u

static const uint8_t *const MODEL_INPUTS[] = {{{inputs}}};
static const uint8_t *const MODEL_OUTPUTS[] = {{{outputs}}};

#endif
"""


def linked_operators(ops: Iterable[str]) -> str:
    """Return the header that names the operators which TensorFlow Lite Micro is to link: those of the model and no others.

    Raises UnsupportedModel with every operator that cannot be named there.
    """
    wanted = sorted(set(ops))
    unknown = [op for op in wanted if op not in TFLM_OPS]
    if unknown:
        raise UnsupportedModel("TFLite Micro does not have these operators, or not as built-in ones", problems=unknown)
    lines = " \\\n".join(f"    OPERATOR({op}, {TFLM_OPS[op]})" for op in wanted)
    return f"""/* The operators that are linked: those of the model. {NOTICE} */
#ifndef EDGEPIPE_TFLM_OPERATORS_H
#define EDGEPIPE_TFLM_OPERATORS_H

#define FOR_ALL_OPERATORS(OPERATOR) \\
{lines}

#endif
"""
