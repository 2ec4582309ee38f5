"""What runs on a Linux board: Python 3.7, standard library only; numpy and a runtime only in its child processes.

One process (`serve`) holds the board's lock and talks to the host; every model is loaded in a child of it (`block`, `predict`).
"""
