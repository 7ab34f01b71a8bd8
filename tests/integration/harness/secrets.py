"""Every token, seed and password that a test uses is noted here, so that at the end no log may hold one of them."""
import threading

_lock = threading.Lock()
_seen = {}  # text -> what it is


def note(text, what):
    """Notes a secret and returns it. Of a token the payload and the signature are looked for too."""
    pieces = [text]
    parts = text.split(".")
    if len(parts) == 3 and text.startswith("eyJ"):
        pieces += [parts[1][:64], parts[2][:64]]
    with _lock:
        for piece in pieces:
            if len(piece) >= 6:
                _seen[piece] = what
    return text


def found_in(text):
    """What secrets stand in text: descriptions with the line before them, which tells who wrote it."""
    with _lock:
        known = list(_seen.items())
    found = {}
    for piece, what in known:
        at = text.find(piece)
        if at >= 0:
            found.setdefault(what, text[text.rfind("\n", 0, at) + 1:at])
    return [f"{what}, behind {before[:300]!r}" for what, before in sorted(found.items())]
