"""
Several sites at once: the CSC, CPCs, their links.

  fed = Federation(run_dir, sites=("csc", "cpc-1", "cpc-2"), replicas=1, proxied=("cpc-1",), docs=None, document=None, **settings).up()
  fed.csc, fed.cpc(1), fed["cpc-2"]      each a harness.site.Site: .mqtt() .mqtts() .nats() .key() .monitor() .log .metrics() …
  fed.proxy["cpc-1"].cut() / .heal()     the CPC's leaf links to the CSC go through a proxy where it is listed in `proxied`
  fed.stop("csc/nats-main"), fed.kill("csc/nats-main-2"), fed.start(…), fed.restart(…), fed.signal("STOP", …)
                                         any process: demo-idp, SITE/nats-main (a cluster: SITE/nats-main-1…3), SITE/nats-mtls,
                                         SITE/auth-callout, SITE/streams-watch; several names at once are stopped and started together
  fed.stop_site("csc"), fed.start_site("csc")   all processes of a site; start_site waits as `up` does
  fed.links("cpc-1")                     accounts of the leaf links of a CPC to the CSC that are up: {"CSC", "LaunchLayer"}
  fed.sources("csc")                     STREAM.INFO of the sources: [{"stream": …, "source": …, "active": seconds or None, "lag": n}, …]
  fed.healthy(timeout=…)                 waits until every link is up and every source has been heard of within the last 2 s
  fed.stream_info("cpc-1", "$MQTT_msgs"), fed.js("csc")   JetStream of the data account, asked as the site's nats-streams user
  fed.end()                              ends everything and checks the logs for secrets, as a Site does

docs: a folder with site documents other than local/sites (SITE.yaml each). document: as for Site, the tests' permissions document
(harness.permissions.document) instead of the rendered one. settings: of local/settings.sh without EB_; noauth is on by default.
A folder made by an earlier Federation of the same test may be used again: what is on disk stays (`fed.end(); fed.up()`).
"""
import json
import shutil

from .bus import Bus
from .proxy import Proxy
from .site import Site, stop_all
from .wait import PATIENCE, until


class Federation:
    def __init__(self, run_dir, sites=("csc", "cpc-1", "cpc-2"), replicas=1, proxied=(), docs=None, document=None, **settings):
        if docs:
            settings["site_docs"] = docs
        self.bus = Bus(run_dir, sites=sites, replicas=replicas, **settings)
        self.run_dir = self.bus.run_dir
        self.sites = {name: Site(run_dir, document, name=name, bus=self.bus) for name in sites}
        self.document = document
        self.idp = next(iter(self.sites.values())).idp
        self.proxy = {}
        hub = self.bus.nodes["csc"][0], self.bus.ports["LEAF"]
        for name in proxied:
            self.proxy[name] = Proxy((self.bus.nodes[name][0], self.bus.ports["SPARE_4"]), hub)
        if self.proxy:
            self.bus.configure(csc_endpoint=" ".join(f"{name}={proxy.url}" for name, proxy in self.proxy.items()))

    def __getitem__(self, name):
        return self.sites[name]

    def __iter__(self):
        return iter(self.sites.values())

    @property
    def csc(self):
        return self.sites["csc"]

    def cpc(self, n):
        return self.sites[f"cpc-{n}"]

    # --- running -------------------------------------------------------------------------------------------------
    def generate(self):
        self.bus("generate")
        if self.document:
            mine = self.run_dir / "permissions"
            for site in self:
                site.write_document(mine)
            self.bus.configure(permissions=mine)
            self.bus("generate")
        for site in self:
            site.note_seeds()
        return self

    def up(self):
        for proxy in self.proxy.values():
            proxy.start()
        self.generate()
        try:
            self.bus("up", timeout=180)
        except AssertionError as error:
            tails = "\n".join(f"--- {path.name}\n" + "".join(path.read_text(errors="replace").splitlines(True)[-15:])
                              for path in sorted(self.run_dir.glob("*/log/*.log")))
            self.end(check=False)
            raise AssertionError(f"{error}\n{tails[-12000:]}") from None
        for site in self:
            site.series = set(site.metrics())
        return self

    def end(self, check=True):
        try:
            stop_all(self.bus, list(self), check)
        finally:
            for proxy in self.proxy.values():
                proxy.close()

    def stop(self, *names):
        self.bus("stop", *names)

    def start(self, *names):
        self.bus("start", *names)

    def restart(self, *names):
        self.bus("restart", *names)

    def signal(self, how, *names):
        self.bus("signal", how, *names)

    def kill(self, *names):
        """SIGKILL; returns when they are gone."""
        pids = {name: self.bus.pid(name) for name in names}
        self.signal("KILL", *names)
        until(lambda: all(self.bus.run("pid", name).stdout.strip() != str(pid) for name, pid in pids.items()), "the processes to be gone")

    def processes(self, site=None):
        """The names of all processes, or of a site's."""
        return [name for name in self.bus("names").split() if site is None or name.startswith(site + "/")]

    def stop_site(self, site):
        self.stop(*self.processes(site))

    def start_site(self, site):
        self.start(*self.processes(site))

    # --- what can be seen ----------------------------------------------------------------------------------------
    def links(self, cpc):
        leafs = self[cpc].monitor("/leafz").get("leafs") or ()
        return {leaf["account"] for leaf in leafs if leaf.get("account") and leaf.get("name", "").startswith("csc-main")}

    def js(self, site, node=0):
        """A NATS client with the rights of `eventbus streams`, not yet connected."""
        return self[site].nats(seed=self[site].key("streams").seed, node=node)

    def stream_info(self, site, stream, node=0):
        with self.js(site, node) as client:
            info = json.loads(client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=PATIENCE).data)
        assert "error" not in info, info
        return info

    def sources(self, site, node=0):
        found = []
        for stream in ("$MQTT_msgs", "$MQTT_rmsgs"):
            for source in self.stream_info(site, stream, node).get("sources") or ():
                active = source.get("active", -1)
                found.append({"stream": stream, "source": source["name"], "active": None if active < 0 else active / 1e9, "lag": source.get("lag", 0),
                              "external": source.get("external"), "filter": [t["src"] for t in source.get("subject_transforms") or ()]})
        return found

    def healthy(self, timeout=60):
        cpcs = [name for name in self.sites if name != "csc"]

        def sick():
            links = {name: self.links(name) for name in cpcs}
            if found := {name: up for name, up in links.items() if "CSC" not in up}:
                return f"links up: {found}"
            for name in self.sites:
                for source in self.sources(name):
                    missing = name == "csc" and not any(f"$XL.{cpc[4:]}.api" == (source["external"] or {}).get("api") for cpc in cpcs)
                    if not missing and (source["active"] is None or source["active"] > 2):
                        return f"source of {name}: {source}"
            return None
        until(lambda: sick() is None, lambda: sick() or "healthy by now", timeout=timeout, every=0.2)

    def erase(self, site):
        """Removes the JetStream data of a stopped site."""
        for folder in self[site].dir.glob("jetstream*"):
            shutil.rmtree(folder)
