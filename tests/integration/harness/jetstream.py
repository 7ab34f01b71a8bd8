"""
A JetStream that a test plays: a nats-server without one, and a client that answers $JS.API to `eventbus streams`.

  with StandIn(folder) as there:
      there.script["STREAM.CREATE.$MQTT_msgs"] = lambda body: {...} | bytes | None     None: no answer
      there.streams("apply", …); there.asked("CREATE")                                what was asked, in order: [(name, body), …]

Without a script streams are made and changed as asked for, and told with the domain of the site.
"""
import json

from .natsio import run
from .plain import PASSWORD, Plain

MISSING = {"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}
NOT_NOW = {"error": {"code": 503, "err_code": 10008, "description": "JetStream system temporarily unavailable"}}
EXISTS = {"error": {"code": 400, "err_code": 10058, "description": "stream name already in use with a different configuration"}}


class StandIn:
    def __init__(self, folder, server_name="csc-main"):
        self.bus = Plain(folder)
        self.site = self.bus.site("csc").write()
        (self.site.folder / "server.conf").write_text(f"""server_name: "{server_name}"
listen: "{self.site.address}:4222"
accounts {{ CSC {{ users [ {{user: app, password: "{PASSWORD}"}}, {self.site.streams_user()} ] }} }}
""")
        self.forget()

    def forget(self):
        self.configs, self.sources, self.script, self.questions = {}, {}, {}, []
        return self

    def info(self, name):
        """The answer to STREAM.INFO."""
        if name not in self.configs:
            return MISSING
        return {"domain": "CSC", "config": self.configs[name], "sources": self.sources.get(name, []),
                "state": {"messages": 0, "bytes": 0, "num_subjects": 0, "first_ts": "0001-01-01T00:00:00Z"}}

    def answer(self, what, body):
        if what == "INFO":
            return {"domain": "CSC", "limits": {}}
        _, verb, name = what.split(".", 2)
        if verb in ("CREATE", "UPDATE"):
            self.configs[name] = body
        return self.info(name)

    async def _on_question(self, message):
        what = message.subject.removeprefix("$JS.API.")
        body = json.loads(message.data) if message.data else None
        self.questions.append((what, body))
        answer = self.script[what](body) if what in self.script else self.answer(what, body)
        if answer is not None:
            await message.respond(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def asked(self, verb):
        return [(what.split(".", 2)[2], body) for what, body in self.questions if what.startswith(f"STREAM.{verb}.")]

    def streams(self, verb, *more):
        return self.bus.streams("csc", verb, *more)

    def __enter__(self):
        self.site.start().up()
        self.client = self.site.client().connect()
        run(self.client.nc.subscribe("$JS.API.>", cb=self._on_question))
        self.client.flush()
        return self

    def __exit__(self, *_exc):
        self.client.close()
        self.bus.end()
