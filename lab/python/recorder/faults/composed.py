"""Several things at once, in one set of logs."""

import os
import time

from .. import case
from .connections import KEPT, POOL, gthread, race
from .healthy import hang_up
from .life import BLOCKS, HELLO, TO_8000

THREE = """
location /reports/ {
    proxy_pass http://127.0.0.1:8001;
}

location /search/ {
    proxy_pass http://127.0.0.1:8002;
    proxy_read_timeout 1s;
}
"""


@case("worker_crashed/one-of-three-incidents")
def three(world):
    """Three upstreams fail, each in its own way, among noise: workers crash most often."""
    world.flask('''
        import ctypes

        @app.get("/")
        def index():
            return "hello"

        @app.get("/report")
        def report():
            ctypes.string_at(0)
        ''', "shop.py")
    world.flask(HELLO, "reports.py")
    world.flask("import time\n\n@app.get('/search/')\ndef search():\n    time.sleep(3)\n    return 'late'\n", "search.py")
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2", app="shop:app", log="gunicorn-shop.log")
    reports = world.gunicorn("--bind", "127.0.0.1:8001", app="reports:app", log="gunicorn-reports.log", ready=8001)
    world.gunicorn("--bind", "127.0.0.1:8002", "--threads", "4", app="search:app", log="gunicorn-search.log", ready=8002)
    world.nginx(TO_8000 + "\nclient_max_body_size 1k;", server=THREE)
    for at in range(60):
        world.ask("/" if at % 3 else f"/favicon-{at}.ico")
        if at == 10:
            reports.stop()
        if at in (20, 40):
            world.expect(502, "/reports/daily")
        if at == 30:
            world.expect(504, "/search/?q=shoes")
            hang_up("/", 0.0)
        if at % 10 == 9:
            world.expect(502, "/report")
            time.sleep(0.4)
    world.ask("/orders", "POST", b"x" * 5000)


@case("worker_timeout_killed/beside-an-absorbed-one")
def absorbed_and_real(world):
    """One target of a pool is gone, which nginx absorbs; and the reports of the rest take too long."""
    world.flask(HELLO + "\n" + BLOCKS)
    gone = world.gunicorn("--bind", "127.0.0.1:8001", log="gunicorn-2.log", ready=8001)
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2", "--timeout", "2", log="gunicorn-1.log")
    world.nginx("proxy_pass http://shop;\nproxy_next_upstream error;",
                http="upstream shop {\n    server 127.0.0.1:8001 max_fails=0;\n    server 127.0.0.1:8000 max_fails=0;\n}",
                server="location /report {\n    proxy_pass http://127.0.0.1:8000;\n}")
    world.expect(200)
    gone.stop()
    for at in range(12):
        world.expect(200)
        if at in (3, 8):
            world.expect(502, "/report")
