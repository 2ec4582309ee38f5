"""The front door: `edgepipe.workflows` are its use cases, `edgepipe.cli` its commands."""
