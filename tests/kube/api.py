"""The Kubernetes API as the tests need it: JSON over TLS with a client certificate."""
import http.client
import json
import socket
import ssl

SERVICE_ACCOUNTS = "/api/v1/namespaces/{}/serviceaccounts"


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Connection(http.client.HTTPSConnection):
    def connect(self):
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Api:
    """One connection, opened anew where it ended. Not for several threads."""

    def __init__(self, host, port, ca, cert=None, key=None, token=None):
        self.host, self.port = host, port
        self.token = token
        self._tls = ssl.create_default_context(cafile=str(ca))
        if cert:
            self._tls.load_cert_chain(cert, key)
        self._connection = None

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None

    def __call__(self, method, path, body=None, kind="application/json"):
        """The answer's JSON (text where it is none); ApiError for anything that is no success."""
        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = kind
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body) if body is not None else None
        for last in (False, True):
            if self._connection is None:
                self._connection = Connection(self.host, self.port, context=self._tls, timeout=30)
            try:
                self._connection.request(method, path, data, headers)
                answer = self._connection.getresponse()
                status, text = answer.status, answer.read().decode()
                break
            except (OSError, http.client.HTTPException):
                self.close()
                if last:
                    raise
        found = json.loads(text) if text.startswith("{") else text
        if status >= 300:
            raise ApiError(status, found)
        return found
