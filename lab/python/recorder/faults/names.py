"""F6: names."""

import socket
import subprocess
import threading
import time

from .. import case
from .life import HELLO

RESOLVED = "resolver 127.0.0.53 ipv6=off;\nresolver_timeout 1s;\nset $target shop.internal;\nproxy_pass http://$target:8000;"


def dns(code):
    """A name server that answers every question with this code; `None` never answers."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.53", 53))

    def serve():
        while True:
            question, asker = server.recvfrom(512)
            if code is not None:
                flags = bytes([0x81, 0x80 | code])
                server.sendto(question[:2] + flags + question[4:6] + bytes(6) + question[12:], asker)

    threading.Thread(target=serve, daemon=True).start()


def named(world, code, status=502):
    dns(code)
    world.nginx(RESOLVED)
    world.expect(status)
    world.expect(status, "/orders")


@case("dns_nxdomain/nginx")
def nxdomain(world):
    """The name does not exist."""
    named(world, 3)


@case("dns_servfail/nginx")
def servfail(world):
    """The name server fails."""
    named(world, 2)


@case("dns_refused/nginx")
def refused(world):
    """The name server does not answer for us."""
    named(world, 5)


@case("dns_timeout/nginx")
def silent(world):
    """The name server does not answer."""
    named(world, None)


@case("dns_nxdomain/caddy")
def nxdomain_caddy(world):
    """The same behind Caddy."""
    dns(3)
    world.caddy(":80 {\n    log\n    reverse_proxy shop.internal:8000\n}")
    world.expect(502)


@case("dependency_dns/flask-500")
def dependency(world):
    """The app cannot look up its database's name."""
    dns(3)
    world.package("psycopg")
    world.flask('''
        import psycopg

        @app.get("/")
        def index():
            with psycopg.connect("postgresql://shop@db.internal/shop") as db:
                return str(db.execute("select 1").fetchone())
        ''')
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx("proxy_pass http://127.0.0.1:8000;")
    world.expect(500)
    world.expect(500)
