"""Made-up runs of a microcontroller, with the ticks of every operator."""

from __future__ import annotations

from edgepipe.facts import ModelFacts, OpFacts
from edgepipe.records import Block, DeviceIdentity, MemoryUse, RunOutcome, RunRecord, RuntimeIdentity, pack_samples_ns

TICK_HZ = 25_000_000


def operators(count: int) -> tuple[OpFacts, ...]:
    return tuple(
        OpFacts(
            index=index,
            op="CONV_2D",
            version=3,
            layer=f"conv_{index}" if index else "",
            macs=1000,
            input_dtypes=("int8",),
            output_dtypes=("int8",),
        )
        for index in range(count)
    )


def record(step_ticks: tuple[int, ...], *, emulated: bool = True) -> RunRecord:
    ticks = sum(step_ticks)
    packed, stride = pack_samples_ns([40 * ticks] * 3)
    block = Block(
        index=0,
        outcome=RunOutcome.OK,
        invocations=3,
        stride=stride,
        samples_ns_zlib=packed,
        median_ns=40.0 * ticks,
        ticks=ticks,
        step_ticks=step_ticks,
    )
    facts = ModelFacts(
        sha256="ab" * 32,
        size_bytes=50_000,
        inputs=(),
        outputs=(),
        ops=operators(len(step_ticks)),
        weights=(),
        float_tensors=(),
        dynamic_tensors=(),
        custom_ops=(),
        flex_ops=(),
        gzip_bytes=1,
    )
    device = DeviceIdentity(
        name="m4", board="mcu", serial="s", arch="arm", cpu="cortex-m4", os="firmware", emulated=emulated, tick_hz=TICK_HZ
    )
    return RunRecord(
        id="1" * 32,
        kind="bench",
        started_utc="2026-11-22T04:00:00Z",
        artefact_sha256=facts.sha256,
        artefact_name="kws.tflite",
        model_bytes=facts.size_bytes,
        device=device,
        runtime=RuntimeIdentity(name="edgepipe-int8", version="1", delegate="none", threads=1),
        input_shapes=((1, 4),),
        outcome=RunOutcome.OK,
        blocks=(block,),
        memory=MemoryUse(model_room_bytes=100_000, arena_bytes=20_536, arena_room_bytes=262_144, host_arena_bytes=24_272),
        facts=facts,
    )
