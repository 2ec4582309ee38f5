"""What runs on a Linux board: Python 3.7-compatible, standard library only."""
