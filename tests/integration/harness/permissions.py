"""The permissions document of the tests: the demo document of the site, and an entry for each thing that is tested."""

OAUTH2 = {
    "deny-wins": {"azp": "deny-wins", "permissions": {
        "pub": {"allow": ["t.>"], "deny": ["t.secret.>"]}, "sub": {"allow": ["t.>"], "deny": ["t.secret.>"]}}},
    "by-subject": {"subject": "subject-1", "permissions": {"pub": {"allow": ["bysubject.>"]}, "sub": {"allow": ["bysubject.>"]}}},
    "by-both": {"subject": "subject-1", "azp": "azp-1", "permissions": {"pub": {"allow": ["byboth.>"]}, "sub": {"allow": ["byboth.>"]}}},
    "by-azp": {"azp": "azp-1", "permissions": {"pub": {"allow": ["byazp.>"]}, "sub": {"allow": ["byazp.>"]}}},
    "pub-only": {"azp": "pub-only", "permissions": {"pub": {"allow": ["t.>"]}, "sub": {"allow": []}}},
    "sub-only": {"azp": "sub-only", "permissions": {"sub": {"allow": ["t.>"]}, "pub": {}}},
    "nothing": {"azp": "nothing", "permissions": {}},
    "all-own": {"azp": "all-own"},
    "root-wildcard": {"azp": "root-wildcard", "permissions": {"pub": {"allow": [">"]}, "sub": {"allow": [">"]}}},
    "star-wildcard": {"azp": "star-wildcard", "permissions": {"pub": {"allow": ["*.>"]}, "sub": {"allow": ["*.>"]}}},
    "src-outside": {"azp": "src-outside", "src": ["10.0.0.0/8", "127.99.99.99/32"], "permissions": {"pub": {"allow": ["t.>"]}}},
    "src-inside": {"azp": "src-inside", "src": ["10.0.0.0/8", "127.0.0.0/8"], "permissions": {"pub": {"allow": ["t.>"]}}},
    "bound-1": {"azp": "bound-1", "mqtt_client_id": "bound-one-*", "permissions": {"pub": {"allow": ["t.>"]}}},
    "bound-2": {"azp": "bound-2", "mqtt_client_id": "bound-two", "permissions": {"pub": {"allow": ["t.>"]}}},
    "mqtt-only": {"azp": "mqtt-only", "connections": ["mqtt"], "permissions": {"pub": {"allow": ["t.>"]}}},
    "nats-only": {"azp": "nats-only", "connections": ["nats"], "permissions": {"pub": {"allow": ["t.>"]}}},
    "wants-leaf": {"azp": "wants-leaf", "permissions": {"pub": {"allow": ["t.>"]}}},
    "requester": {"azp": "requester", "permissions": {"pub": {"allow": ["svc.>"]}, "sub": {"allow": ["_INBOX.>"]}}},
    "responder": {"azp": "responder", "permissions": {"sub": {"allow": ["svc.oauth2.>"]}, "resp": {"max": 2, "ttl": "1s"}}},
    "ttl-number": {"azp": "ttl-number", "permissions": {"sub": {"allow": ["svc.>"]}, "resp": {"max": 3, "ttl": 7}}},
    "removable": {"azp": "removable", "permissions": {"pub": {"allow": ["t.>"]}}},
}
MTLS = {
    "deny-wins": {"identity": "CN=deny-wins.csc", "permissions": {
        "pub": {"allow": ["t.>"], "deny": ["t.secret.>"]}, "sub": {"allow": ["t.>"], "deny": ["t.secret.>"]}}},
    "by-dns": {"identity": "DNS=device-1.example.com", "permissions": {"pub": {"allow": ["dns.>"]}}},
    "by-email": {"identity": "EMAIL=device-1@example.com", "permissions": {"pub": {"allow": ["email.>"]}}},
    "by-uri": {"identity": "URI=spiffe://example.com/device-1", "permissions": {"pub": {"allow": ["uri.>"]}}},
    "responder": {"identity": "CN=responder.csc", "permissions": {"sub": {"allow": ["svc.mtls.>"]}, "resp": {"max": 2, "ttl": "1s"}}},
    "other-account": {"identity": "CN=other-account.csc", "account": "LaunchLayer", "permissions": {"pub": {"allow": ["t.>"]}, "sub": {"allow": ["t.>"]}}},
    "bound": {"identity": "CN=bound.csc", "mqtt_client_id": "bound-device", "permissions": {"pub": {"allow": ["t.>"]}}},
    "src-outside": {"identity": "CN=src-outside.csc", "src": ["10.0.0.0/8"], "permissions": {"pub": {"allow": ["t.>"]}}},
    "removable": {"identity": "CN=removable.csc", "permissions": {"pub": {"allow": ["t.>"]}}},
}
# Keys of these names are made by the site; `observer` sees everything in the data account.
NKEY = {
    "observer": {"internal": True, "permissions": {"pub": {"allow": [">"]}, "sub": {"allow": [">"]}}},
    "plain": {"permissions": {"pub": {"allow": ["nk.>"]}, "sub": {"allow": ["nk.>"]}}},
    "deny-wins": {"permissions": {"pub": {"allow": ["t.>"], "deny": ["t.secret.>"]}, "sub": {"allow": ["t.>"], "deny": ["t.secret.>"]}}},
    "responder": {"permissions": {"sub": {"allow": ["svc.nkey.>"]}, "resp": {"max": 2, "ttl": "1s"}}},
    "other-account": {"account": "LaunchLayer", "permissions": {"pub": {"allow": ["nk.>"]}, "sub": {"allow": ["nk.>"]}}},
    "leaf": {"connections": ["leaf"], "permissions": {"pub": {"allow": ["leaf.>"]}, "sub": {"allow": ["leaf.>"]}}},
    "src-outside": {"src": ["10.0.0.0/8"], "permissions": {"pub": {"allow": ["nk.>"]}}},
    "removable": {"permissions": {"pub": {"allow": ["nk.>"]}}},
}
# What anonymous clients get where a test wants them narrow instead of the whole account.
NARROW_NOAUTH = {"account": "CSC", "permissions": {
    "pub": {"allow": ["anon.>"], "deny": ["anon.secret.>"]}, "sub": {"allow": ["anon.>", "svc.noauth.>"], "deny": ["anon.secret.>"]},
    "resp": {"max": 2, "ttl": "1s"}}}


def document(demo, account, public_key):
    """The demo document with the entries above; public_key(name) gives the key of an nkey entry."""
    doc = dict(demo)
    for section, entries in (("oauth2", OAUTH2), ("mtls", MTLS), ("nkey", NKEY)):
        doc[section] = dict(doc.get(section) or {})
        for name, entry in entries.items():
            entry = {"account": account, **entry}
            if section == "nkey":
                entry["public_key"] = public_key(name)
            doc[section][name if section == "oauth2" else f"t-{name}"] = entry
    return doc
