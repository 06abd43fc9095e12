"""Real servers on free ports of this machine, each owned by the test that starts it."""

import os
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
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A program that listens on a port, with everything it prints kept in a file."""

    def __init__(self, name, words, port, folder):
        self.name, self.words, self.port, self.folder = name, words, port, folder
        self.url = f"http://127.0.0.1:{port}"
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


def goodgate(folder, app):
    """The gateway in front of an app."""
    port = free_port()
    file = folder / "goodgate.toml"
    file.write_text(CONFIGURATION.format(port=port, app=app.url))
    return Server("goodgate", [GOODGATE, "run", "--config", str(file)], port, folder)


def goodgate_with_tls(folder, app):
    """The gateway in front of an app, with a certificate of its own for 127.0.0.1."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=gateway", "-keyout", "gate.key"]
        + ["-out", "gate.pem", "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    server = goodgate(folder, app)
    port = free_port()
    file = folder / "goodgate.toml"
    https = f'https = {{ addr = "127.0.0.1:{port}", cert = "gate.pem", key = "gate.key" }}'
    file.write_text(file.read_text().replace("[console]", f"{https}\n\n[console]"))
    server.url = f"https://127.0.0.1:{port}"
    # The last one that is opened.
    server.port = port
    return server


# The console is off: its port may be another test's.
CONFIGURATION = """\
[listen]
http = "127.0.0.1:{port}"

[console]
listen = "off"

[upstream.app]
targets = ["{app}"]

[route.app]
match = "/*"
to = "app"
"""
