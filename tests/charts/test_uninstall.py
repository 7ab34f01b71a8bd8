"""deploy/scripts/uninstall.sh, with a kubectl and a helm that the test plays."""
import pytest
from kubectl import Played
from test_scripts import script


def played(tmp_path, streams, deletes=True):
    """kubectl with these Streams, {name: preventDelete}, and helm; both write into one list."""
    order, there = [], dict(streams)

    def kubectl(arguments, _stdin):
        order.append(" ".join(arguments[2:]))
        if arguments[2:4] == ["get", "streams.jetstream.nats.io"]:
            assert "app.kubernetes.io/instance=event-bus" in arguments
            return "".join(f"{name} {kept}\n" for name, kept in there.items())
        if arguments[2] == "delete":
            return there.pop(arguments[4], "") and "" if deletes else ("", 1)
        return ""
    return Played(tmp_path, "kubectl", kubectl), Played(tmp_path, "helm", lambda arguments, _: order.append("helm " + " ".join(arguments))), order


def test_streams_go_before_their_controller(tmp_path):
    kubectl, helm, order = played(tmp_path, {"event-bus-mqtt-msgs": "true", "event-bus-xl-retained": "true"})
    done = script("uninstall.sh", "-n", "event-bus", "event-bus", KUBECTL=kubectl.path, HELM=helm.path)
    assert done.returncode == 0, done.stderr
    deleted = [i for i, line in enumerate(order) if line.startswith("delete streams.jetstream.nats.io")]
    assert len(deleted) == 2 and max(deleted) < order.index("helm uninstall event-bus -n event-bus --ignore-not-found")
    assert not any(line.startswith(("patch", "delete pvc", "delete secret")) for line in order)


def test_a_stream_that_would_take_its_data_along_stops_it(tmp_path):
    kubectl, helm, order = played(tmp_path, {"event-bus-mqtt-msgs": "true", "event-bus-xl-retained": ""})
    done = script("uninstall.sh", "-n", "event-bus", "event-bus", KUBECTL=kubectl.path, HELM=helm.path)
    assert done.returncode == 1 and "stream/event-bus-xl-retained has no preventDelete" in done.stderr
    assert len(order) == 1, "nothing was done"


@pytest.mark.parametrize("says, status", [("The connection to the server 127.0.0.1:1 was refused", 1), ("error: the server doesn't have a resource type", 0)])
def test_a_cluster_that_does_not_answer_is_not_taken_for_one_without_streams(tmp_path, says, status):
    _, helm, order = played(tmp_path, {})
    kubectl = tmp_path / "failing"
    kubectl.write_text(f'#!/bin/sh\ncase $3 in get) case $4 in pvc) exit 0;; esac; echo "{says}" >&2; exit 1;; esac\n')
    kubectl.chmod(0o755)
    done = script("uninstall.sh", "-n", "event-bus", "event-bus", KUBECTL=kubectl, HELM=helm.path)
    assert (done.returncode, order) == (status, ["helm uninstall event-bus -n event-bus --ignore-not-found"] if status == 0 else []), done.stderr
    assert status == 0 or ("nothing was done" in done.stderr and says in done.stderr)


def test_without_a_controller_it_says_so_and_can_be_told(tmp_path):
    kubectl, helm, order = played(tmp_path, {"event-bus-mqtt-msgs": "true"}, deletes=False)
    done = script("uninstall.sh", "-n", "event-bus", "event-bus", KUBECTL=kubectl.path, HELM=helm.path)
    assert done.returncode == 1 and "does NACK run?" in done.stderr and not any("helm" in line for line in order)
    kubectl, helm, order = played(tmp_path, {"event-bus-mqtt-msgs": "true"})
    done = script("uninstall.sh", "-n", "event-bus", "--abandon", "event-bus", KUBECTL=kubectl.path, HELM=helm.path)
    assert done.returncode == 0 and [line.split()[0] for line in order][:4] == ["get", "patch", "delete", "helm"]
