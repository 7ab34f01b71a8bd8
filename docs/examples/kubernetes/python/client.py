#!/usr/bin/env python3
"""
A client in a pod, with nats-py: logs in with the pod's projected ServiceAccount token. What it does and reads:
docs/kubernetes-tokens.md.
"""
import asyncio
import os
import random
import sys

import nats

URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
TOKEN_FILE = os.environ.get("TOKEN_FILE", "/var/run/secrets/nats/token")
SUBJECT = os.environ.get("SUBJECT", "default.example")
INBOX_PREFIX = os.environ.get("INBOX_PREFIX") or "_INBOX"
COUNT = int(os.environ.get("COUNT", "5"))
CHECK_S = float(os.environ.get("CHECK_S", "20"))
PATIENCE_S = 60


def token():
    """Called before every connection, also where the library comes back by itself."""
    with open(TOKEN_FILE, encoding="ascii") as f:
        return f.read().strip()


class Client:
    nc = None

    async def open(self):
        async def answer(message):
            if message.reply:
                await message.respond(message.data)

        async def reconnected():
            print("reconnected", flush=True)

        async def error(e):
            print(f"error: {e}", flush=True)

        self.token = token()
        self.nc = await nats.connect(URL, token=token, inbox_prefix=INBOX_PREFIX.encode(), connect_timeout=PATIENCE_S, max_reconnect_attempts=3,
                                     reconnected_cb=reconnected, error_cb=error)
        await self.nc.subscribe(SUBJECT, cb=answer)

    async def refresh(self):
        """
        nats-py closes for good where the server says that the session has ended. So it comes back before that: when the kubelet
        has written a new token, which it does at 80 % of the old one's life.
        """
        while True:
            await asyncio.sleep(CHECK_S * random.uniform(0.5, 1))  # not all clients at the same moment
            if self.nc.is_connected and token() != self.token:
                self.token = token()
                await self.nc.force_reconnect()

    async def ask(self, n):
        """Asks until an answer comes; where the library has given up, with a new connection."""
        end = asyncio.get_running_loop().time() + PATIENCE_S
        while asyncio.get_running_loop().time() < end:
            try:
                if self.nc.is_closed:
                    await self.open()
                    print("connected again", flush=True)
                reply = await self.nc.request(SUBJECT, str(n).encode(), timeout=2)
                print("answer", reply.data.decode(), flush=True)
                return
            except (OSError, nats.errors.Error) as e:
                print(f"trying again: {e!r}", flush=True)
                await asyncio.sleep(random.uniform(0.2, 1))
        raise SystemExit(f"no answer to {n}")


async def main():
    client = Client()
    try:
        await client.open()
    except (OSError, nats.errors.Error) as e:
        print(f"refused: {e!r}", flush=True)
        return 1
    print("connected", flush=True)
    refresh = asyncio.create_task(client.refresh())
    for n in range(1, COUNT + 1):
        await client.ask(n)
        await asyncio.sleep(1)
    refresh.cancel()
    await client.nc.close()
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
