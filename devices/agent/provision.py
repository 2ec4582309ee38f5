"""A fresh process that installs a runtime from wheels that the host brought, tries one model in it, and only then lets it be used.

What was provisioned before stays in use until that has worked; a power cut leaves the one or the other.
"""

import glob
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from typing import Any, Dict, List, Tuple

from . import limits
from .child import describe_exit
from .home import home
from .lines import Message, claim_stdout, decode, encode, write_line
from .store import file_sha256
from .venv import STAMP, stamp

LONGEST_S = 1800.0  # for pip on a slow card
SMOKE_S = 300.0
ENVIRONMENT = {"PIP_CONFIG_FILE": os.devnull, "PYTHONDONTWRITEBYTECODE": "", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


# Read when the venv's Python starts: Debian's libraries are found where they were unpacked, those first that others need.
PRELOAD = """\
import ctypes
left = {libraries!r}
while left:
    failed = []
    for library in left:
        try:
            ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
        except OSError:
            failed.append(library)
    left = failed if len(failed) < len(left) else []
"""


class Failed(Exception):
    """It cannot be installed, or does not work here; in words."""


def main() -> int:
    """Be the child process that provisions."""
    out = claim_stdout()
    request = decode(sys.stdin.buffer.readline())
    limits.die_with(request["agent_pid"])
    try:
        made = Provisioning(out, request, home()).run()
    except (Failed, OSError, KeyError) as exc:
        write_line(out, {"failed": "%s" % exc})
    else:
        write_line(out, {"result": made})
    return 0


def remove(folder: str) -> bool:
    """Delete what was provisioned; returns whether there was anything."""
    link, venvs = os.path.join(folder, "runtime"), os.path.join(folder, "venvs")
    there = os.path.lexists(link) or os.path.isdir(venvs)
    if os.path.lexists(link):
        os.unlink(link)
    shutil.rmtree(venvs, ignore_errors=True)
    return there


class Provisioning:
    """One run. The request has `digest`, `wheels` and `debs` (path, name, sha256), `requirements` and more from the host."""

    def __init__(self, out: int, request: Message, folder: str) -> None:
        digest = str(request["digest"])
        if not digest or not set(digest) <= set("0123456789abcdef"):
            raise Failed("%.80r is no digest" % digest)
        self._out, self._request, self._folder = out, request, folder
        self._venvs = os.path.join(folder, "venvs")
        self._place = os.path.join(self._venvs, digest)
        self._wheels = self._place + ".wheels"
        self._python = os.path.join(self._place, "bin", "python")

    def run(self) -> Dict[str, Any]:
        """Install, try, switch; returns the stamp."""
        for leftover in (self._place, self._wheels):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            pip = self._take_wheels()
            self._make_venv()
            self._unpack()
            self._install(pip)
            smoke = self._smoke()
            made = self._stamp(smoke)
        except BaseException:
            shutil.rmtree(self._place, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(self._wheels, ignore_errors=True)
        self._switch()
        return made

    def _take_wheels(self) -> str:
        """Move the wheels to where pip finds them; returns the path of pip's own."""
        os.makedirs(self._wheels)
        pip = ""
        for wheel in self._request["wheels"]:
            place = self._take(wheel)
            pip = place if os.path.basename(place).startswith("pip-") else pip
        if not pip:
            raise Failed("the host brought no pip")
        return pip

    def _take(self, file: Dict[str, Any]) -> str:
        name = os.path.basename(str(file["name"]))
        place = os.path.join(self._wheels, name)
        shutil.move(file["path"], place)
        if file_sha256(place) != file["sha256"]:
            raise Failed("%s was damaged on its way" % name)
        return place

    def _unpack(self) -> None:
        """Unpack Debian's packages into the venv, where its Python finds them; nothing of the system changes."""
        files = [self._take(file) for file in self._request.get("debs", ())]
        if not files:
            return
        self._say("unpacking %d packages" % len(files))
        place = os.path.join(self._place, "debian")
        for file in files:
            self._command(["dpkg-deb", "--extract", file, place], "could not unpack %s" % os.path.basename(file))
        found = glob.glob(os.path.join(glob.escape(place), "usr/lib/**/*.so.*"), recursive=True)
        libraries = sorted(path for path in found if not os.path.islink(path) and "python3" not in path)
        (site,) = glob.glob(os.path.join(glob.escape(self._place), "lib", "python3*", "site-packages"))
        with open(os.path.join(site, "edgepipe_debian.py"), "w") as module:
            module.write(PRELOAD.format(libraries=libraries))
        with open(os.path.join(site, "edgepipe_debian.pth"), "w") as paths:
            paths.write("%s\nimport edgepipe_debian\n" % os.path.join(place, "usr/lib/python3/dist-packages"))

    def _make_venv(self) -> None:
        self._say("making a venv")
        own = ["--system-site-packages"] if self._request["system_numpy"] else []
        self._command([sys.executable, "-I", "-m", "venv", "--without-pip", *own, self._place], "could not make a venv")

    def _install(self, pip: str) -> None:
        """Let pip, run from its own wheel, install without any network."""
        self._say("installing %s" % " ".join(self._request["requirements"]))
        options = ["--isolated", "--no-index", "--no-compile", "--no-cache-dir", "--disable-pip-version-check", "--quiet"]
        command = [self._python, os.path.join(pip, "pip"), "install", *options, "--find-links", self._wheels]
        self._command(command + list(self._request["requirements"]), "pip could not install")

    def _smoke(self) -> Dict[str, Any]:
        """Run one tiny model in a process of the new Python; a runtime for another processor dies of SIGILL in there."""
        self._say("trying one model")
        smoke = self._request["smoke"]
        if file_sha256(smoke["path"]) != smoke["sha256"]:
            raise Failed("the model to try was damaged on its way")
        job = dict(smoke["job"], path=smoke["path"], runtime=self._request["runtime"], agent_pid=os.getpid())
        command = [self._python, "-I", os.path.abspath(sys.argv[0]), "block"]
        code, said, chatter = self._wait(command, encode(job) + b"\n", SMOKE_S)
        answer: Message = {}
        for line in said.splitlines():
            answer.update(decode(line))
        reason = describe_exit(code, chatter) or answer.get("rejected") or answer.get("broken")
        if reason or "result" not in answer:
            raise Failed("the runtime was installed and does not work on this board: %s" % (reason or "it did not answer"))
        result: Dict[str, Any] = answer["result"]
        if result["output_sha256"] != smoke["output_sha256"]:
            raise Failed("the runtime was installed and computes wrongly on this board: 2 * x is something else")
        return {"median_ns": result["median_ns"], "load_ns": result["load_ns"]}

    def _stamp(self, smoke: Dict[str, Any]) -> Dict[str, Any]:
        made = {
            "digest": self._request["digest"],
            "runtime": self._request["runtime"],
            "requirements": list(self._request["requirements"]),
            "python": platform.python_version(),
            "wheels": {wheel["name"]: wheel["sha256"] for wheel in self._request["wheels"]},
            "debs": {deb["name"]: deb["sha256"] for deb in self._request.get("debs", ())},
            "smoke": smoke,
            "made_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        path = os.path.join(self._place, STAMP)
        with open(path + ".part", "w") as file:
            json.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        os.sync()  # the thousands of files that pip wrote; the stamp says that they are there
        os.replace(path + ".part", path)
        return made

    def _switch(self) -> None:
        link = os.path.join(self._folder, "runtime")
        beside = link + ".new"
        if os.path.lexists(beside):
            os.unlink(beside)
        os.symlink(os.path.join("venvs", os.path.basename(self._place)), beside)
        os.replace(beside, link)
        for name in os.listdir(self._venvs):
            if name != os.path.basename(self._place):
                shutil.rmtree(os.path.join(self._venvs, name), ignore_errors=True)
        if stamp(self._folder) is None:
            raise Failed("the new venv cannot be found again in %s" % self._folder)

    def _command(self, command: List[str], otherwise: str) -> None:
        code, said, chatter = self._wait(command, b"", LONGEST_S)
        if code:
            last = (chatter or said).decode(errors="replace").strip().splitlines()[-3:]
            raise Failed("%s: %s" % (otherwise, "; ".join(last) or "exit code %d" % code))

    def _wait(self, command: List[str], text: bytes, longest_s: float) -> Tuple[int, bytes, bytes]:
        """Run a command to its end, and say meanwhile that this is not hanging."""
        parent = os.getpid()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, **ENVIRONMENT),
            preexec_fn=lambda: limits.die_with(parent),
        )
        end, unsent = time.monotonic() + longest_s, text or None
        while True:
            try:
                said, chatter = process.communicate(unsent, timeout=1)
                return process.returncode, said, chatter
            except subprocess.TimeoutExpired:  # from here on communicate() sends the rest by itself
                unsent = None
                self._say("")
            if time.monotonic() >= end:
                process.kill()
                process.communicate()
                raise Failed("%s did not end within %g s" % (os.path.basename(command[0]), longest_s))

    def _say(self, doing: str) -> None:
        write_line(self._out, {"doing": doing} if doing else {"alive": True})
