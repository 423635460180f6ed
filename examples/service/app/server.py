"""A small HTTP service: GET /slug/<title>, /about and /healthz."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from slugger import slug
from tally import Tally

TALLY = Tally()


def answer(path: str) -> tuple[int, dict[str, object]]:
    if path == "/healthz":
        return 200, {"ok": True}
    if path == "/about":
        return 200, json.loads(Path("/srv/about.json").read_text())
    if path.startswith("/slug/"):
        result = slug(unquote(path.removeprefix("/slug/")))
        return 200, {"slug": result, "asked": TALLY.add(result)}
    return 404, {"error": f"nothing at {path}"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = answer(self.path)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        print(format % args, flush=True)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8080"))
    print(f"listening on {port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
