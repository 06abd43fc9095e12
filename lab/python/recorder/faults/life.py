"""F1: the process behind the proxy does not live, or dies."""

import os
import signal
import socket
import time

from .. import case
from ..world import until

HELLO = """
@app.get("/")
def index():
    return "hello"
"""
TO_8000 = "proxy_pass http://127.0.0.1:8000;"


@case("process_down/gunicorn-stopped")
def gunicorn_stopped(world):
    """Somebody stops Gunicorn; nginx finds nobody at its port."""
    world.flask(HELLO)
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")
    world.nginx(TO_8000)
    world.expect(200)
    gunicorn.stop()
    for path in ["/", "/orders", "/", "/cart", "/"]:
        world.expect(502, path)
        time.sleep(3)


@case("process_down/gunicorn-killed-whole")
def gunicorn_killed(world):
    """Gunicorn is killed with all its workers, so it leaves no word."""
    world.flask(HELLO)
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx(TO_8000)
    world.expect(200)
    gunicorn.kill()
    for path in ["/", "/orders", "/"]:
        world.expect(502, path)


@case("process_down/uvicorn-stopped-haproxy")
def uvicorn_stopped(world):
    """Uvicorn is stopped behind HAProxy without a health check."""
    world.package("fastapi")
    world.write("app.py", FASTAPI)
    uvicorn = world.python("uvicorn", "app:app", "--port", "8000")
    world.haproxy(HAPROXY)
    world.expect(200)
    uvicorn.stop()
    world.expect(503)
    world.expect(503, "/orders")


@case("process_down/nginx-line-alone", verdict="either", candidates=["process_down", "wrong_port"])
def refused_alone(world):
    """Only nginx's own log: nobody listens, and nothing says why."""
    world.nginx(TO_8000)
    for path in ["/", "/orders", "/cart"]:
        world.expect(502, path)
    world.drop("nginx.conf")


@case("crash_at_start/gunicorn-module-not-found")
def module_not_found(world):
    """A package is missing, so no worker boots."""
    world.flask("import stripe_sdk\n" + HELLO)
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000", ready=None)
    gunicorn.ended()
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")


@case("crash_at_start/uvicorn-syntax-error")
def syntax_error(world):
    """A bracket is missing in the app's file."""
    world.write("app.py", FASTAPI.replace('@app.get("/")', '@app.get("/"'))
    world.python("uvicorn", "app:app", "--port", "8000", ready=None).ended()
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")


@case("crash_at_start/hypercorn-no-attribute")
def no_attribute(world):
    """The name after the colon is not in the module."""
    world.write("app.py", FASTAPI)
    world.python("hypercorn", "app:application", "--bind", "127.0.0.1:8000", ready=None).ended()
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")


@case("secret_or_config_missing/gunicorn-environ")
def environ(world):
    """The app reads a variable that nobody set."""
    world.flask('import os\n\nDATABASE = os.environ["DATABASE_URL"]\n' + HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000", ready=None).ended()
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")


@case("secret_or_config_missing/uvicorn-environ")
def environ_uvicorn(world):
    """The same under Uvicorn, which prints no time."""
    world.write("app.py", 'import os\n\nKEY = os.environ["STRIPE_KEY"]\n' + FASTAPI)
    world.python("uvicorn", "app:app", "--port", "8000", ready=None).ended()
    world.nginx(TO_8000)
    world.expect(502)


@case("port_in_use/gunicorn-second-port")
def port_in_use(world):
    """One of Gunicorn's two ports is taken, so it gives up on both."""
    world.flask(HELLO)
    taken = socket.create_server(("127.0.0.1", 9100))
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000", "--bind", "127.0.0.1:9100", ready=None)
    world.nginx(TO_8000)
    gunicorn.ended()
    world.expect(502)
    world.expect(502, "/orders")
    taken.close()


@case("port_in_use/uvicorn")
def port_in_use_uvicorn(world):
    """A forgotten process holds the port and hangs up on everybody."""
    world.write("app.py", FASTAPI)
    world.raw(b"", read=True)
    world.python("uvicorn", "app:app", "--port", "8000", ready=None).ended()
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")


CRASHES = """
import ctypes, os

@app.get("/")
def index():
    return "hello"

@app.get("/report")
def report():
    ctypes.string_at(0)

@app.get("/export")
def export():
    os._exit(7)
"""


@case("worker_crashed/gunicorn-segfault")
def segfault(world):
    """A native extension faults in the middle of a request."""
    world.flask(CRASHES)
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")
    world.nginx(TO_8000)
    world.expect(200)
    for _ in range(3):
        world.expect(502, "/report")
        time.sleep(0.3)
    world.expect(200)


@case("worker_crashed/gunicorn-exit")
def exit_in_request(world):
    """The code calls os._exit in a request."""
    world.flask(CRASHES)
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")
    world.nginx(TO_8000)
    world.expect(200)
    for _ in range(2):
        world.expect(502, "/export")
        time.sleep(0.3)
    world.expect(200)


@case("worker_crashed/uwsgi-segfault")
def segfault_uwsgi(world):
    """The same under uWSGI, with its own protocol."""
    world.flask(CRASHES)
    uwsgi(world, "processes = 2", "socket = 127.0.0.1:8000")
    world.nginx("uwsgi_pass 127.0.0.1:8000;" + UWSGI_PARAMS)
    world.expect(200)
    world.expect(502, "/report")
    time.sleep(1.2)
    world.expect(502, "/report")
    time.sleep(1.2)


@case("worker_crashed/uvicorn-workers-segfault")
def segfault_uvicorn(world):
    """One of Uvicorn's workers faults; its supervisor starts another."""
    world.write("app.py", "import ctypes\n" + FASTAPI + '\n@app.get("/report")\ndef report():\n    ctypes.string_at(0)\n')
    world.python("uvicorn", "app:app", "--port", "8000", "--workers", "2")
    world.nginx(TO_8000)
    time.sleep(1.5)
    world.expect(200)
    world.expect(502, "/report")
    time.sleep(1.5)


@case("worker_crashed/php-fpm-segfault")
def segfault_php(world):
    """A PHP-FPM child dies of SIGSEGV while it handles a request."""
    php_fpm(world, "<?php sleep(2);")
    world.nginx(FASTCGI)
    seen = []
    fpm = world.named("php-fpm")

    def crash():
        time.sleep(0.6)
        for pid in fpm.children():
            os.kill(pid, signal.SIGSEGV)

    import threading

    threading.Thread(target=crash).start()
    seen = world.together(2, "/index.php")
    assert 502 in seen, seen
    time.sleep(0.5)


@case("worker_crashed/gunicorn-mid-body")
def mid_body(world):
    """The worker faults after it has sent half of the answer."""
    world.flask("""
        import ctypes, time

        @app.get("/export.csv")
        def export():
            def rows():
                yield "id,total\\n" * 100
                time.sleep(0.3)
                ctypes.string_at(0)
            return app.response_class(rows(), headers={"Content-Length": "5000"})
        """)
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")
    world.nginx(TO_8000)
    for _ in range(2):
        assert world.ask("/export.csv") == "IncompleteRead"
        time.sleep(0.4)


@case("unknown/gunicorn-worker-sigkill", verdict="unknown", candidates=["worker_oom_killed_cgroup"])
def sigkill(world):
    """Somebody kills a worker; Gunicorn guesses at memory, and no kernel log was given."""
    world.flask("import time\n\n@app.get('/')\ndef index():\n    time.sleep(1)\n    return 'late'\n")
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx(TO_8000)
    import threading

    threading.Timer(0.5, lambda: os.kill(gunicorn.children()[0], signal.SIGKILL)).start()
    world.expect(502)
    time.sleep(0.5)


# Native code that no signal interrupts, as in image or number libraries.
BLOCKS = "import hashlib\n\n@app.get('/report')\ndef report():\n    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n    return 'late'\n"


@case("worker_timeout_killed/gunicorn-sync-answers-500")
def gunicorn_timeout_500(world):
    """Gunicorn's SIGABRT ends a Python call, and the worker still answers 500."""
    world.flask("import time\n\n@app.get('/report')\ndef report():\n    time.sleep(30)\n    return 'late'\n")
    world.gunicorn("--bind", "127.0.0.1:8000", "--timeout", "2")
    world.nginx(TO_8000)
    world.expect(500, "/report")
    time.sleep(0.5)


@case("worker_timeout_killed/gunicorn-sync")
def gunicorn_timeout(world):
    """A request takes longer than Gunicorn's --timeout."""
    world.flask(BLOCKS)
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2", "--timeout", "2")
    world.nginx(TO_8000)
    world.expect(502, "/report")
    world.expect(502, "/report")
    time.sleep(0.5)


@case("worker_timeout_killed/gunicorn-apache")
def gunicorn_timeout_apache(world):
    """The same behind Apache."""
    world.flask(BLOCKS)
    world.gunicorn("--bind", "127.0.0.1:8000", "--timeout", "2")
    world.apache('ProxyPass "/" "http://127.0.0.1:8000/"\n')
    world.expect(502, "/report")
    time.sleep(0.5)


@case("worker_timeout_killed/uwsgi-harakiri")
def harakiri(world):
    """A request takes longer than uWSGI's harakiri."""
    world.flask("import time\n\n@app.get('/report')\ndef report():\n    time.sleep(30)\n    return 'late'\n")
    uwsgi(world, "processes = 2", "socket = 127.0.0.1:8000", "harakiri = 2")
    world.nginx("uwsgi_pass 127.0.0.1:8000;" + UWSGI_PARAMS)
    world.expect(502, "/report")
    time.sleep(1.2)


@case("worker_timeout_killed/php-fpm-terminate")
def terminate(world):
    """A PHP script runs longer than request_terminate_timeout."""
    php_fpm(world, "<?php sleep(30);", "request_terminate_timeout = 2s")
    world.nginx(FASTCGI)
    world.expect(502, "/index.php")
    time.sleep(0.3)


@case("deploy_in_progress/gunicorn-restart")
def restart(world):
    """Gunicorn is stopped and started again a second later; requests come in between."""
    world.flask(HELLO)
    gunicorn = world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")
    world.nginx(TO_8000)
    world.expect(200)
    gunicorn.stop()
    world.expect(502)
    world.expect(502, "/orders")
    time.sleep(1)
    world.gunicorn("--bind", "127.0.0.1:8000", "--workers", "2")
    world.expect(200)


@case("crash_at_start/supervisord")
def supervised(world):
    """supervisord starts Gunicorn again and again, and then gives up."""
    world.flask("raise RuntimeError('schema version 41 is not supported')\n" + HELLO)
    world.package("gunicorn")
    world.write("supervisord.conf", """
        [supervisord]
        nodaemon = true
        user = root
        logfile = /var/log/supervisord.log
        pidfile = /run/supervisord.pid

        [program:shop]
        command = /srv/venv/bin/gunicorn --no-control-socket --bind 127.0.0.1:8000 app:app
        directory = /srv/app
        startretries = 2
        startsecs = 3
        redirect_stderr = true
        stdout_logfile = /var/log/gunicorn.log
        """)
    world.keep("supervisord.log", "/var/log/supervisord.log")
    world.keep("gunicorn.log", "/var/log/gunicorn.log")
    world.python("supervisord", "-c", "/srv/app/supervisord.conf", ready=None, nobody=False, log="supervisord-output.log")
    world.drop("supervisord-output.log")
    world.nginx(TO_8000)
    world.expect(502)
    world.logged("supervisord.log", "gave up")
    world.expect(502)


@case("startup_not_ready/uvicorn-lifespan", verdict="either")
def slow_start(world):
    """Uvicorn opens its port only after a slow start; its log has no times."""
    world.write("app.py", FASTAPI.replace("app = FastAPI()", SLOW_START))
    world.nginx(TO_8000)
    uvicorn = world.python("uvicorn", "app:app", "--port", "8000", ready=None)
    world.logged("uvicorn.log", "Waiting for application startup")
    world.expect(502)
    world.expect(502, "/orders")
    world.listens(8000, uvicorn)
    world.expect(200)


FASTAPI = """\
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def index():
    return "hello"
"""
SLOW_START = """\
import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    await asyncio.sleep(2)
    yield


app = FastAPI(lifespan=lifespan)"""
HAPROXY = """
    frontend web
        bind 127.0.0.1:80
        default_backend shop

    backend shop
        server s1 127.0.0.1:8000
"""
UWSGI_PARAMS = """
uwsgi_param REQUEST_METHOD $request_method;
uwsgi_param PATH_INFO $document_uri;
uwsgi_param QUERY_STRING $query_string;
uwsgi_param SERVER_PROTOCOL $server_protocol;
uwsgi_param SERVER_NAME $server_name;
uwsgi_param SERVER_PORT $server_port;
uwsgi_param CONTENT_LENGTH $content_length;
uwsgi_param CONTENT_TYPE $content_type;
uwsgi_param HTTP_COOKIE $http_cookie;
"""
FASTCGI = """
root /srv/app;
fastcgi_pass unix:/run/php/php8.2-fpm.sock;
fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param QUERY_STRING $query_string;
fastcgi_param SCRIPT_NAME $fastcgi_script_name;
"""


def uwsgi(world, *settings, ready=8000):
    lines = "\n".join(["[uwsgi]", "master = true", "need-app = false", "module = app:app", "vacuum = true",
                       "die-on-term = true", *settings])
    world.write("uwsgi.ini", lines + "\n", "uwsgi.ini")
    return world.python("uwsgi", "--ini", "uwsgi.ini", ready=ready)


def php_fpm(world, script, *settings, listen="/run/php/php8.2-fpm.sock"):
    program = world.program("php-fpm8.2")
    world.version("php-fpm", [program, "-v"])
    world.write("index.php", script + "\n")
    pool = ["[global]", "error_log = /var/log/php8.2-fpm.log", "[www]", "user = www-data", "group = www-data",
            f"listen = {listen}", "listen.owner = www-data", "pm = static", "pm.max_children = 2", *settings]
    world.write("php-fpm.conf", "\n".join(pool) + "\n", "php-fpm.conf")
    world.keep("php8.2-fpm.log", "/var/log/php8.2-fpm.log")
    fpm = world.start("php-fpm", [program, "-F", "-y", "/srv/app/php-fpm.conf"], "php-fpm-output.log")
    world.drop("php-fpm-output.log")
    return world.listens(listen if listen.startswith("/") else int(listen.split(":")[-1]), fpm)
