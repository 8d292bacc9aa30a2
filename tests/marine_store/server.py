"""The service: object storage over HTTP, and the login over HTTPS.

The client is told to use this server as its proxy for both. Plain requests come with the whole
address and are answered from the archive as object storage answers: GET, HEAD, ranges, listings.
The login's host is reached by CONNECT; the connection is then encrypted with a certificate made for
that host by an authority that only the client's environment trusts.
"""

import json
import os
import threading
import time
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import trustme

from .archive import HOST

__all__ = ["PASSWORD", "USER", "Fault", "MarineStore"]

LOGIN = "auth.marine.copernicus.eu"
USER, PASSWORD = "tester-of-the-sea", "s3cret-below-the-waves"
PAGE = 1000  # keys of a listing


@dataclass
class Fault:
    """What goes wrong with requests whose address holds `match`, the next `times` times.

    status: an HTTP status; 0 drops the connection in the middle of the answer; None answers well.
    delay: s, before anything is answered.
    skip: such requests that go well first.
    """

    match: str
    times: int = 1
    status: int | None = None
    delay: float = 0.0
    skip: int = 0


class MarineStore:
    """The server, running within `with`.

    folder: for the certificate.    archive: what `archive.write` wrote.
    """

    def __init__(self, folder, archive):
        self.folder, self.archive = Path(folder), Path(archive).resolve()
        self.faults: list[Fault] = []
        self.requests: list[str] = []  # "METHOD address", in order
        self.lock = threading.Lock()

    def __enter__(self):
        authority = trustme.CA()
        self.trusted = self.folder / "authority.pem"
        authority.cert_pem.write_to_path(self.trusted)
        certificate = authority.issue_cert(LOGIN)
        handler = type("Handler", (_Handler,), {"store": self, "certificate": certificate})
        self.server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def environment(self, user: str | None = USER, password: str = PASSWORD) -> dict[str, str]:
        """The environment in which the client finds this store and nothing else.

        user: of the login there; None for none.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("COPERNICUSMARINE_", "NO_PROXY"))
        }
        proxy = f"http://127.0.0.1:{self.server.server_address[1]}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        made = kept | dict.fromkeys(names, proxy)
        made |= {
            "COPERNICUSMARINE_CONFIG_URL": f"http://{HOST}/mdl-metadata/clientsConfigV1.json",
            "COPERNICUSMARINE_SET_SSL_CERTIFICATE_PATH": str(self.trusted),
            "REQUESTS_CA_BUNDLE": str(self.trusted),
            "HOME": str(self.folder),  # no credentials file of the user's
        }
        if user is not None:
            made["COPERNICUSMARINE_SERVICE_USERNAME"] = user
            made["COPERNICUSMARINE_SERVICE_PASSWORD"] = password
        return made

    def fault(self, address: str) -> Fault | None:
        """The fault that meets a request, used up by it."""
        with self.lock:
            self.requests.append(address)
            for fault in self.faults:
                if fault.times > 0 and fault.match in address:
                    if fault.skip > 0:
                        fault.skip -= 1
                        return None
                    fault.times -= 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # the client was killed, or went away


class _Handler(BaseHTTPRequestHandler):
    store: MarineStore
    certificate: trustme.LeafCert
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        import ssl

        self.send_response(200)
        self.end_headers()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(context)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_POST(self):
        """The token endpoint of the login."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self._failed():
            return
        given = [form.get(name, [""])[0] for name in ("username", "password")]
        if given == [USER, PASSWORD]:
            self._answer(200, json.dumps({"access_token": "token"}).encode())
        else:
            self._answer(400, b'{"error": "invalid_grant"}')

    def do_GET(self):
        if self._failed():
            return
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        if parts.path.endswith("/openid-connect/userinfo"):
            self._answer(200, json.dumps({"preferred_username": USER}).encode())
        elif parts.path.strip("/").count("/") == 0 and "prefix" in query:
            self._listing(parts.path.strip("/"), query)
        else:
            self._object(self.store.archive / parts.path.lstrip("/"))

    do_HEAD = do_GET

    def _failed(self) -> bool:
        fault = self.store.fault(f"{self.command} {self.path}")
        if fault is None:
            return False
        time.sleep(fault.delay)
        if fault.status is None:
            return False
        if fault.status:
            code = "NoSuchKey" if fault.status == 404 else "SlowDown"
            self._answer(fault.status, f"<Error><Code>{code}</Code></Error>".encode())
            return True
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half of")
        self.close_connection = True
        return True

    def _object(self, path: Path):
        if not path.resolve().is_relative_to(self.store.archive) or not path.is_file():
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        content, status, further = path.read_bytes(), 200, {}
        if wanted := self.headers.get("Range"):
            first, last = wanted.removeprefix("bytes=").split("-")
            start = int(first) if first else len(content) - int(last)
            stop = int(last) + 1 if first and last else len(content)
            further["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            content, status = content[start:stop], 206
        further["ETag"] = f'"{md5(str(path).encode()).hexdigest()}"'
        further["Last-Modified"] = formatdate(path.stat().st_mtime, usegmt=True)
        self._answer(status, content, further)

    def _listing(self, bucket: str, query: dict):
        """A page of the keys of a bucket, as versions 1 and 2 of the listing ask for it."""
        folder = self.store.archive / bucket
        prefix = query["prefix"][0]
        after = next((query[n][0] for n in ("marker", "start-after") if n in query), "")
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
        keys = sorted(k for k in files if k.startswith(prefix) and k > after and files[k].is_file())
        entries = "".join(_entry(key, files[key]) for key in keys[:PAGE])
        more = len(keys) > PAGE
        marker = f"<NextMarker>{escape(keys[PAGE - 1])}</NextMarker>" if more else ""
        body = (
            '<?xml version="1.0"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>{PAGE}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{marker}{entries}</ListBucketResult>"
        )
        self._answer(200, body.encode(), {"Content-Type": "application/xml"})

    def _answer(self, status: int, content: bytes, further: dict | None = None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (further or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _entry(key: str, path: Path) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(path.stat().st_mtime))
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{stamp}</LastModified>"
        f"<ETag>&quot;{md5(key.encode()).hexdigest()}&quot;</ETag>"
        f"<Size>{path.stat().st_size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )
