"""The command line `eventbus`, run as an operator runs it. Keys are checked by another implementation, the provider is a small one of our own."""
import base64
import json
import os
import ssl
import stat
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import nkeys
import pytest
from nacl.public import PrivateKey

from harness import certificates

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("EB_BUILD", ROOT / "build")).resolve() / "eventbus/eventbus"
SEED = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
PUBLIC = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
OTHER = "UAP7ISKFI6D2MMMSYCG3X5VJP3NWCWV2BOYWDCR65G42KXKGGGQF2GUM"
KINDS = {"user": "U", "account": "A", "operator": "O", "server": "N", "cluster": "C", "curve": "X"}


def run(*args, stdin="", env=None, umask=0o022):
    done = subprocess.run([PROGRAM, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=30,
                          env={**os.environ, **(env or {})}, umask=umask)
    assert SEED not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done


def refused(status, says, *args, **kwargs):
    done = run(*args, **kwargs)
    assert (done.returncode, done.stdout) == (status, ""), done
    assert says in done.stderr and done.stderr.startswith("eventbus"), done.stderr
    return done


# --- keys ------------------------------------------------------------------------------------------------------------------

def decoded(text):
    return base64.b32decode(text + "=" * (-len(text) % 8))


@pytest.mark.parametrize("kind", KINDS)
def test_generated_keys_are_read_by_others(kind):
    seed, public = run("key", "generate", f"--{kind}").stdout.splitlines()
    assert seed.startswith("S" + KINDS[kind]) and public.startswith(KINDS[kind])
    if kind == "curve":
        assert bytes(PrivateKey(decoded(seed)[2:34]).public_key) == decoded(public)[1:33]
    else:
        assert nkeys.from_seed(seed.encode()).public_key.decode() == public
    assert run("key", "public", "-", stdin=seed + "\n").stdout == public + "\n"


def test_a_key_file_is_private_and_never_replaced(tmp_path):
    out = tmp_path / "service.nk"
    done = run("key", "generate", "--user", "--out", out, umask=0)
    seed, public = out.read_text().splitlines()
    assert done.stdout == public + "\n" and seed not in done.stdout + done.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    refused(1, "exists and is left as it is", "key", "generate", "--user", "--out", out)
    assert out.read_text().splitlines() == [seed, public]
    link = tmp_path / "link.nk"
    link.symlink_to(tmp_path / "elsewhere")
    refused(1, "exists", "key", "generate", "--user", "--out", link)
    refused(1, "No such file", "key", "generate", "--user", "--out", tmp_path / "none" / "a.nk")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.nk", "service.nk"]


def test_of_many_at_once_one_writes_the_file(tmp_path):
    out = tmp_path / "one.nk"
    started = [subprocess.Popen([PROGRAM, "key", "generate", "--account", f"--out={out}"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True) for _ in range(12)]
    printed = [p.communicate()[0] for p in started]
    assert sorted(p.returncode for p in started) == [0] + [1] * 11
    assert "".join(printed) == out.read_text().splitlines()[1] + "\n"
    assert os.listdir(tmp_path) == ["one.nk"]


@pytest.mark.parametrize("text, says", [
    (f"{SEED}\n{OTHER}\n", "not that of the seed"),
    (f"{PUBLIC}\n", "only a public key"),
    (SEED[:-1] + "\n", "57 characters"),
    (SEED.lower() + "\n", "58 characters"),
    ("", "empty"),
])
def test_bad_key_files(tmp_path, text, says):
    path = tmp_path / "bad.nk"
    path.write_text(text)
    assert str(path) in refused(1, says, "key", "public", path).stderr


def test_inspect():
    done = run("key", "inspect", PUBLIC)
    assert done.returncode == 0 and "kind      user\n" in done.stdout and "checksum  right\n" in done.stdout
    done = run("key", "inspect", "-", stdin=f"{SEED}\n{PUBLIC}\n")
    assert done.returncode == 0 and "seed (secret, not shown)" in done.stdout and PUBLIC in done.stdout
    assert SEED not in done.stdout
    refused(1, "checksum", "key", "inspect", PUBLIC[:-1] + "L")
    refused(1, "56", "key", "inspect", "hello")


@pytest.mark.parametrize("args", [("key", "inspect", SEED), ("key", "public", SEED), ("key", "generate", f"--out={SEED}"), (SEED,),
                                  ("key", "inspect", "--", SEED)])
def test_a_seed_on_the_command_line_is_refused(args):
    refused(2, "every user of this machine can read it", *args)


@pytest.mark.parametrize("says, args", [
    ("no command", ()),
    ("did you mean", ("tokn",)),
    ("one more word", ("key",)),
    ("is no command", ("key", "frobnicate")),
    ("no kind of key", ("key", "generate")),
    ("more than one kind", ("key", "generate", "--user", "--curve")),
    ("did you mean --out", ("key", "generate", "--user", "--ouf", "x")),
    ("--out needs a value", ("key", "generate", "--user", "--out")),
    ("--out is empty", ("key", "generate", "--user", "--out=")),
    ("--user takes no value", ("key", "generate", "--user=1")),
    ("given twice", ("key", "generate", "--user", "--user")),
    ("takes no operand", ("key", "generate", "--user", "x")),
    ("two dashes", ("key", "generate", "-u")),
    ("FILE is missing", ("key", "public")),
    ("more than one operand", ("key", "public", "a", "b")),
    ("where to ask", ("token", "--client-id", "a")),
    ("alternatives", ("token", "--url", "https://a", "--issuer", "https://b")),
    ("who asks", ("token", "--url", "https://a")),
    ("no client secret", ("token", "--url", "https://a", "--client-id", "x")),
    ("no option", ("token", "--client-secret", "hunter2")),
    ("no option", ("token", "--client-secret=hunter2")),
])
def test_a_wrong_command_line(says, args):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "") and says in done.stderr, done
    assert "hunter2" not in done.stderr


def test_help_and_version():
    assert run("--version").stdout.startswith("eventbus ")
    page = run("--help").stdout
    for words in ("key generate", "key public", "key inspect", "token", "token decode"):
        assert f"    {words} " in page
        one = run(*words.split(), "--help")
        assert one.returncode == 0 and one.stdout == run("help", *words.split()).stdout
        titles = [line for line in one.stdout.splitlines() if line and not line.startswith(" ")]
        assert titles == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS"]
        assert max(map(len, one.stdout.splitlines())) < 80


def test_a_full_disk_is_told():
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([PROGRAM, "key", "generate", "--user"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "No space left" in done.stderr


# --- tokens ----------------------------------------------------------------------------------------------------------------

class Provider:
    """Answers as it is told and keeps what it was asked."""

    def __init__(self, context=None):
        provider = self
        self.answers, self.asked = {}, []

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                provider.asked.append((self.path, parse_qs(body), self.headers))
                status, text, headers = provider.answers.get(self.path, (404, "nothing here", {}))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                # else the end of the connection is the end of the answer, and over TLS that has to be said
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = answer

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.server.server_port}"
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, path, text, status=200, **headers):
        self.answers[path] = (status, text if isinstance(text, str) else json.dumps(text), headers)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def provider():
    made = Provider()
    yield made
    made.close()


SECRET = {"EVENTBUS_CLIENT_SECRET": "s&cr=t ü"}


def test_token_by_form_and_basic(provider, tmp_path):
    provider.says("/token", {"access_token": "a.b.c", "token_type": "bearer"})
    args = ("token", "--url", provider.url + "/token", "--client-id", "me&you")
    assert run(*args, "--scope", "a b", "--audience", "aud", env=SECRET).stdout == "a.b.c\n"
    assert provider.asked[-1][1] == {"grant_type": ["client_credentials"], "client_id": ["me&you"], "client_secret": ["s&cr=t ü"],
                                     "scope": ["a b"], "audience": ["aud"]}
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    assert run(*args, "--basic", "--client-secret-file", secret).stdout == "a.b.c\n"
    _, form, headers = provider.asked[-1]
    assert form == {"grant_type": ["client_credentials"]}
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me%26you:s3cret"
    assert run(*args, "--client-secret-file", "-", stdin="from stdin\n").stdout == "a.b.c\n"
    assert provider.asked[-1][1]["client_secret"] == ["from stdin"]


def test_token_by_discovery(provider):
    provider.says("/.well-known/openid-configuration", {"issuer": provider.url, "token_endpoint": provider.url + "/oauth/token"})
    provider.says("/oauth/token", {"access_token": "a.b.c"})
    args = ("token", "--client-id", "me", "--issuer")
    assert run(*args, provider.url + "/", env=SECRET).stdout == "a.b.c\n"
    refused(1, "no discovery document (HTTP 404)", *args, provider.url + "/other", env=SECRET)
    provider.says("/.well-known/openid-configuration", {"issuer": "https://else", "token_endpoint": provider.url + "/oauth/token"})
    refused(1, "of another issuer: https://else", *args, provider.url, env=SECRET)
    provider.says("/.well-known/openid-configuration", {"issuer": provider.url})
    refused(1, "no token_endpoint", *args, provider.url, env=SECRET)
    provider.says("/.well-known/openid-configuration", {"issuer": provider.url, "token_endpoint": "http://192.0.2.1/token"})
    refused(1, "not encrypted", *args, provider.url, env=SECRET)


@pytest.mark.parametrize("status, body, says", [
    (401, {"error": "invalid_client", "error_description": "who\x1b[31m?"}, "invalid_client: who\\u001b[31m?"),
    (400, {"error": "invalid_scope"}, "refused (HTTP 400): invalid_scope"),
    (500, "<html>\x1b[2Jboom", "HTTP 500 and no OAuth2 error: <html>"),
    (302, "elsewhere", "HTTP 302"),
    (200, "not json", "no well-formed JSON"),
    (200, {"token": "x"}, "no access_token"),
    (200, {"access_token": ""}, "no access_token"),
    (200, {"access_token": "a\nb"}, "no access_token"),
    (200, {"access_token": ["a"]}, "no access_token"),
    (200, "x" * 1100000, "larger than"),
])
def test_what_a_provider_can_do_wrong(provider, status, body, says):
    provider.says("/token", body, status, Location=provider.url + "/caught")
    refused(1, says, "token", "--url", provider.url + "/token", "--client-id", "me", env=SECRET)
    assert [path for path, _, _ in provider.asked] == ["/token"]


def test_token_only_where_it_is_safe(provider, tmp_path):
    refused(1, "not encrypted", "token", "--url", "http://192.0.2.1/token", "--client-id", "me", env=SECRET)
    refused(1, "only https and http", "token", "--url", "file:///etc/passwd", "--client-id", "me", env=SECRET)
    refused(1, "is no URL", "token", "--url", "http://", "--client-id", "me", env=SECRET)
    refused(1, "is the address right", "token", "--url", "http://127.0.0.1:1/", "--client-id", "me", env=SECRET)
    provider.close()
    ca = certificates.new_ca()
    names = [certificates.ip("127.0.0.1")]
    cert, key = ca.issue("idp", usage=(certificates.SERVER,), names=names).write(tmp_path, "idp")
    (tmp_path / "ca.pem").write_text(ca.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    secure = Provider(context)
    try:
        secure.says("/token", {"access_token": "a.b.c"})
        args = ("token", "--url", secure.url + "/token", "--client-id", "me")
        refused(1, "with --ca FILE", *args, env=SECRET)
        assert secure.asked == []
        assert run(*args, "--ca", tmp_path / "ca.pem", env=SECRET).stdout == "a.b.c\n"
    finally:
        secure.close()


def jwt(header, claims, signature="AAAA"):
    chunks = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    return ".".join([*chunks, signature])


@pytest.mark.parametrize("claims, says", [
    (lambda now: {"exp": now + 7230}, "valid for 2 hours"),
    (lambda now: {"exp": now - 100000}, "EXPIRED for 1 day 3 hours"),
    (lambda now: {"exp": now + 9000, "nbf": now + 3700}, "NOT YET VALID, for 1 hour"),
    (lambda now: {}, "no end (no exp)"),
    (lambda now: {"iat": 1700000000}, "1700000000  2023-11-14 22:13:20 UTC, "),
    (lambda now: {"iat": 1e300, "exp": "soon"}, "no end"),
])
def test_decode_times(claims, says):
    done = run("token", "decode", stdin=jwt({"alg": "RS256", "kid": "k1"}, claims(int(time.time()))))
    assert done.returncode == 0 and says in done.stdout and "NOT checked" in done.stdout
    assert "  alg         RS256\n  kid         k1\n" in done.stdout


def test_decode_any_token(tmp_path):
    nats = {"pub": {"allow": ["a.>", "b"], "deny": []}, "subs": -1, "type": "user"}
    path = tmp_path / "token"
    path.write_text("Bearer " + jwt({"alg": "ed25519-nkey"}, {"name": "a\x1b[31m\u202eb", "nats": nats}) + "\n")
    done = run("token", "decode", path)
    assert "a\\u001b[31m\\u202eb" in done.stdout and "      allow  a.>, b\n" in done.stdout and "    subs  -1\n" in done.stdout
    refused(2, "on the command line", "token", "decode", jwt({"alg": "RS256"}, {}))
    for text, says in [("opaque", "opaque token"), ("a.b", "three chunks"), ("a.b.c.d", "three chunks"), ("%.e30.", "header is no base64url"),
                       ("e30.W10.", "payload: JSON, but no object"), ("", "empty")]:
        refused(1, says, "token", "decode", "-", stdin=text)
