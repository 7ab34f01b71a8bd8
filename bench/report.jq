# The figures out of what the bench programs printed, and the table out of the figures.
def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def mib: . / 1024;
def round1: if . == null then null else (. * 10 | round) / 10 end;
def round2: if . == null then null else (. * 100 | round) / 100 end;
def at_most($name; $value; $unit; $bar): {figure: $name, measured: $value, unit: $unit, bar: "<= \($bar)", met: ($value != null and $value <= $bar)};
def at_least($name; $value; $unit; $bar): {figure: $name, measured: $value, unit: $unit, bar: ">= \($bar)", met: ($value != null and $value >= $bar)};
def told($name; $value; $unit): {figure: $name, measured: $value, unit: $unit, bar: null, met: null};

# Each load stands beside the floor that was measured just before it.
def of_kind($kind): [.load // [] | .[] | select(.kind == $kind)];
def floors($kind): [.floor // [] | .[][$kind] | select(. != null)];
def cpu($kind): of_kind($kind) as $loads | floors($kind) as $floors
    | [range($loads | length) | $loads[.].service_cpu_us / $floors[.]] | median | round2;
def load_figures:
    if of_kind("oauth2") == [] then empty else
    (("oauth2", "mtls", "nkey", "noauth") as $k | at_most("CPU a sealed callout, \($k), 64 in flight"; cpu($k); "x floor"; 2.0)),
    (("oauth2", "mtls", "mtls-again", "nkey", "noauth") as $k | told("  \($k): service"; [of_kind($k)[].service_cpu_us] | median | round1; "us CPU"),
        (if $k == "mtls-again" then empty else told("  \($k): floor"; floors($k) | median | round1; "us CPU") end)),
    at_least("callouts a second, oauth2 RS256, 64 in flight"; [of_kind("oauth2")[].per_second] | median; "/s"; 3500),
    (("mtls", "mtls-again", "nkey", "noauth") as $k | told("  \($k)"; [of_kind($k)[].per_second] | median; "/s")),
    told("  oauth2: p50"; [of_kind("oauth2")[].p50_us / 1000] | median | round1; "ms"),
    told("  oauth2: p99"; [of_kind("oauth2")[].p99_us / 1000] | median | round1; "ms"),
    told("  oauth2: nats-server"; [of_kind("oauth2")[].server_cpu_us] | median | round1; "us CPU"),
    told("  oauth2: generator"; [of_kind("oauth2")[].generator_cpu_us] | median | round1; "us CPU")
    end;
def cluster_figures:
    if .cluster == null then empty else
    (("kubernetes-rs256", "kubernetes-es256") as $k | at_most("CPU a sealed callout, \($k), 64 in flight"; cpu($k); "x floor"; 2.0)),
    (("kubernetes-rs256", "kubernetes-es256") as $k | told("  \($k): service"; [of_kind($k)[].service_cpu_us] | median | round1; "us CPU"),
        told("  \($k): floor"; floors($k) | median | round1; "us CPU"),
        told("  \($k)"; [of_kind($k)[].per_second] | median; "/s")),
    at_most("memory of \(.cluster[1].accounts) ServiceAccounts"; (.cluster[1].rss_kib - .cluster[0].rss_kib) | mib | round1; "MiB"; 25),
    told("  resident memory with them"; .cluster[1].rss_kib | mib | round1; "MiB")
    end;
# Growth counts from the middle on: what is made once (caches, thread stacks, heap) is there by then.
def memory_figures:
    if .growth == null then empty else
    at_most("start to ready"; [.start[].ready_ms] | median | round1; "ms"; 100),
    at_most("resident memory, idle"; .idle[0].idle_kib | mib | round1; "MiB"; 16),
    (.growth[0] as $g | at_most("growth, 2nd half of \($g.callouts) callouts"; $g.samples[-1][1] - $g.samples[(($g.samples | length) / 2 | floor) - 1][1]; "KiB"; 256),
        told("  resident after them"; $g.after.rss_kib | mib | round1; "MiB"),
        told("  threads, files more than before"; ($g.after.threads - $g.before.threads) + ($g.after.files - $g.before.files); ""))
    end;
def large_figures:
    if .large == null then empty else
    at_most("resident memory, 100,000 entries"; .large[0].rss_kib | mib | round1; "MiB"; 48),
    at_most("  peak of a reload"; (.reload[0].reload.peak_kib | if . < 0 then null else mib | round1 end); "MiB"; 110),
    told("  after the reload"; .reload[0].after.rss_kib | mib | round1; "MiB"),
    told("  start to ready"; .large[0].ready_ms; "ms"),
    at_most("reload of 100,000 entries, 64 in flight"; .reload[0].reload.ms; "ms"; 1000),
    told("  without load"; .["reload-quiet"][0].reload.ms; "ms"),
    at_most("  p99.9 of callouts meanwhile"; (.reload[0].reload | if .callouts == 0 then null else .p999_us / 1000 | round1 end); "ms"; 50),
    told("  p99.9 of callouts of the whole run"; .reload[0].p999_us / 1000 | round1; "ms")
    end;
def storm_figures($name; $what):
    (.[$name] // []) as $all
    | if $all == [] then empty else
    ([$all[] | select(.responder == "service")]) as $s | ([$all[] | select(.responder == "yes")]) as $y
    | (if $what == "site" then
          at_least("storm of \($s[0].clients), the site's timeout: let in"; [$s[].in] | min; "clients"; $s[0].clients),
          at_most("  time of all beside always-yes"; ([$s[].last_in_ms] | median) / ([$y[].last_in_ms] | median) | round2; "x"; 1.2)
       else
          at_least("storm, the server's default timeout: let in beside always-yes"; ([$s[].in] | median) / ([$y[].in] | median) | round2; "x"; 1),
          told("  let in"; [$s[].in] | median; "clients"),
          told("  let in by always-yes"; [$y[].in] | median; "clients")
       end),
      told("  the last in"; [$s[].last_in_ms] | median; "ms"),
      told("  the last in by always-yes"; [$y[].last_in_ms] | median; "ms"),
      told("  service"; [$s[] | .service_cpu_ms * 1000 / .clients] | median | round1; "us CPU a client"),
      told("  nats-server"; [$s[] | .server_cpu_ms * 1000 / .clients] | median | round1; "us CPU a client")
    end;
# A run that lost a message or had one twice measured nothing.
def whole: .lost == 0 and .doubled == 0 and .unacknowledged == 0;
def of_whole(f): if length > 0 and all(.[]; whole) then [.[] | f] | median else null end;
def in_order(f): reduce .[] as $x ([]; ($x | f) as $v | if index([$v]) then . else . + [$v] end);
def crossing_figures:
    (.crossing // []) as $all
    | if $all == [] then empty else
    at_most("messages lost or doubled in \($all | length) runs"; [$all[] | .lost + .doubled + .unacknowledged] | add; ""; 0),
    ((0, 1, 2) as $qos | ($all | in_order(.route))[] as $route
        | [$all[] | select(.qos == $qos and .route == $route)] as $runs
        | [$runs[] | select(.rate > 0)] as $paced | [$runs[] | select(.rate == 0)] as $bursts
        | told("QoS \($qos) \($route): p50"; $paced | of_whole(.p50_us / 1000) | round2; "ms"),
          told("  p99"; $paced | of_whole(.p99_us / 1000) | round2; "ms"),
          told("  burst of \($bursts[0].count) x \($bursts[0].bytes) bytes"; $bursts | of_whole(.per_second); "/s"))
    end;
def cost_figures:
    (.cost // []) as $all
    | if $all == [] then empty else
    ([$all[] | select(.when == "idle")]) as $idle | ([$all[] | select(.when == "after" and .name != "demo-idp")]) as $after
    | ($idle | map(select(.name != "demo-idp") | . + {site: (.name | split("/")[0])})) as $ours
    | (($ours | in_order(.site))[] as $site | [$ours[] | select(.site == $site)] as $p
        | told("site \($site): processes"; $p | length; ""),
          told("  resident memory"; [$p[].rss_kib] | add | mib | round1; "MiB"),
          told("  CPU, nobody connected"; [$p[].cpu_percent] | add | round1; "% of a core"),
          ($p[] | told("    \(.name)"; .rss_kib | mib | round1; "MiB"), told("      CPU"; .cpu_percent | round1; "% of a core"))),
      told("three sites: processes"; $ours | length; ""),
      told("  resident memory"; [$ours[].rss_kib] | add | mib | round1; "MiB"),
      told("  of it not from program files"; [$ours[].own_kib] | add | mib | round1; "MiB"),
      told("  resident after all messages"; if $after == [] then null else [$after[].rss_kib] | add | mib | round1 end; "MiB"),
      told("  CPU, nobody connected"; [$ours[].cpu_percent] | add | round1; "% of a core"),
      ($idle[] | select(.name == "demo-idp") | told("  demo-idp besides"; .rss_kib | mib | round1; "MiB"))
    end;
def up_figures:
    (.up // []) as $all
    | if $all == [] then empty else
    ("fresh", "again", "running") as $kind | [$all[] | select(.kind == $kind).seconds] as $s
    | if $kind == "fresh" then at_most("make up of three sites, the first time"; $s | max | round1; "s"; 20)
      elif $kind == "again" then told("  with keys and data from before"; $s | median | round1; "s")
      else told("  when all runs already"; $s | median | round1; "s") end
    end;
def figures: [load_figures, cluster_figures, memory_figures, large_figures, storm_figures("storm-50"; "site"), storm_figures("storm-2"; "default"),
    up_figures, cost_figures, crossing_figures];

def pad($n): . + " " * ([$n - length, 0] | max);
def lpad($n): " " * ([$n - length, 0] | max) + .;
def table:
    ("\("figure" | pad(62)) \("measured" | lpad(10)) \("unit" | pad(16)) \("bar" | pad(9)) met"),
    (.figures[] | "\(.figure | pad(62)) \(.measured // "-" | tostring | lpad(10)) \(.unit | pad(16)) \(.bar // "" | pad(9)) \(if .met == null then "" elif .met then "yes" else "NO" end)");
