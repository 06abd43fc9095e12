"""F5: time, at each proxy."""

import time

from .. import case
from .life import FASTAPI, HAPROXY, HELLO, TO_8000

SLOW = """
import time

@app.get("/")
def index():
    return "hello"

@app.get("/report")
def report():
    time.sleep(4)
    return "late"

@app.get("/events")
def events():
    def lines():
        yield "data: 1\\n\\n"
        time.sleep(4)
        yield "data: 2\\n\\n"
    return app.response_class(lines(), mimetype="text/event-stream")
"""


def slow_app(world):
    world.flask(SLOW)
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")


@case("response_header_timeout/nginx")
def nginx(world):
    """proxy_read_timeout is shorter than a report takes."""
    slow_app(world)
    world.nginx(TO_8000 + "\nproxy_read_timeout 1s;")
    world.expect(200)
    world.expect(504, "/report")
    world.expect(504, "/report")


@case("response_header_timeout/haproxy")
def haproxy(world):
    """timeout server is shorter than a report takes."""
    slow_app(world)
    world.haproxy(HAPROXY)
    world.expect(200)
    world.expect(504, "/report")


@case("response_header_timeout/apache")
def apache(world):
    """ProxyTimeout is shorter than a report takes."""
    slow_app(world)
    world.apache('ProxyTimeout 1\nProxyPass "/" "http://127.0.0.1:8000/"\n')
    world.expect(200)
    # Apache answers 502 where no byte of an answer came.
    world.expect(502, "/report")


@case("response_header_timeout/caddy")
def caddy(world):
    """response_header_timeout is shorter than a report takes."""
    slow_app(world)
    world.caddy(":80 {\n    log\n    reverse_proxy 127.0.0.1:8000 {\n        transport http {\n            response_header_timeout 1s\n        }\n    }\n}")
    world.expect(200)
    assert world.ask("/report") in (502, 504)


@case("body_stall/nginx")
def stall(world):
    """A stream pauses for longer than proxy_read_timeout."""
    slow_app(world)
    world.nginx(TO_8000 + "\nproxy_read_timeout 1s;\nproxy_buffering off;")
    world.ask("/events")
    world.ask("/events")


@case("external_api_slow/flask-504")
def external(world):
    """A payment service does not answer in time, and the app says 504."""
    world.raw(lambda connection: time.sleep(5), port=9000)
    world.flask('''
        import urllib.request

        @app.post("/pay")
        def pay():
            try:
                urllib.request.urlopen("http://payments.example.com:9000/charge", timeout=1)
            except TimeoutError:
                app.logger.exception("charge failed")
                abort(504)
        ''')
    with open("/etc/hosts", "a") as hosts:
        hosts.write("127.0.0.1 payments.example.com\n")
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")
    world.nginx(TO_8000)
    world.expect(504, "/pay", "POST", b"{}")
    world.expect(504, "/pay", "POST", b"{}")
