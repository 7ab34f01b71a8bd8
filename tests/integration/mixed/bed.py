"""The servers of test_mixed.py, the identities that log in, and what is true of them."""
import collections
import contextlib
import itertools
import json
import random
import threading
import time

from harness import certificates, nkeys, permissions, probe
from harness.kubeapi import Key as KubeKey
from harness.kubeapi import KubeApi
from harness.site import Site
from harness.spare import NatsTls
from harness.stream import DOWN, IN, REFUSED, client_context
from harness.tokens import forge, header_of, rs256_stranger
from harness.wait import until
from test_issuers import SecondProvider

from .history import REFUSAL, History, always, possible, rights

FOREIGN = 3  # words of others that each login tries beside its own

# What may be published and subscribed is told by the first word of the subject.
SHIFTS = [f"shift{i}" for i in range(4)]
NOTES = ["alarms", "orders", "weather", "pumps"]
NAMESPACES = ["plant", "hall-1", "mark"]
WORDS = ["test", "perf", "dummy", "BMS", "first", "second", "nk", "anon", "t", *SHIFTS, *NOTES, *NAMESPACES]

CONFIG = """
issuers:
- name: second
  issuer: "{second}"
  url: "{second}/jwks.json"
  audience: dsx-exchange
  signing-algorithms: [RS256, ES256]
kubernetes:
  api-url: "{api.url}"
  api-ca: "{api.ca}"
  token-file: "{api.token_file}"
  issuer: "{api.issuer}"
  account: CSC
  allowed-accounts: [LaunchLayer]
"""


# A login to be made. login(words, mark) makes it; expect(begin, end) tells what it may have ended with; reasons: what a refusal may be logged
# with; own: words that it may ever get; handshake: TLS refuses, no callout is caused.
Case = collections.namedtuple("Case", "method login expect reasons own handshake", defaults=[frozenset(), frozenset(), False])
Seen = collections.namedtuple("Seen", "kind mark case login begin end may probed")


def document(demo, account, public_key):
    doc = permissions.document(demo, account, public_key)

    def may(*words):
        return {side: {"allow": [f"{word}.>" for word in words]} for side in ("pub", "sub")}
    doc["oauth2"] |= {
        "twin": {"azp": "twin", "account": account, "permissions": may("first")},
        "shifting": {"azp": "shifting", "account": account, "permissions": may(SHIFTS[0])},
        "second-client": {"issuer": "second", "azp": "mqtt-client", "account": account, "permissions": may("second")},
        "second-twin": {"issuer": "second", "azp": "twin", "account": "LaunchLayer", "permissions": may("second")},
        "second-shifting": {"issuer": "second", "azp": "shifting", "account": account, "permissions": may(SHIFTS[1])},
        "second-removable": {"issuer": "second", "azp": "removable", "account": account, "permissions": may("second")},
    }
    doc["mtls"]["t-removable"]["permissions"]["sub"] = {"allow": ["t.>"]}
    doc["nkey"]["t-observer-launch"] = {"account": "LaunchLayer", "public_key": public_key("observer-launch"), "internal": True,
                                        "permissions": {side: {"allow": [">"]} for side in ("pub", "sub")}}
    doc["noauth"] = permissions.NARROW_NOAUTH
    return doc


CLIENTS = ("mqtt-client", "mqtt-publisher", "mqtt-subscriber", "bms-reader", "twin", "shifting", "removable")
REMOVABLE = (("oauth2", "removable"), ("oauth2", "second-removable"), ("mtls", "t-removable"), ("nkey", "t-removable"))


class Issuer:
    """An identity provider whose keys rotate. `keys`: the generations that are in force; a token is (generation, text)."""

    def __init__(self, name, provider):
        self.name, self.provider = name, provider
        provider.patience = 120  # a busy machine takes its time to make a key
        self.keys, self.newest, self.settled, self.dropped = History(frozenset([0])), 0, 0, None
        self._tokens, self._lock = {}, threading.RLock()

    def token(self, generation=None, **how):
        """Of the newest generation when it was made first; kept and shown again."""
        text = json.dumps(how, sort_keys=True)
        found = self._tokens.get((self.newest if generation is None else generation, text))
        if found:
            return found
        with self._lock:
            generation = self.newest if generation is None else generation
            name = generation, text
            if name not in self._tokens:
                assert generation == self.newest, "made before its keys go"
                self._tokens[name] = self.provider.token(**{"exp": "now+7200", **how})
            return self._tokens[name]

    def known(self, generation):
        return self.keys, lambda keys: True if generation in keys else REFUSAL

    def rotate(self, drop):
        """Begins; `settled` follows when a login has shown it."""
        self.warm()  # every client has his token of the generation that is about to be the old one
        self.keys.change(frozenset([self.newest + 1]) if drop else self.keys.now | {self.newest + 1})
        with self._lock:
            status, body = self.provider.post("/rotate" + "?drop_old=1" * drop)
            assert status == 200, body
            self.newest += 1
        self.warm()

    def end_rotation(self, drop):
        self.keys.settled()
        if drop:
            self.dropped = self.settled
        self.settled = self.newest

    def warm(self):
        for client in CLIENTS:
            self.token(azp=client)


class Second(SecondProvider):
    """On a port that NatsTls leaves free."""

    def __init__(self, site, folder):
        super().__init__(site, folder)
        self.port = site.ports["SPARE_4"]
        self.url = f"http://{site.address}:{self.port}"


Account = collections.namedtuple("Account", "uid rights")  # uid: a list, empty until it is known


class Bed:
    """The servers, the identities and what is true of them."""

    def __init__(self, root, seed):
        root.mkdir(parents=True)
        self.random, self.seed = random.Random(seed), seed
        extra = root.parent / "extra.yaml"
        self.site = Site(root, document=document, callout_extra=extra)
        self.api = KubeApi(root.parent, host=self.site.address, port=self.site.ports["SPARE_3"])
        self.other = KubeApi(root.parent, "other")  # another cluster, which nobody configured; never started
        self.second = Second(self.site, root.parent / "second-idp")
        extra.write_text(CONFIG.format(second=self.second.url, api=self.api))
        self.parts = []
        self.marks = itertools.count(1)
        self.seen, self.faults, self._made = [], [], {}
        self.accounts, self.old_tokens = {}, {}
        self.reach = History("up")
        for name in ("plant/chiller", "plant/pump", "hall-1/chiller", "hall-1/fan", "mark/canary"):
            self.make_account(name, History(None), NOTES[0])
            self.accounts[name][0].settled()

    # --- running -----------------------------------------------------------------------------------------------------
    def up(self):
        self.second.start()
        self.parts.append(self.second.stop)
        self.api.start()
        self.parts.append(self.api.stop)
        self.site.up()
        self.parts.append(self.site.stop)
        tls = NatsTls(self.site).start()
        self.parts.append(tls.stop)
        until(self.watching, "the watch")
        self.issuers = {"first": Issuer("first", self.site.idp), "second": Issuer("second", self.second)}
        self.kube_keys = History(frozenset([0]))
        self.rules = History(self.rules_of(self.site.read_permissions()))
        self.doc, self.shift = self.site.read_permissions(), 0
        self.nkeys = {name: self.site.key(f"t-{name}") for name in ("plain", "other-account", "removable", "observer", "observer-launch")}
        self.stranger_key = nkeys.Key("U")
        stranger_ca = certificates.new_ca()
        self.contexts = {name: client_context(self.site, self.site.issue_tls(cn)) for name, cn in (
            ("mqtt-client", "mqtt-client.csc"), ("bms", "bms.csc"), ("removable", "removable.csc"), ("unknown", "nobody-knows.csc"))}
        cert, key = stranger_ca.issue("mqtt-client.csc").write(self.site.certs, "stranger")
        self.contexts["stranger"] = client_context(self.site, (self.site.certs / "ca.pem", cert, key))
        for issuer in self.issuers.values():
            issuer.warm()
        self.observers = {account: self.site.nats(seed=self.nkeys[name].seed).connect() for account, name in (
            ("CSC", "observer"), ("LaunchLayer", "observer-launch"))}
        self.parts += [observer.close for observer in self.observers.values()]
        self.heard = {account: observer.subscribe(">") for account, observer in self.observers.items()}
        return self

    def down(self):
        with contextlib.ExitStack() as stack:
            for end in self.parts:
                stack.callback(end)

    def watching(self):
        return sum(v for k, v in self.site.metrics().items() if k.startswith("auth_kubernetes_watching")) == 1

    # --- identities --------------------------------------------------------------------------------------------------
    @staticmethod
    def rules_of(doc):
        """(section, entry) -> Rights of those entries that the test uses, as the document says."""
        def words(entry, side):
            return " ".join(s.partition(".")[0] for s in entry["permissions"].get(side, {}).get("allow", []) if s.partition(".")[0] in WORDS)
        return {(section, name): rights(words(entry, "pub"), words(entry, "sub"), entry["account"])
                for section in ("oauth2", "mtls", "nkey") for name, entry in doc[section].items()
                if "permissions" in entry and not entry.get("internal")}

    def ruled(self, section, name):
        return self.rules, lambda rules: rules.get((section, name), REFUSAL)

    def make_account(self, name, history, note, account=None):
        namespace, _, short = name.partition("/")
        annotations = {"nats.io/allowed-pub-subjects": f"{note}.>"} | ({"nats.io/account": account} if account else {})
        uid = []
        history.change(Account(uid, rights(f"{namespace} {note}", namespace, account or "CSC")))
        uid.append(self.api.account(namespace, short, annotations))
        self.accounts[name] = history, self.api.token(namespace, short, seconds=7200), uid[0]

    def kube_parts(self, name, uid, generation):
        history = self.accounts[name][0]
        return ((self.kube_keys, lambda keys: True if generation in keys else REFUSAL),
                (history, lambda value: value.rights if value and uid in value.uid else REFUSAL))

    # --- ways to log in ----------------------------------------------------------------------------------------------
    def token_login(self, token, how):
        """how: nats (password of oauthtoken), bare (auth_token), mqtt."""
        if how == "mqtt":
            return lambda words, mark: probe.mqtt(self.site, words, mark, "oauthtoken", token)
        members = {"user": "oauthtoken", "pass": token} if how == "nats" else {"auth_token": token}
        return lambda words, mark: probe.nats(self.site, lambda _wire: members, words, mark)

    def tls_login(self, name, how):
        if how == "mqtt":
            return lambda words, mark: probe.mqtt(self.site, words, mark, tls=self.contexts[name])
        return lambda words, mark: probe.nats(self.site, lambda _wire: {}, words, mark, self.contexts[name], "SPARE_1")

    def wire_login(self, members):
        return lambda words, mark: probe.nats(self.site, members, words, mark)

    # --- cases: good -------------------------------------------------------------------------------------------------
    def oauth2(self, issuer, azp, entry, how, generation=None):
        issuer = self.issuers[issuer]
        generation = issuer.settled if generation is None else generation
        return Case("oauth2", self.token_login(issuer.token(generation, azp=azp), how),
                    possible(issuer.known(generation), self.ruled("oauth2", entry)), {"unknown_kid", "unknown_identity"}, self.own("oauth2", entry))

    def own(self, section, name):
        found = frozenset(word for rules in self.rules.between(0, float("inf")) if (section, name) in rules for word in rules[section, name].words)
        return found or frozenset(["t"])

    def kubernetes(self, name, how):
        _history, token, uid = self.accounts[name]
        return self.kube_case(name, token, uid, how)

    def kube_case(self, name, token, uid, how):
        namespace = name.partition("/")[0]
        return Case("kubernetes", self.token_login(token, how), possible(*self.kube_parts(name, uid, self.kube_generation_of(token))),
                    {"serviceaccount_unknown", "serviceaccount_replaced", "unknown_kid"}, frozenset([namespace, *NOTES]))

    def kube_generation_of(self, token):
        return next(i for i, key in enumerate(self.api.keys) if key.kid == header_of(token)["kid"])

    def certificate(self, name, entry, how):
        return Case("mtls", self.tls_login(name, how), possible(self.ruled("mtls", entry)), {"unknown_identity"}, self.own("mtls", entry))

    def nkey(self, name):
        return Case("nkey", self.wire_login(lambda wire: wire.sign(self.nkeys[name])), possible(self.ruled("nkey", f"t-{name}")), {"unknown_identity"},
                    self.own("nkey", f"t-{name}"))

    def anonymous(self, how):
        login = self.wire_login(lambda _wire: {}) if how == "nats" else lambda words, mark: probe.mqtt(self.site, words, mark)
        return Case("noauth", login, always(rights("anon")), frozenset(), frozenset(["anon"]))

    # --- cases: bad --------------------------------------------------------------------------------------------------
    def bad(self, method, login, *reasons, handshake=False):
        return Case(method, login, always(REFUSAL), frozenset(reasons), handshake=handshake)

    def bad_token(self, how, *reasons, issuer="first", azp="mqtt-client", **claims):
        token = self.issuers[issuer].token(azp=azp, **claims)
        return self.bad("oauth2", self.token_login(token, how), *reasons, "unknown_kid")  # its key may not be known yet, or no longer

    def made(self, make, *key):
        """The token that make() gives, kept for five minutes: each is looked for in the logs afterwards."""
        key = *key, int(time.time()) // 300
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def forged(self, how, **header):
        def make():
            full = {"typ": "JWT", "alg": "RS256", "kid": self.site.idp.kid(), **header}
            return forge(full, self.site.idp.good_claims(exp=int(time.time()) + 900), rs256_stranger)
        token = self.made(make, "forged", self.issuers["first"].newest, *header)
        return self.bad("oauth2", self.token_login(token, how), "bad_signature", "unknown_kid")

    def kube_bad(self, how, *reasons, api=None, key=None, claims=()):
        """A token of plant/chiller with other claims, or signed by another; the key may not be known yet."""
        full, kid = self.kube_claims | dict(claims), self.api.keys[-1].kid
        token = self.made(lambda: (api or self.api).sign(full) if key is None else key.sign(full, kid=kid), reasons, api and api.name, kid,
                          str(full["kubernetes.io"]))
        return self.bad("kubernetes", self.token_login(token, how), *reasons, "unknown_kid")

    @property
    def kube_claims(self):
        now = int(time.time())
        return {"aud": ["nats"], "exp": now + 600, "iat": now, "nbf": now, "iss": self.api.issuer, "sub": "system:serviceaccount:plant:chiller",
                "kubernetes.io": {"namespace": "plant", "serviceaccount": {"name": "chiller", "uid": self.accounts["plant/chiller"][2]}}}

    def never_there(self, how):
        io = {"namespace": "plant", "serviceaccount": {"name": "never", "uid": "8f0f5a0e-0000-4000-8000-000000000000"}}
        return self.kube_bad(how, "serviceaccount_unknown", claims={"sub": "system:serviceaccount:plant:never", "kubernetes.io": io})

    def replaced(self, how):
        """The token of an account that was there before: its name is taken by another now, or by nobody."""
        have = [(name, *old) for name, found in list(self.old_tokens.items()) for old in found[-2:]]
        if not have:
            return None
        name, token, uid = self.random.choice(have)
        return self.kube_case(name, token, uid, how)

    def dropped(self, issuer, how):
        found = self.issuers[issuer]
        return found.dropped is not None and self.oauth2(issuer, "mqtt-client", "mqtt-client" if issuer == "first" else "second-client", how, found.dropped)

    def wrong_nkey(self, how):
        def members(wire):
            shown = wire.sign(self.nkeys["plain"])
            return shown | {"sig": wire.sign(self.stranger_key)["sig"]} if how == "signature" else {"nkey": shown["nkey"]}
        return self.bad("nkey", self.wire_login(members), "nkey_signature" if how == "signature" else "nkey_unsigned")

    def conflicting(self):
        two = [self.issuers[name].token(self.issuers[name].settled, azp="mqtt-client") for name in ("first", "second")]
        return self.bad("oauth2", self.wire_login(lambda _wire: {"user": "oauthtoken", "pass": two[0], "auth_token": two[1]}), "conflicting_tokens")

    def kinds(self):
        """Name -> what makes a case of it now, or nothing where there is none."""
        hows, found = ("nats", "mqtt", "bare"), {}
        for issuer, azp, entry in [("first", "mqtt-client", "mqtt-client"), ("first", "mqtt-publisher", "mqtt-publisher"),
                                   ("first", "mqtt-subscriber", "mqtt-subscriber"), ("first", "bms-reader", "bms-reader"), ("first", "twin", "twin"),
                                   ("second", "twin", "second-twin"), ("second", "mqtt-client", "second-client"), ("first", "shifting", "shifting"),
                                   ("second", "shifting", "second-shifting"), ("first", "removable", "removable"),
                                   ("second", "removable", "second-removable")]:
            found[f"token {issuer} {azp}"] = [lambda h=h, i=issuer, a=azp, e=entry: self.oauth2(i, a, e, h) for h in hows]
        for issuer, entry in (("first", "mqtt-client"), ("second", "second-client")):
            found[f"token {issuer} newest key"] = [lambda h=h, i=issuer, e=entry: self.oauth2(i, "mqtt-client", e, h, self.issuers[i].newest) for h in hows]
            found[f"bad token {issuer} dropped key"] = [lambda h=h, i=issuer: self.dropped(i, h) for h in hows]
        for name in ("plant/chiller", "plant/pump", "hall-1/chiller", "hall-1/fan"):
            found[f"serviceaccount {name}"] = [lambda h=h, n=name: self.kubernetes(n, h) for h in hows]
        for name, entry in (("mqtt-client", "mqtt-client"), ("bms", "bms"), ("removable", "t-removable")):
            found[f"certificate {name}"] = [lambda h=h, n=name, e=entry: self.certificate(n, e, h) for h in ("mqtt", "nats")]
        for name in ("plain", "other-account", "removable"):
            found[f"nkey {name}"] = [lambda n=name: self.nkey(n)]
        found["anonymous"] = [lambda h=h: self.anonymous(h) for h in ("nats", "mqtt")]
        first, second = self.site.idp.url, self.second.url
        bad_tokens = {
            "expired": lambda h: self.bad_token(h, "expired", exp="now-5"),
            "forged": self.forged,
            "forged with a kid of nobody": lambda h: self.forged(h, kid="nobodys"),
            "wrong audience": lambda h: self.bad_token(h, "wrong_audience", aud="somebody-else"),
            "no audience": lambda h: self.bad_token(h, "wrong_audience", "missing_claim", aud=None),
            "unknown client": lambda h: self.bad_token(h, "unknown_identity", azp="nobody-knows", sub="nobody-knows"),
            "the first's client of the second": lambda h: self.bad_token(h, "unknown_identity", issuer="second", azp="bms-reader"),
            "the second's with the first's iss": lambda h: self.bad_token(h, issuer="second", iss=first),
            "the first's with the second's iss": lambda h: self.bad_token(h, iss=second),
            "another issuer": lambda h: self.bad_token(h, "wrong_issuer", iss="https://evil.example"),
            "no scope": lambda h: self.bad_token(h, "missing_scope", scope=None),
        }
        stranger = KubeKey()
        bad_accounts = {
            "expired": lambda h: self.kube_bad(h, "expired", claims={"exp": int(time.time()) - 5}),
            "wrong audience": lambda h: self.kube_bad(h, "wrong_audience", claims={"aud": ["somebody-else"]}),
            "forged": lambda h: self.kube_bad(h, "bad_signature", key=stranger),
            "never there": self.never_there,
            "replaced": self.replaced,
            "another cluster's, our iss": lambda h: self.kube_bad(h, api=self.other),
            "another's name": lambda h: self.kube_bad(h, "malformed", claims={"sub": "system:serviceaccount:plant:pump"}),
        }
        found |= {f"bad token {name}": [lambda h=h, m=make: m(h) for h in hows] for name, make in bad_tokens.items()}
        found |= {f"bad serviceaccount {name}": [lambda h=h, m=make: m(h) for h in hows] for name, make in bad_accounts.items()}
        found["bad token another cluster's iss"] = [lambda h=h: self.kube_bad(h, "wrong_issuer", api=self.other, claims={"iss": self.other.issuer})._replace(
            method="oauth2") for h in hows]
        found["bad token two at once"] = [self.conflicting]
        found["bad certificate unknown"] = [lambda h=h: self.bad("mtls", self.tls_login("unknown", h), "unknown_identity") for h in ("mqtt", "nats")]
        found["bad certificate stranger's"] = [lambda h=h: self.bad("mtls", self.tls_login("stranger", h), handshake=True) for h in ("mqtt", "nats")]
        found["bad nkey signature"] = [lambda: self.wrong_nkey("signature")]
        found["bad nkey unsigned"] = [lambda: self.wrong_nkey("unsigned")]
        found["bad nkey unknown"] = [lambda: self.bad("nkey", self.wire_login(lambda wire: wire.sign(self.stranger_key)), "unknown_identity")]
        guess = {"user": "somebody", "pass": "guess work"}
        found["bad user"] = [lambda: self.bad("noauth", self.wire_login(lambda _wire: guess), "unrecognized_credentials"),
                             lambda: self.bad("noauth", lambda words, mark: probe.mqtt(self.site, words, mark, "somebody", "guess work"), "unrecognized_credentials")]
        return found

    # --- one login ---------------------------------------------------------------------------------------------------
    def check(self):
        if self.faults:
            raise AssertionError(f"{len(self.faults)}: " + "\n".join(f"{what}: {told(seen)}" for what, seen in self.faults[:5]))

    def attempt(self, kind, case):
        """Makes it and judges all that is known at once; what the observers and the log know is judged in the end."""
        mark = next(self.marks)
        probed = sorted(case.own) + self.random.sample([word for word in WORDS if word not in case.own], FOREIGN)
        begin = time.monotonic()
        login = case.login(probed, mark)
        end = time.monotonic()
        may = case.expect(begin, end)
        seen = Seen(kind, mark, case, login, begin, end, may, frozenset(probed))
        self.seen.append(seen)
        if case.handshake:
            if login.outcome != DOWN:
                self.faults.append(("let through TLS", seen))
        elif login.outcome not in (IN, REFUSED):
            self.faults.append(("without a verdict", seen))
        elif not fitting(seen):
            self.faults.append(("wrong verdict", seen))
        return seen


def told(seen):
    """A login for people: what came of it, and what might have."""
    login, may = seen.login, [REFUSED if may is REFUSAL else f"{may.account} pub {sorted(may.pub)} sub {sorted(may.sub)}" for may in seen.may]
    found = "" if login.outcome != IN else f" sub {sorted(login.subscribed)} pub {login.published and sorted(login.published)} echo {sorted(login.echoed)}"
    return f"{seen.kind} ({login.key}): {login.outcome} {login.detail}{found} of {sorted(seen.probed)}; right: {' or '.join(may)}"


def fitting(seen):
    """Which of the possible ends fit to what the server said to the client."""
    login, probed = seen.login, seen.probed
    if login.outcome != IN:
        return [may for may in seen.may if may is REFUSAL]
    return [may for may in seen.may if may is not REFUSAL and login.subscribed == may.sub & probed and login.published in (None, may.pub & probed)
            and (login.echoed == may.pub & may.sub & probed if login.published is not None else login.echoed <= may.pub & may.sub)]
