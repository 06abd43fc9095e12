"""Nothing is wrong on the server's side."""

import http.client
import random
import socket
import time

from .. import case
from .connections import KEPT, POOL
from .life import FASTAPI, HAPROXY, HELLO, TO_8000

SHOP = """
import time

@app.get("/")
def index():
    return "hello"

@app.get("/slow")
def slow():
    time.sleep(1)
    return "late"

@app.post("/orders")
def order():
    return "ordered"
"""


def shop(world):
    world.flask(SHOP)
    world.gunicorn("--bind", "127.0.0.1:8000", "--threads", "8", "--access-logfile", "-")


def hang_up(path, after=0.3):
    with socket.create_connection(("127.0.0.1", 80)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n".encode())
        time.sleep(after)


@case("no_failure/gunicorn-clients-and-404", verdict="no_failure")
def ordinary(world):
    """200, 404, a client that hangs up (499), a body that is too large (413)."""
    shop(world)
    world.nginx(TO_8000 + "\nclient_max_body_size 1k;")
    for path in ["/", "/", "/favicon.ico", "/wp-login.php", "/"]:
        world.ask(path)
    hang_up("/slow")
    world.ask("/orders", "POST", b"x" * 5000)
    world.ask("/?error=502+Bad+Gateway+upstream+prematurely+closed+connection")
    time.sleep(1)


@case("no_failure/haproxy-clients", verdict="no_failure")
def haproxy(world):
    """The same behind HAProxy: a client hangs up (CH--), one sends nonsense (400)."""
    shop(world)
    world.haproxy(HAPROXY)
    world.ask("/")
    hang_up("/slow")
    world.send(b"\x16\x03\x01 nonsense\r\n\r\n")
    world.ask("/nothing")
    time.sleep(1)


@case("no_failure/nginx-limit-req", verdict="no_failure")
def limited(world):
    """nginx turns a client away that asks too often, with 503."""
    shop(world)
    world.nginx("limit_req zone=each burst=1 nodelay;\n" + TO_8000,
                http="limit_req_zone $binary_remote_addr zone=each:1m rate=1r/s;")
    assert 503 in world.together(6)


@case("no_failure/gunicorn-recycles-workers", verdict="no_failure")
def recycled(world):
    """max_requests: each worker ends after three requests, and none fails."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2", "--max-requests", "3")
    world.nginx(TO_8000)
    for _ in range(10):
        world.expect(200)
        time.sleep(0.2)


@case("no_failure/nginx-next-upstream", verdict="no_failure")
def second_target(world):
    """One of two targets is gone; nginx asks the other (us=\"502, 200\")."""
    world.flask(HELLO)
    one = world.gunicorn("--bind", "127.0.0.1:8000", log="gunicorn-1.log")
    world.gunicorn("--bind", "127.0.0.1:8001", log="gunicorn-2.log", ready=8001)
    world.nginx("proxy_pass http://shop;", http="upstream shop {\n    server 127.0.0.1:8000 max_fails=0;\n    server 127.0.0.1:8001;\n}")
    world.expect(200)
    one.stop()
    for _ in range(6):
        world.expect(200)


@case("no_failure/localhost-has-two-addresses", verdict="no_failure")
def localhost(world):
    """nginx dials ::1 first, where nobody listens, and then 127.0.0.1."""
    shop(world)
    world.nginx("proxy_pass http://localhost:8000;")
    for _ in range(5):
        world.expect(200)


@case("no_failure/uvicorn-start-and-stop", verdict="no_failure")
def start_and_stop(world):
    """Uvicorn starts, serves and is stopped; no request fails."""
    world.write("app.py", FASTAPI)
    uvicorn = world.python("uvicorn", "app:app", "--port", "8000")
    world.nginx(TO_8000)
    for _ in range(3):
        world.expect(200)
    uvicorn.stop()


@case("no_failure/gunicorn-reload", verdict="no_failure")
def reload(world):
    """SIGHUP: Gunicorn's workers change, and no request fails."""
    import signal

    world.flask(HELLO)
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")
    world.nginx(TO_8000)
    world.expect(200)
    gunicorn.child.send_signal(signal.SIGHUP)
    time.sleep(2)
    world.expect(200)


@case("no_failure/day-of-a-shop", verdict="no_failure")
def day(world):
    """Three hundred requests of all kinds, none of which fails on the server's side."""
    shop(world)
    world.nginx(TO_8000 + "\nclient_max_body_size 1k;")
    draw = random.Random(7)
    for at in range(220):
        path = draw.choice(["/", "/", "/", "/?page=%d" % at, "/favicon.ico", "/robots.txt", "/.env", "/502"])
        world.ask(path)
        if at % 40 == 0:
            hang_up("/slow", 0.1)
            world.ask("/orders", "POST", b"x" * 5000)
        if at % 50 == 0:
            world.send(b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", wait=0.5)
    time.sleep(1)
