"""Host side: a trained model in, a small and proved artefact out. Knows no device."""
