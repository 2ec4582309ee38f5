"""Everything that will go wrong with a model on a target, at once and before any training, read without TensorFlow."""

from edgepipe.pipeline.inspect.doctor.codes import CODES, explain
from edgepipe.pipeline.inspect.doctor.examine import examine, examine_config, where

__all__ = ["CODES", "examine", "examine_config", "explain", "where"]
