"""What a model file really holds, read back from the file."""
