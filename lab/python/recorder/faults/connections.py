"""F2, F3, F4, F10: queues, addresses, lost connections, sockets of files."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time

from .. import case
from ..world import APP, NOBODY, until
from .life import FASTAPI, FASTCGI, HAPROXY, HELLO, TO_8000, UWSGI_PARAMS, php_fpm, uwsgi

TO_SOCKET = "proxy_pass http://unix:/run/shop/app.sock;"


def run_folder(mode=0o755, owner=NOBODY):
    os.makedirs("/run/shop")
    os.chown("/run/shop", owner, owner)
    os.chmod("/run/shop", mode)


@case("wrong_port/gunicorn-on-another")
def wrong_port(world):
    """Gunicorn listens on 8001, nginx dials 8000."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8001", ready=8001)
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")


@case("wrong_port/uvicorn-behind-caddy")
def wrong_port_caddy(world):
    """Uvicorn listens on 8001, Caddy dials 8000."""
    world.write("app.py", FASTAPI)
    world.python("uvicorn", "app:app", "--port", "8001", ready=8001)
    world.caddy(":80 {\n    log\n    reverse_proxy 127.0.0.1:8000\n}")
    world.expect(502)
    world.expect(502, "/orders")


@case("bound_to_loopback/gunicorn")
def loopback(world):
    """Gunicorn listens on 127.0.0.1, nginx dials the machine's address."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx("proxy_pass http://10.0.0.7:8000;")
    world.expect(502)
    world.expect(502, "/orders")


@case("ip_family_mismatch/gunicorn-on-ipv6")
def family(world):
    """Gunicorn listens on ::1 only, nginx dials 127.0.0.1."""
    world.flask(HELLO)
    world.gunicorn("--bind", "[::1]:8000")
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")


@case("unknown/connect-timeout-alone", verdict="unknown", candidates=["firewall_drop"])
def dropped(world):
    """Nobody answers a SYN, and there is only nginx's log."""
    subprocess.run("ip tuntap add dev drop0 mode tun && ip link set drop0 up && "
                   "ip address add 10.0.9.1/24 dev drop0", shell=True, check=True)
    world.nginx("proxy_pass http://10.0.9.7:8000;\nproxy_connect_timeout 1s;")
    world.expect(504)
    world.expect(504, "/orders")


@case("unknown/no-route-line", verdict="unknown", candidates=["no_route", "host_down"])
def unreachable(world):
    """The kernel has no way to the target."""
    subprocess.run(["ip", "route", "add", "unreachable", "10.0.9.0/24"], check=True)
    world.nginx("proxy_pass http://10.0.9.7:8000;")
    world.expect(502)
    world.expect(502, "/orders")


@case("unix_socket_missing/gunicorn-elsewhere")
def socket_missing(world):
    """Gunicorn makes its socket file somewhere else."""
    run_folder()
    world.flask(HELLO)
    world.gunicorn("--bind", "unix:/run/shop/gunicorn.sock", ready="/run/shop/gunicorn.sock")
    world.nginx(TO_SOCKET)
    world.expect(502)
    world.expect(502, "/orders")


@case("unix_socket_stale/gunicorn-killed")
def socket_stale(world):
    """Gunicorn was killed and left its socket file behind."""
    run_folder()
    world.flask(HELLO)
    gunicorn = world.gunicorn("--bind", "unix:/run/shop/app.sock", ready="/run/shop/app.sock")
    world.nginx(TO_SOCKET)
    world.expect(200)
    gunicorn.kill()
    world.expect(502)
    world.expect(502, "/orders")


@case("unix_socket_permission/gunicorn-folder")
def socket_permission(world):
    """Only its owner may enter the folder of the socket."""
    run_folder(0o700)
    world.flask(HELLO)
    world.gunicorn("--bind", "unix:/run/shop/app.sock", ready="/run/shop/app.sock")
    world.nginx(TO_SOCKET)
    world.expect(502)
    world.expect(502, "/orders")


@case("unix_socket_permission/php-fpm-owner")
def socket_permission_php(world):
    """The pool's socket belongs to root, nginx runs as www-data."""
    php_fpm(world, "<?php echo 'hello';", "listen.owner = root", "listen.mode = 0600")
    world.nginx(FASTCGI)
    world.expect(502, "/index.php")


@case("unix_socket_missing/php-fpm-version")
def socket_missing_php(world):
    """nginx names the socket of another PHP version."""
    php_fpm(world, "<?php echo 'hello';")
    world.nginx(FASTCGI.replace("8.2", "8.1"))
    world.expect(502, "/index.php")


@case("unix_backlog_full/gunicorn")
def unix_backlog(world):
    """One busy worker, and a queue of two behind it."""
    run_folder()
    world.flask("import time\n\n@app.get('/')\ndef index():\n    time.sleep(1)\n    return 'late'\n")
    world.gunicorn("--bind", "unix:/run/shop/app.sock", "--backlog", "2", ready="/run/shop/app.sock")
    world.nginx(TO_SOCKET)
    assert 502 in world.together(12)


@case("unknown/tcp-backlog-full", verdict="unknown", candidates=["accept_backlog_full"])
def tcp_backlog(world):
    """One busy worker, a full queue, and the kernel drops what comes; nobody writes that down."""
    world.flask("import time\n\n@app.get('/')\ndef index():\n    time.sleep(2)\n    return 'late'\n")
    world.gunicorn("--bind", "127.0.0.1:8000", "--backlog", "1")
    world.nginx(TO_8000 + "\nproxy_connect_timeout 1s;")
    assert 504 in world.together(10)


@case("worker_pool_exhausted/php-fpm")
def max_children(world):
    """Two children, slow scripts, and the pool says so."""
    php_fpm(world, "<?php sleep(2); echo 'late';", "pm = dynamic", "pm.start_servers = 1",
            "pm.min_spare_servers = 1", "pm.max_spare_servers = 2")
    world.nginx(FASTCGI + "fastcgi_read_timeout 3s;")
    assert 504 in world.together(8, "/index.php")
    world.logged("php8.2-fpm.log", "max_children")


@case("accept_backlog_full/uwsgi-listen-queue")
def listen_queue(world):
    """One worker, a listen queue of five, and uWSGI says that it is full."""
    world.flask("import time\n\n@app.get('/')\ndef index():\n    time.sleep(1.5)\n    return 'late'\n")
    uwsgi(world, "processes = 1", "socket = 127.0.0.1:8000", "listen = 5")
    world.nginx("uwsgi_pass 127.0.0.1:8000;\nuwsgi_read_timeout 2s;" + UWSGI_PARAMS)
    assert 504 in world.together(8)
    world.logged("uwsgi.log", "listen queue")


@case("app_concurrency_limit/uvicorn")
def concurrency(world):
    """Uvicorn turns away what is over --limit-concurrency."""
    world.write("app.py", "import asyncio\n" + FASTAPI + "\n@app.get('/slow')\nasync def slow():\n    await asyncio.sleep(1)\n    return 'late'\n")
    world.python("uvicorn", "app:app", "--port", "8000", "--limit-concurrency", "2")
    world.nginx(TO_8000)
    assert 503 in world.together(5, "/slow")


@case("gateway_queue_timeout/haproxy-maxconn")
def haproxy_queue(world):
    """maxconn 1 and a short timeout queue."""
    world.flask("import time\n\n@app.get('/')\ndef index():\n    time.sleep(1.5)\n    return 'late'\n")
    world.gunicorn("--bind", "127.0.0.1:8000", "--threads", "4")
    world.haproxy(HAPROXY.replace("server s1 127.0.0.1:8000", "timeout queue 1s\n        server s1 127.0.0.1:8000 maxconn 1"))
    assert 503 in world.together(5)


KEPT = "proxy_pass http://shop;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";"
POOL = "upstream shop {\n    server 127.0.0.1:8000;\n    keepalive 16;\n}"


def race(world, idle, method):
    """A request that nginx forwards on a connection that the app has just closed. nginx stands still
    in between, as a busy one does, so that the two cross every time."""
    nginx = world.named("nginx")
    client = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    fields = {"Host": "shop.example.com", "User-Agent": "python-requests/2.34.2"}
    client.request("GET", "/", headers=fields)
    client.getresponse().read()
    time.sleep(idle - 0.5)
    for pid in nginx.children():
        os.kill(pid, signal.SIGSTOP)
    body = b'{"sku": 7}' if method == "POST" else None
    client.request(method, "/", body=body, headers=fields)
    time.sleep(2.5)
    for pid in nginx.children():
        os.kill(pid, signal.SIGCONT)
    answer = client.getresponse()
    answer.read()
    client.close()
    return answer.status


BOTH = HELLO + '\n@app.post("/")\ndef order():\n    return "ordered"\n'


def gthread(world):
    world.flask(BOTH)
    world.write("gunicorn.conf.py", 'bind = "127.0.0.1:8000"\nworker_class = "gthread"\nthreads = 4\nkeepalive = 2\n', "gunicorn.conf.py")
    world.gunicorn()
    world.nginx(KEPT, http=POOL)


@case("keepalive_race/gunicorn-gthread-post")
def keepalive_race(world):
    """A POST meets the end of Gunicorn's two idle seconds, three times."""
    gthread(world)
    for _ in range(3):
        assert race(world, 2, "POST") == 502


@case("keepalive_race/uvicorn-post")
def keepalive_race_uvicorn(world):
    """A POST meets the end of Uvicorn's five idle seconds."""
    world.write("app.py", FASTAPI + '\n@app.post("/")\ndef order():\n    return "ordered"\n')
    world.python("uvicorn", "app:app", "--port", "8000")
    world.nginx(KEPT, http=POOL)
    assert race(world, 5, "POST") == 502
    assert race(world, 5, "POST") == 502


@case("no_failure/keepalive-race-absorbed", verdict="no_failure")
def race_absorbed(world):
    """A GET meets it, and nginx repeats it by itself."""
    gthread(world)
    for _ in range(2):
        assert race(world, 2, "GET") == 200


@case("unknown/premature-close", verdict="unknown")
def hangs_up(world):
    """A server that hangs up on each request, and only nginx's log."""
    world.raw(b"")
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")
    world.drop("nginx.conf")


@case("unknown/reset", verdict="unknown")
def resets(world):
    """A server that resets each connection, and only nginx's log."""

    def reset(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    world.raw(reset)
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")
    world.drop("nginx.conf")
