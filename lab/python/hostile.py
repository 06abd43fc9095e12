"""The other end of HTTP/2 as nobody should write it: frames of hyperframe and heads of hpack, the
layers under `h2`, which itself would not send most of this."""

import socket
import threading

import hpack
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

import servers

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class End:
    """One end of a connection."""

    def __init__(self, stream):
        self.socket, self.read = stream, stream.makefile("rb")
        self.socket.settimeout(servers.LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()

    def send(self, *frames):
        """Frames, or bytes that are none."""
        written = (it if isinstance(it, bytes) else it.serialize() for it in frames)
        self.socket.sendall(b"".join(written))

    def flood(self, frames):
        """Sends them until the other end no longer takes them."""
        try:
            for it in frames:
                self.send(it)
        except OSError:
            pass

    def frames(self):
        """What the other end sends, until it closes."""
        while True:
            try:
                head = self.read.read(9)
                if len(head) < 9:
                    return
                frame, length = Frame.parse_frame_header(memoryview(head))
                frame.parse_body(memoryview(self.read.read(length)))
            except ConnectionError:
                return
            if isinstance(frame, HeadersFrame):
                # All of them, because each changes the table of the next.
                frame.fields = dict(self.decoder.decode(frame.data))
            yield frame

    def find(self, kind, stream=None):
        """The next frame of a kind; None where the connection ends before."""
        fits = lambda it: isinstance(it, kind) and stream in (None, it.stream_id)
        return next((it for it in self.frames() if fits(it)), None)

    def hang_up(self):
        """Says that nothing more comes. To close would throw away what is on its way."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.read.close()
        self.socket.close()


class Client(End):
    """A client that has said its preface."""

    def __init__(self, port, settings=()):
        super().__init__(socket.create_connection(("127.0.0.1", port), servers.LIMIT))
        self.send(PREFACE, SettingsFrame(0, settings=dict(settings)))

    def head(self, stream, method="GET", path="/", end=True, more=()):
        """A request's head as one frame."""
        fields = [(":method", method), (":scheme", "http"), (":path", path)]
        fields += [(":authority", "lab.test"), *more]
        flags = ["END_HEADERS", *(["END_STREAM"] if end else [])]
        return HeadersFrame(stream, self.encoder.encode(fields), flags=flags)

    def take_windows(self):
        """Takes the larger windows that the gateway gives after its preface."""
        assert self.find(WindowUpdateFrame, 0)
        self.send(SettingsFrame(0, flags=["ACK"]))

    def served(self):
        """The connection still serves: the status of one more request."""
        stream = 2**31 - 1
        self.send(self.head(stream))
        head = self.find(HeadersFrame, stream)
        return head and head.fields[":status"]

    def goaway(self):
        """The code of the GOAWAY that ends the connection; None where it ends without one, or where
        it goes on."""
        told = None
        for frame in self.frames():
            if isinstance(frame, GoAwayFrame):
                told = frame.error_code
        return told


class Asked(End):
    """An upstream's end, once a request came."""

    stream = 0

    def head(self, status, *fields, end=False):
        block = self.encoder.encode([(":status", str(status)), *fields])
        flags = ["END_HEADERS", *(["END_STREAM"] if end else [])]
        self.send(HeadersFrame(self.stream, block, flags=flags))

    def data(self, data, end=False):
        self.send(DataFrame(self.stream, data, flags=["END_STREAM"] if end else []))

    def answer(self, status, *fields):
        """A whole answer without content."""
        self.head(status, *fields, end=True)


class Upstream:
    """Listens, and does `act` upon each request with its connection. What `act` leaves open stays so
    until the other end closes it."""

    def __init__(self, act, settings=()):
        self.act, self.settings = act, settings
        # The head of each request, in the order in which they came.
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"h2c://127.0.0.1:{self.listener.getsockname()[1]}"
        self.ends = []

    def __enter__(self):
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for end in self.ends:
            end.socket.close()

    def _listen(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            end = Asked(stream)
            self.ends.append(end)
            threading.Thread(target=self._serve, args=[end], daemon=True).start()

    def _serve(self, end):
        try:
            if self.settings is not None:
                end.send(SettingsFrame(0, settings=dict(self.settings)))
            end.read.read(len(PREFACE))
            for frame in end.frames():
                if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
                    if self.settings is not None:
                        end.send(SettingsFrame(0, flags=["ACK"]))
                if isinstance(frame, HeadersFrame):
                    self.asked.append(frame.fields)
                    end.stream = frame.stream_id
                    self.act(end)
        except (OSError, ValueError):
            # Either side has closed it.
            pass
