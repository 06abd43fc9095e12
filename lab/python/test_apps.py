"""Real Python apps behind the real gateway, asked by the clients that people use."""

import hashlib
import itertools
import json
import os
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import httpx2
import pytest
import requests

import servers

CLIENTS = [requests, httpx, httpx2]
FIVE_MEGABYTES = 5 * 1024 * 1024

every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda it: it.__name__)


@every_client
def test_get_and_post_json_pass_through(app, gate, client):
    url = gate(app).url
    assert client.get(url + "/", timeout=10).json()["app"] in ("flask", "fastapi")
    order = {"order": 7, "text": "größer"}
    answer = client.post(url + "/echo", json=order, timeout=10)
    assert (answer.status_code, answer.json()) == (200, order)


@every_client
def test_five_megabytes_arrive_whole_in_both_directions(app, gate, client):
    url = gate(app).url
    body = os.urandom(FIVE_MEGABYTES)
    form = {"content": body} if client is not requests else {"data": body}
    answer = client.post(url + "/digest", timeout=30, **form)
    assert answer.json() == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    answer = client.get(f"{url}/download/{FIVE_MEGABYTES}", timeout=30)
    assert answer.content == bytes(FIVE_MEGABYTES)


@every_client
def test_a_client_that_keeps_its_connection_is_served_again_and_again(app, gate, client):
    url = gate(app).url
    session = requests.Session() if client is requests else client.Client()
    with session:
        for number in range(50):
            answer = session.post(url + "/echo", json={"number": number}, timeout=10)
            assert answer.json() == {"number": number}


def test_clients_speak_tls_to_the_gateway(concurrent_app, gate_with_tls, tmp_path):
    url = gate_with_tls(concurrent_app).url
    certificate = str(tmp_path / "gate.pem")
    trusting = ssl.create_default_context(cafile=certificate)
    order = {"order": 7}
    assert requests.post(url + "/echo", json=order, verify=certificate, timeout=10).json() == order
    for client in (httpx, httpx2):
        answer = client.post(url + "/echo", json=order, verify=trusting, timeout=10)
        assert answer.json() == order
    assert json.loads(curl("--cacert", certificate, url + "/"))["app"] in ("flask", "fastapi")
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(url + "/", timeout=10)


def test_curl_gets_posts_and_uploads(app, gate, tmp_path):
    url = gate(app).url
    assert json.loads(curl(url + "/"))["app"] in ("flask", "fastapi")

    as_json = ["--header", "content-type: application/json"]
    assert json.loads(curl(url + "/echo", "--data", '{"a":1}', *as_json)) == {"a": 1}

    upload = tmp_path / "upload"
    upload.write_bytes(os.urandom(FIVE_MEGABYTES))
    expected = hashlib.sha256(upload.read_bytes()).hexdigest()
    for words in (["--data-binary", f"@{upload}"], ["--data-binary", f"@{upload}", *CHUNKED]):
        assert json.loads(curl(url + "/digest", *words))["sha256"] == expected, words

    assert len(curl(f"{url}/download/{FIVE_MEGABYTES}")) == FIVE_MEGABYTES


CHUNKED = ["--header", "transfer-encoding: chunked"]


def curl(*words):
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "30", *words]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_events_arrive_piece_by_piece_with_requests(concurrent_app, gate):
    url = gate(concurrent_app).url
    with requests.get(url + "/events", stream=True, timeout=10) as answer:
        assert_in_pieces(url, answer.iter_lines(chunk_size=1, decode_unicode=True))


@pytest.mark.parametrize("client", [httpx, httpx2], ids=lambda it: it.__name__)
def test_events_arrive_piece_by_piece_with_httpx(concurrent_app, gate, client):
    url = gate(concurrent_app).url
    with client.stream("GET", url + "/events", timeout=10) as answer:
        assert_in_pieces(url, answer.iter_lines())


def assert_in_pieces(url, lines):
    """The app sends the second event only after the first has been seen here."""
    events = (line for line in lines if line)
    assert next(events) == "data: first"
    assert requests.post(url + "/release", timeout=10).status_code == 200
    assert next(events) == "data: second"
    assert next(events, None) is None


def test_a_killed_app_is_explained_with_a_fix(app, gate):
    url = gate(app).url
    assert requests.get(url + "/", timeout=10).status_code == 200
    app.kill()

    answer = requests.get(url + "/", timeout=10)
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert "cause=process_down" in answer.headers["proxy-status"]
    said = answer.json()
    assert said["cause"] == "process_down"
    assert said["request_id"] == answer.headers["x-request-id"]
    assert said["fix"]["now"][0]["text"]
    assert str(app.port) in json.dumps(said["evidence"])


def test_a_restarted_app_is_served_again(app, gate):
    url = gate(app).url
    app.kill()
    assert requests.get(url + "/", timeout=10).status_code == 502
    app.start()
    servers.until(
        lambda: requests.get(url + "/", timeout=10).status_code == 200,
        "the restarted app answers through the gateway",
    )


def test_a_worker_that_dies_inside_a_request_closed_before_its_answer(app, gate):
    url = gate(app).url
    answer = requests.post(url + "/exit", timeout=30)
    assert answer.status_code == 502
    said = answer.json()
    assert "premature_close" in (said["wire"], said["cause"])
    assert said["attempts"][0]["phase"] == "wait_first_byte"


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_of_the_app_itself_passes_unchanged(app, gate, status):
    answer = requests.get(f"{gate(app).url}/status/{status}", timeout=10)
    assert (answer.status_code, answer.json()) == (status, {"said": "by the app"})
    assert f"received-status={status}" in answer.headers["proxy-status"]
    assert "error=" not in answer.headers["proxy-status"]


def test_requests_around_the_keep_alive_limit_of_gunicorn_never_fail(start, gate, tmp_path):
    """Gunicorn hangs up after two idle seconds, which is when the next round of requests comes."""
    words = ["-k", "gthread", "--threads", "8", "--keep-alive", "2"]
    url = gate(start(servers.gunicorn(tmp_path, *words))).url
    methods = ["GET", "POST"] * 4
    pauses = [1.90, 1.95, 1.98, 1.99, 2.00, 2.01, 2.02, 2.05, 2.10]
    began, rounds = time.monotonic(), [0.0, *itertools.accumulate(pauses)]
    together = threading.Barrier(len(methods))

    def client(method):
        statuses = []
        for at in rounds:
            # The pause is what is tested: it lets the upstream connections grow old.
            time.sleep(max(0, began + at - time.monotonic()))
            together.wait(servers.LIMIT)
            statuses.append(ask(method, url))
        return statuses

    with ThreadPoolExecutor(len(methods)) as pool:
        seen = list(pool.map(client, methods))
    assert seen == [[200] * len(rounds)] * len(methods)


def ask(method, url):
    """The status, or what went wrong instead."""
    path, body = ("/", None) if method == "GET" else ("/echo", {"order": 7})
    try:
        return requests.request(method, url + path, json=body, timeout=10).status_code
    except requests.RequestException as problem:
        return type(problem).__name__
