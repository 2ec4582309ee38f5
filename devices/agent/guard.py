"""The guard: a process of its own that watches over one trial and goes back when nobody confirms it in time.

It is started and says "armed" before the switch. From then on it needs neither the host, nor the agent, nor the file it was started
from: all that it imports is imported above. It ends when the journal says that the trial is over.
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import IO, Optional, Tuple

from .clock import uptime_s
from .deployment import TRIAL, Deployment
from .home import home
from .lines import Refused

LOCK = "guard.lock"
LOOK_S = 0.25
ARM_S = 20.0
AGAIN_S = 1.0


class Line:
    """The agent's hold on a guard: while it is open the guard knows that the agent lives."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def close(self) -> None:
        """Let go; the guard goes on by itself."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.poll()


def arm(folder: str, agent: str, trial: str) -> Line:
    """Start the guard of a trial and wait until it says that it is armed. Raises Refused where it does not."""
    process = subprocess.Popen(
        [sys.executable, "-I", agent, "guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env=dict(os.environ, EDGEPIPE_HOME=folder),
    )
    assert process.stdin and process.stdout
    try:
        process.stdin.write(json.dumps({"trial": trial, "agent_pid": os.getpid()}).encode() + b"\n")
        process.stdin.flush()
        ready = select.select([process.stdout], [], [], ARM_S)[0]
        if not ready or process.stdout.readline() != b"armed\n":
            raise BrokenPipeError
    except OSError:
        process.kill()
        process.wait()
        raise Refused("infrastructure", "the guard that would watch over the trial did not start") from None
    finally:
        process.stdout.close()
    return Line(process)


def is_guarded(folder: str) -> bool:
    """Return whether a guard lives."""
    handle = _locked(folder)
    if handle is None:
        return True
    os.close(handle)
    return False


def _patiently_locked(folder: str) -> Optional[int]:
    """Return a handle that holds the guard's lock; the guard of the trial before may need a moment to see that it is over."""
    for _ in range(int(ARM_S / 2 / LOOK_S)):
        handle = _locked(folder)
        if handle is not None:
            return handle
        time.sleep(LOOK_S)
    return None


def _locked(folder: str) -> Optional[int]:
    """Return a handle that holds the guard's lock, None where another process does."""
    handle = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def main() -> int:
    """Watch over the trial that standard input names."""
    request = json.loads(sys.stdin.buffer.readline().decode())
    folder = home()
    held = _patiently_locked(folder)
    deployment = Deployment(folder)
    now = deployment.now()
    if held is None or now.state != TRIAL or now.id != request["trial"]:
        return 1
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _spare_me()
    watch = Watch(deployment, request["trial"], request["agent_pid"], now.deadline_s)
    signal.signal(signal.SIGTERM, watch.shut_down)
    os.write(1, b"armed\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    watch.run(sys.stdin.buffer)
    return 0


def _spare_me() -> None:
    """Be the last that the kernel ends when memory runs out, where it lets us."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("-900")
    except OSError:
        pass


class Watch:
    """What the guard sees of one trial."""

    def __init__(self, deployment: Deployment, trial: str, agent_pid: int, deadline_s: float) -> None:
        self._deployment, self._trial, self._agent_pid, self._deadline_s = deployment, trial, agent_pid, deadline_s
        self._agent_lives, self._shuts_down = True, False
        self._mark: object = None
        self._healthy = False

    def shut_down(self, number: int, frame: Optional[FrameType]) -> None:
        """Note that the system goes down: a trial does not outlive that."""
        self._shuts_down = True

    def run(self, line: IO[bytes]) -> None:
        """Wait for the end of the trial, and bring it about where nobody else does."""
        while self._goes_on():
            reason = self._reason()
            if reason:
                self._roll_back(*reason)
                return
            self._wait(line)

    def _goes_on(self) -> bool:
        """Read the journal where it has changed; without one that can be read the trial goes on until its deadline."""
        try:
            mark = self._deployment.journal.mark()
            if mark != self._mark:
                now = self._deployment.now()
                self._mark, self._healthy = mark, now.healthy
                return now.id == self._trial and now.state == TRIAL
        except OSError:
            pass
        return True

    def _reason(self) -> Optional[Tuple[str, str]]:
        if uptime_s() >= self._deadline_s:
            return "it was not confirmed by its deadline", "deadline"
        if self._shuts_down:
            return "the board was shut down during the trial", "reboot"
        if not self._agent_lives and not self._healthy:
            return "the agent ended before the health check did", "interrupted"
        return None

    def _wait(self, line: IO[bytes]) -> None:
        wait_s = max(0.0, min(LOOK_S, self._deadline_s - uptime_s()))
        if not self._agent_lives:
            time.sleep(wait_s)
        elif select.select([line], [], [], wait_s)[0]:
            self._agent_lives = bool(os.read(line.fileno(), 1))

    def _roll_back(self, reason: str, finding: str) -> None:
        """Go back, as often as it takes: the disk may refuse for a while."""
        while True:
            try:
                self._deployment.roll_back(self._trial, reason, finding, impatient=self._end_agent)
                return
            except OSError:
                time.sleep(AGAIN_S)

    def _end_agent(self) -> None:
        """End an agent that hangs in the middle of a step: while it is our parent, its number is no other process's."""
        if os.getppid() == self._agent_pid:
            os.kill(self._agent_pid, signal.SIGKILL)


def boot() -> int:
    """What runs when the board starts: a trial of another boot, or one that nothing watches over, is rolled back."""
    folder = home()
    Deployment(folder).recover(is_guarded(folder))
    return 0


def report_crash() -> int:
    """What runs when the application crashed; what stands on the command line may say how."""
    if Deployment(home()).crashed(" ".join(sys.argv[2:])[:200]):
        sys.stderr.write("the third crash within a minute: back to the previous model\n")
    return 0
