"""`serve` talks to the host; `block` and `predict` are its children, each for one model."""

import sys


def main() -> None:
    """Run the one role that the command line names."""
    role = sys.argv[1] if len(sys.argv) == 2 else ""
    if role == "serve":
        from .serve import main as run
    elif role == "block":
        from .block import main as run
    elif role == "predict":
        from .predict import main as run
    else:
        sys.exit("usage: agent serve | block | predict")
    sys.exit(run())


if __name__ == "__main__":
    main()
