"""
Site documents made at random, most of them wrong in several places: what tables do not think of. The same seed makes the same documents.
"""
import random

TOKENS = ["a", "b", "c", "*", ">", "", "a*", "$JS", "$SYS", "$XL", "$MQTT", "_INBOX", "_R_", "cpc", "+", "#", "x/y", "é", "$KV", "sub", "${X}",
          "API"]
ODD = [True, False, 0, 1, -1, 1.5, "", "x", [], {}, ["a"], {"a": 1}, "é" * 60, "a\x01b", "y" * 2000, 12345678, "1", "true"]
ACCOUNTS = ["CSC", "CPC", "SYS", "AUTH", "AUTHX", "A", "B", "Unused", "CSCC", "a", "C S", "${X}", "zzzzzz"]
KEYS = ["UAAQQDYWDUSCWMRZIBDU4VK4MNVHC6D7Q2GZJG5CVGYLPPWFZTJ5UMAT", "UAQCOLRVHRBUUUKYL5TG25D3QKEZBF46UWWLHOWBZDH5NXPE5PZPSPTG",
        "UAAQQDYWDUSCWMRZIBDU4VK4MNVHC6D7Q2GZJG5CVGYLPPWFZTJ5UMAA", "AAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB776S", "U", "${K}",
        "uAAQQDYWDUSCWMRZIBDU4VK4MNVHC6D7Q2GZJG5CVGYLPPWFZTJ5UMAT", "UAA1QDYWDUSCWMRZIBDU4VK4MNVHC6D7Q2GZJG5CVGYLPPWFZTJ5UMAT",
        "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"]
CLIENT_IDS = ["a-*", "a-1", "*", "**", "a.b", "b", "c*d", "c*", "x" * 130, "*-1", "${X}", "a b", "a*b*c"]
NAMES = ["a", "b", "c", "nats-x", "a.b", "a b", "é", 'q"']
ENDPOINTS = ["nats://h:7422", "tls://h:1,nats://b:2", "h:1", "nats://", "nats://h", "nats://[::1]:1", "nats://[::1]", "nats://h:65536",
             "nats://u:p@h:1", "nats://a..b:1", "nats://-a:1", "nats://h:01", "tls://h:1,", "nats://h:1 "]
AGES = ["3h", "1m", "2m", "119s", "90000h", "1.5h", "3", "1h30m", "0.5h", "9999999999999h", "1d", "h", "100000000ms", ".1h", "5.h"]
IDENTITIES = ["CN=a", "CN=b", "cn=a", "a", "O=x", "CN=", "CN= a", "CN=a\t", "URI=x=y", "DNS=*.a", "EMAIL=", "CN=${X}", "é" * 50]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def often(self, chance=0.5):
        return self.r.random() < chance

    def one(self, *values):
        """One of them, or now and then something that belongs nowhere."""
        return self.r.choice(ODD) if self.often(0.08) else self.r.choice(values)

    def some(self, **values):
        """A mapping with some of them; a value is called where it can be."""
        return {key: v() if callable(v) else v for key, v in values.items() if self.often(0.6)}

    def subject(self):
        text = ".".join(self.r.choice(TOKENS) for _ in range(self.r.randint(1, 4)))
        return text + (" " + self.r.choice(["q", "", "q r"]) if self.often(0.1) else "")

    def subjects(self):
        return self.one([self.one(self.subject()) if self.often(0.2) else self.subject() for _ in range(self.r.randint(0, 4))])

    def rights(self):
        found = {side: self.one({k: self.subjects() for k in self.r.sample(["allow", "deny"], self.r.randint(0, 2))}) for side in ("pub", "sub")}
        if self.often(0.3):
            found["resp"] = self.one(self.some(max=lambda: self.one(1, 0, "5", "x", 1000001),
                                               ttl=lambda: self.one("5s", 5, "0", "25h", ".5s", "-1s")))
        return self.one(found | ({"pubs": 1} if self.often(0.05) else {}))

    def entry(self, section):
        found = self.some(connections=lambda: self.one(self.r.sample(["nats", "mqtt", "websocket", "leaf", "ws"], self.r.randint(0, 3))),
                          mqtt_client_id=lambda: self.one(*CLIENT_IDS), permissions=self.rights) | {"account": self.one(*ACCOUNTS)}
        if section == "oauth2":
            found |= self.some(azp=lambda: self.one("a", "b", "c*", 1, "${X}", "${"), subject=lambda: self.one("s", "*"),
                               issuer=lambda: self.one("corp", "${X}"), required_scope=lambda: self.one("mqtt", "a b", '"'))
        elif section == "mtls":
            found |= {"identity": self.one(*IDENTITIES)}
        elif section == "nkey":
            found |= {"public_key": self.one(*KEYS)} | self.some(internal=lambda: self.one(True, False))
        if self.often(0.08):
            found[self.r.choice(["identiy", "acount", "identity", "azp", "internal", "zzzzz"])] = 1
        return self.one(found)

    def permissions(self):
        found = {s: self.one({self.r.choice(NAMES): self.entry(s) for _ in range(self.r.randint(0, 4))})
                 for s in ("oauth2", "mtls", "nkey") if self.often(0.6)}
        return found | ({"noauth": self.entry("noauth")} if self.often(0.4) else {}) | ({"oauth": {}} if self.often(0.05) else {})

    def tls(self):
        return self.one(self.some(ca=self.one("/a", "b"), cert=self.one("/a"), key=self.one("/a"), handshakeFirst=self.one(True)))

    def document(self):
        kind = self.r.choice(["csc", "cpc"])
        bus = self.some(
            crossLayer=lambda: self.one({k: self.subjects() for k in ("cscExports", "cscPrefixedExports", "cpcExports") if self.often()}),
            mtls=lambda: {self.r.choice(["enabled", "on"]): self.one(False)},
            extraAccounts=lambda: {self.r.choice(["A", "B", "Unused", "a", "SYS", "cpcX", "x-y", "", "L" * 33]):
                                   self.one(self.some(enabled=self.one(True, False), jetstream=self.one(True)))
                                   for _ in range(self.r.randint(0, 4))},
            mqttStreams=lambda: self.some(maxBytes=self.one(1048576, 1, 67108864), replicas=self.one(*range(7)), maxAge=self.one(*AGES),
                                          storage=self.one("file", "memory", "disk")),
            cscLeafServerTLS=self.tls, cpcLeafClientTLS=self.tls, auth=lambda: {"permissions": self.permissions()},
            servers=lambda: self.some(replicas=self.one(*range(11)), authTimeout=self.one(1, 61), xkey=self.one(True),
                                      jetstream=self.some(maxFile=self.one(1048576, 10**9), maxMemory=self.one(0, 10**8)),
                                      leafUrls=self.one(["nats://h:1", "nats://a,b:1"])))
        bus["clusterType"] = self.one(kind, kind, kind, "CSC", "hub")
        for key, value, of in (("clusterId", self.one("1", "a7", 1, "A", "0x1", "é"), "cpc"), ("cscEndpoint", self.one(*ENDPOINTS), "cpc"),
                               ("cpcIds", [self.one("1", "2", 3, "s1248", "s1997", "A") for _ in range(self.r.randint(0, 5))], "csc")):
            if self.often(0.9 if of == kind else 0.1):
                bus[key] = value
        return {"global": {"eventBus": bus}}
