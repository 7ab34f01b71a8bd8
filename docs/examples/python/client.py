#!/usr/bin/env python3
"""A client of the event bus with paho-mqtt. What it does and what it reads: docs/integrator-quickstart.md."""
import json
import os
import random
import sys
import threading
import time
import urllib.parse
import urllib.request

import paho.mqtt.client as mqtt

HOST = os.environ.get("MQTT_HOST", "127.0.0.1")
CERT = os.environ.get("CERT_FILE")
PORT = int(os.environ.get("MQTT_PORT", "8883" if CERT else "1883"))
TOPIC = os.environ.get("MQTT_TOPIC", "test/example/python")
COUNT = int(os.environ.get("COUNT", "5"))
RUN = f"{time.time_ns():x}"  # tells the messages of this run from those of another

connected, subscribed, all_back = threading.Event(), threading.Event(), threading.Event()
seen = set()


def fail(text):
    print(text, flush=True)
    os._exit(1)  # from whichever thread


def token():
    """A fresh access token, and in how many seconds the next one should be fetched."""
    if path := os.environ.get("TOKEN_FILE"):
        with open(path, encoding="ascii") as f:
            text, life = f.read().strip(), 300
    else:
        form = {"grant_type": "client_credentials", "client_id": os.environ["CLIENT_ID"],
                "client_secret": os.environ["CLIENT_SECRET"], "scope": "mqtt"}
        with urllib.request.urlopen(os.environ["TOKEN_URL"], urllib.parse.urlencode(form).encode(), timeout=10) as answer:
            body = json.load(answer)
        text, life = body["access_token"], body["expires_in"]
    # well before the end, and not at the same moment as everybody else
    return text, float(os.environ.get("REFRESH_S", life * random.uniform(0.7, 0.9)))


def log_in(client, _userdata):
    """Gives the client its credential: paho calls this before each connection, also where it reconnects by itself."""
    global refresh_at
    if CERT:
        refresh_at = float("inf")
        return
    try:
        password, wait = token()
        client.username_pw_set("oauthtoken", password)
        refresh_at = time.monotonic() + wait
    except (OSError, KeyError, ValueError) as e:
        print(f"no fresh token: {e}", flush=True)
        refresh_at = time.monotonic() + 10


def on_connect(client, _userdata, flags, reason, _properties):
    if reason.is_failure:
        if not subscribed.is_set():
            fail(f"refused: {reason}")
        print(f"refused, trying again: {reason}", flush=True)
        return
    print(f"connected, session {'resumed' if flags.session_present else 'new'}", flush=True)
    connected.set()
    if not flags.session_present or not subscribed.is_set():
        client.subscribe(f"{TOPIC}/#", qos=1)


def on_subscribe(_client, _userdata, _mid, reasons, _properties):
    if reasons[0].is_failure:
        fail(f"subscription refused: {TOPIC}/#")
    subscribed.set()


def on_message(_client, _userdata, message):
    run, n = message.payload.decode().split()
    if run == RUN and n not in seen:  # QoS 1: a message may come twice
        seen.add(n)
        print(f"received {message.topic} {n}", flush=True)
        if len(seen) == COUNT:
            all_back.set()


def on_disconnect(_client, _userdata, _flags, reason, _properties):
    connected.clear()
    if reason.is_failure:
        print(f"connection lost: {reason}", flush=True)
        time.sleep(random.uniform(0, 2))  # all clients of a server lose it at the same moment


def start(client):
    client.connect(HOST, PORT, keepalive=30)
    client.loop_start()
    if not connected.wait(60):
        fail("no answer")


def main():
    # a client id of its own, and a session that the server keeps while we are away
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=os.environ.get("MQTT_CLIENT_ID", "example-python"),
                         clean_session=False)
    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    client.on_disconnect, client.on_pre_connect = on_disconnect, log_in
    client.reconnect_delay_set(1, 60)
    if CERT:
        client.tls_set(ca_certs=os.environ["CA_FILE"], certfile=CERT, keyfile=os.environ["KEY_FILE"])
    start(client)
    if not subscribed.wait(60):
        fail("no answer to the subscription")
    for n in range(1, COUNT + 1):
        if time.monotonic() >= refresh_at:
            client.disconnect()  # in good order; the session stays
            client.loop_stop()
            connected.clear()
            start(client)
            print("token refreshed", flush=True)
        if not connected.wait(60):
            fail("no connection")
        info = client.publish(f"{TOPIC}/{n}", f"{RUN} {n}", qos=1)  # sent again by itself after a loss
        end = time.monotonic() + 60
        while not info.is_published():  # until the site has stored it
            if time.monotonic() > end:
                fail(f"message {n} was not acknowledged")
            time.sleep(0.01)
        time.sleep(1)
    if not all_back.wait(60):
        fail(f"{COUNT - len(seen)} messages did not come back")
    client.disconnect()
    client.loop_stop()
    print("done", flush=True)


if __name__ == "__main__":
    sys.exit(main())
