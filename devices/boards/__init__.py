"""What to do with a board once bytes get there, one kind per file."""
