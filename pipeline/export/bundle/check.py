"""Everything that is wrong with a bundle, at once: hashes, files too many or too few, arrays, constants, requirements, answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from edgepipe.bundles import CARD_JSON, GOLDEN, KIND, MANIFEST, MODEL, BundleManifest, Card
from edgepipe.documents import parse_json
from edgepipe.errors import DataError, EdgepipeError, VerifyFailed
from edgepipe.facts import ModelFacts
from edgepipe.parity import Runtime, RuntimeOutcome
from edgepipe.pipeline.export.bundle import golden, manifest, quantize
from edgepipe.pipeline.export.bundle.contents import AGAIN, plain
from edgepipe.pipeline.export.micro_arrays import model_source, resolver_header
from edgepipe.pipeline.export.tflm_ops import resolver_method
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.parity.distance import distance, same
from edgepipe.pipeline.inspect.parity.run import pack, run
from edgepipe.pipeline.inspect.verify import requirements, verify
from edgepipe.pipeline.targets import TARGETS

Files = Mapping[str, bytes]
SHOWN = 8


def open_manifest(files: Files) -> tuple[BundleManifest, list[str]]:
    """Return a bundle's manifest and what is wrong with it. Raises VerifyFailed where there is none to hold anything against."""
    if MANIFEST not in files:
        cause = "this is no bundle, or a part of one"
        raise VerifyFailed("there is no manifest.json, so nothing can be checked", cause=cause, todo=AGAIN)
    found, problems = manifest.read(files[MANIFEST])
    if found.kind != KIND:
        raise VerifyFailed(f'manifest.json is of a "{found.kind}", not of a bundle', todo=AGAIN)
    if found.target not in TARGETS or re.fullmatch(r"[a-z][a-z0-9_]{0,63}", found.name) is None:
        raise VerifyFailed("manifest.json names a target or a model that no bundle has", todo=AGAIN)
    return found, problems


def file_problems(found: BundleManifest, files: Files) -> Iterator[str]:
    """Yield a problem for each file that is missing, too many, or not what the manifest says."""
    for name in sorted({*found.files, *files} - {MANIFEST}):
        if not plain(name):
            yield f"{name!r}: not a name that a bundle uses"
        elif name not in files:
            yield f"{name}: missing"
        elif name not in found.files:
            yield f"{name}: not in the manifest"
        elif manifest.entry(files[name]) != found.files[name]:
            yield f"{name}: not what was packed (sha256 {manifest.entry(files[name]).sha256[:12]} here)"


def content_problems(found: BundleManifest, files: Files, facts: ModelFacts) -> Iterator[str]:
    """Yield a problem for everything in the files that does not fit the model."""
    if facts.sha256 != found.model_sha256:
        yield f"{MODEL}: not the model that the manifest is about"
    needed = requirements(facts, found.requirements.arena_bytes)
    if needed != found.requirements:
        yield f"{MANIFEST}: the model needs something else than it says"
    yield from (f"{MODEL}: {problem}" for problem in verify(facts, TARGETS[found.target]).problems)
    for suffix, check in CHECKS.items():
        for name in sorted(name for name in files if name == f"{found.name}{suffix}" or name == suffix):
            yield from (f"{name}: {problem}" for problem in check(_text(files[name]), found, files, facts))
    yield from (f"{CARD_JSON}: {problem}" for problem in _card(files, found, facts))


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def _array(text: str, found: BundleManifest, files: Files, facts: ModelFacts) -> Iterator[str]:
    values = re.search(r"_model_data\[[^\]]*\] = \{(.*?)\};", text, re.DOTALL)
    content = bytes(int(byte, 16) for byte in re.findall(r"\b0x([0-9a-f]{2})\b", values[1])) if values else b""
    if content != files[MODEL]:
        yield "its array does not hold the bytes of the model"
    if found.model_sha256 not in text:
        yield "it does not name the hash of the model"


def _sizes(text: str, found: BundleManifest, files: Files, facts: ModelFacts) -> Iterator[str]:
    said = dict(re.findall(r"^#define \w+?_(MODEL_DATA|ARENA)_SIZE (\d+)u$", text, re.MULTILINE))
    if said.get("MODEL_DATA") != str(len(files[MODEL])):
        yield "it states another size than the model's"
    if found.requirements.arena_bytes is not None and said.get("ARENA") != str(found.requirements.arena_bytes):
        yield "it states another arena than the manifest"


def _resolver(text: str, found: BundleManifest, files: Files, facts: ModelFacts) -> Iterator[str]:
    registered = sorted(re.findall(r"resolver\.(Add\w+)\(\)", text))
    wanted = sorted({str(resolver_method(op.op)) for op in facts.ops})
    if registered != wanted:
        yield f"it registers other operators than the model has: {', '.join(sorted(set(registered) ^ set(wanted))[:SHOWN])}"


def _header(text: str, found: BundleManifest, files: Files, facts: ModelFacts) -> Iterator[str]:
    if quantize.read_header(text) != quantize.expected(facts.inputs, facts.outputs):
        yield "its scales, zero points or sizes are not those of the model"


def _module(text: str, found: BundleManifest, files: Files, facts: ModelFacts) -> Iterator[str]:
    try:
        same_constants = quantize.read_module(text) == quantize.expected(facts.inputs, facts.outputs)
    except ValueError as exc:
        yield str(exc)
        return
    if not same_constants:
        yield "its scales, zero points or sizes are not those of the model"


def _golden_arrays(text: str, found: BundleManifest, files: Files, facts: ModelFacts) -> Iterator[str]:
    try:
        samples = golden.unpack(files.get(GOLDEN, b""))
    except DataError:
        return  # told where the golden answers are run again
    if golden.read_source(text) != golden.as_numbers(samples.first(found.golden.in_c)):
        yield f"its numbers are not those of the first {found.golden.in_c} samples in {GOLDEN}"


CHECKS = {
    "_model_data.cc": _array,
    "_model_data.h": _sizes,
    "_op_resolver.h": _resolver,
    "_quantize.h": _header,
    "_quantize.py": _module,
    "_golden.cc": _golden_arrays,
}


def _card(files: Files, found: BundleManifest, facts: ModelFacts) -> Iterator[str]:
    try:
        card = parse_json(Card, files.get(CARD_JSON, b"{}"), source=CARD_JSON, error=VerifyFailed)
    except VerifyFailed as exc:
        yield exc.what
        return
    said = (card.name, card.model_sha256, card.target, card.preprocessing, card.lineage, card.golden, card.inputs, card.outputs)
    wanted = (found.name, found.model_sha256, found.target, found.preprocessing, found.lineage, found.golden)
    if said != (*wanted, facts.inputs, facts.outputs):
        yield "it tells another story than the manifest"


def generated(name: str, content: bytes, facts: ModelFacts, samples: golden.Samples, *, micro: bool) -> dict[str, bytes]:
    """Return the files that follow from the model and its golden samples alone; for a microcontroller the C arrays too.

    The header with the arena, which is measured, is not among them.
    """
    ports = (facts.inputs, facts.outputs)
    texts = {
        f"{name}_quantize.h": quantize.quantize_header(name, *ports),
        f"{name}_quantize.py": quantize.quantize_module(name, *ports),
    }
    if micro:
        texts |= {
            f"{name}_model_data.cc": model_source(name, content),
            f"{name}_op_resolver.h": resolver_header(name, (op.op for op in facts.ops)),
        }
        few = samples.first(golden.fitting(samples))
        if few.count:
            texts |= {
                f"{name}_golden.h": golden.golden_header(name, *ports, few),
                f"{name}_golden.cc": golden.golden_source(name, *ports, few),
            }
    return {file: text.encode() for file, text in texts.items()}


def code_problems(found: BundleManifest, files: Files, facts: ModelFacts) -> Iterator[str]:
    """Yield a problem for generated code that is not what this edgepipe generates; only for bundles of this very version."""
    try:
        samples = golden.unpack(files[GOLDEN])
        made = generated(found.name, files[MODEL], facts, samples, micro=TARGETS[found.target].in_arena)
    except (EdgepipeError, KeyError, ValueError):
        return  # told by the other checks
    for name in sorted(set(made) - set(files)):
        yield f"{name}: a bundle for {found.target} has it"
    for name, content in made.items():
        if name in files and files[name] != content:
            yield f"{name}: not the code that is generated for this model"


def answer_problems(found: BundleManifest, files: Files, facts: ModelFacts) -> tuple[list[str], str]:
    """Return what is wrong with the golden answers, run again in the runtime that gave them; and why they could not be run, or ''.

    TFLite Micro is given no more memory than the manifest says it needs.
    """
    try:
        samples = golden.unpack(files.get(GOLDEN, b""))
        runtime = Runtime(found.golden.runtime)
        wrong = _misfits(samples, found, facts)
    except (DataError, ValueError) as exc:
        return [f"{GOLDEN}: {exc}"], ""
    if wrong:
        return [f"{GOLDEN}: {wrong}"], ""
    arena = found.requirements.arena_bytes if runtime is Runtime.TFLM else None
    done = run(files[MODEL], runtime, pack(samples.inputs), arena_bytes=arena)
    if done.report.outcome is RuntimeOutcome.MISSING:
        return [], done.report.reason
    if not done.ran:
        return [f"{MODEL}: {runtime} does not take it: {done.report.reason}"], ""
    if [_per_sample(each) for each in done.outputs] != [_per_sample(each) for each in samples.outputs]:
        return [f"{MODEL}: {runtime} answers with other sizes than the file says"], ""
    got = [answer.reshape(wanted.shape) for answer, wanted in zip(done.outputs, samples.outputs, strict=True)]
    apart = distance(got, samples.outputs)
    if apart.exact == apart.samples:
        return [], ""
    alike = np.logical_and.reduce([same(left, right) for left, right in zip(got, samples.outputs, strict=True)])
    return [
        f"{GOLDEN}: {runtime} {done.report.version} answers {apart.samples - apart.exact} of {apart.samples} samples otherwise "
        f"(first sample {int(np.flatnonzero(~alike)[0])}); recorded with {found.golden.version}"
    ], ""


def _misfits(samples: golden.Samples, found: BundleManifest, facts: ModelFacts) -> str:
    for ports, arrays in ((facts.inputs, samples.inputs), (facts.outputs, samples.outputs)):
        if [(port.dtype, quantize.elements(port)) for port in ports] != [(_dtype(each), _per_sample(each)) for each in arrays]:
            return "its arrays do not fit the inputs and outputs of the model"
    if samples.count != found.golden.samples or bool(samples.real) != found.golden.has_real:
        return "it holds another number of samples than the manifest says"
    return next((problem for problem in _real_problems(samples, facts)), "")


def _real_problems(samples: golden.Samples, facts: ModelFacts) -> Iterator[str]:
    from edgepipe.pipeline.scoring import encode

    for number, (real, codes, port) in enumerate(zip(samples.real, samples.inputs, facts.inputs, strict=False)):
        if real.shape != codes.shape or not bool(same(encode(real, port), codes).all()):
            yield f"real_input_{number} does not quantise to input_{number}"


def _dtype(values: golden.Array) -> str:
    return values.dtype.name


def _per_sample(values: golden.Array) -> int:
    return int(np.prod(values.shape[1:], dtype=np.int64))


def facts_of(files: Files) -> ModelFacts:
    """Return the facts of a bundle's model. Raises ModelFileError for a damaged one, VerifyFailed where there is none."""
    if MODEL not in files:
        raise VerifyFailed(f"{MODEL} is missing", todo=AGAIN)
    return read_facts(files[MODEL])
