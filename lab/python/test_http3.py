"""HTTP/3 of aioquic, an implementation of QUIC that shares nothing with the gateway's."""

import asyncio
import hashlib
import json
import os
import ssl
from contextlib import asynccontextmanager

import httpx2
import pytest
from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated

import servers

FIVE_MEGABYTES = 5 * 1024 * 1024
AT_ONCE = 200


class Answer:
    def __init__(self):
        self.head, self.body, self.whole = {}, bytearray(), asyncio.get_running_loop().create_future()


class Client(QuicConnectionProtocol):
    """One connection; requests over it at any time."""

    def __init__(self, *words, **more):
        super().__init__(*words, **more)
        self.http, self.answers = H3Connection(self._quic), {}

    async def ask(self, method, path, body=b""):
        stream = self._quic.get_next_available_stream_id()
        answer = self.answers[stream] = Answer()
        head = {":method": method, ":scheme": "https", ":authority": "127.0.0.1", ":path": path}
        if body:
            head |= {"content-type": "application/json", "content-length": str(len(body))}
        fields = [(name.encode(), value.encode()) for name, value in head.items()]
        self.http.send_headers(stream, fields, end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        return await asyncio.wait_for(answer.whole, servers.LIMIT)

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            for answer in self.answers.values():
                if not answer.whole.done():
                    answer.whole.set_exception(ConnectionError(event.reason_phrase))
        for it in self.http.handle_event(event):
            answer = self.answers[it.stream_id]
            if isinstance(it, HeadersReceived):
                answer.head |= {name.decode(): value.decode() for name, value in it.headers}
            if isinstance(it, DataReceived):
                answer.body += it.data
            if it.stream_ended and not answer.whole.done():
                answer.whole.set_result(answer)


@pytest.fixture
def app(start, tmp_path):
    return start(servers.uvicorn(tmp_path))


@pytest.fixture
def play(app, gate_with_tls, tmp_path):
    """Runs a play of one HTTP/3 client of a gateway."""

    def play(scene, **words):
        gateway = gate_with_tls(app, listen="http3 = true", **words)
        asyncio.run(acted(gateway, scene))
        return gateway

    async def acted(gateway, scene):
        async with connected(gateway, tmp_path) as client:
            await scene(client)

    return play


@asynccontextmanager
async def connected(gateway, folder):
    settings = QuicConfiguration(
        alpn_protocols=H3_ALPN,
        cafile=str(folder / "gate.pem"),
        server_name="127.0.0.1",
        max_data=64 * 1024 * 1024,
        max_stream_data=16 * 1024 * 1024,
    )
    protocol = {"configuration": settings, "create_protocol": Client}
    async with connect("127.0.0.1", gateway.port, **protocol) as client:
        yield client


def test_get_and_post_pass_over_http3(play):
    async def scene(client):
        answer = await client.ask("GET", "/")
        assert (answer.head[":status"], json.loads(answer.body)["app"]) == ("200", "fastapi")
        order = {"order": 7, "text": "größer"}
        answer = await client.ask("POST", "/echo", json.dumps(order).encode())
        assert (answer.head[":status"], json.loads(answer.body)) == ("200", order)

    play(scene)


def test_five_megabytes_pass_whole_both_ways_over_http3(play):
    async def scene(client):
        body = os.urandom(FIVE_MEGABYTES)
        answer = await client.ask("POST", "/digest", body)
        assert json.loads(answer.body)["sha256"] == hashlib.sha256(body).hexdigest()
        answer = await client.ask("GET", f"/download/{FIVE_MEGABYTES}")
        assert answer.body == bytes(FIVE_MEGABYTES)

    play(scene)


def test_many_requests_at_once_over_http3_are_answered_each(play):
    async def scene(client):
        bodies = [b'{"number":%d}' % at for at in range(AT_ONCE)]
        answers = await asyncio.gather(*(client.ask("POST", "/echo", it) for it in bodies))
        assert [bytes(it.body) for it in answers] == bodies

    play(scene)


def test_a_killed_app_is_explained_over_http3(play, app):
    async def scene(client):
        assert (await client.ask("GET", "/")).head[":status"] == "200"
        app.kill()
        answer = await client.ask("GET", "/down")
        assert answer.head[":status"] == "502"
        assert "cause=process_down" in answer.head["proxy-status"]
        assert json.loads(answer.body)["cause"] == "process_down"

    assert play(scene).record("/down")["cause"] == "process_down"


def test_answers_under_tls_name_the_port_of_http3(app, gate_with_tls, tmp_path):
    gateway = gate_with_tls(app, listen="http3 = true")
    trusting = ssl.create_default_context(cafile=tmp_path / "gate.pem")
    for versions in ({}, {"http2": True}):
        with httpx2.Client(verify=trusting, **versions) as client:
            assert f'h3=":{gateway.port}"' in client.get(gateway.url).headers["alt-svc"]
    assert "alt-svc" not in httpx2.get(gateway.plain_url).headers
