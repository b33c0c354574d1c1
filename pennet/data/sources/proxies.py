"""The way to a server: through the environment's proxy, but never to one on this machine."""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit


class DirectToLoopback(urllib.request.ProxyHandler):
    """The environment's proxies for every address but those of this machine."""

    def proxy_open(self, request: urllib.request.Request, proxy: str, type: str) -> object:
        return None if _is_loopback(request.full_url) else super().proxy_open(request, proxy, type)  # type: ignore[misc]


def way(url: str) -> str:
    """Names the proxy that stands between, without its password; ends a message, and is empty where there is none."""
    try:
        proxy = urllib.request.getproxies().get(url.partition(":")[0])
        if not proxy or _is_loopback(url) or urllib.request.proxy_bypass(urlsplit(url).netloc):
            return ""
    except ValueError:  # no address at all
        return ""
    return f" through the proxy {proxy.rpartition('@')[2]}"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
