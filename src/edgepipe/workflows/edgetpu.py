"""What a Coral board's Edge TPU will run of a model: foretold from the published rules, proved by the compiler where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgepipe.errors import UsageError
from edgepipe.events import Emit, silent
from edgepipe.facts import GraphFacts
from edgepipe.pipeline.export.edgetpu_compiler import TIMEOUT_S, Compilation, compile_model
from edgepipe.pipeline.inspect.edgetpu import TpuMapping, map_model
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.verify import Problem, verify
from edgepipe.pipeline.targets import TARGETS


@dataclass(frozen=True, kw_only=True)
class EdgeTpu:
    """One model and the Edge TPU: what was foretold, and what the compiler made of it, None where it was not asked."""

    facts: GraphFacts
    problems: tuple[Problem, ...]
    mapping: TpuMapping
    compilation: Compilation | None

    @property
    def mapped_percent(self) -> float | None:
        """Percentage of the multiply-accumulates on the Edge TPU, of the operators where nothing multiplies; None: not known."""
        if self.compilation is not None:
            share = self.compilation.mac_share
            return 100 * (self.compilation.op_share if share is None else share)
        if self.mapping.compiled:
            return None
        share = self.mapping.mac_share
        return 100 * (self.mapping.op_share if share is None else share)


def edgetpu(
    model: Path, *, compiling: bool = False, to: Path | None = None, timeout_s: int = TIMEOUT_S, emit: Emit = silent
) -> EdgeTpu:
    """Return how `model` stands to the Edge TPU; with `compiling`, what Google's compiler says, its file written into `to`.

    `to`: a folder, by default the model's own. Nothing in the model is executed without `compiling`; the compiler runs it. Raises
    ModelFileError, UsageError; and with `compiling` MissingExtra, ModelRejected and InfrastructureError.
    """
    if to is not None and not compiling:
        raise UsageError("there is nothing to write without compiling", todo="Add --compile, or leave --to out.")
    content, facts = read_model(model)
    mapping = map_model(content)
    compilation = compile_model(model, to=to or model.parent, timeout_s=timeout_s, emit=emit) if compiling else None
    problems = verify(facts, TARGETS["coral"]).problems
    return EdgeTpu(facts=facts, problems=problems, mapping=mapping, compilation=compilation)
