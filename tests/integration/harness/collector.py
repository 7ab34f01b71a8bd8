"""
A collector of traces, OTLP over HTTP: it checks what a real one checks, decodes with the schema of OpenTelemetry and keeps every span. What it
answers is set by the test.

  collector = Collector(address, port).start()     tls=(cert, key, client_ca) makes it https
  collector.spans(n)     waits for n spans; each with .span, .resource, .scope, .attributes
  collector.answer(503, {"Retry-After": "2"}, times=1); collector.hang(); collector.endless()
  collector.requests     all that came: .at, .path, .headers, .body, .status
"""
import http.server
import ssl
import threading
import time
from types import SimpleNamespace

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

from .wait import until


def value_of(any_value):
    """Python's value of an AnyValue."""
    kind = any_value.WhichOneof("value")
    assert kind in ("string_value", "bool_value", "int_value"), f"an attribute of kind {kind}"
    return getattr(any_value, kind)


def attributes_of(pairs):
    """name -> value; each name once, as the schema demands."""
    found = {pair.key: value_of(pair.value) for pair in pairs}
    assert len(found) == len(pairs), f"an attribute twice: {sorted(pair.key for pair in pairs)}"
    assert all(found), "an attribute without a name"
    return found


def partial(rejected, message=""):
    return service.ExportTraceServiceResponse(
        partial_success=service.ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)).SerializeToString()


class Collector:
    def __init__(self, address, port, tls=None):
        self.address, self.port, self.tls = address, port, tls
        self.requests = []
        self._lock = threading.Lock()
        self._server = None
        self.well()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"

    def start(self):
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self):
                collector._on_post(self)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass  # clients that break off, and those that do not get through TLS

        server = Server((self.address, self.port), Handler)
        if self.tls:
            cert, key, client_ca = self.tls
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            if client_ca:
                context.load_verify_locations(client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._server, self._done = server, threading.Event()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        if self._server:
            self._done.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    # --- what it answers -----------------------------------------------------------------------------------------
    def answer(self, status, headers=None, body=b"", times=None):
        """Answers so, to the next `times` requests or until told otherwise; the spans of 2xx alone are kept."""
        with self._lock:
            self._plan = SimpleNamespace(how="answer", status=status, headers=headers or {}, body=body, times=times)

    def well(self):
        self.answer(200, {"Content-Type": "application/x-protobuf"})

    def hang(self):
        """Takes requests and never answers."""
        self.answer(0)
        self._plan.how = "hang"

    def endless(self):
        """Answers with a body that never ends."""
        self.answer(200, {"Content-Type": "application/x-protobuf"})
        self._plan.how = "endless"

    def _next(self):
        with self._lock:
            plan = self._plan
            if plan.times is not None:
                plan.times -= 1
                if plan.times == 0:
                    self._plan = SimpleNamespace(how="answer", status=200, headers={"Content-Type": "application/x-protobuf"}, body=b"", times=None)
            return plan

    def _on_post(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        plan = self._next()
        request = SimpleNamespace(at=time.monotonic(), path=handler.path, headers=dict(handler.headers), body=body, status=plan.status)
        with self._lock:
            self.requests.append(request)
        if plan.how == "hang":
            self._done.wait(30)
            handler.close_connection = True
            return
        handler.send_response(plan.status)
        for name, value in plan.headers.items():
            handler.send_header(name, value)
        if plan.how == "endless":
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            while not self._done.is_set():
                handler.wfile.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
            return
        handler.send_header("Content-Length", str(len(plan.body)))
        handler.end_headers()
        handler.wfile.write(plan.body)

    # --- what came -----------------------------------------------------------------------------------------------
    def seen(self):
        with self._lock:
            return list(self.requests)

    def kept(self):
        """The spans of requests that were answered with 2xx, decoded; every rule of the protocol is checked."""
        found = []
        for request in self.seen():
            if request.status // 100 == 2:
                found += self.decode(request)
        ids = [(s.span.trace_id, s.span.span_id) for s in found]
        assert len(set(ids)) == len(ids), "a span came twice"
        return found

    @staticmethod
    def decode(request):
        assert request.headers["Content-Type"] == "application/x-protobuf", request.headers
        message = service.ExportTraceServiceRequest()
        assert message.ParseFromString(request.body) == len(request.body)
        assert message.SerializeToString(deterministic=True) and not unknown(message), "fields that the schema does not have"
        assert len(message.resource_spans) == 1 and len(message.resource_spans[0].scope_spans) == 1
        resource_spans = message.resource_spans[0]
        resource, scope_spans = attributes_of(resource_spans.resource.attributes), resource_spans.scope_spans[0]
        assert 0 < len(scope_spans.spans) <= 512
        spans = []
        for span in scope_spans.spans:
            assert len(span.trace_id) == 16 and any(span.trace_id) and len(span.span_id) == 8 and any(span.span_id)
            spans.append(SimpleNamespace(span=span, resource=resource, scope=scope_spans.scope, attributes=attributes_of(span.attributes)))
        return spans

    def spans(self, n=1, timeout=None):
        """Waits until at least n spans are there."""
        how = {} if timeout is None else {"timeout": timeout}
        return until(lambda: len(found := self.kept()) >= n and found, lambda: f"{n} spans; {len(self.kept())} are there", every=0.1, **how)

    def text(self):
        """All that was sent, as text that secrets can be looked for in."""
        return "\n".join(request.body.decode("latin-1") for request in self.seen())


def unknown(message):
    """True where the message or one inside it has fields that its schema does not have."""
    from google.protobuf import unknown_fields
    if len(unknown_fields.UnknownFieldSet(message)):
        return True
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            if any(unknown(item) for item in (value if field.is_repeated else [value])):
                return True
    return False
