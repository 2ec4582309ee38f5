"""How bytes get to a board, one way per file."""
