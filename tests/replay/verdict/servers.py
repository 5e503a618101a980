"""Real servers for tests of drift: nginx with TLS of its own, ended by its own process id."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.bench.common import free_port, running, wait_for_port

CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off; default_type text/plain;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {http}
  server {{
    listen 127.0.0.1:{port} {ssl};
    {server}
    location / {{ return 200 "{body}"; }}
    location /old {{ return 301 {moved}; }}
    location /limited {{ empty_gif; }}
    location /none {{ return 404; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(program: str, folder: Path, *, days: int = 0, server: str = "", http: str = "",
          moved: str = "/new") -> Iterator[str]:  # fmt: skip
    """nginx on loopback; with `days` it speaks TLS with a certificate that lasts so long."""
    folder.mkdir()
    folder.chmod(0o755)
    port = free_port()
    if days:
        certificate(folder, days)
        server += f" ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"
    text = CONFIG.format(folder=folder, port=port, ssl="ssl" if days else "", server=server,
                         http=http, moved=moved, body="x" * 400)  # fmt: skip
    config = folder / "nginx.conf"
    config.write_text(text)
    command = [program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(config)]
    with running(command) as process:
        wait_for_port(port, process)
        yield f"{'https' if days else 'http'}://127.0.0.1:{port}"


def certificate(folder: Path, days: int) -> None:
    """A self-signed certificate for 127.0.0.1 that ends so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "drift.invalid")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                          serialization.NoEncryption())
    )  # fmt: skip
