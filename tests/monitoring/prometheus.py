"""A real Prometheus that scrapes given targets every second, nats-surveyor every four, and evaluates the rules under test."""
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from monitoring import PROMETHEUS, RULE_FILES


# While a server does not answer, nats-surveyor waits its --timeout for each of its three questions before it answers the scrape.
INTERVAL = {"nats-surveyor": {"scrape_interval": "4s", "scrape_timeout": "4s"}}


class Prometheus:
    def __init__(self, folder, address, targets):
        """targets: job -> site -> address of /metrics."""
        self.folder, self.address, self.process = folder, address, None
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in RULE_FILES],
            "scrape_configs": [{"job_name": job, **INTERVAL.get(job, {}), "static_configs": [{"targets": [target], "labels": {"site": site}}
                                                                    for site, target in sites.items()]} for job, sites in targets.items()]}))

    def start(self):
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [PROMETHEUS, f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address={self.address}", "--log.level=warn"], stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
        raise AssertionError("Prometheus does not answer: " + (self.folder / "log").read_text())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=20)

    def get(self, what, **parameters):
        url = f"http://{self.address}/api/v1/{what}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression):
        """[(labels, value)] now; AssertionError with Prometheus's words where it is wrong."""
        found = self.get("query", query=expression)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in found["result"]]

    def value(self, expression, otherwise=None):
        found = self.query(expression)
        return found[0][1] if found else otherwise

    def series(self, metric):
        """Labels of each series of a metric that is there now."""
        return [labels for labels, _ in self.query(metric)]

    def alerts(self):
        """(name, site, state) of each that is pending or firing."""
        return {(a["labels"]["alertname"], a["labels"].get("site"), a["state"]) for a in self.get("alerts")["alerts"]}

    def rules(self):
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def trouble(self):
        return json.dumps([(t["scrapeUrl"], t["lastError"]) for t in self.get("targets")["activeTargets"]]) + str(self.query("auth_ready"))
