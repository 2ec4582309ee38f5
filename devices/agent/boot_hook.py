"""What rolls a trial back after a reboot: a systemd unit, else a line for cron, that runs `guard --boot` when the board starts."""

import os
import pwd
import shutil
import subprocess
import sys
from typing import List, Optional

NAME = "edgepipe-guard"
UNIT = """[Unit]
Description=Roll back a model whose trial was cut short by a restart
DefaultDependencies=no
After=local-fs.target
Before=multi-user.target

[Service]
Type=oneshot
User={user}
Environment=EDGEPIPE_HOME={home}
ExecStart={python} -I {home}/agent.pyz guard --boot

[Install]
WantedBy=multi-user.target
"""
CRON = "@reboot EDGEPIPE_HOME={home} {python} -I {home}/agent.pyz guard --boot # " + NAME
UNITS, RUNNING = "/etc/systemd/system", "/run/systemd/system"
PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+")


def text(template: str, folder: str) -> str:
    """Return the unit or the line for this board. Raises OSError for a path that neither could hold without being misread."""
    if not set(folder + sys.executable) <= PLAIN:
        raise OSError("%s has characters that a unit or a crontab would misread" % folder)
    return template.format(user=pwd.getpwuid(os.getuid()).pw_name, home=folder, python=sys.executable)


def installed(folder: str, units: str = UNITS) -> str:
    """Return "systemd" or "cron", whichever will run the guard of this folder at boot, "" for none."""
    try:
        unit, line = text(UNIT, folder), text(CRON, folder)
    except OSError:
        return ""
    try:
        with open(os.path.join(units, "multi-user.target.wants", NAME + ".service")) as file:
            if file.read() == unit:
                return "systemd"
    except OSError:
        pass
    return "cron" if line in (_crontab() or []) else ""


def install(folder: str, units: str = UNITS, running: str = RUNNING) -> str:
    """Install the hook and return its kind. Executed again it does nothing. Raises OSError where the board has neither."""
    if os.path.isdir(running) and os.access(units, os.W_OK):
        path, wants = os.path.join(units, NAME + ".service"), os.path.join(units, "multi-user.target.wants")
        with open(path, "w") as unit:
            unit.write(text(UNIT, folder))
        os.makedirs(wants, exist_ok=True)
        link = os.path.join(wants, NAME + ".service")
        if not os.path.lexists(link):
            os.symlink(path, link)
        return "systemd"
    lines = _crontab()
    if lines is None:
        raise OSError("there is neither a systemd that we may write to nor a crontab")
    _write_crontab([line for line in lines if not line.endswith("# " + NAME)] + [text(CRON, folder)])
    return "cron"


def remove(units: str = UNITS) -> None:
    """Take the hook away."""
    for path in (os.path.join(units, "multi-user.target.wants", NAME + ".service"), os.path.join(units, NAME + ".service")):
        if os.path.lexists(path):
            os.unlink(path)
    lines = _crontab()
    if lines and any(line.endswith("# " + NAME) for line in lines):
        _write_crontab([line for line in lines if not line.endswith("# " + NAME)])


def _crontab() -> Optional[List[str]]:
    """Return this user's crontab, None where there is no cron."""
    if not shutil.which("crontab"):
        return None
    found = subprocess.run(["crontab", "-l"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10)
    return found.stdout.decode(errors="replace").splitlines() if found.returncode == 0 else []


def _write_crontab(lines: List[str]) -> None:
    done = subprocess.run(
        ["crontab", "-"], input="".join(line + "\n" for line in lines).encode(), stderr=subprocess.PIPE, timeout=10
    )
    if done.returncode:
        raise OSError("crontab refused: %s" % done.stderr.decode(errors="replace").strip()[:200])
