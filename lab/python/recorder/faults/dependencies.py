"""F13: what stands behind the app."""

import os
import subprocess

from .. import case
from .life import FASTAPI, HELLO, TO_8000

REDIS = """
import redis

cache = redis.Redis(host="127.0.0.1", port=6379)

@app.get("/")
def index():
    return str(cache.incr("visits"))
"""
POSTGRES = """
import psycopg

URL = "host=127.0.0.1 port=5432 dbname=shop user=shop"

@app.get("/")
def index():
    with psycopg.connect(URL) as db:
        return str(db.execute("select 1").fetchone())
"""


def front(world, *words):
    world.gunicorn("--bind", "127.0.0.1:8000", *words)
    world.nginx(TO_8000)


@case("cache_down/redis-refused")
def redis_refused(world):
    """Redis is not there; each request says so and answers 500."""
    world.package("redis")
    world.flask(REDIS)
    front(world)
    world.expect(500)
    world.expect(500)


@case("db_down/psycopg-in-a-request")
def postgres_refused(world):
    """PostgreSQL is not there; each request says so and answers 500."""
    world.package("psycopg")
    world.flask(POSTGRES)
    front(world)
    world.expect(500)
    world.expect(500)


@case("db_down/psycopg-at-boot")
def postgres_refused_at_boot(world):
    """PostgreSQL is not there as the app starts, so no worker boots."""
    world.package("psycopg")
    world.flask(POSTGRES + "\npsycopg.connect(URL).close()\n")
    world.gunicorn("--bind", "127.0.0.1:8000", ready=None).ended()
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502)


@case("db_down/psycopg-503")
def postgres_refused_503(world):
    """The app catches the failure, logs it and answers 503."""
    world.package("psycopg")
    world.flask(POSTGRES + """
@app.errorhandler(psycopg.OperationalError)
def no_database(error):
    app.logger.error("database is away: %s", error)
    return "database is away", 503
""")
    front(world)
    world.expect(503)
    world.expect(503)


@case("db_too_many_clients/postgres")
def too_many(world):
    """PostgreSQL takes five connections, the app wants more."""
    program = "/usr/lib/postgresql/15/bin"
    if not os.path.exists(program):
        world.program("postgres-15")
    world.version("postgresql", [f"{program}/postgres", "--version"])
    world.package("psycopg")
    os.makedirs("/srv/db")
    os.makedirs("/run/postgresql", exist_ok=True)
    subprocess.run(["chown", "postgres", "/srv/db", "/run/postgresql"], check=True)
    own = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    subprocess.run([*own, f"{program}/initdb", "-D", "/srv/db", "-A", "trust", "-U", "shop"], check=True, capture_output=True)
    words = [*own, f"{program}/postgres", "-D", "/srv/db", "-c", "max_connections=5", "-c", "superuser_reserved_connections=2", "-c", "max_wal_senders=0"]
    world.listens(5432, world.start("postgres", words))
    subprocess.run([*own, f"{program}/createdb", "-h", "127.0.0.1", "-U", "shop", "shop"], check=True)
    subprocess.run([*own, f"{program}/psql", "-h", "127.0.0.1", "-U", "shop", "-c", "create role app login", "shop"], check=True, capture_output=True)
    world.flask(POSTGRES.replace("user=shop", "user=app").replace("select 1", "select pg_sleep(1)"))
    front(world, "--threads", "10")
    assert 500 in world.together(9)


@case("app_disk_full/flask-upload")
def disk_full(world):
    """The app writes uploads to a full file system."""
    os.makedirs("/srv/uploads")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "none", "/srv/uploads"], check=True)
    world.flask("""
        @app.post("/upload")
        def upload():
            with open("/srv/uploads/photo", "wb") as file:
                file.write(b"x" * 200_000)
            return "kept"
        """)
    front(world)
    world.expect(500, "/upload", "POST", b"x")
    world.expect(500, "/upload", "POST", b"x")


@case("read_only_fs/flask-upload")
def read_only(world):
    """The app writes uploads to a read-only file system."""
    os.makedirs("/srv/uploads")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", "/srv/uploads"], check=True)
    world.flask("""
        @app.post("/upload")
        def upload():
            with open("/srv/uploads/photo", "wb") as file:
                file.write(b"x")
            return "kept"
        """)
    front(world)
    world.expect(500, "/upload", "POST", b"x")
    world.expect(500, "/upload", "POST", b"x")


RAISES = """
@app.get("/orders")
def orders():
    return {"total": 7 / 0}
"""


@case("unhandled_exception/flask-gunicorn")
def raised(world):
    """A division by zero in a view."""
    world.flask(RAISES)
    front(world, "--access-logfile", "-")
    world.expect(500, "/orders")
    world.expect(500, "/orders")


@case("unhandled_exception/fastapi-uvicorn")
def raised_uvicorn(world):
    """The same under Uvicorn."""
    world.write("app.py", FASTAPI + '\n@app.get("/orders")\ndef orders():\n    return {"total": 7 / 0}\n')
    world.python("uvicorn", "app:app", "--port", "8000")
    world.nginx(TO_8000)
    world.expect(500, "/orders")
    world.expect(500, "/orders")


@case("unhandled_exception/flask-waitress")
def raised_waitress(world):
    """A WSGI app without a framework around it, under Waitress."""
    world.write("app.py", "def app(environ, start_response):\n    return [str(7 / 0).encode()]\n")
    _waitress(world)
    world.nginx(TO_8000)
    world.expect(500, "/orders")
    world.expect(500, "/orders")


def _waitress(world):
    world.package("waitress")
    process = world.start("waitress", ["/srv/venv/bin/waitress-serve", "--listen", "127.0.0.1:8000", "app:app"])
    return world.listens(8000, process)


@case("no_response_from_app/uvicorn")
def no_response(world):
    """An ASGI app returns without an answer."""
    world.write("app.py", "async def app(scope, receive, send):\n    return\n")
    world.python("uvicorn", "app:app", "--port", "8000")
    world.nginx(TO_8000)
    world.expect(500)
    world.expect(500, "/orders")


@case("crash_at_start/uwsgi-no-app")
def no_app(world):
    """uWSGI cannot import the app and goes on without it: each request answers 500."""
    world.write("uwsgi.ini", "[uwsgi]\nmaster = true\nprocesses = 2\nhttp-socket = 127.0.0.1:8000\nmodule = shop:app\n", "uwsgi.ini")
    world.python("uwsgi", "--ini", "uwsgi.ini")
    world.nginx(TO_8000)
    world.expect(500)
    world.expect(500, "/orders")


@case("migration_missing/django-sqlite")
def migration(world):
    """A Django table was never made."""
    world.package("django")
    world.write("app.py", """
        import django
        from django.conf import settings
        from django.core.wsgi import get_wsgi_application
        from django.db import connection
        from django.http import HttpResponse
        from django.urls import path

        settings.configure(
            DEBUG=False, SECRET_KEY="for a test", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__,
            LOGGING={
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {"console": {"class": "logging.StreamHandler"}},
                "root": {"handlers": ["console"]},
            },
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/app/shop.db"}},
        )


        def orders(request):
            with connection.cursor() as cursor:
                cursor.execute("select count(*) from shop_order")
            return HttpResponse("some")


        urlpatterns = [path("orders", orders)]
        app = get_wsgi_application()
        """)
    front(world)
    world.expect(500, "/orders")
    world.expect(500, "/orders")


@case("unhandled_exception/node")
def node(world):
    """A Node server without a handler for its error ends, and nobody starts it again."""
    program = world.program("node")
    world.version("node", [program, "--version"])
    world.write("server.js", """
        const http = require('http');

        http.createServer((request, response) => {
          setTimeout(() => {
            const order = request.url === '/orders' ? undefined : { id: 7 };
            response.end(String(order.id));
          }, 50);
        }).listen(8000, '127.0.0.1', () => console.log('listening on 8000'));
        """)
    process = world.start("node", [program, "server.js"])
    world.listens(8000, process)
    world.nginx(TO_8000)
    world.expect(200)
    world.expect(502, "/orders")
    world.expect(502)
