"""Real servers on free ports of this machine, each owned by the test that starts it."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TOP = HERE.parent.parent
GOODGATE = os.environ.get("GOODGATE_BIN", str(TOP / "target/debug/goodgate"))

# How long anything on this machine may take to happen before a test gives up on it.
LIMIT = 20


def until(condition, what, limit=LIMIT):
    """Polls until the condition holds and returns what it said."""
    end = time.monotonic() + limit
    while True:
        if said := condition():
            return said
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.02)


def free_port():
    """One below those that systems give to connections: none takes it before the server does."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """A program that listens on a port, with everything it prints kept in a file."""

    def __init__(self, name, words, port, folder, scheme="http"):
        self.name, self.words, self.port, self.folder = name, words, port, folder
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.log = folder / f"{name}.log"
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.words,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own: its workers end with it.
                start_new_session=True,
            )
        until(self._ready, f"{self.name} listens on {self.port}\n{self.log.read_text()}")
        return self

    def kill(self):
        """SIGKILL to the server and all its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(LIMIT)
        until(lambda: not self._listens(), f"{self.name} is gone")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()
        # pytest shows this beside a test that failed.
        print(f"--- {self.name} ---\n{self.log.read_text(errors='replace')[-4000:]}")

    def _ready(self):
        assert self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text()}"
        return self._listens()

    def _listens(self):
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", self.port)) == 0


def gunicorn(folder, *words):
    """The Flask app under Gunicorn."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(HERE / "apps")]
    command += ["--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command += [*words, "flask_app:app"]
    return Server("gunicorn", command, port, folder)


def uvicorn(folder, *words):
    """The FastAPI app under Uvicorn."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE / "apps")]
    command += ["--port", str(port), *words, "fastapi_app:app"]
    return Server("uvicorn", command, port, folder)


def hypercorn(folder, *words):
    """The FastAPI app under Hypercorn, which takes HTTP/2 without TLS from whoever begins with it."""
    port = free_port()
    command = ["env", f"PYTHONPATH={HERE / 'apps'}", sys.executable, "-m", "hypercorn"]
    command += ["--bind", f"127.0.0.1:{port}", *words, "fastapi_app:app"]
    return Server("hypercorn", command, port, folder, scheme="h2c")


class Gateway(Server):
    """The gateway, and what it says of itself."""

    def records(self):
        """All that the access log has by now."""
        lines = self.log.read_text().splitlines(keepends=True)
        # The last one may be under way.
        return [json.loads(it) for it in lines if it.startswith("{") and it.endswith("\n")]

    def record(self, path):
        """The only record of a path, which may take a second to be written."""
        with_path = lambda: [it for it in self.records() if it["path"] == path]
        found = until(with_path, f"the record of {path}")
        assert len(found) == 1, found
        return found[0]

    def peak(self):
        """The most memory that it ever held, in bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(it.split()[1]) * 1024 for it in lines if it.startswith("VmHWM:"))


def goodgate(folder, app, *, listen="", upstream="", more=""):
    """The gateway in front of an app, with more lines for some tables and more tables."""
    port = free_port()
    file = folder / "goodgate.toml"
    words = {"port": port, "app": app.url, "listen": listen, "upstream": upstream, "more": more}
    file.write_text(CONFIGURATION.format(**words))
    return Gateway("goodgate", [GOODGATE, "run", "--config", str(file)], port, folder)


def goodgate_with_tls(folder, app, *, listen="", **words):
    """The gateway in front of an app, with a certificate of its own for 127.0.0.1."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=gateway", "-keyout", "gate.key"]
        + ["-out", "gate.pem", "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    port = free_port()
    https = f'https = {{ addr = "127.0.0.1:{port}", cert = "gate.pem", key = "gate.key" }}'
    server = goodgate(folder, app, listen=f"{https}\n{listen}", **words)
    server.plain_url = server.url
    server.url = f"https://127.0.0.1:{port}"
    # The last one that is opened.
    server.port = port
    return server


# The console is off: its port may be another test's.
CONFIGURATION = """\
[listen]
http = "127.0.0.1:{port}"
{listen}

[console]
listen = "off"

[upstream.app]
targets = ["{app}"]
{upstream}

[route.app]
match = "/*"
to = "app"

{more}
"""
