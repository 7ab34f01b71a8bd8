"""MQTT 3.1.1 clients: paho as a library, mosquitto_pub and mosquitto_sub as a user runs them."""
import queue
import ssl
import subprocess
import threading
import uuid

import paho.mqtt.client as paho

from . import secrets
from .wait import PATIENCE

SUBSCRIBE_FAILED = 0x80
NOT_AUTHORISED = 5  # CONNACK return code of MQTT 3.1.1


class Refused(Exception):
    """CONNACK said no; args[0] is its return code."""


class Closed(Exception):
    """The connection ended before a CONNACK: a failed TLS handshake, for instance."""


class MqttClient:
    """One client that never reconnects by itself. password: a token or password; tls: (ca, cert, key) paths."""

    def __init__(self, host, port, user=None, password=None, client_id=None, tls=None, bind="", clean=True, will=None, keepalive=60):
        self.client_id = client_id or uuid.uuid4().hex[:20]
        self.messages = queue.Queue()
        self.closed = threading.Event()
        self._answered = threading.Event()
        self._rc = None
        self._acks = {}
        self._ack = threading.Condition()
        c = self.paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=self.client_id, clean_session=clean,
                                    protocol=paho.MQTTv311, reconnect_on_failure=False)
        if user is not None or password is not None:
            if password:
                secrets.note(password, "an MQTT password")
            c.username_pw_set(user, password)
        if tls:
            ca, cert, key = tls
            c.tls_set(ca_certs=str(ca), certfile=str(cert) if cert else None, keyfile=str(key) if key else None,
                      cert_reqs=ssl.CERT_REQUIRED)
            c.tls_insecure_set(True)  # the server's name is not what is tested
        if will:
            c.will_set(**will)
        c.on_connect, c.on_disconnect, c.on_message = self._on_connect, self._on_disconnect, self._on_message
        c.on_subscribe = lambda _c, _u, mid, codes, _p: self._acked(("sub", mid), [code.value for code in codes])
        c.on_unsubscribe = lambda _c, _u, mid, codes, _p: self._acked(("unsub", mid), True)
        c.on_publish = lambda _c, _u, mid, _code, _p: self._acked(("pub", mid), True)
        self._where = (host, port, keepalive, bind)

    def connect(self):
        """Returns self once the server has let the client in; raises Refused or Closed."""
        host, port, keepalive, bind = self._where
        try:
            self.paho.connect(host, port, keepalive, bind_address=bind)
        except (ssl.SSLError, ConnectionError) as error:
            raise Closed(str(error)) from error
        self.paho.loop_start()
        self._answered.wait(PATIENCE)
        if self._rc == 0:
            return self
        rc = self._rc
        self.close()
        if rc is None:
            raise Closed("closed without a CONNACK" if self.closed.is_set() else "no CONNACK")
        raise Refused(rc)

    # paho gives MQTT 5 codes; 0x80 and above map back to the return codes of 3.1.1
    _CONNACK = {132: 1, 133: 2, 136: 3, 134: 4, 135: 5}

    def _on_connect(self, _client, _userdata, _flags, code, _properties):
        self._rc = self._CONNACK.get(code.value, code.value)
        self._answered.set()

    def _on_disconnect(self, *_args):
        self.closed.set()
        self._answered.set()
        with self._ack:
            self._ack.notify_all()

    def _on_message(self, _client, _userdata, message):
        self.messages.put((message.topic, bytes(message.payload), message.qos, message.retain))

    def _acked(self, key, value):
        with self._ack:
            self._acks[key] = value
            self._ack.notify_all()

    def _wait_ack(self, key):
        with self._ack:
            assert self._ack.wait_for(lambda: key in self._acks or self.closed.is_set(), PATIENCE), f"no answer to {key}"
            if key not in self._acks:
                raise Closed(f"closed while waiting for the answer to {key}")
            return self._acks.pop(key)

    def subscribe(self, topic, qos=0):
        """The code of the SUBACK: the granted QoS or SUBSCRIBE_FAILED. A list of (topic, qos) gives a list."""
        many = isinstance(topic, list)
        rc, mid = self.paho.subscribe(topic if many else [(topic, qos)])
        assert rc == 0, f"subscribe: {rc}"
        codes = self._wait_ack(("sub", mid))
        return codes if many else codes[0]

    def unsubscribe(self, topic):
        _rc, mid = self.paho.unsubscribe(topic)
        self._wait_ack(("unsub", mid))

    def publish(self, topic, payload, qos=0, retain=False):
        """Returns when it is on the wire (QoS 0) or acknowledged (QoS 1, 2)."""
        info = self.paho.publish(topic, payload, qos, retain)
        if info.rc != 0:
            raise Closed(f"publish: {info.rc}")
        self._wait_ack(("pub", info.mid))

    def receive(self, timeout=PATIENCE):
        """The next message: topic, payload, qos, retained."""
        return self.messages.get(timeout=timeout)

    def received(self):
        """All that came so far."""
        found = []
        while not self.messages.empty():
            found.append(self.messages.get())
        return found

    def barrier(self):
        """Returns when the server has processed everything that this client sent before, and has sent out what it caused."""
        self.unsubscribe("barrier/" + uuid.uuid4().hex)

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def drop(self):
        """Ends the connection without a DISCONNECT."""
        self.paho.socket().close()
        self.paho.loop_stop()

    def __enter__(self):
        return self.connect()

    def __exit__(self, *_exc):
        self.close()


def mosquitto(program, host, port, *args, user=None, password=None, tls=None, timeout=PATIENCE):
    """Runs mosquitto_pub or mosquitto_sub; the completed process with its output as text."""
    command = [program, "-h", host, "-p", str(port), *map(str, args)]
    if user is not None:
        command += ["-u", user]
    if password is not None:
        command += ["-P", secrets.note(password, "an MQTT password")]
    if tls:
        command += ["--cafile", str(tls[0]), "--insecure"] + (["--cert", str(tls[1]), "--key", str(tls[2])] if tls[1] else [])
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout + 10)
