"""The values of Authorization headers: which of their bytes are secret, and which are its form.

A scheme is kept, known ones only ("Basic", "Digest", …): an unknown first word may be the secret.
Of parameters (`Digest username="…", realm="…"`) the names are kept and the values are secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

WORD = re.compile(rb"[^\s,;=\"]+")
PROTOCOL = re.compile(
    rb"(?i)graphql(-transport)?-ws|mqtt(v3\.1)?|soap|wamp(\.2\.(json|msgpack|cbor))?|v1[0-2]\.stomp"
    rb"|stomp|chat|superchat|xmpp|sip|msrp|amqp|ocpp1\.[256]|ocpp2\.[01](\.1)?|jsonrpc(2\.0)?"
    rb"|json|binary|base64|null|actioncable-(v1|unsupported)(-json)?|vite-(hmr|ping)|phoenix|signalr"
    rb"|v[1-5]\.(channel|base64\.channel|portforward)\.k8s\.io|janus-protocol|kurento|webpush"
    rb"|bearer|token|access[_-]?token|authorization|auth|jwt"
)
"""Known subprotocols of WebSocket, and the words that browsers put before a token among them."""
_SCHEME = re.compile(
    rb"\s*(basic|bearer|digest|negotiate|ntlm|token|apikey|api-key|key|oauth|hoba|mutual|vapid|dpop"
    rb"|gnap|hawk|signature|sharedkey|sharedkeylite|sharedaccesssignature|privatetoken|jwt"
    rb"|scram-sha-1|scram-sha-256|aws4-hmac-sha256|aws|goog4-rsa-sha256|googlelogin)\s+(?=\S)",
    re.I,
)
_SECRET = re.compile(rb"[^\s,;\"]+")
_PARAMETER = re.compile(rb"([A-Za-z][\w-]{0,40})=(?=[^\s=,;])")


def secrets_in(value: bytes) -> Iterator[tuple[int, int, str]]:
    """Spans of the secret parts of a header's value, with the kind of pseudonym each gets."""
    scheme = _SCHEME.match(value)
    start = scheme.end() if scheme else 0
    listed = scheme is not None and (b"," in value or b'="' in value)
    kind = "basic" if scheme and scheme[1].lower() == b"basic" and not listed else "value"
    at = start
    while word := _SECRET.search(value, at):
        begin, at = word.span()
        name = _PARAMETER.match(value, begin) if listed else None
        if name is None:
            yield begin, at, kind
        else:
            at = name.end()
