"""The page a browser gets at `/`: what runs here and where to look. One string, no other files."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{service}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto }}
dt {{ font-family: ui-monospace, monospace }}
dd {{ margin: 0 0 .6rem 1.5rem }}
</style>
<h1>{service} <small>{version}</small></h1>
<p>Real-time speech to text over one WebSocket.</p>
<dl>
{endpoints}
</dl>
</html>
"""


def front_page(service: str, version: str, endpoints: Mapping[str, str]) -> str:
    """Render the page; `endpoints` maps a path to what it gives."""
    rows = (
        f"<dt>{_link(path)}</dt><dd>{escape(purpose)}</dd>" for path, purpose in endpoints.items()
    )
    return _PAGE.format(service=escape(service), version=escape(version), endpoints="\n".join(rows))


def _link(path: str) -> str:
    # A browser cannot follow a link to a WebSocket.
    safe = escape(path)
    return safe if path.startswith("/ws/") else f'<a href="{safe}">{safe}</a>'
