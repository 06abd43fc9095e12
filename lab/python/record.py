#!/usr/bin/env python3
"""Records golden cases of `goodgate why`: real servers, faults made on purpose.

    sudo lab/python/record.py              records every case that this machine has the programs for
    sudo lab/python/record.py keepalive    only those with this word in their name

Each case plays in namespaces of its own (network, mounts, processes, host name), so that ports,
paths and names in the logs are the same on every machine, nothing reaches a network, and whatever
was started ends with it. Its files go to crates/diagnosis/cases/CAUSE/NAME/ as the servers wrote
them, with `case.json` beside them: what `why` must answer.

The apps run in a venv at target/record-venv, which is made at the first run.
"""

import os
import subprocess
import sys
from pathlib import Path

from recorder import CASES, Absent
from recorder import world as worlds

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
CASES_FOLDER = TOP / "crates/diagnosis/cases"
VENV = Path(os.environ.get("GOODGATE_RECORD_VENV", TOP / "target/record-venv"))
# Any case is played in a fraction of it, even on a busy machine.
LIMIT = 120


def main():
    if os.environ.get("GOODGATE_RECORD_INSIDE"):
        return inside(sys.argv[1])
    if os.geteuid() != 0:
        return "namespaces take root: run it with sudo"
    make_venv()
    failed = 0
    for name in wanted(sys.argv[1:]):
        failed += not play(name)
    return min(failed, 1)


def wanted(words):
    return [it for it in CASES if not words or any(word in it for word in words)]


def play(name):
    """Plays one case in a process of its own; true unless it failed."""
    words = ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
    words += ["--mount-proc", sys.executable, __file__, name]
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "GOODGATE_RECORD_INSIDE": "1"}
    environment["GOODGATE_RECORD_VENV"] = str(VENV)
    try:
        done = subprocess.run(words, env=environment, timeout=LIMIT)
        code = done.returncode
    except subprocess.TimeoutExpired:
        code = "took too long"
    print(f"{name}: {'recorded' if code == 0 else 'skipped' if code == 3 else f'FAILED {code}'}")
    return code in (0, 3)


def inside(name):
    """One case, with the namespaces around it."""
    case = CASES[name]
    try:
        with worlds.World(VENV) as world:
            case.play(world)
            world.settle()
            case.save(world, CASES_FOLDER / name)
    except Absent as absent:
        print(f"{name}: {absent} is not installed")
        return 3
    return 0


def make_venv():
    if (VENV / "whole").exists():
        return
    VENV.mkdir(parents=True, exist_ok=True)
    words = f"""
        mount -t tmpfs none /srv && mkdir /srv/venv && mount --bind '{VENV}' /srv/venv
        /usr/bin/python3 -m venv /srv/venv
        nice /srv/venv/bin/pip install --quiet -r '{HERE}/recorder/requirements.txt'
        touch /srv/venv/whole
    """
    subprocess.run(["unshare", "--mount", "sh", "-ec", words], check=True)


if __name__ == "__main__":
    sys.exit(main())
