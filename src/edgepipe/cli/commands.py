"""The table of verbs: name, help panel, function or a group of them. A new verb is one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgepipe.cli.bench import bench
from edgepipe.cli.bundle import bundle
from edgepipe.cli.cluster import cluster
from edgepipe.cli.compare import compare
from edgepipe.cli.compress import compress
from edgepipe.cli.convert import convert
from edgepipe.cli.debug_quant import debug_quant
from edgepipe.cli.demo import demo
from edgepipe.cli.deploy import deploy
from edgepipe.cli.diff import diff
from edgepipe.cli.doctor import doctor
from edgepipe.cli.edgetpu import edgetpu
from edgepipe.cli.eval import evaluate
from edgepipe.cli.export import export
from edgepipe.cli.farm import COMMANDS as FARM
from edgepipe.cli.flash import flash
from edgepipe.cli.inspect import inspect
from edgepipe.cli.parity import parity
from edgepipe.cli.power import COMMANDS as POWER
from edgepipe.cli.prune import prune
from edgepipe.cli.quantize import quantize
from edgepipe.cli.recipe import recipe
from edgepipe.cli.remedy import remedy
from edgepipe.cli.report import report
from edgepipe.cli.rollback import confirm, rollback
from edgepipe.cli.sign import sign
from edgepipe.cli.verify import verify

START, SMALL, PROVE, MEASURE, REPORT = "Start here", "Make it small", "Prove it", "Measure it", "Report it"
BOARDS = "Bring it to boards"

COMMANDS: dict[str, tuple[str, Callable[..., int] | Mapping[str, Callable[..., int]]]] = {
    "demo": (START, demo),
    "compress": (SMALL, compress),
    "recipe": (SMALL, recipe),
    "prune": (SMALL, prune),
    "cluster": (SMALL, cluster),
    "quantize": (SMALL, quantize),
    "remedy": (SMALL, remedy),
    "convert": (SMALL, convert),
    "doctor": (PROVE, doctor),
    "inspect": (PROVE, inspect),
    "diff": (PROVE, diff),
    "verify": (PROVE, verify),
    "edgetpu": (PROVE, edgetpu),
    "parity": (PROVE, parity),
    "debug-quant": (PROVE, debug_quant),
    "export": (PROVE, export),
    "bundle": (PROVE, bundle),
    "bench": (MEASURE, bench),
    "eval": (MEASURE, evaluate),
    "power": (MEASURE, POWER),
    "farm": (BOARDS, FARM),
    "flash": (BOARDS, flash),
    "sign": (BOARDS, sign),
    "deploy": (BOARDS, deploy),
    "confirm": (BOARDS, confirm),
    "rollback": (BOARDS, rollback),
    "report": (REPORT, report),
    "compare": (REPORT, compare),
}

# What a group of verbs is for.
GROUPS = {
    "power": "A board's power meter on its own: watch it, record it, check what it could resolve, calibrate it.",
    "farm": "The boards of the inventory: which there are, what they have, and what they are given.",
}
