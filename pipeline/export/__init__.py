"""Artefacts for other people's builds: C arrays for TensorFlow Lite Micro."""
