"""Fixtures: each test owns the servers that it starts."""

import os

import pytest

import servers

# Clients read proxies from the environment; everything here is on this machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

APPS = {
    "gunicorn-sync": lambda folder: servers.gunicorn(folder, "--workers", "2"),
    "gunicorn-gthread": lambda folder: servers.gunicorn(folder, "-k", "gthread", "--threads", "4"),
    "uvicorn": lambda folder: servers.uvicorn(folder),
}
# Answers that arrive in pieces while another request is served need more than one sync worker,
# and one process that both requests reach.
CONCURRENT = ["gunicorn-gthread", "uvicorn"]


@pytest.fixture
def start(tmp_path):
    """Starts a server and ends it after the test, last first."""
    started = []

    def start(server):
        started.append(server)
        return server.start()

    yield start
    for server in reversed(started):
        server.stop()


@pytest.fixture(params=APPS)
def app(request, start, tmp_path):
    return start(APPS[request.param](tmp_path))


@pytest.fixture(params=CONCURRENT)
def concurrent_app(request, start, tmp_path):
    return start(APPS[request.param](tmp_path))


@pytest.fixture
def gate(start, tmp_path):
    """Starts the gateway in front of an app."""
    return lambda app, **words: start(servers.goodgate(tmp_path, app, **words))


@pytest.fixture
def gate_with_tls(start, tmp_path):
    """The same, with TLS; its certificate is `gate.pem` in the test's folder."""
    return lambda app, **words: start(servers.goodgate_with_tls(tmp_path, app, **words))
