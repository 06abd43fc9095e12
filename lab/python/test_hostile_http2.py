"""Clients and upstreams that break HTTP/2, wilfully or not: the gateway stays up within its memory,
others are served meanwhile, and what it records names the cause."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import httpx2
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
)

import hostile
import servers

# By how much the gateway may grow at the most while one attack runs, in bytes.
GROWTH = 48 * 1024 * 1024
# More than the buffers of sockets hold.
LARGE = bytes(16 * 1024 * 1024)


class App(BaseHTTPRequestHandler):
    """Answers at once, with sixteen mebibytes at `/large`."""

    protocol_version = "HTTP/1.1"
    # Head and body are written one after the other.
    disable_nagle_algorithm = True

    def do_GET(self):
        body = LARGE if self.path == "/large" else b"served"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            # The gateway has given it up.
            self.close_connection = True

    def do_POST(self):
        """Reads nothing of a body."""
        self.close_connection = True
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def app():
    with ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@contextmanager
def others_are_served(gateway, path="/"):
    """Meanwhile two more clients, one of each version, ask again and again; and the gateway neither
    ends nor grows beyond bounds."""
    before, over, statuses = gateway.peak(), threading.Event(), []

    def ask(**versions):
        with httpx2.Client(timeout=10, **versions) as client:
            while True:
                last = over.is_set()
                try:
                    statuses.append(client.get(gateway.url + path).status_code)
                except httpx2.HTTPError as problem:
                    statuses.append(repr(problem))
                if last:
                    return

    versions = [{}, {"http1": False, "http2": True}]
    clients = [threading.Thread(target=ask, kwargs=it) for it in versions]
    for it in clients:
        it.start()
    try:
        yield
    finally:
        over.set()
        for it in clients:
            it.join()
    assert set(statuses) == {200}
    assert gateway.process.poll() is None, "it has ended"
    assert gateway.peak() - before < GROWTH


# What goes on for ever, as far as the gateway is concerned.
FOR_EVER = 20_000


def continuations(client):
    yield HeadersFrame(1, client.encoder.encode([(":method", "GET")]), flags=["END_STREAM"])
    field = client.encoder.encode([("x", "v" * 100)], huffman=False) * 40
    for _ in range(FOR_EVER):
        yield ContinuationFrame(1, field)


def taken_back_requests(client):
    for stream in range(1, FOR_EVER, 2):
        yield client.head(stream)
        yield RstStreamFrame(stream, ErrorCodes.CANCEL)


def pings(_):
    for _ in range(FOR_EVER):
        yield PingFrame(0, b"12345678")


def settings(_):
    for _ in range(FOR_EVER):
        yield SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1000})


def empty_data(client):
    yield client.head(1, "POST", end=False)
    for _ in range(FOR_EVER):
        yield DataFrame(1, b"")


def priorities(_):
    for _ in range(FOR_EVER):
        yield PriorityFrame(3, depends_on=1)


FLOODS = [continuations, taken_back_requests, pings, settings, empty_data, priorities]


@pytest.mark.parametrize("flood", FLOODS, ids=lambda it: it.__name__)
def test_a_flood_ends_its_connection_and_no_other(app, gate, flood):
    gateway = gate(app)
    with others_are_served(gateway):
        client = hostile.Client(gateway.port)
        client.flood(flood(client))
        assert client.goaway() == ErrorCodes.ENHANCE_YOUR_CALM


def frame(kind, flags, stream, payload):
    """A frame that hyperframe does not write."""
    length = len(payload).to_bytes(3, "big")
    return length + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def window_update(stream, increment):
    return frame(8, 0, stream, increment.to_bytes(4, "big"))


def upload(client):
    return client.head(1, "POST", end=False)


def bomb(client):
    """Bytes that each stand for four kilobytes of the table (RFC 7541 7.3)."""
    head = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "lab.test")]
    block = client.encoder.encode([*head, ("x", "v" * 4000)])
    newest = b"\xbe" * 16_000
    yield HeadersFrame(1, block, flags=["END_STREAM"])
    yield ContinuationFrame(1, newest)
    yield ContinuationFrame(1, newest, flags=["END_HEADERS"])


MOST = 2**31 - 1
PADDED = 8

# What a client sends, and the code of the GOAWAY that it gets.
ENDS_THE_CONNECTION = {
    "a bomb of its table": (bomb, ErrorCodes.ENHANCE_YOUR_CALM),
    "a window that grows by nothing": (
        lambda _: [window_update(0, 0)],
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "a stream's window that grows by nothing": (
        lambda it: [upload(it), window_update(1, 0)],
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "a window beyond all numbers": (
        lambda _: [window_update(0, MOST), window_update(0, MOST)],
        ErrorCodes.FLOW_CONTROL_ERROR,
    ),
    "more padding than payload": (
        lambda it: [upload(it), frame(0, PADDED, 1, b"\x05abc")],
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "data after its own end": (
        lambda it: [it.head(1), DataFrame(1, b"more")],
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "a stream of the server's": (lambda it: [it.head(2)], ErrorCodes.PROTOCOL_ERROR),
    "no end of a head": (
        lambda it: [HeadersFrame(1, it.head(1).data), PingFrame(0, b"12345678")],
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "a frame beyond the largest": (
        lambda it: [upload(it), DataFrame(1, bytes(20_000))],
        ErrorCodes.FRAME_SIZE_ERROR,
    ),
    "a table that is not there": (
        lambda _: [HeadersFrame(1, b"\xff\xff\x0f", flags=["END_HEADERS"])],
        ErrorCodes.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("name", ENDS_THE_CONNECTION)
def test_a_client_that_breaks_the_connection_is_told_why(app, gate, name):
    frames, code = ENDS_THE_CONNECTION[name]
    gateway = gate(app)
    with others_are_served(gateway):
        client = hostile.Client(gateway.port)
        client.send(*frames(client))
        assert client.goaway() == code


# The code of the reset that its first stream gets.
ENDS_A_STREAM = {
    "a stream's window beyond all numbers": (
        lambda it: [upload(it), window_update(1, MOST), window_update(1, MOST)],
        ErrorCodes.FLOW_CONTROL_ERROR,
    ),
    "more than its window": (
        lambda it: [it.take_windows() or upload(it), *[DataFrame(1, bytes(16_384))] * 20],
        ErrorCodes.FLOW_CONTROL_ERROR,
    ),
    "a stream that waits for itself": (
        lambda _: [PriorityFrame(1, depends_on=1)],
        ErrorCodes.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("name", ENDS_A_STREAM)
def test_a_client_that_breaks_a_stream_keeps_the_others(app, gate, name):
    frames, code = ENDS_A_STREAM[name]
    gateway = gate(app)
    with others_are_served(gateway):
        client = hostile.Client(gateway.port)
        client.send(*frames(client))
        assert client.find(RstStreamFrame, 1).error_code == code
        assert client.served() == "200"


def test_a_head_beyond_its_limit_is_refused_and_recorded(app, gate):
    gateway = gate(app)
    with others_are_served(gateway, "/others"):
        client = hostile.Client(gateway.port)
        client.encoder.huffman = False
        client.send(client.head(1, path="/?" + "v" * 12_000))
        assert client.find(HeadersFrame, 1).fields[":status"] == "414"
        assert client.served() == "200"
    refused = servers.until(
        lambda: [it for it in gateway.records() if it["status"] == 414], "its record"
    )
    assert [it["cause"] for it in refused] == ["client_header_too_large"]


def test_data_on_a_stream_that_is_over_harms_no_other(app, gate):
    gateway = gate(app)
    with others_are_served(gateway):
        client = hostile.Client(gateway.port)
        client.send(client.head(1))
        assert any("END_STREAM" in it.flags for it in client.frames() if it.stream_id == 1)
        client.send(DataFrame(1, b"more"))
        assert client.find(RstStreamFrame, 1).error_code == ErrorCodes.STREAM_CLOSED
        assert client.served() == "200"



def test_a_client_that_ends_its_request_after_the_answer_is_not_reset(app, gate):
    """httpx2 does so: the last byte and the end are two frames of its. A reset between the two would
    be an error to it, with the whole answer in its hands."""
    client = hostile.Client(gate(app).port)
    client.take_windows()
    client.send(client.head(1, "POST", end=False, more=[("content-length", "4")]))
    client.send(DataFrame(1, b"body"))
    assert any("END_STREAM" in it.flags for it in client.frames() if it.stream_id == 1)
    client.send(DataFrame(1, b"", flags=["END_STREAM"]), PingFrame(0, b"12345678"))
    after = []
    for it in client.frames():
        if isinstance(it, PingFrame):
            break
        after.append(it)
    assert not [it for it in after if isinstance(it, (RstStreamFrame, GoAwayFrame))]


STALLED = 90


def test_a_client_that_reads_none_of_its_answers_is_given_up(app, gate):
    """Its windows are open, its socket is full."""
    gateway = gate(app, listen='timeout = { body = "500ms" }')
    with others_are_served(gateway, "/others"):
        windows = {SettingsFrame.INITIAL_WINDOW_SIZE: MOST}
        client = hostile.Client(gateway.port, settings=windows)
        client.send(window_update(0, MOST - 65_535))
        client.send(*[client.head(at * 2 + 1, path="/large") for at in range(STALLED)])
        given_up = lambda: [it for it in gateway.records() if it["path"] == "/large"]
        servers.until(lambda: STALLED == len(given_up()), "all are given up")
    assert {it["end"] for it in given_up()} == {"client_closed"}
    client.close()


SHORT = 'timeout = { first_byte = "500ms", send = "500ms", idle = "500ms" }'


def get(gateway, method="GET", **words):
    return httpx2.request(method, gateway.url + "/attacked", timeout=20, **words)


def served_beside(app):
    """A route to another upstream, which is to go on."""
    return f'[route.others]\nmatch = "/others"\nto = "{app.url}"'


# The settings that the upstream says first (None: none), what it does, and what is answered.
PROBLEMS = {
    "never sends SETTINGS": (None, lambda _: None, 504, "response_header_timeout"),
    "stalls before its answer": ((), lambda _: None, 504, "response_header_timeout"),
    "goes away without an answer": (
        (),
        lambda it: it.send(GoAwayFrame(0, 0, ErrorCodes.INTERNAL_ERROR)),
        502,
        "http2_goaway",
    ),
    "hangs up": ((), lambda it: it.hang_up(), 502, "premature_close"),
    "resets the request": (
        (),
        lambda it: it.send(RstStreamFrame(it.stream, ErrorCodes.INTERNAL_ERROR)),
        502,
        "http2_stream_reset",
    ),
    "too many interim answers": (
        (),
        lambda it: [it.head(103, ("link", "</a>")) for _ in range(30)],
        502,
        "too_many_interim_responses",
    ),
    "promises what nobody asked for": (
        (),
        lambda it: it.send(PushPromiseFrame(it.stream, 2, b"\x82", flags=["END_HEADERS"])),
        502,
        "http2_protocol_error",
    ),
    "an enormous head": ((), lambda it: enormous(it, 10), 502, "header_too_big"),
    "a head without end": ((), lambda it: enormous(it, FOR_EVER), 502, "header_too_big"),
    "a bomb of its table": ((), lambda it: upstream_bomb(it), 502, "http2_protocol_error"),
    "pings without end": ((), lambda it: it.flood(pings(it)), 502, "http2_protocol_error"),
}


def enormous(it, count):
    """Each frame is nearly as large as frames may be."""
    it.send(HeadersFrame(it.stream, it.encoder.encode([(":status", "200")]), flags=["END_STREAM"]))
    fields = it.encoder.encode([("x", "v" * 100)], huffman=False) * 150
    it.flood(ContinuationFrame(it.stream, fields) for _ in range(count))
    it.flood([ContinuationFrame(it.stream, b"", flags=["END_HEADERS"])])


def upstream_bomb(it):
    block = it.encoder.encode([(":status", "200"), ("x", "v" * 4000)])
    it.send(HeadersFrame(it.stream, block + b"\xbe" * 12_000, flags=["END_HEADERS", "END_STREAM"]))


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_upstream_without_an_answer_is_explained(app, gate, name):
    settings, act, status, cause = PROBLEMS[name]
    with hostile.Upstream(act, settings) as upstream:
        gateway = gate(upstream, upstream=SHORT, more=served_beside(app))
        with others_are_served(gateway, "/others"):
            answer = get(gateway)
    assert (answer.status_code, answer.json()["cause"]) == (status, cause), answer.text


# What the upstream does, and what the record names.
BROKEN = {
    "resets it after the head": (
        lambda it: (it.head(200), it.send(RstStreamFrame(it.stream, ErrorCodes.INTERNAL_ERROR))),
        "http2_stream_reset",
    ),
    "goes away in the middle": (
        lambda it: (
            it.head(200),
            it.data(b"half"),
            it.send(GoAwayFrame(0, it.stream)),
            it.hang_up(),
        ),
        "response_truncated",
    ),
    "stalls in the middle": (lambda it: (it.head(200), it.data(b"half")), "body_stall"),
    "trailers without their end": (
        lambda it: (it.head(200), it.data(b"half"), it.head(200)),
        "http2_protocol_error",
    ),
    "more than the window": (
        lambda it: (it.head(200), it.flood([DataFrame(it.stream, bytes(16_384))] * 4_000)),
        "http2_protocol_error",
    ),
    "more padding than payload": (
        lambda it: (it.head(200), it.send(frame(0, PADDED, it.stream, b"\x05abc"))),
        "http2_protocol_error",
    ),
    "a window that grows by nothing": (
        lambda it: (it.head(200), it.send(window_update(0, 0))),
        "http2_protocol_error",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_breaks_off_does_not_look_whole_and_is_named(app, gate, name):
    act, cause = BROKEN[name]
    with hostile.Upstream(act) as upstream:
        gateway = gate(upstream, upstream=SHORT, more=served_beside(app))
        with others_are_served(gateway, "/others"):
            # Its end and the reset behind it are two ways to see the same cut: which one, is a race.
            with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
                get(gateway)
            record = gateway.record("/attacked")
    assert (record["end"], record["cause"]) == ("cut", cause)


def test_an_upstream_that_goes_away_in_the_middle_may_finish(gate):
    def act(it):
        it.head(200)
        it.data(b"first ")
        it.send(GoAwayFrame(0, it.stream))
        it.data(b"second", end=True)

    with hostile.Upstream(act) as upstream:
        gateway = gate(upstream)
        assert [get(gateway).text for _ in range(5)] == ["first second"] * 5
    assert len(upstream.ends) == 5, "each on a connection of its own"


def test_an_upstream_that_takes_no_byte_of_an_upload_is_named(app, gate):
    closed = {SettingsFrame.INITIAL_WINDOW_SIZE: 0}
    with hostile.Upstream(lambda _: None, closed) as upstream:
        gateway = gate(upstream, upstream=SHORT, more=served_beside(app))
        with others_are_served(gateway, "/others"):
            answer = get(gateway, "POST", content=LARGE)
    assert (answer.status_code, answer.json()["cause"]) == (504, "request_send_timeout")


def test_an_upstream_whose_answers_have_empty_pieces_is_served_on(gate):
    def act(it):
        it.head(200)
        it.data(b"")
        it.data(b"whole", end=True)

    with hostile.Upstream(act) as upstream, httpx2.Client(timeout=10) as client:
        url = gate(upstream).url
        assert {client.get(url).text for _ in range(300)} == {"whole"}
