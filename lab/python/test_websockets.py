"""WebSockets of the `websockets` library, through the gateway over HTTP/1.1."""

import queue
from contextlib import contextmanager
from threading import Thread
from types import SimpleNamespace

import pytest
from websockets import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

import servers

ONE_MEBIBYTE = 1024 * 1024


@pytest.fixture
def talk(gate):
    """A client's end of a WebSocket through the gateway to this handler."""

    @contextmanager
    def talk(handler, **words):
        with serve(handler, "127.0.0.1", 0, **words) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            port = server.socket.getsockname()[1]
            gateway = gate(SimpleNamespace(url=f"http://127.0.0.1:{port}"))
            with connected(gateway, "/", subprotocols=words.get("subprotocols")) as client:
                yield SimpleNamespace(client=client, gateway=gateway)

    return talk


def connected(gateway, path, **words):
    return connect(f"ws://127.0.0.1:{gateway.port}{path}", proxy=None, **words)


def echo(server):
    for message in server:
        server.send(message)


def test_text_and_bytes_pass_both_ways_in_order(talk):
    said = ["größer", b"\x00\xff", "", *(f"number {at}" for at in range(200))]
    with talk(echo) as it:
        for message in said:
            it.client.send(message)
        assert [it.client.recv(10) for _ in said] == said


@pytest.mark.parametrize("compression", ["deflate", None], ids=["compressed", "plain"])
def test_messages_of_a_mebibyte_pass_whole(talk, compression):
    message = bytes(range(256)) * (ONE_MEBIBYTE // 256)
    with talk(echo, compression=compression) as it:
        for _ in range(4):
            it.client.send(message)
            assert it.client.recv(20) == message


def test_a_message_in_pieces_passes(talk):
    with talk(echo) as it:
        it.client.send(iter(["one ", "and ", "two"]))
        assert it.client.recv(10) == "one and two"


def test_pings_of_either_side_are_answered_by_the_other(talk):
    answered = queue.Queue()

    def ping(server):
        answered.put(server.ping(b"from the server").wait(10))
        echo(server)

    with talk(ping) as it:
        assert it.client.ping(b"from the client").wait(10)
        assert answered.get(timeout=10)


def test_the_code_of_a_client_that_closes_reaches_the_server(talk):
    closed = queue.Queue()

    def listen(server):
        try:
            server.recv()
        except ConnectionClosed as end:
            closed.put((end.rcvd.code, end.rcvd.reason))

    with talk(listen) as it:
        it.client.close(4001, "größer")
        assert closed.get(timeout=10) == (4001, "größer")


def test_the_code_of_a_server_that_closes_reaches_the_client(talk):
    with talk(lambda server: server.close(4002, "enough")) as it:
        with pytest.raises(ConnectionClosed) as closed:
            it.client.recv(10)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4002, "enough")
        record = it.gateway.record("/")
    assert (record["status"], record["upgrade"], record["end"]) == (101, "websocket", "complete")


def test_a_subprotocol_is_agreed_on(talk):
    with talk(echo, subprotocols=["one", "two"]) as it:
        assert it.client.subprotocol == "one"


def test_a_websocket_route_of_fastapi_is_served(start, gate, tmp_path):
    gateway = gate(start(servers.uvicorn(tmp_path)))
    with connected(gateway, "/talk?name=x") as client:
        assert client.recv(10) == "hello x"
        client.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4003, "bye")


def test_an_app_that_cannot_switch_is_named(start, gate, tmp_path):
    gateway = gate(start(servers.gunicorn(tmp_path)))
    with pytest.raises(InvalidStatus) as failed, connected(gateway, "/talk"):
        pass
    # Its own answer passes unchanged, and the record explains it.
    assert failed.value.response.status_code == 404
    assert gateway.record("/talk")["cause"] == "upgrade_not_forwarded"


def test_an_app_that_is_down_is_explained(gate):
    gateway = gate(SimpleNamespace(url=f"http://127.0.0.1:{servers.free_port()}"))
    with pytest.raises(InvalidStatus) as failed, connected(gateway, "/"):
        pass
    response = failed.value.response
    assert (response.status_code, response.headers["content-type"]) == (
        502,
        "application/problem+json",
    )
    assert "cause=process_down" in response.headers["proxy-status"]
