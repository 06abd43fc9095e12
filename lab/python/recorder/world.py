"""The machine on which a case plays: a network, a file system and processes of its own."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import textwrap
import threading
import time
from pathlib import Path

from . import Absent

APP = Path("/srv/app")
LOGS = Path("/var/log")
PYTHON = "/srv/venv/bin/python"
NOBODY = 65534
# How long anything may take to happen before a recording fails.
LIMIT = 20


def until(condition, what, limit=LIMIT):
    end = time.monotonic() + limit
    while not (said := condition()):
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.02)
    return said


class World:
    """What happens in it is kept: `keep` names the files that go into the case."""

    def __init__(self, venv):
        self.venv, self.started, self.kept, self.made_with = venv, [], {}, {}

    def __enter__(self):
        socket.sethostname("web1")
        run = lambda *words: subprocess.run(words, check=True)
        run("ip", "link", "set", "lo", "up")
        # 10.0.0.7 is this machine too; 10.0.9.0/24 is a network on which nobody answers.
        run("ip", "address", "add", "10.0.0.7/32", "dev", "lo")
        for place in ["/srv", "/run", "/var/log", "/var/lib/nginx", "/var/lib/php"]:
            Path(place).mkdir(parents=True, exist_ok=True)
            run("mount", "-t", "tmpfs", "none", place)
            os.chmod(place, 0o755)
        for place in ["/srv/venv", "/srv/app", "/var/log/nginx", "/run/php", "/etc/nginx"]:
            Path(place).mkdir(parents=True, exist_ok=True)
        os.chown(APP, NOBODY, NOBODY)
        run("mount", "--bind", str(self.venv), "/srv/venv")
        self._replace("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 web1\n::1 localhost\n")
        self._replace("/etc/resolv.conf", "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
        return self

    def _replace(self, path, text):
        own = Path("/run") / path.strip("/").replace("/", "-")
        own.write_text(text)
        subprocess.run(["mount", "--bind", str(own), os.path.realpath(path)], check=True)

    def __exit__(self, *_):
        # What is left ends with the namespace.
        for process in reversed(self.started):
            process.kill()

    # Files

    def write(self, path, text, keep=None):
        """Writes a file, relative to the app's folder. Text may be indented as its code is."""
        path = APP / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        if keep:
            self.keep(keep, path)
        return path

    def keep(self, name, path):
        self.kept[name] = Path(path)

    def drop(self, *names):
        for name in names:
            self.kept.pop(name, None)

    def files(self):
        read = {name: path.read_text() for name, path in self.kept.items() if path.exists()}
        return {name: text for name, text in read.items() if text.strip()}

    def settle(self):
        """Lets every server write what it still has to say, and stop."""
        time.sleep(0.3)
        if nginx := self.named("nginx"):
            nginx.signal(signal.SIGKILL)

    def named(self, name):
        return next((it for it in self.started if it.name == name), None)

    # Programs

    def program(self, name):
        path = f"/srv/venv/bin/{name}" if Path(f"/srv/venv/bin/{name}").exists() else None
        path = path or shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not path:
            raise Absent(name)
        return path

    def version(self, name, words, pattern=r"\d+\.\d+(\.\d+)*"):
        said = subprocess.run(words, capture_output=True, text=True)
        found = re.search(pattern, said.stdout + said.stderr)
        self.made_with[name] = found[0] if found else "?"

    def package(self, name):
        code = f"from importlib.metadata import version; print(version('{name}'))"
        self.version(name, [PYTHON, "-c", code], r"\S+")

    def versions(self):
        return dict(sorted(self.made_with.items()))

    def start(self, name, words, log=None, environment=None, nobody=False, files=None):
        """Starts a program; what it prints goes to a log of its own, which is kept."""
        if nobody:
            words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *words]
        if files:
            words = ["prlimit", f"--nofile={files}", *words]
        path = LOGS / (log or f"{name}.log")
        process = Process(name, list(map(str, words)), path, environment or {})
        self.started.append(process)
        self.keep(path.name, path)
        return process

    # Proxies

    def nginx(self, location, top="", http="", server="", ready=True, events="", listen="80"):
        """nginx, as Debian sets it up, with one server."""
        program = self.program("nginx")
        self.version("nginx", [program, "-v"])
        text = NGINX
        for name, part in {"LOCATION": location, "TOP": top, "HTTP": http, "SERVER": server,
                           "EVENTS": events or "worker_connections 768;", "LISTEN": listen}.items():
            depth = {"LOCATION": 12, "HTTP": 4, "SERVER": 8, "EVENTS": 4}.get(name, 0)
            lines = textwrap.dedent(part).strip()
            lines = textwrap.indent(lines, " " * depth).strip()
            text = text.replace(name, lines) if lines else re.sub(rf" *{name}\n", "", text)
        path = Path("/etc/nginx/nginx.conf")
        subprocess.run(["mount", "-t", "tmpfs", "none", "/etc/nginx"], check=True)
        path.write_text(text)
        self.keep("nginx.conf", path)
        self.keep("nginx-error.log", LOGS / "nginx/error.log")
        self.keep("nginx-access.log", LOGS / "nginx/access.log")
        process = self.start("nginx", [program, "-g", "daemon off;"], "nginx-output.log")
        if ready:
            self.listens(int(listen.split()[0]), process)
        return process

    def haproxy(self, text):
        program = self.program("haproxy")
        self.version("haproxy", [program, "-v"])
        head = """
            global
                log stdout format raw local0
                maxconn 2000

            defaults
                mode http
                log global
                option httplog
                option dontlognull
                timeout connect 2s
                timeout client 10s
                timeout server 2s
        """
        whole = textwrap.dedent(head) + "\n" + textwrap.dedent(text).strip() + "\n"
        path = self.write("haproxy.cfg", whole, "haproxy.cfg")
        process = self.start("haproxy", [program, "-db", "-f", path])
        return self.listens(80, process)

    def apache(self, text):
        program = self.program("apache2")
        self.version("apache", [program, "-v"])
        path = self.write("/srv/apache/apache2.conf", APACHE + textwrap.dedent(text), "apache2.conf")
        (LOGS / "apache2").mkdir()
        self.keep("apache-error.log", LOGS / "apache2/error.log")
        self.keep("apache-access.log", LOGS / "apache2/access.log")
        process = self.start("apache", [program, "-f", path, "-D", "FOREGROUND"], "apache-output.log")
        return self.listens(80, process)

    def caddy(self, text):
        program = self.program("caddy")
        self.version("caddy", [program, "version"])
        whole = "{\n\tadmin off\n\tauto_https off\n}\n\n" + textwrap.dedent(text).strip() + "\n"
        path = self.write("Caddyfile", whole.replace("    ", "\t"), "Caddyfile")
        home = {"HOME": "/srv/caddy", "XDG_DATA_HOME": "/srv/caddy", "XDG_CONFIG_HOME": "/srv/caddy"}
        words = [program, "run", "--config", path, "--adapter", "caddyfile"]
        return self.listens(80, self.start("caddy", words, environment=home))

    # App servers

    def python(self, server, *words, log=None, environment=None, ready=8000, nobody=True, name=None):
        """A Python server from the venv, in the app's folder."""
        if not Path(f"/srv/venv/bin/{server}").exists():
            raise Absent(server)
        self.package(server)
        name = name or server
        words = [f"/srv/venv/bin/{server}", *words]
        process = self.start(name, words, log, environment, nobody)
        if ready:
            self.listens(ready, process)
        return process

    def gunicorn(self, *words, app="app:app", **more):
        return self.python("gunicorn", "--no-control-socket", *words, app, **more)

    def flask(self, body, name="app.py"):
        """A Flask app whose module ends with these lines."""
        self.package("flask")
        head = "from flask import Flask, abort, request\n\napp = Flask(__name__)\n\n"
        return self.write(name, head + "\n" + textwrap.dedent(body).strip() + "\n")

    def raw(self, answer, port=8000, read=True, context=None, backlog=64):
        """A server of ours that answers each connection with these bytes. Where the answer is a
        function it is given the connection."""
        listener = socket.create_server(("127.0.0.1", port), backlog=backlog)

        def talk(connection):
            try:
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
                    if read:
                        head = b""
                        while b"\r\n\r\n" not in head:
                            if not (part := connection.recv(65536)):
                                return
                            head += part
                    if callable(answer):
                        answer(connection)
                    else:
                        connection.sendall(answer)
            except OSError:
                pass

        def serve():
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=talk, args=[connection], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return listener

    # Looking and asking

    def listens(self, at, process=None):
        """Waits until a port, or a socket file, takes connections."""

        def open_there():
            if process and process.child.poll() is not None:
                raise AssertionError(f"{process.name} ended:\n{process.said()}")
            if isinstance(at, int):
                # Looked up, not dialled: a dial would stand in the server's log.
                port = f":{at:04X} "
                tables = [Path(f"/proc/net/{it}").read_text() for it in ("tcp", "tcp6")]
                return any(port in line and " 0A " in line for it in tables for line in it.splitlines())
            return str(at) in Path("/proc/net/unix").read_text()

        until(open_there, f"{at} takes connections\n{process.said() if process else ''}")
        return process

    def ask(self, path="/", method="GET", body=None, headers=None, port=80, timeout=15, tls=False):
        """One request on a connection of its own; its status, or what went wrong."""
        try:
            kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
            more = {"context": ssl._create_unverified_context()} if tls else {}
            client = kind("127.0.0.1", port, timeout=timeout, **more)
            fields = {"Host": "shop.example.com", "User-Agent": "python-requests/2.34.2"}
            client.request(method, path, body, fields | (headers or {}))
            answer = client.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            client.close()

    def expect(self, status, *words, **more):
        said = self.ask(*words, **more)
        logs = "\n".join(f"--- {it.name}\n{it.said()[-1500:]}" for it in self.started)
        assert said == status, f"{words}: {said}, not {status}\n{logs}"

    def together(self, count, path="/", pause=0.0, **more):
        """Requests side by side; their statuses."""
        said = [None] * count

        def one(at):
            said[at] = self.ask(path, **more)

        threads = [threading.Thread(target=one, args=[at]) for at in range(count)]
        for it in threads:
            it.start()
            time.sleep(pause)
        for it in threads:
            it.join()
        return said

    def send(self, data, port=80, wait=2.0):
        """Bytes as they are; what comes back."""
        with socket.create_connection(("127.0.0.1", port), timeout=wait) as client:
            client.sendall(data)
            try:
                return client.recv(65536)
            except OSError:
                return b""

    def logged(self, name, words, limit=LIMIT):
        """Waits until these words stand in a kept file."""
        there = lambda: self.kept[name].exists() and words in self.kept[name].read_text()
        until(there, f"{words!r} in {name}", limit)


class Process:
    def __init__(self, name, words, log, environment):
        self.name, self.log = name, log
        base = {"PATH": "/srv/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/srv/app"}
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                words, cwd=APP, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=base | environment, start_new_session=True,
            )

    def said(self):
        return self.log.read_text(errors="replace")

    def signal(self, number):
        if self.child.poll() is None:
            os.killpg(self.child.pid, number)

    def stop(self):
        """SIGTERM to the master alone, as a service manager does."""
        self.child.terminate()
        self.child.wait(LIMIT)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.child.wait(LIMIT)

    def ended(self):
        return self.child.wait(LIMIT)

    def children(self):
        """The ids of the processes that it forked."""
        path = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children")
        return [int(it) for it in path.read_text().split()]


NGINX = """\
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
TOP

events {
    EVENTS
}

http {
    log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                    '"$http_referer" "$http_user_agent" rt=$request_time ua="$upstream_addr" '
                    'us="$upstream_status" ut="$upstream_response_time"';
    access_log /var/log/nginx/access.log main;
    HTTP

    server {
        listen LISTEN;
        server_name shop.example.com;
        SERVER

        location / {
            LOCATION
        }
    }
}
"""

APACHE = """\
ServerName shop.example.com
ServerRoot /etc/apache2
PidFile /run/apache2.pid
DefaultRuntimeDir /run
User www-data
Group www-data
Listen 80
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so
ErrorLog /var/log/apache2/error.log
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined
CustomLog /var/log/apache2/access.log combined
"""
