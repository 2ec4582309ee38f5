"""`serve` talks to the host; `block`, `predict`, `work`, `delegate`, `check` and `provision` are its children, each for one job.

`meter` talks to the host too, of a power sensor, beside all of these. `guard` watches over a trial; `guard --boot` runs when the
board starts, `report-crash` when the application crashed.
"""

import sys


def main() -> None:
    """Run the one role that the command line names."""
    arguments = sys.argv[1:]
    if arguments == ["serve"]:
        from .serve import main as run
    elif arguments == ["block"]:
        from .block import main as run
    elif arguments == ["predict"]:
        from .predict import main as run
    elif arguments == ["work"]:
        from .work import main as run
    elif arguments == ["meter"]:
        from .meter import main as run
    elif arguments == ["delegate"]:
        from .try_delegate import main as run
    elif arguments == ["check"]:
        from .check import main as run
    elif arguments == ["provision"]:
        from .provision import main as run
    elif arguments == ["guard"]:
        from .guard import main as run
    elif arguments == ["guard", "--boot"]:
        from .guard import boot as run
    elif arguments[:1] == ["report-crash"]:
        from .guard import report_crash as run
    else:
        sys.exit(
            "usage: agent serve | meter | block | predict | work | delegate | provision | check | guard [--boot] |"
            " report-crash [WORDS]"
        )
    sys.exit(run())


if __name__ == "__main__":
    main()
