"""
What a gateway does with a connection, for tests: it ends TLS, or reads the name out of the client's hello and passes TLS on. Like Envoy it
waits for the client to begin, so a client that waits for the server's first words waits for ever.
"""
import asyncio
import ssl

import sites  # noqa: F401  (finds the harness)

from harness.natsio import run

HELLO = 0x16  # the first byte of a TLS handshake


class Gateway:
    """
    Gateway((address, port), (address, port), certificate=(file, key)) ends TLS; without a certificate it passes TLS on. clients: the CA (PEM)
    of client certificates, whose serial numbers are in `serials`.
    """

    def __init__(self, listen, target, certificate=None, clients=None):
        self.listen, self.target = listen, target
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*map(str, certificate))
        if clients:
            self.context.load_verify_locations(cadata=clients)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.serials, self.names, self._server, self._tasks = [], [], None, set()

    def start(self):
        run(self._open())
        return self

    async def _open(self):
        if self.context:
            self.context.sni_callback = lambda _s, name, _c: self.names.append(name)
        self._server = await asyncio.start_server(self._serve, *self.listen, ssl=self.context)

    def close(self):
        run(self._close())

    async def _close(self):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        first = b""
        if peer := writer.get_extra_info("peercert"):
            self.serials.append(int(peer["serialNumber"], 16))
        if not self.context:
            first = await reader.read(4096)  # the client's hello, or nothing for as long as it waits
            if not first or first[0] != HELLO:
                writer.close()
                return
            self.names.append(sni(first))
        inner_reader, inner_writer = await asyncio.open_connection(*self.target)
        inner_writer.write(first)
        ways = [asyncio.create_task(pump(reader, inner_writer)), asyncio.create_task(pump(inner_reader, writer))]
        self._tasks |= set(ways)
        await asyncio.gather(*ways, return_exceptions=True)


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


def sni(hello):
    """The name in a ClientHello, None where there is none."""
    at = 5 + 4 + 2 + 32  # record, handshake, version, random
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 1 + hello[at]
    end = at + 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 2
    while at < min(end, len(hello)):
        kind, size = int.from_bytes(hello[at:at + 2], "big"), int.from_bytes(hello[at + 2:at + 4], "big")
        if kind == 0:
            return hello[at + 9:at + 4 + size].decode()
        at += 4 + size
    return None
