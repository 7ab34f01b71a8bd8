"""The site documents of the tests: the demo ones, with lists and entries of these tests."""
import json
import re

from harness.bus import TOP

from .matrix import CROSS_LAYER, TREES

# Every right below exists for each kind of credential: a token with this azp, a certificate with CN=<name>.<site>, an nkey.
RIGHTS = {
    # all of the account's own subjects
    "fed-wide": None,
    # just the trees of the matrix
    "fed-narrow": {"pub": {"allow": TREES}, "sub": {"allow": TREES}},
    # a part of each tree that crosses
    "fed-limited": {
        "pub": {"allow": ["sensor.open.>", "broadcast.open.>", "cpc.*.command.open.>"]},
        "sub": {"allow": ["broadcast.open.>", "command.open.>", "cpc.*.sensor.open.>"]}},
    # everything but a part of each
    "fed-denied": {
        "pub": {"allow": TREES, "deny": ["sensor.secret.>", "broadcast.secret.>", "cpc.*.command.secret.>"]},
        "sub": {"allow": TREES, "deny": ["broadcast.secret.>", "command.secret.>", "cpc.*.sensor.secret.>"]}},
}
EVERYTHING = {"pub": {"allow": [">"]}, "sub": {"allow": [">"]}}
LAUNCHLAYER = {"pub": {"allow": ["launchlayer.>"]}, "sub": {"allow": ["launchlayer.>"]}}


def entries(site, account, public_key):
    """What is added to the sections of auth.permissions."""
    found = {"oauth2": {}, "mtls": {}, "nkey": {}}
    for name, permissions in RIGHTS.items():
        common = {"account": account} | ({"permissions": permissions} if permissions else {})
        found["oauth2"][name] = {"azp": name, **common}
        found["mtls"][name] = {"identity": f"CN={name}.{site}", **common}
        found["nkey"][name] = {"public_key": public_key(name), **common}
    found["nkey"]["fed-observer"] = {"public_key": public_key("fed-observer"), "account": account, "internal": True, "permissions": EVERYTHING}
    # of the extra account, with no word of how it connects; an entry with a certificate is refused when the document is checked
    found["oauth2"]["launchlayer-device"] = {"azp": "launchlayer-device", "account": "LaunchLayer", "permissions": LAUNCHLAYER}
    return found


def document(site, account, public_key):
    """The text of a site's document."""
    text = (TOP / f"local/sites/{site}.yaml").read_text()
    for name, patterns in CROSS_LAYER.items():
        text, n = re.subn(rf"^( *{name}:).*$", rf"\1 {json.dumps(patterns)}", text, flags=re.M)
        assert n == 1, f"{site}: {name} stands in it {n} times"
    for section, added in entries(site, account, public_key).items():
        lines = "".join(f"\n          {name}: {json.dumps(entry)}" for name, entry in added.items())
        head = f"\n        {section}:"
        n = text.count(head + "\n")
        if n:
            text = text.replace(head, head + lines)
        else:
            n = text.count("\n      permissions:\n")
            text = text.replace("\n      permissions:", "\n      permissions:" + head + lines)
        assert n == 1, f"{site}: no place for {section}"
    return text
