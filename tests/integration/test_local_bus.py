"""What local/bus keeps from one run to the next."""
import re

from harness.bus import Bus


def test_who_was_shut_out_stays_out(run_root):
    """An `up` for another reason does not let anonymous clients in again; it takes somebody who says so."""
    bus = Bus(run_root / "kept", sites=("csc",))

    def anonymous(**settings):
        bus.settings.pop("NOAUTH", None)
        bus.configure(**settings)
        bus("generate")
        site, permissions = ((bus.run_dir / f"csc/conf/{name}.yaml").read_text() for name in ("site", "permissions"))
        found = {bool(re.search(r"^\s*\"?noauth\"?:", text, re.M)) for text in (site, permissions)}
        assert len(found) == 1, (site, permissions)
        return found.pop()

    assert anonymous() and anonymous(noauth="")
    assert not anonymous(noauth="off")
    assert not anonymous() and not anonymous(noauth="") and not anonymous(token_lifetime=60)
    assert anonymous(noauth="on")
    assert anonymous()
