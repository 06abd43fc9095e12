"""F9: answers and requests that break HTTP."""

import time

from .. import case
from .life import HAPROXY, HELLO, TO_8000, UWSGI_PARAMS, uwsgi

OK = b"HTTP/1.1 200 OK\r\n"
# What the server sends, and the cause that it is.
ANSWERS = {
    "duplicate_content_length": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "invalid_header_line": OK + b"Content-Length: 2\r\nno colon here\r\n\r\nok",
    "unknown_transfer_encoding": OK + b"Transfer-Encoding: snappy\r\n\r\nok",
    "invalid_content_length": OK + b"Content-Length: two\r\n\r\nok",
    "malformed_status_line": b"HELLO shop, how are you\r\n\r\n",
    "bad_chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n",
}


def answers(cause, proxy, verdict="named"):
    """Where the proxy does not say what was wrong, the cause must be among the first."""

    @case(f"{cause}/{proxy}", verdict, candidates=[cause] if verdict == "unknown" else [])
    def play(world):
        world.raw(ANSWERS[cause])
        {"nginx": nginx, "haproxy": haproxy, "caddy": caddy, "apache": apache}[proxy](world)
        world.ask("/")
        world.ask("/orders")

    play.__doc__ = f"A hand-written server, behind {proxy}."


def nginx(world):
    world.nginx(TO_8000 + "\nproxy_http_version 1.1;")


def haproxy(world):
    world.haproxy(HAPROXY)


def caddy(world):
    world.caddy(":80 {\n    log\n    reverse_proxy 127.0.0.1:8000\n}")


def apache(world):
    world.apache('ProxyPass "/" "http://127.0.0.1:8000/"\n')


# nginx 1.22 lets the others pass.
answers("bad_chunk", "nginx")
for cause in ["unknown_transfer_encoding", "invalid_content_length"]:
    answers(cause, "caddy")
answers("duplicate_content_length", "caddy")
answers("malformed_status_line", "caddy")
answers("invalid_header_line", "caddy")
answers("bad_chunk", "apache", "unknown")


@case("header_too_big/flask-cookie")
def header_too_big(world):
    """A cookie of 6 KB does not fit into nginx's buffer."""
    world.flask('''
        @app.get("/")
        def index():
            answer = app.make_response("hello")
            answer.set_cookie("session", "x" * 6000)
            return answer
        ''')
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502)


@case("request_header_too_big_for_upstream/uwsgi-buffer-size")
def request_too_big(world):
    """A request of more than uWSGI's buffer-size of 4096 bytes."""
    world.flask(HELLO)
    uwsgi(world, "processes = 1", "socket = 127.0.0.1:8000")
    world.nginx("uwsgi_pass 127.0.0.1:8000;" + UWSGI_PARAMS)
    world.expect(200)
    world.expect(502, headers={"Cookie": "session=" + "x" * 5000})
    world.expect(502, headers={"Cookie": "session=" + "x" * 5000})


@case("content_length_short/nginx", verdict="unknown", candidates=["content_length_short"])
def short(world):
    """The server ends the connection before it has sent what it promised."""
    world.raw(OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 1200)
    nginx(world)
    world.ask("/export")
    world.ask("/export")
