"""
A kubectl (and a helm) that a test plays: each call comes to `answer(arguments, stdin)` in the test's own process, which returns what it
prints, or (text, exit status).
"""
import http.server
import json
import sys
import threading
from pathlib import Path

SCRIPT = """#!{python}
import json, sys, urllib.request
stdin = "" if sys.stdin.isatty() or "/dev/stdin" not in sys.argv else sys.stdin.read()
with urllib.request.urlopen("http://127.0.0.1:{port}/", json.dumps([sys.argv[1:], stdin]).encode()) as answer:
    text, status = json.load(answer)
print(text, end="")
sys.exit(status)
"""


class Played:
    """path: the program; calls: [(arguments, stdin)] in their order."""

    def __init__(self, folder, name, answer):
        self.calls, self.answer = [], answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                arguments, stdin = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.calls.append((arguments, stdin))
                found = outer.answer(arguments, stdin)
                body = json.dumps(found if isinstance(found, tuple) else (found or "", 0)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.path = Path(folder) / name
        self.path.write_text(SCRIPT.format(python=sys.executable, port=self._server.server_port))
        self.path.chmod(0o755)

    def said(self):
        return [" ".join(arguments) for arguments, _ in self.calls]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
