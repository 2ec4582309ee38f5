"""The agent's command loop: one host, one child at a time, and an end of its own when the host falls silent.

Each request is a line `{"id": N, "do": NAME, …}`; its answer has the same id and either "ok" or "error" (a slug and words). `beat`
says that the host lives and is answered with a pulse. After `predict`, parts of samples go to the child as they are, and what it
says comes back as {"id": N, "child": …}, until `finish`.
"""

import os
import selectors
import signal
import sys
from time import monotonic, monotonic_ns
from typing import Callable, Dict, Optional, Set

from . import conditions, debian, edgetpu, limits, provision, venv
from .child import Child, Outbox
from .deploying import Deploying
from .governor import Governor
from .home import Busy, Lock, home
from .lines import LineBuffer, Message, Refused, claim_stdout, incoming, write_line
from .probe import probe
from .runtimes import Choice, Unavailable, Unknown, choose
from .store import CONTENTS, MODEL, WrongHash, file_sha256

HEARTBEAT_S = 60.0
FAREWELL_S = 1.0


def main() -> int:
    """Be the agent."""
    return serve("/")


def serve(root: str) -> int:
    """Serve one host over standard input and output, holding the board's lock. `root`: where /proc and /sys of the board are."""
    out = claim_stdout()
    try:
        folder = home()
        lock = Lock(folder)
    except Busy as exc:
        write_line(out, {"error": "device-busy", "holder": exc.holder})
        return 1
    except OSError as exc:
        write_line(out, {"error": "infrastructure", "words": str(exc)})
        return 1
    server = Server(0, out, folder, lock, root)
    server.end_when_told()
    server.run()
    return 0


class Server:
    """Answers requests until the host hangs up or falls silent."""

    def __init__(self, requests: int, answers: int, folder: str, lock: Lock, root: str = "/") -> None:
        self._selector, self._root = selectors.DefaultSelector(), root
        self._requests, self._lines = requests, LineBuffer()
        self._outbox = Outbox(self._selector, answers)
        self._folder, self._lock, self._governor = folder, lock, Governor(folder, root)
        self._deploying = Deploying(folder, sys.argv[0], self._selector, self._reply, self._hand, lambda: self._child is not None)
        self._store = self._deploying.deployment.store
        self._used: Set[str] = set()
        self._store.clean()
        self._child: Optional[Child] = None
        self._heartbeat_s, self._heard, self._ended = HEARTBEAT_S, monotonic(), False
        os.set_blocking(requests, False)
        self._selector.register(requests, selectors.EVENT_READ, self._read)
        self._commands: Dict[str, Callable[[Message], Optional[Message]]] = {
            "hello": self._hello,
            "beat": self._beat,
            "runtime": self._runtime,
            "has": self._has,
            "store": self._take,
            "measure": self._measure,
            "predict": self._predict,
            "work": self._work,
            "clock": lambda message: {"monotonic_ns": monotonic_ns()},
            "finish": self._finish,
            "probe": self._probe,
            "provision": self._provision,
            "provisioned": self._provisioned,
            "debian": lambda message: debian.describe(self._root),
            "unprovision": self._unprovision,
            **self._deploying.commands,
        }

    def end_when_told(self) -> None:
        """End as if the host had hung up at SIGTERM, SIGINT and SIGHUP."""
        told, telling = os.pipe()
        for handle in (told, telling):
            os.set_blocking(handle, False)

        def end() -> None:
            self._selector.unregister(told)
            self._ended = True

        self._selector.register(told, selectors.EVENT_READ, end)
        signal.set_wakeup_fd(telling)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Serve; the child is dead and the governor as it was when this returns."""
        self._outbox.put({"ready": True, "pid": os.getpid()})
        while not self._ended or (self._child and self._deploying.is_checking):
            self._turn()
            if monotonic() - self._heard >= self._heartbeat_s:
                self._ended = True
        if self._child:
            self._child.kill()
        self._governor.restore()
        self._deploying.close()
        end = monotonic() + FAREWELL_S
        while not self._outbox.empty and monotonic() < end:
            self._turn()

    def _turn(self) -> None:
        deadlines = [monotonic() + 1.0 if self._ended else self._heard + self._heartbeat_s]
        deadlines += [self._child.deadline] if self._child else []
        for key, _ in self._selector.select(max(0.0, min(deadlines) - monotonic())):
            if self._selector.get_map().get(key.fd) is key:  # nothing before it in this turn has let go of it
                key.data()
        if self._child:
            self._child.check_deadline()

    def _read(self) -> None:
        messages = incoming(self._requests, self._lines)
        if messages is None:
            self._selector.unregister(self._requests)
            self._ended = True
        for message in messages or ():
            self._heard = monotonic()
            self._serve(message)

    def _serve(self, message: Message) -> None:
        if "part" in message:
            if self._child:
                self._child.send(message)
            return
        number = message.get("id")
        try:
            command = self._commands.get(str(message.get("do")))
            if command is None:
                raise Refused("infrastructure", "this agent cannot do %.40r" % message.get("do"))
            answer = command(message)
        except Refused as exc:
            self._refuse(number, exc.slug, str(exc))
        except Unknown as exc:
            self._refuse(number, "usage", str(exc))
        except Unavailable as exc:
            self._refuse(number, "runtime-missing", str(exc))
        except WrongHash as exc:
            self._refuse(number, "infrastructure", str(exc))
        except OSError as exc:
            self._refuse(number, "storage", str(exc))
        except (KeyError, TypeError) as exc:
            self._refuse(number, "infrastructure", "a request without what it needs: %r" % exc)
        else:
            if answer is not None:
                self._reply(number, answer)

    def _reply(self, number: object, answer: Message) -> None:
        self._outbox.put({"id": number, "ok": answer})

    def _hand(self, child: Optional[Child]) -> None:
        self._child = child

    def _refuse(self, number: object, slug: str, words: str) -> None:
        self._outbox.put({"id": number, "error": slug, "words": words})

    def _hello(self, message: Message) -> Message:
        self._heartbeat_s = float(message["heartbeat_s"])
        self._lock.sign(str(message["holder"]))
        answer: Message = dict(conditions.identity(self._folder))
        answer["agent_sha256"] = file_sha256(sys.argv[0])
        return answer

    def _beat(self, message: Message) -> None:
        self._outbox.put({"pulse": True})

    def _runtime(self, message: Message) -> Optional[Message]:
        """Say what would run a model; an Edge TPU's delegate is tried first, in a child."""
        choice = self._choose(message)
        answer = {"name": choice.name, "version": choice.version, "delegate": choice.delegate, "threads": choice.threads}
        if choice.delegate != edgetpu.NAME:
            return answer
        self._check_idle()
        said: Message = {}

        def ended(reason: str) -> None:
            self._child = None
            if "result" in said and not reason:
                self._reply(message["id"], answer)
            else:
                self._refuse(message["id"], str(said.get("slug", "infrastructure")), str(said.get("broken") or reason))

        job = dict(message, path=None, python=choice.python)
        self._child = Child(self._selector, "delegate", job, said.update, ended)
        return None

    def _choose(self, options: Message) -> Choice:
        """Return what would run a model with these options. Raises Unknown, Unavailable; Refused for cores that there are not."""
        missing = sorted(set(options.get("affinity") or ()) - set(limits.cores()))
        if missing:
            there = ", ".join(map(str, limits.cores()))
            raise Refused("usage", "there is no core %s; there are %s" % (", ".join(map(str, missing)), there))
        return choose(options["runtime"], options["delegate"], options["threads"], self._folder)

    def _check_idle(self) -> None:
        if self._child:
            raise Refused("infrastructure", "the board is running a model already")

    def _has(self, message: Message) -> Message:
        find = self._store.sound if message.get("sound") else self._store.path
        return {"has": find(message["sha256"], _content(message)) is not None}

    def _take(self, message: Message) -> Message:
        sha256 = message["sha256"]
        self._store.add(message["path"], sha256, _content(message), str(message.get("name", "")))
        self._used.add(sha256)
        self._store.prune(self._used | self._deploying.deployment.in_use())
        return {}

    def _job(self, message: Message) -> Message:
        """Return what a child must know to run a model, from what the host asked for."""
        self._check_idle()
        path = self._store.path(message["sha256"])
        if not path:
            raise Refused("infrastructure", "the board has no model %.12s" % message["sha256"])
        self._used.add(message["sha256"])
        self._store.touch(message["sha256"])
        options = message["options"]
        choice = self._choose(options)
        return dict(options, path=path, delegate=choice.delegate, threads=choice.threads, python=choice.python)

    def _measure(self, message: Message) -> None:
        job = dict(message["request"], **self._job(message), root=self._root)
        if job.get("conditions", {}).get("steady"):
            self._governor.steady()
        said: Message = {"before": conditions.snapshot([os.getpid()], self._root)}

        def heard(answer: Message) -> None:
            if "starts" in answer and self._child:  # it has cooled down
                answer = {"before": conditions.snapshot([os.getpid(), self._child.pid], self._root)}
            said.update(answer)

        def ended(reason: str) -> None:
            self._child = None
            block = outcome(said, reason)
            after = conditions.snapshot([os.getpid()], self._root)
            block.update(index=job["index"], before=said["before"], after=after)
            self._outbox.put({"id": message["id"], "ok": block})

        self._child = Child(self._selector, "block", job, heard, ended)

    def _predict(self, message: Message) -> None:
        self._run("predict", self._job(message), message["id"])

    def _work(self, message: Message) -> None:
        self._run("work", dict(message["request"], **self._job(message)), message["id"])

    def _finish(self, message: Message) -> Message:
        if self._child:
            self._child.kill()
            self._child = None
        return {}

    def _probe(self, message: Message) -> Message:
        return probe(self._folder, self._root)

    def _provisioned(self, message: Message) -> Message:
        return venv.stamp(self._folder) or {}

    def _unprovision(self, message: Message) -> Message:
        return {"removed": provision.remove(self._folder)}

    def _provision(self, message: Message) -> None:
        self._check_idle()
        self._run("provision", message, message["id"])

    def _run(self, role: str, job: Message, number: object) -> None:
        """Start a child, and pass on what it says and how it ended."""

        def said(answer: Message) -> None:
            if "alive" not in answer:
                self._outbox.put({"id": number, "child": answer})

        def ended(reason: str) -> None:
            self._child = None
            self._outbox.put({"id": number, "child": {"ended": reason}})

        self._child = Child(self._selector, role, job, said, ended)


def _content(message: Message) -> str:
    content = str(message.get("content", MODEL))
    if content not in CONTENTS:
        raise Refused("infrastructure", "the store keeps no %.40r" % content)
    return content


def outcome(said: Message, reason: str) -> Message:
    """Return a block's outcome from what its child said and how it ended."""
    if "result" in said and not reason:
        return dict(said["result"], outcome="ok")
    if "broken" in said:
        return {"outcome": "infra", "reason": said["broken"]}
    return {"outcome": "rejected", "reason": reason or said.get("rejected") or "it ended without an answer"}
