"""Health checks of real servers: Gunicorn, and grpcio with the health service of gRPC."""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest
import requests

import servers

QUICK = 'interval = "50ms", timeout = "500ms", unhealthy_after = 2, healthy_after = 2'


def checking(health):
    """Words for an upstream whose targets are asked so."""
    return f"health = {{ {health}, {QUICK} }}"


def health(gateway):
    """What the gateway knows of the health of its only target."""
    words = [servers.GOODGATE, "status", "--format", "json", "--config", "goodgate.toml"]
    status = subprocess.run(words, cwd=gateway.folder, check=True, capture_output=True).stdout
    return json.loads(status)["live"]["upstreams"][0]["targets"][0]["health"] or {}


def until_well(gateway):
    good = lambda it: it.get("well") and not it["last"]["fault"] and it
    return servers.until(lambda: good(health(gateway)), "the target is well")


def until_ill(gateway, fault):
    """Ill, and by now for this."""
    bad = lambda it: it.get("well") is False and it["last"]["fault"] == fault and it
    return servers.until(lambda: bad(health(gateway)), f"the target is ill by {fault}")


def test_a_python_app_is_asked_for_its_health(app, gate):
    gateway = gate(app, upstream=checking('path = "/"'))
    until_well(gateway)
    # It still accepts, as the kernel does that for it, and answers nobody.
    os.killpg(app.process.pid, signal.SIGSTOP)
    try:
        until_ill(gateway, "first_byte_timed_out")
    finally:
        os.killpg(app.process.pid, signal.SIGCONT)
    until_well(gateway)
    app.kill()
    until_ill(gateway, "connection_refused")
    app.start()
    until_well(gateway)


def test_a_check_for_a_path_that_no_app_has_is_not_believed(app, gate):
    gateway = gate(app, upstream=checking('path = "/no-such-path"'))
    for _ in range(10):
        assert requests.get(gateway.url, timeout=10).status_code == 200
    told = servers.until(
        lambda: (it := health(gateway)).get("wrong_path") and it, "the check is told to be wrong"
    )
    assert told["well"] and told["last"]["status"] == 404
    assert requests.get(gateway.url, timeout=10).status_code == 200
    servers.until(
        lambda: "a health check asks for the wrong thing" in gateway.log.read_text(),
        "it is told to whoever runs the gateway",
    )


@pytest.fixture
def serve():
    """Starts a server of grpcio, with a health service or without."""
    stopping = []

    def serve(check=None):
        server = grpc.server(ThreadPoolExecutor(4))
        if check:
            methods = {"Check": grpc.unary_unary_rpc_method_handler(check)}
            name = "grpc.health.v1.Health"
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        stopping.append(server)
        return SimpleNamespace(url=f"h2c://127.0.0.1:{port}", port=port)

    yield serve
    for server in stopping:
        server.stop(None).wait(servers.LIMIT)


def test_a_grpc_server_is_asked_by_the_health_protocol(serve, gate):
    # `HealthCheckResponse`: 1 is SERVING, 2 is NOT_SERVING.
    now = [b"\x08\x01"]
    asked = []

    def check(request, context):
        asked.append((request, context.time_remaining()))
        return now[0]

    gateway = gate(serve(check), upstream=checking('service = "shop.Shop"'))
    until_well(gateway)
    request, left = asked[0]
    assert request == b"\x0a\x09shop.Shop"
    assert left < 1
    now[0] = b"\x08\x02"
    until_ill(gateway, "not_serving")
    now[0] = b"\x08\x01"
    until_well(gateway)


def test_a_grpc_server_that_does_not_know_the_service_says_so(serve, gate):
    def check(_, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")

    until_ill(gate(serve(check), upstream=checking('service = "none"')), "unknown_service")


def test_a_grpc_server_without_the_health_service_says_so(serve, gate):
    until_ill(gate(serve(), upstream=checking('by = "grpc"')), "no_health_service")
