"""HTTP/2 as other people's clients and servers speak it, through the gateway."""

import asyncio
import hashlib
import json
import os
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

import servers

FIVE_MEGABYTES = 5 * 1024 * 1024
AT_ONCE = 200
# Longer than the gateway waits for a target that is gone.
PATIENCE = 15


@pytest.fixture
def app(start, tmp_path):
    return start(servers.uvicorn(tmp_path))


@pytest.fixture
def http2_app(start, tmp_path):
    return start(servers.hypercorn(tmp_path))


def trusting(folder):
    return ssl.create_default_context(cafile=folder / "gate.pem")


def test_httpx2_speaks_http2_over_tls(app, gate_with_tls, tmp_path):
    url = gate_with_tls(app).url
    with httpx2.Client(http2=True, verify=trusting(tmp_path), timeout=20) as client:
        order = {"order": 7, "text": "größer"}
        answer = client.post(url + "/echo", json=order)
        assert (answer.http_version, answer.status_code, answer.json()) == ("HTTP/2", 200, order)
        body = os.urandom(FIVE_MEGABYTES)
        digest = client.post(url + "/digest", content=body).json()
        assert digest == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        assert client.get(f"{url}/download/{FIVE_MEGABYTES}").content == bytes(FIVE_MEGABYTES)


@pytest.mark.parametrize("name", ["app", "http2_app"], ids=["to-http1", "to-http2"])
def test_many_requests_of_one_connection_are_answered_each(request, gate_with_tls, tmp_path, name):
    url = gate_with_tls(request.getfixturevalue(name)).url
    one = httpx2.Limits(max_connections=1)

    async def play():
        with_tls = {"http2": True, "verify": trusting(tmp_path), "limits": one, "timeout": 30}
        async with httpx2.AsyncClient(**with_tls) as client:
            posts = [client.post(url + "/echo", json={"number": at}) for at in range(AT_ONCE)]
            return [it.json()["number"] for it in await asyncio.gather(*posts)]

    assert asyncio.run(play()) == list(range(AT_ONCE))


def test_hypercorn_is_spoken_to_in_http2(http2_app, gate, tmp_path):
    url = gate(http2_app).url
    order = {"order": 7}
    with httpx2.Client(timeout=20) as client:
        assert client.post(url + "/echo", json=order).json() == order
        body = os.urandom(FIVE_MEGABYTES)
        digest = client.post(url + "/digest", content=body).json()
        assert digest == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        assert client.get(f"{url}/download/{FIVE_MEGABYTES}").content == bytes(FIVE_MEGABYTES)
        answer = client.get(url + "/status/503")
        assert (answer.status_code, answer.json()) == (503, {"said": "by the app"})
        assert client.get(url + "/version").json() == {"version": "2"}


def test_hypercorn_without_http2_would_not_do(http2_app, gate, tmp_path):
    """The same app says which version it was asked in: the test above is no accident."""
    http2_app.url = http2_app.url.replace("h2c:", "http:")
    assert httpx2.get(gate(http2_app).url + "/version").json() == {"version": "1.1"}


def test_events_arrive_piece_by_piece_over_http2_on_both_sides(http2_app, gate_with_tls, tmp_path):
    url = gate_with_tls(http2_app).url
    with httpx2.Client(http2=True, verify=trusting(tmp_path), timeout=10) as client:
        with client.stream("GET", url + "/events") as answer:
            events = (line for line in answer.iter_lines() if line)
            assert next(events) == "data: first"
            assert client.post(url + "/release").status_code == 200
            assert next(events) == "data: second"
            assert next(events, None) is None


def test_a_killed_http2_app_is_explained_and_served_again_when_it_is_back(http2_app, gate):
    url = gate(http2_app).url
    assert httpx2.get(url).status_code == 200
    http2_app.kill()
    # It is waited for as long as a restart takes, and then it is explained.
    answer = httpx2.get(url, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["cause"]) == (502, "process_down")
    http2_app.start()
    servers.until(lambda: httpx2.get(url).status_code == 200, "it is served again")
    http2_app.kill()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(httpx2.get, url, timeout=PATIENCE)
        http2_app.start()
        assert waiting.result().status_code == 200


# What curl is told, and what it then speaks. Without TLS it offers to upgrade HTTP/1.1, which
# RFC 9113 no longer has: the offer is not taken.
CURL = {
    "prior knowledge, plain": ("--http2-prior-knowledge", False, "2"),
    "prior knowledge, TLS": ("--http2-prior-knowledge", True, "2"),
    "ALPN": ("--http2", True, "2"),
    "an offer to upgrade": ("--http2", False, "1.1"),
    "HTTP/1.1 alone": ("--http1.1", True, "1.1"),
}


@pytest.mark.parametrize("name", CURL)
def test_curl_gets_and_uploads_in_the_version_that_it_asks_for(app, gate_with_tls, tmp_path, name):
    word, with_tls, version = CURL[name]
    gateway = gate_with_tls(app)
    url = gateway.url if with_tls else gateway.plain_url
    upload = tmp_path / "upload"
    upload.write_bytes(os.urandom(FIVE_MEGABYTES))
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "30", word]
    command += ["--cacert", str(tmp_path / "gate.pem"), "--write-out", "\n%{http_version}"]
    command += ["--data-binary", f"@{upload}", url + "/digest"]
    said, spoken = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
    assert json.loads(said)["sha256"] == hashlib.sha256(upload.read_bytes()).hexdigest()
    assert spoken.decode() == version
