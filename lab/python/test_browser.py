"""A browser, where there is one: `apt-get install chromium`."""

import base64
import hashlib
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import servers

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM HERE: no browser was tried")


def dom(gateway, folder, path, *words):
    """The page as it stands once it is loaded."""
    certificate = x509.load_pem_x509_certificate((folder / "gate.pem").read_bytes())
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = hashlib.sha256(certificate.public_key().public_bytes(*form)).digest()
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={folder / 'chromium'}", "--no-first-run", "--no-proxy-server"]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += [f"--ignore-certificate-errors-spki-list={base64.b64encode(key).decode()}"]
    command += [*words, "--dump-dom", gateway.url + path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def app(start, tmp_path):
    return start(servers.uvicorn(tmp_path))


def test_a_page_and_its_websocket_share_one_connection_of_http2(app, gate_with_tls, tmp_path):
    gateway = gate_with_tls(app)
    log = tmp_path / "net.json"
    page = dom(gateway, tmp_path, "/page", f"--log-net-log={log}")
    assert "page over h2" in page and "socket said hello browser" in page
    # The extended CONNECT of RFC 8441, as the browser sent it.
    assert ":protocol: websocket" in log.read_text()
    assert gateway.record("/talk")["status"] == 200


def test_a_page_is_loaded_over_http3(app, gate_with_tls, tmp_path):
    gateway = gate_with_tls(app, listen="http3 = true")
    words = ["--enable-quic", f"--origin-to-force-quic-on=127.0.0.1:{gateway.port}"]
    page = dom(gateway, tmp_path, "/page", *words)
    assert "page over h3" in page and "socket said hello browser" in page
