"""The API server that the integration tests play, as a cluster of this suite."""
from harness.kubeapi import KubeApi

from processes import HOST


class StandInCluster(KubeApi):
    kind = "standin"

    def __init__(self, folder, name="cluster", key="rsa"):
        super().__init__(folder, name, key, host=HOST)

    def end(self):
        self.stop()

    def jwks(self):
        return {"keys": [key.jwk() for key in self.keys]}

    def take_rights(self):
        self.forbidden |= {"list", "watch", "get"}

    def take_review_rights(self):
        self.forbidden |= {"review"}
