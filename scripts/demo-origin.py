#!/usr/bin/env python3
"""The demo store's storefront origin, with faults in its headers. demo-origin.py PORT

It sets cookies on everything, marks catalogue pages no-store, gives hashed assets one hour and never compresses.
It names itself cloudflare in Server because the nginx before it plays that edge.
"""
import http.server
import secrets
import struct
import sys
import time
import zlib

ASSET = "/_next/static/chunks/main-4f9a1c2be07d5a31.js"
STYLE = "/_next/static/css/8d1f6a0b93c24e75.css"
NO_STORE = "private, no-cache, no-store, max-age=0, must-revalidate"


def png(seed, side=360):
    """A photograph-like image: colour noise, about 390 kB, which PNG cannot shrink."""
    state, rows = seed * 2654435761 % 2**32 or 1, bytearray()
    for _ in range(side):
        rows.append(0)
        for _ in range(side * 3):
            state = (1103515245 * state + 12345) % 2**32
            rows.append(state >> 16 & 255)
    def chunk(kind, body):
        return struct.pack("!I", len(body)) + kind + body + struct.pack("!I", zlib.crc32(kind + body))
    head = struct.pack("!IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows), 1)) + chunk(b"IEND", b"")


IMAGES = [png(n + 1) for n in range(2)]
SCRIPT = ("self.__chunk=self.__chunk||[];" + "".join(f"__chunk.push(function m{n}(e,t,r){{return e.exports={n * 7919 % 65536}}});" for n in range(3000))).encode()
STYLES = "".join(f".c{n}{{padding:{n % 32}px;margin:{n % 16}px}}" for n in range(1500)).encode()


def page(title, body):
    links = "".join(f'<li><a href="/us/products/piece-{n}"><img src="/media/{n % 8}.png" alt="">Piece {n}</a></li>' for n in range(24))
    seasons = "".join(f'<a href="/us/collections/season-{n}">Season {n}</a> ' for n in range(12))
    state = "".join(f'{{"id":{n},"title":"Piece {n}","options":["One","Two"]}},' for n in range(240))
    return (f'<!doctype html><html lang="en"><head><title>{title}</title><link rel="stylesheet" href="{STYLE}"><script src="{ASSET}" defer></script></head>'
            f'<body><nav>{seasons}<a href="/us/cart">Cart</a> <a href="/us/account">Account</a></nav><h1>{title}</h1>{body}<ul>{links}</ul>'
            f"<script>self.__next_f=[{state}]</script></body></html>").encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "cloudflare", ""

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/":
            return self.reply(307, b"", "text/plain", NO_STORE, {"Location": "/us"})
        if path == ASSET:
            return self.reply(200, SCRIPT, "application/javascript; charset=UTF-8", "public, max-age=3600")
        if path == STYLE:
            return self.reply(200, STYLES, "text/css; charset=UTF-8", "public, max-age=3600")
        if path.startswith("/media/") and path.endswith(".png"):
            return self.reply(200, IMAGES[len(path) % 2], "image/png", "public, max-age=300")
        kind = path.split("/")[2] if path.startswith("/us/") else "" if path == "/us" else None
        if kind not in ("", "store", "products", "collections", "categories", "cart", "checkout", "account", "order"):
            return self.reply(404, page("Not found", ""), "text/html; charset=utf-8", NO_STORE)
        # Rendered on every request: data fetching and React, as an uncached Next.js page takes.
        time.sleep(0.32 if kind in ("products", "collections", "categories", "store") else 0.12)
        title = {"": "Home", "account": "Your account", "cart": "Your cart"}.get(kind, path.rsplit("/", 1)[-1])
        self.reply(200, page(title, "<p>Made in small batches.</p>"), "text/html; charset=utf-8", NO_STORE, {"Vary": "RSC, Next-Router-State-Tree, Next-Router-Prefetch, Accept-Encoding"})

    do_HEAD = do_GET

    def reply(self, status, body, kind, cache, extra=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", cache)
        self.send_header("Set-Cookie", f"connect.sid=s%3A{secrets.token_urlsafe(24)}; Path=/; HttpOnly")
        if kind.startswith("text/html") and "_medusa_cache_id" not in self.headers.get("Cookie", ""):
            self.send_header("Set-Cookie", f"_medusa_cache_id={secrets.token_hex(16)}; Path=/; Max-Age=86400")
        for name, value in dict(extra).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
