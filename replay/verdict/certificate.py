"""What a target's TLS says of it: version, cipher, which versions it takes, its certificate.

The certificate is read, not trusted: that it is self-signed or has expired is what is to be told.
"""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime

from ..targets import Target, unverified

SOON_DAYS = 30


def facts_of(target: Target, seconds: float) -> dict[str, str]:
    """Facts of TLS by topic and name; few handshakes, no request."""
    facts: dict[str, str] = {}
    spoken = _handshake(target, seconds, None, None)
    if spoken is None:
        return {"TLS: version": "fails"}
    version, cipher, encoded = spoken
    facts["TLS: version"] = version
    facts["TLS: cipher"] = cipher
    taken = [
        name
        for name, only in (("1.2", ssl.TLSVersion.TLSv1_2), ("1.3", ssl.TLSVersion.TLSv1_3))
        if _handshake(target, seconds, only, only) is not None
    ]
    facts["TLS: versions taken"] = ", ".join(taken) or "none of 1.2 and 1.3"
    return facts | _certificate(encoded, target.hostname)


def _handshake(
    target: Target, seconds: float, least: ssl.TLSVersion | None, most: ssl.TLSVersion | None
) -> tuple[str, str, bytes] | None:
    context = unverified()
    if least is not None and most is not None:
        context.minimum_version, context.maximum_version = least, most
    try:
        with (
            socket.create_connection(target.addresses[0].sockaddr[:2], seconds) as plain,
            context.wrap_socket(plain, server_hostname=target.hostname) as secure,
        ):
            cipher = secure.cipher()
            encoded = secure.getpeercert(binary_form=True) or b""
            return secure.version() or "unknown", cipher[0] if cipher else "unknown", encoded
    except (OSError, ValueError):
        return None


def _certificate(encoded: bytes, hostname: str) -> dict[str, str]:
    """Who signed it, for whom, until when."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        read = x509.load_der_x509_certificate(encoded)
    except ValueError:
        return {"certificate: form": "cannot be read"}
    try:
        read.verify_directly_issued_by(read)
        signed = "self-signed, as"
    except (ValueError, TypeError, InvalidSignature):
        signed = "by"
    days = (read.not_valid_after_utc - datetime.now(UTC)).days
    life = "expired" if days < 0 else "expires soon" if days < SOON_DAYS else "valid"
    key = type(read.public_key()).__name__.strip("_").removesuffix("PublicKey")
    return {
        "certificate: signed": f"{signed} {read.issuer.rfc4514_string() or 'nobody named'}",
        "certificate: expiry": life,
        "certificate: key": f"{key} {getattr(read.public_key(), 'key_size', '')}".strip(),
        "certificate: names": "fits the host" if _fits(read, hostname) else "does not fit the host",
    }


def _fits(read: object, hostname: str) -> bool:
    from cryptography import x509

    assert isinstance(read, x509.Certificate)
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    known = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    known += [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    star = f"*.{hostname.partition('.')[2]}".lower()
    return hostname.lower() in known or star in known
