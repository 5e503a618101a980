"""Where requests found in the corpus differ from the counts of tshark 4.0 and of Zeek.

Each entry: what they list and we do not, what we tell and they do not, and why.
"""

from __future__ import annotations

Line = tuple[str, str]
Difference = tuple[list[Line], list[Line], str]

RIGHT: dict[str, Difference] = {
    "arkime/tests/pcap/http-tcp-seq-issue.pcap": (
        [],
        [("POST", "/xxxxxxxxx/xxxxxx/xxxxxxxxxxx/xxxxxxxxxx/xxx/xxx")],
        "the first copy of the head comes after its end: whole once in order, and answered 200",
    ),
    "deepflow/agent/resources/test/common/decapsulate_erspan1.pcap": (
        [],
        [
            ("POST", "/account/api/login/V1/tokenAuth"),
            ("POST", "/mapi/YETarget"),
            ("POST", "/mapi/appBankLogoQuery"),
            ("POST", "/mapi/payment/getSeed"),
            ("POST", "/mapi/payment/getSeed"),
            ("POST", "/mapi/queryTradeStatusEnc"),
            ("POST", "/mapi/tokenLoginAllEncMUA"),
            ("POST", "/vsopwebsvr/DEPServiceHttpPort"),
            ("xxxxxxxxxxxxxxxxxxxxxxxx", ""),
            ("xxxxxxxxxxxxxxxxxxxxxxxx", ""),
        ],
        "segments out of order or missing, which that tshark does not sort out by default; "
        "the requests are whole once in order, or cut off where the capture ends",
    ),
    "pcap2har-go/test/captures/insecure.pcap": (
        [],
        [("GET", "/admin/fish-and-chips")],
        "tshark takes one connection of port 5000 for another protocol; a request is in it "
        "and its answer 200",
    ),
    "suricata-verify/tests/bug-5392/TPWhite-carved-out-7787-s1.pcap": (
        [],
        [("POST", "/ch23/"), ("xxx", "")],
        "a body with most packets missing: kept with what is missing measured; then three "
        "bytes that only the acknowledgement tells of",
    ),
    "suricata-verify/tests/dcerpc-request-http-response/input.pcap": (
        [],
        [("\x05\x00\x00\x03\x10\x00\x00\x00\x18\x00\x00\x00\x01\x00\x00\x00\x00\x00", "\x00")],
        "no HTTP, but answered by HTTP: kept as malformed",
    ),
    "suricata-verify/tests/detect-http-uri/DetectEngineHttpRawUriTest29/test.fpc.pcap": (
        [],
        [("POST", "/../a/b/../c/./d.html")],
        "the head is cut off where the capture ends: tshark tells whole heads only, a tape "
        "keeps the bytes that were sent",
    ),
    "suricata-verify/tests/detect-http-uri/UriTestSig20/test.fpc.pcap": (
        [],
        [("POST", "/_________thus_thus_is_a_big")],
        "the head is cut off where the capture ends: tshark tells whole heads only, a tape "
        "keeps the bytes that were sent",
    ),
    "suricata-verify/tests/detect-http-uri/UriTestSig21/test.fpc.pcap": (
        [],
        [("POST", "/we_need_to_fix_this_and_yes_fix_this_now")],
        "the head is cut off where the capture ends: tshark tells whole heads only, a tape "
        "keeps the bytes that were sent",
    ),
    "suricata-verify/tests/detect-http-uri/UriTestSig22/test.fpc.pcap": (
        [],
        [("POST", "/this_is_a_super_duper_nova_in_super_nova_now")],
        "the head is cut off where the capture ends: tshark tells whole heads only, a tape "
        "keeps the bytes that were sent",
    ),
    "suricata-verify/tests/detect-http-uri/UriTestSig28/test.fpc.pcap": (
        [],
        [("POST", "/this_b5ig_string_now_in_http")],
        "the head is cut off where the capture ends: tshark tells whole heads only, a tape "
        "keeps the bytes that were sent",
    ),
    "suricata-verify/tests/detect-pcre/detect-pcre-02/input.pcap": (
        [],
        [("PUBLIC", "")],
        "seven bytes beyond the declared body: kept as malformed",
    ),
    "suricata-verify/tests/detect-pcre/detect-pcre-04/input.pcap": (
        [("GET", ""), ("POST", "")],
        [("GET", "/"), ("POST", "/")],
        "two blanks before the target: tshark takes the target for empty",
    ),
    "suricata-verify/tests/http-async-srv/input.pcap": (
        [],
        [("xxxxxxxxxxxxxxxxxxxxxxxx", ""), ("xxxxxxxxxxxxxxxxxxxxxxxx", "")],
        "only the server was captured: its answers belong to requests of which every byte is "
        "missing",
    ),
    "suricata-verify/tests/http-connect/http-connect-simple/input.pcap": (
        [("GET", "/")],
        [],
        "what follows a granted CONNECT is a tunnel, kept as kind tcp",
    ),
    "suricata-verify/tests/http-data-after-09/input.pcap": (
        [],
        [("POST", "abcd12345")],
        "a request line without a version that the server answered 400: kept as malformed",
    ),
    "suricata-verify/tests/http-not09-file/input.pcap": (
        [],
        [("\x85\x00\x00\x00%lG\x81\x95>\x03ôMa'aìXg\x07fP9\x8a", "Ùbl¸\x05«Ï6¶7aIÙíUÊ")],
        "garbage that the server answered 400: kept as malformed",
    ),
    "suricata-verify/tests/http-request-line/input.pcap": (
        [],
        [("GET", "/index.html")],
        "the head is cut off where the capture ends: tshark tells whole heads only, a tape "
        "keeps the bytes that were sent",
    ),
    "suricata-verify/tests/uricontent/detect-uricontent-02/input.pcap": (
        [],
        [("POST", "/oneself")],
        "tshark goes by the port, which belongs to another protocol there",
    ),
    "suricata-verify/tests/uricontent/detect-uricontent-05/input.pcap": (
        [],
        [("GET", "/%2e%2e/images.gif")],
        "tshark goes by the port, which belongs to another protocol there",
    ),
    "zeek/http/261/variant-01-chunk_2pow64_overflow.pcap": (
        [],
        [("GET", "/smuggled-chunk-2pow64")],
        "a chunk size over 64 bits is malformed; the request after it is the second that Zeek"
        " counts too",
    ),
    "zeek/http/261/variant-09-te_obs_fold.pcap": (
        [],
        [("GET", "/smuggled-obsfold")],
        "the folded Transfer-Encoding counts: the request after the chunks is the second that"
        " Zeek counts too",
    ),
    "zeek/http/get-to-ssh-server.pcap": (
        [],
        [("GET", "/")],
        "tshark goes by the port, which belongs to another protocol there",
    ),
    "zeek/http/http-11-request-then-cruft.pcap": (
        [],
        [("T", "/"), ("T", "/")],
        "what follows the request is answered 400: kept as malformed",
    ),
    "zeek/http/http-inner-transfer-encoding-ossfuzz.pcap": (
        [],
        [("ETA", "unknown_HTTP_metm/suppozt/ÙccIOST")],
        "a fuzzed request line, which Zeek counts too",
    ),
    "zeek/http/http-single-conn-22.pcap": (
        [],
        [("GET", "/")],
        "tshark goes by the port, which belongs to another protocol there",
    ),
    "zeek/http/query-method.pcap": (
        [],
        [("QUERY", "/users")],
        "the method QUERY is younger than that tshark; Zeek counts it",
    ),
    "zeek/http/zeek-image-post-1080-8000-x.pcap": (
        [],
        [("POST", "/")],
        "tshark goes by the port, which belongs to another protocol there",
    ),
    "zeek/ipv4/fragmented-4.pcap": (
        [],
        [("GET", "/msadc/..%2f../..%2f../..%2f../winnt/system32/cm")],
        "overlapping fragments: of these bytes the first copy makes a request",
    ),
    "zeek/ipv6-http-atomic-frag.pcap": (
        [],
        [("GET", "/bad.html"), ("GET", "/bad.html"), ("GET", "/bad.html"), ("GET", "/bad.html")],
        "requests of HTTP/0.9, each answered by a page",
    ),
    "zeek/tcp/payload-syn.pcap": (
        [],
        [("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "")],
        "zeros after the head: kept as malformed",
    ),
    "zeek/tcp/payload-synack.pcap": (
        [],
        [
            (
                "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
                "",
            )
        ],
        "zeros after the head: kept as malformed",
    ),
    "suricata-verify/tests/tcp-urgp-01-oob/tcp-urgent1.pcap": (
        [],
        [("GET", "/malicious")],
        "an urgent byte stands in the target: a server does not read it in its turn, so the "
        "request is the one without it; tshark lists none",
    ),
    "zeek/tcp/reassembly.pcap": (
        [],
        [("SEARCH", "/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")],
        "a gap in the head: what was seen of the request is kept as malformed",
    ),
    "zeek/websocket/wstunnel-http.pcap": (
        [],
        [],
        "Zeek looks into the tunnel; its bytes are kept as kind websocket",
    ),
}
"""Ours is right."""
