"""F7 and F8: TLS to the upstream, and who speaks what."""

import ssl
import subprocess
import time

from .. import case
from ..world import APP
from .life import FASTCGI, HAPROXY, HELLO, TO_8000, UWSGI_PARAMS, php_fpm, uwsgi

VERIFIED = """
proxy_pass https://127.0.0.1:8443;
proxy_ssl_verify on;
proxy_ssl_trusted_certificate /srv/app/ca.pem;
proxy_ssl_name shop.internal;
proxy_ssl_server_name on;
"""


def openssl(*words):
    subprocess.run(["openssl", *words], cwd=APP, check=True, capture_output=True)


def authority(name="ca"):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
            "-subj", f"/CN=Shop {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def certificate(by="ca", host="shop.internal", days=("20260101000000Z", "20360101000000Z")):
    """A leaf signed by that authority, or by itself."""
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}",
            "-keyout", "leaf.key", "-out", "leaf.csr")
    (APP / "leaf.ext").write_text(f"[own]\nsubjectAltName=DNS:{host}\n")
    (APP / "index.txt").write_text("")
    (APP / "ca.cnf").write_text(AUTHORITY)
    words = ["ca", "-batch", "-config", "ca.cnf", "-in", "leaf.csr", "-out", "leaf.pem", "-notext",
             "-startdate", days[0], "-enddate", days[1], "-md", "sha256", "-rand_serial",
             "-extfile", "leaf.ext", "-extensions", "own"]
    words += ["-selfsign", "-keyfile", "leaf.key"] if by is None else ["-cert", f"{by}.pem", "-keyfile", f"{by}.key"]
    openssl(*words)


AUTHORITY = """
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
serial = serial
policy = any
email_in_dn = no
[any]
commonName = supplied
"""
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def tls_app(world, **more):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(APP / "leaf.pem", APP / "leaf.key")
    for name, value in more.items():
        setattr(context, name, value)
    world.raw(FINE, port=8443, context=context)
    return context


def refused(world):
    world.nginx(VERIFIED)
    world.expect(502)
    world.expect(502, "/orders")


@case("tls_cert_expired/nginx")
def expired(world):
    """The certificate ended in 2026."""
    authority()
    certificate(days=("20250101000000Z", "20260601000000Z"))
    tls_app(world)
    refused(world)


@case("tls_self_signed/nginx")
def self_signed(world):
    """The certificate is signed by itself."""
    authority()
    certificate(by=None)
    tls_app(world)
    refused(world)


@case("tls_unknown_ca/nginx", verdict="either", candidates=["tls_unknown_ca", "tls_incomplete_chain"])
def unknown_ca(world):
    """Another authority signed it than the one that nginx knows."""
    authority()
    authority("other")
    certificate(by="other")
    tls_app(world)
    refused(world)


@case("tls_wrong_hostname/nginx")
def wrong_name(world):
    """The certificate is for another name."""
    authority()
    certificate(host="old.internal")
    tls_app(world)
    refused(world)


@case("tls_version_mismatch/nginx")
def version(world):
    """The target takes TLS 1.3 only, nginx offers 1.2."""
    authority()
    certificate()
    tls_app(world, minimum_version=ssl.TLSVersion.TLSv1_3)
    world.nginx(VERIFIED + "proxy_ssl_protocols TLSv1.2;")
    world.expect(502)
    world.expect(502, "/orders")


@case("tls_client_cert_required/nginx", verdict="unknown", candidates=["tls_client_cert_required"])
def client_certificate(world):
    """The target wants a certificate of nginx; in TLS 1.2 its alert does not say so."""
    wants_certificate(world)
    refused(world)


def wants_certificate(world):
    authority()
    certificate()
    context = tls_app(world, verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(APP / "ca.pem")


@case("tls_to_plain_port/nginx")
def plain_port(world):
    """https to Gunicorn's plain port."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx("proxy_pass https://127.0.0.1:8000;")
    world.expect(502)
    world.expect(502, "/orders")


@case("tls_to_plain_port/haproxy")
def plain_port_haproxy(world):
    """The same behind HAProxy."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.haproxy(HAPROXY.replace("8000", "8000 ssl verify none check inter 500ms"))
    time.sleep(2.5)
    world.expect(503)
    world.expect(503)


@case("tls_to_plain_port/caddy")
def plain_port_caddy(world):
    """The same behind Caddy."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.caddy(":80 {\n    log\n    reverse_proxy https://127.0.0.1:8000\n}")
    world.expect(502)


@case("tls_cert_expired/caddy")
def expired_caddy(world):
    """An expired certificate behind Caddy."""
    authority()
    certificate(days=("20250101000000Z", "20260601000000Z"))
    tls_app(world)
    world.caddy(":80 {\n    log\n    reverse_proxy https://127.0.0.1:8443 {\n        transport http {\n            tls_trusted_ca_certs /srv/app/ca.pem\n            tls_server_name shop.internal\n        }\n    }\n}")
    world.expect(502)


@case("http_to_tls_port/gunicorn-with-certificate")
def http_to_tls(world):
    """http to Gunicorn's TLS port, which hangs up and says why in its log."""
    authority()
    certificate()
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000", "--certfile", "leaf.pem", "--keyfile", "leaf.key", nobody=False)
    world.nginx(TO_8000)
    world.ask("/")
    world.ask("/orders")


@case("fastcgi_mismatch/nginx-to-gunicorn")
def fastcgi_to_http(world):
    """fastcgi_pass to an HTTP server."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx(FASTCGI.replace("unix:/run/php/php8.2-fpm.sock", "127.0.0.1:8000"))
    world.expect(502, "/index.php")
    world.expect(502, "/index.php")


@case("fastcgi_mismatch/nginx-proxy-to-php-fpm")
def http_to_fastcgi(world):
    """proxy_pass to PHP-FPM, which hangs up without a word; both configurations tell."""
    php_fpm(world, "<?php echo 'hello';", listen="127.0.0.1:9000")
    world.nginx("proxy_pass http://127.0.0.1:9000;")
    world.expect(502, "/index.php")
    world.expect(502, "/index.php")


@case("uwsgi_mismatch/nginx-proxy-to-uwsgi")
def http_to_uwsgi(world):
    """proxy_pass to a uwsgi socket: `GE` of GET is a length to it."""
    world.flask(HELLO)
    uwsgi(world, "processes = 1", "socket = 127.0.0.1:8000")
    world.nginx(TO_8000)
    world.expect(502)
    world.expect(502, "/orders")


@case("uwsgi_mismatch/nginx-uwsgi-to-gunicorn")
def uwsgi_to_http(world):
    """uwsgi_pass to an HTTP server."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx("uwsgi_pass 127.0.0.1:8000;\nuwsgi_read_timeout 2s;" + UWSGI_PARAMS)
    world.ask("/", "POST", b"{}")
    world.ask("/orders", "POST", b"{}")


@case("wrong_protocol_service/redis")
def redis(world):
    """proxy_pass to Redis."""
    program = world.program("redis-server")
    world.version("redis", [program, "--version"])
    world.listens(6379, world.start("redis", [program, "--port", "6379", "--save", ""]))
    world.nginx("proxy_pass http://127.0.0.1:6379;")
    world.expect(502)
    world.expect(502, "/orders")


@case("http2_to_http1/nginx-grpc-to-gunicorn")
def grpc(world):
    """grpc_pass to an HTTP/1 server."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000")
    world.nginx("grpc_pass grpc://127.0.0.1:8000;", listen="80 http2", ready=False)
    world.listens(80)
    subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-X", "POST", "http://127.0.0.1/shop.Orders/List"], check=False)
    subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-X", "POST", "http://127.0.0.1/shop.Orders/List"], check=False)
    world.logged("nginx-error.log", "upstream sent")


@case("proxy_protocol_mismatch/haproxy-to-gunicorn")
def proxy_protocol(world):
    """HAProxy sends PROXY lines to a Gunicorn that expects none."""
    world.flask(HELLO)
    world.gunicorn("--bind", "127.0.0.1:8000", "--access-logfile", "-")
    world.haproxy(HAPROXY.replace("8000", "8000 send-proxy"))
    world.ask("/")
    world.ask("/orders")
