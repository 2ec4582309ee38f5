"""One compression technique per file, each a frozen dataclass of its parameters with `apply()`; `protocol.py` says what that is."""

from edgepipe.pipeline.stages.cluster import Cluster
from edgepipe.pipeline.stages.convert import Convert
from edgepipe.pipeline.stages.protocol import Stage
from edgepipe.pipeline.stages.prune import Prune
from edgepipe.pipeline.stages.quantize import Quantize

STAGES: dict[str, type[Stage]] = {
    "prune": Prune,
    "cluster": Cluster,
    "quantize": Quantize,
    "convert": Convert,
}
