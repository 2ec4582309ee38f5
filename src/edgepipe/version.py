"""The version of edgepipe, as installed."""

from importlib.metadata import version

VERSION = version("edgepipe")
