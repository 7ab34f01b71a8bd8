"""A TCP proxy between a CPC and its CSC, so that a test can cut the link and heal it while all servers run."""
import asyncio

from .natsio import run


class Proxy:
    """
    Proxy(listen=(address, port), target=(address, port)).start()

    cut()       every connection ends (a reset to both sides) and new ones are refused, until heal()
    freeze()    connections stay open but carry nothing any more, in neither direction; new ones are taken and hang, until heal()
    heal()      new connections pass; after a freeze the hanging ones carry on
    close()     ends it
    connections how many pass now; passed: how many were ever made
    """

    def __init__(self, listen, target):
        self.listen, self.target = listen, target
        self.passed = 0
        self._server = None
        self._writers = set()
        self._tasks = set()
        self._flowing = None

    @property
    def url(self):
        return f"nats://{self.listen[0]}:{self.listen[1]}"

    @property
    def connections(self):
        return len(self._writers) // 2

    def start(self):
        run(self._open())
        return self

    async def _open(self):
        if self._flowing is None:
            self._flowing = asyncio.Event()
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, *self.listen, reuse_address=True)

    async def _shut(self):
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        if self._flowing is not None:
            self._flowing.set()

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        far_writer = None
        try:
            self._writers.add(writer)
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self.target)
            self._writers.add(far_writer)
            self.passed += 1
            pumps = [asyncio.ensure_future(self._pump(reader, far_writer)), asyncio.ensure_future(self._pump(far_reader, writer))]
            self._tasks.update(pumps)
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            self._tasks.difference_update(pumps)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, far_writer):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _pump(self, reader, writer):
        try:
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass

    async def _freeze(self):
        self._flowing.clear()

    def cut(self):
        run(self._shut())

    def freeze(self):
        run(self._freeze())

    def heal(self):
        run(self._open())

    def close(self):
        run(self._shut())

    def __enter__(self):
        return self.start()

    def __exit__(self, *_exc):
        self.close()
