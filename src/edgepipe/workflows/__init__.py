"""Use cases, one per file: the only place where pipeline, devices and reports meet."""
