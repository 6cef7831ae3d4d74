"""The web pages of `fasttalk_stt/web`: plain files, read once and served from memory.

A request only looks a name up among the files that were there at the start, so no path can lead
out of the folder. Pages hold nothing secret and are open to everybody; what they show they fetch
from routes that are guarded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from attrs import frozen
from quart import Response, redirect, request
from quart_trio import QuartTrio
from werkzeug.exceptions import NotFound

INDEX = "index.html"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".flac": "audio/flac",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""By the end of a file's name; Python's own table depends on the machine."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        # Of the same host and port, WebSockets included.
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    # To be asked for again each time, so that a new version of the server has its own pages.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_ENDPOINT = "pages:"


@frozen
class StaticFile:
    """One file as it is sent; `etag` without its quotes."""

    body: bytes
    media_type: str
    etag: str


def add_pages(app: QuartTrio, folder: str, prefix: str) -> None:
    """Serve `fasttalk_stt/web/{folder}` at `prefix`, which begins with a slash and ends without.

    `prefix` itself leads to `prefix/`, its `index.html`, so that a page names its files relative to
    itself and works behind a proxy that adds a path. The routes are `is_page`.
    """
    known = read_files(files("fasttalk_stt") / "web" / folder)

    async def page() -> Response:
        name = prefix.rpartition("/")[2]
        # Relative: only the browser knows by which scheme, host and path it came here.
        return redirect(f"{name}/", code=307)  # type: ignore[return-value]

    async def file(name: str) -> Response:
        return _answer(known, name)

    app.add_url_rule(prefix, f"{_ENDPOINT}{folder}", page)
    app.add_url_rule(f"{prefix}/", f"{_ENDPOINT}{folder}/", file, defaults={"name": INDEX})
    app.add_url_rule(f"{prefix}/<path:name>", f"{_ENDPOINT}{folder}/file", file)


def is_page(endpoint: str | None) -> bool:
    """Whether a route's name is one of `add_pages`, which needs no credentials."""
    return endpoint is not None and endpoint.startswith(_ENDPOINT)


def read_files(folder: Traversable) -> dict[str, StaticFile]:
    """Read a folder's files, by their path in it with slashes.

    Raises ValueError for a file of a type that is not in `MEDIA_TYPES`, and where no `index.html` is.
    """
    known = dict(_walk(folder, ""))
    if INDEX not in known:
        raise ValueError(f"{folder} has no {INDEX}")
    return known


def _walk(folder: Traversable, path: str) -> Iterator[tuple[str, StaticFile]]:
    for entry in folder.iterdir():
        name = f"{path}{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, f"{name}/")
            continue
        _, dot, ending = name.rpartition(".")
        if dot + ending not in MEDIA_TYPES:
            raise ValueError(f"no media type is known for {entry}")
        body = entry.read_bytes()
        yield name, StaticFile(body, MEDIA_TYPES[dot + ending], sha256(body).hexdigest()[:32])


def _answer(known: Mapping[str, StaticFile], name: str) -> Response:
    if name not in known:
        raise NotFound
    found = known[name]
    if request.if_none_match.contains(found.etag):
        response = Response("", status=304)
        del response.headers["Content-Type"]
    else:
        response = Response(found.body, content_type=found.media_type)
    response.set_etag(found.etag)
    response.headers.update(HEADERS)
    return response
