//! CloudFront distributions, CloudWatch figures and buckets in an emulator of AWS, with every trouble the checks know and as many things
//! that only look like trouble: `planted/aws-faults.csv` and `planted/aws-traps.csv` list them. The program is run as a user runs it; all
//! faults are named, nothing else is, and the printed remedies, run verbatim by a shell with the AWS CLI and jq, mend them.
//!
//! `ADVISOR_PYTHON_CACHE` (/var/tmp/advisor-python) keeps the emulator and the AWS CLI between runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use medusa_advisor::charts::{self, ChartSpec};
use medusa_advisor::evidence::storefront::{Answer, PathClass, Probe, Storefront, Target, Variant};
use medusa_advisor::evidence::{Snapshot, file};
use medusa_advisor::finding::RemedyKind;
use medusa_advisor::plan::{self, Plan, Ranked};
use time::Time;

const FAULTS: &str = include_str!("../planted/aws-faults.csv");
const TRAPS: &str = include_str!("../planted/aws-traps.csv");
/// What the test installs, by pip: the emulator, what its CloudWatch needs for the SDK's protocol, and the AWS CLI.
const PACKAGES: [&str; 3] = ["ministack==1.5.33", "cbor2", "awscli"];
/// A secret that must reach no output.
const SECRET: &str = "sentinel-secret-key";
/// How long the emulator may take to answer.
const START_MAX: Duration = Duration::from_secs(60);

struct Emulator {
    child: Child,
    endpoint: String,
    bin: PathBuf,
    home: tempfile::TempDir,
    /// Names of the planted distributions and their ids.
    ids: BTreeMap<String, String>,
}

impl Emulator {
    fn start() -> Option<Self> {
        let bin = tools()?;
        if !Command::new("jq").arg("--version").output().is_ok_and(|o| o.status.success()) {
            println!("skipped: jq is not installed");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(bin.join("ministack"))
            .env_clear()
            .envs([("BIND_HOST", "127.0.0.1"), ("DOCKER_HOST", "unix:///nonexistent"), ("PATH", "/usr/bin:/bin")])
            .env("GATEWAY_PORT", port.to_string())
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let emulator = Self { child, endpoint: format!("http://127.0.0.1:{port}"), bin, home, ids: BTreeMap::new() };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < START_MAX, "the emulator did not start");
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(emulator.planted())
    }

    fn planted(mut self) -> Self {
        self.plant(&[]);
        self
    }

    /// Runs the script that plants, and keeps the ids it tells.
    fn plant(&mut self, what: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/planted/aws.py");
        let output = self.command(&self.bin.join("python")).args([script, &self.endpoint]).args(what).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        self.ids.extend(text.lines().filter_map(|l| l.split_once('=')).map(|(n, id)| (n.to_owned(), id.to_owned())));
    }

    /// A program in an environment that has nothing but this emulator.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.bin.display()))
            .env("HOME", self.home.path())
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .current_dir(self.home.path());
        command
    }

    fn advisor(&self, arguments: &[&str]) -> Output {
        self.command(Path::new(env!("CARGO_BIN_EXE_medusa-advisor"))).args(arguments).output().unwrap()
    }

    /// Audits as the command line does.
    fn audit(&self, distributions: &[&str]) -> (Snapshot, Plan) {
        let mut arguments = vec!["audit", "--window", "5s", "--only", "cdn", "--quiet", "--out", "audit.snapshot"];
        distributions.iter().for_each(|d| arguments.extend(["--cloudfront", d]));
        let output = self.advisor(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let bytes = std::fs::read(self.home.path().join("audit.snapshot")).unwrap();
        let snapshot = file::read(&bytes).unwrap();
        let plan = plan::build(&snapshot, &[], |c| c.id.starts_with("cdn-"));
        (snapshot, plan)
    }

    /// The last audit as Markdown.
    fn report(&self) -> String {
        let output = self.advisor(&["report", "audit.snapshot", "--out", "report.md"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(self.home.path().join("report.md")).unwrap()
    }

    /// Runs a printed remedy verbatim.
    fn run(&self, script: &str) {
        let output = self.command(Path::new("/bin/bash")).args(["-euo", "pipefail", "-c", script]).output().unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the AWS CLI answers, as JSON.
    fn aws(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command(&self.bin.join("aws")).args(arguments).args(["--output", "json"]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The behaviours of a planted distribution, in order, the default one last.
    fn behaviours(&self, name: &str) -> Vec<serde_json::Value> {
        let config = self.aws(&["cloudfront", "get-distribution-config", "--id", &self.ids[name]])["DistributionConfig"].take();
        let items = config["CacheBehaviors"]["Items"].as_array().cloned().unwrap_or_default();
        assert_eq!(config["CacheBehaviors"]["Quantity"], items.len());
        items.into_iter().chain([config["DefaultCacheBehavior"].clone()]).collect()
    }

    fn named(&self, subject: &str) -> String {
        self.ids.iter().fold(subject.to_owned(), |s, (name, id)| s.replace(&format!("{{{name}}}"), id))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the installed tools; says "skipped" where they cannot be had.
fn tools() -> Option<PathBuf> {
    let cache = std::env::var_os("ADVISOR_PYTHON_CACHE").map_or_else(|| PathBuf::from("/var/tmp/advisor-python"), PathBuf::from);
    let venv = cache.join("aws");
    let bin = venv.join("bin");
    if bin.join("ministack").exists() && bin.join("aws").exists() {
        return Some(bin);
    }
    if std::env::var_os("ADVISOR_NO_INSTALL").is_some() {
        println!("skipped: the emulator of AWS is not installed");
        return None;
    }
    let ran = |command: &mut Command| command.output().is_ok_and(|o| o.status.success());
    if !ran(Command::new("python3").args(["-m", "venv"]).arg(&venv)) {
        println!("skipped: python3 with venv is not installed");
        return None;
    }
    if !ran(Command::new(bin.join("pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES)) {
        println!("skipped: pip could not install the emulator of AWS");
        return None;
    }
    Some(bin)
}

/// `number;check;subject;what was done`. A subject may begin or end with `*`; `{shop}` is that distribution's id.
struct Entry {
    number: &'static str,
    check: &'static str,
    subject: &'static str,
}

fn entries(csv: &'static str) -> Vec<Entry> {
    let rows = csv.lines().skip(1).filter(|l| !l.trim().is_empty());
    rows.map(|l| {
        let mut parts = l.splitn(4, ';');
        let mut next = || parts.next().unwrap_or_else(|| panic!("four parts: {l}")).trim();
        Entry { number: next(), check: next(), subject: next() }
    })
    .collect()
}

impl Entry {
    fn is(&self, emulator: &Emulator, ranked: &Ranked) -> bool {
        let (pattern, subject) = (emulator.named(self.subject), &ranked.finding.subject.name);
        let is_subject = match pattern.strip_suffix('*') {
            Some(start) => subject.starts_with(start),
            None => *subject == pattern,
        };
        (self.check == "*" || ranked.check.id == self.check) && is_subject
    }
}

fn told(plan: &Plan) -> String {
    let found = plan.findings.iter().map(|r| format!("{:8} {} {}", r.finding.severity.id(), r.key, r.finding.observed));
    let unknown = plan.unknown.iter().map(|(c, g)| format!("unknown  {}: {}", c.id, g.detail));
    found.chain(unknown).collect::<Vec<_>>().join("\n")
}

fn judge(emulator: &Emulator, plan: &Plan) {
    let mut problems = Vec::new();
    let faults = entries(FAULTS);
    for fault in &faults {
        if !plan.findings.iter().any(|r| fault.is(emulator, r)) {
            problems.push(format!("fault {} was missed: {} {}", fault.number, fault.check, emulator.named(fault.subject)));
        }
    }
    for ranked in plan.findings.iter().filter(|r| !faults.iter().any(|f| f.is(emulator, r))) {
        problems.push(format!("false alarm: {}: {}", ranked.key, ranked.finding.observed));
    }
    for trap in entries(TRAPS) {
        problems.extend(plan.findings.iter().filter(|r| trap.is(emulator, r)).map(|r| format!("trap {} was walked into: {}", trap.number, r.key)));
    }
    assert!(problems.is_empty(), "{}\n\nAll of it:\n{}", problems.join("\n"), told(plan));
}

#[test]
fn the_lists_are_long_enough() {
    let distinct = |csv| entries(csv).iter().map(|e| e.number).collect::<BTreeSet<_>>().len();
    assert!(distinct(FAULTS) >= 12 && distinct(TRAPS) >= 12, "{} faults, {} traps", distinct(FAULTS), distinct(TRAPS));
}

#[test]
fn every_planted_fault_is_named_no_trap_is_and_the_remedies_mend_them() {
    let Some(emulator) = Emulator::start() else { return };
    let (snapshot, plan) = emulator.audit(&["all"]);
    println!("{}", told(&plan));
    judge(&emulator, &plan);
    let text = serde_json::to_string(&snapshot).unwrap();
    assert!(!text.contains(SECRET) && !text.contains("sentinel-name"), "a secret or an object's name entered the evidence");
    let cost = &snapshot.costs[0];
    assert!(cost.calls < 200, "{} calls", cost.calls);

    // Traffic needs a day to change; everything else is configuration.
    let lasting = ["cdn-low-hit-ratio"];
    for ranked in plan.findings.iter().filter(|r| !lasting.contains(&r.check.id)) {
        let remedy = ranked.finding.remedies.iter().find(|r| r.kind == RemedyKind::Shell).expect("commands");
        emulator.run(&remedy.text);
    }
    let (_, mended) = emulator.audit(&["all"]);
    let left: Vec<&str> = mended.findings.iter().filter(|r| !lasting.contains(&r.check.id)).map(|r| r.key.as_str()).collect();
    assert!(left.is_empty(), "still there after the printed remedies: {left:?}\n{}", told(&mended));
    assert_the_api_is_sent_what_it_was(&emulator);
}

/// Legacy settings sent the API x-publishable-api-key and its like without listing them; so do the policies in their place.
fn assert_the_api_is_sent_what_it_was(emulator: &Emulator) {
    let store = emulator.behaviours("shop").into_iter().find(|b| b["PathPattern"] == "/store/*").unwrap();
    let (key, sent) = (store["CachePolicyId"].as_str().unwrap(), store["OriginRequestPolicyId"].as_str().unwrap());
    let key = &emulator.aws(&["cloudfront", "get-cache-policy-config", "--id", key])["CachePolicyConfig"];
    assert_eq!((&key["DefaultTTL"], &key["MaxTTL"]), (&60.into(), &600.into()));
    let headers = &key["ParametersInCacheKeyAndForwardedToOrigin"]["HeadersConfig"]["Headers"]["Items"];
    assert_eq!(*headers, serde_json::json!(["Host", "Origin", "Authorization"]));
    let sent = &emulator.aws(&["cloudfront", "get-origin-request-policy-config", "--id", sent])["OriginRequestPolicyConfig"];
    assert_eq!(sent["HeadersConfig"]["HeaderBehavior"], "allExcept");
    let dropped = sent["HeadersConfig"]["Headers"]["Items"].as_array().unwrap();
    assert!(dropped.iter().all(|h| !["Host", "Origin", "Authorization", "x-publishable-api-key"].contains(&h.as_str().unwrap())), "{sent}");
    assert_eq!(sent["CookiesConfig"]["CookieBehavior"], "none");
}

/// The answers that a storefront behind the distribution "pages" would give.
fn with_storefront(mut snapshot: Snapshot) -> Snapshot {
    let answer = Answer {
        status: 200,
        redirects: Vec::new(),
        protocol: "HTTP/2".into(),
        first_byte_ms: 20.0,
        total_ms: 25.0,
        headers: vec![("cache-control".into(), "s-maxage=300, stale-while-revalidate=600".into())],
        body_bytes: 5_000,
        body_cut: false,
    };
    let asked = |class, path: &str| {
        let probes = vec![Probe { variant: Variant::First, sent: Vec::new(), answer: Ok(answer.clone()) }];
        Target { class, url: format!("https://pages.example.com{path}"), probes, timings_ms: Vec::new() }
    };
    let files = ["/shop/_next/static/a.js", "/shop/_next/image", "/shop/logo.svg", "/_next/static/b.js", "/_next/image"];
    snapshot.storefront = Ok(Storefront {
        storefront_url: Some("https://pages.example.com".into()),
        backend_url: None,
        pages: Ok(["/us/products/x", "/eu/products/x"].map(|p| asked(PathClass::Product, p)).to_vec()),
        assets: Ok(files.map(|p| asked(PathClass::Asset, p)).to_vec()),
        media: Ok(Vec::new()),
        api: Ok(Vec::new()),
        tls: Ok(Vec::new()),
        limits_met: Vec::new(),
        resolved: Vec::new(),
    });
    snapshot
}

#[test]
fn behaviours_of_pages_keep_their_pages_and_get_what_the_storefront_needs() {
    let Some(mut emulator) = Emulator::start() else { return };
    emulator.plant(&["--pages"]);
    let ids = ["cdn-caching-disabled-behavior", "cdn-forwards-everything"];
    let judged = || plan::build(&with_storefront(emulator.audit(&["pages.example.com"]).0), &[], |c| ids.contains(&c.id));
    let plan = judged();
    let mut found: Vec<(&str, String)> = plan.findings.iter().map(|r| (r.check.id, r.finding.subject.name.clone())).collect();
    found.sort();
    let expected = [(ids[0], "{pages} /shop/*"), (ids[1], "{pages} /_next/*"), (ids[1], "{pages} /eu/*"), (ids[1], "{pages} /us/*")];
    assert_eq!(found, expected.map(|(id, subject)| (id, emulator.named(subject))), "{}", told(&plan));
    let before = emulator.behaviours("pages");
    for ranked in &plan.findings {
        let remedy = ranked.finding.remedies.iter().find(|r| r.kind == RemedyKind::Shell).expect("commands");
        emulator.run(&remedy.text);
    }
    assert!(judged().findings.is_empty(), "{}", told(&judged()));

    let after = emulator.behaviours("pages");
    let patterns: Vec<&str> = after.iter().map(|b| b["PathPattern"].as_str().unwrap_or("*")).collect();
    let narrow = ["/shop/_next/image*", "/shop/_next/static/*", "/shop/*", "/_next/image*", "/_next/static/*", "/_next/*", "/us/*", "/eu/*", "*"];
    assert_eq!(patterns, narrow);
    let of = |all: &[serde_json::Value], pattern: &str| all.iter().find(|b| b["PathPattern"] == pattern).unwrap().clone();
    for untouched in ["/shop/*", "/_next/*"] {
        assert_eq!(of(&after, untouched), of(&before, untouched), "it holds pages too");
    }
    assert_eq!(of(&after, "/shop/_next/image*")["CachePolicyId"], of(&after, "/_next/image*")["CachePolicyId"], "one policy, made once");
    // UseOriginCacheControlHeaders has Host in its key; the legacy settings do not send it.
    for (pattern, sent) in [("/us/*", "216adef6-5c7f-47e4-b989-5492eafa07d3"), ("/eu/*", "b689b0a8-53d0-40ab-baf2-68738e2966ac")] {
        let pages = of(&after, pattern);
        assert_eq!(pages["OriginRequestPolicyId"], sent, "{pattern}");
        let key = &emulator.aws(&["cloudfront", "get-cache-policy-config", "--id", pages["CachePolicyId"].as_str().unwrap()]);
        let key = &key["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"];
        let has = |config: &str, list: &str, name: &str| key[config][list]["Items"].as_array().unwrap().iter().any(|n| n == name);
        assert!(has("HeadersConfig", "Headers", "RSC") && has("CookiesConfig", "Cookies", "_medusa_cart_id"), "{key}");
        assert_eq!(has("HeadersConfig", "Headers", "Host"), pattern == "/us/*", "{key}");
        assert!(!has("CookiesConfig", "Cookies", "_medusa_cache_id"), "{key}");
    }
}

#[test]
fn one_distribution_is_read_by_alias_and_what_is_not_there_is_told() {
    let Some(emulator) = Emulator::start() else { return };
    let (snapshot, plan) = emulator.audit(&["healthy.example.com"]);
    let read = snapshot.cloudfront().unwrap();
    assert_eq!(read.distributions().unwrap().rows.len(), 1);
    assert!(plan.findings.is_empty(), "{}", told(&plan));
    assert!(plan.passed.len() >= 6, "{}", told(&plan));
    let metrics = &read.metrics().unwrap()[0];
    assert!(metrics.hours.iter().any(|h| h.requests.is_some() && h.hit_rate_percent.is_none()), "a missing figure became one");

    let (snapshot, plan) = emulator.audit(&["no-such.example.com"]);
    assert!(snapshot.cloudfront().unwrap().distributions().is_err());
    assert!(plan.findings.is_empty() && plan.passed.is_empty(), "{}", told(&plan));

    // Wrong keys are refused nowhere by an emulator; nobody at the endpoint is.
    let nobody = emulator
        .command(Path::new(env!("CARGO_BIN_EXE_medusa-advisor")))
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .args(["audit", "--cloudfront", "all", "--only", "cdn", "--window", "5s"])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(3));
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(said.contains("AWS could not be reached") && !said.contains(SECRET), "{said}");
}

#[test]
fn a_day_of_metrics_is_read_back_and_drawn() {
    let Some(emulator) = Emulator::start() else { return };
    let (snapshot, _) = emulator.audit(&["healthy.example.com"]);
    let metrics = &snapshot.cloudfront().unwrap().metrics().unwrap()[0];
    assert_eq!((metrics.has_additional.clone(), metrics.hours.len()), (Ok(true), 23));
    // The script's own figures: each hour back has ten requests more, and every third has no hit rate.
    let now = metrics.to.replace_time(Time::from_hms(metrics.to.hour(), 0, 0).unwrap());
    for hour in &metrics.hours {
        let back = (now - hour.hour).whole_hours();
        let requests = 1_000.0 + 10.0 * back as f64;
        assert_eq!((hour.requests, hour.bytes_downloaded), (Some(requests), Some(requests * 20_000.0)), "{back} hours back");
        assert_eq!((hour.percent_4xx, hour.percent_5xx), (Some(0.4), Some(0.1)));
        let has_rate = back % 3 != 0;
        assert_eq!((hour.hit_rate_percent, hour.origin_latency_ms), (has_rate.then_some(93.0), has_rate.then_some(120.0)), "{back} hours back");
    }
    let drawn = |id: &str| charts::drawn(&snapshot).into_iter().find(|(i, _)| *i == id).unwrap().1.unwrap();
    let (ratio, requests) = (drawn("cdn.hit_ratio"), drawn("cdn.requests"));
    let known = |chart: &ChartSpec| chart.series[0].points.iter().filter(|p| p.1.is_some()).count();
    // The oldest of the 24 hours was not planted: a gap in both. Of the others 1, 2, 4, 5 … 22, 23 hours back have a hit rate.
    assert_eq!((requests.series[0].points.len(), known(&requests), known(&ratio)), (24, 23, 16));
    assert_eq!((requests.series[0].points[0].1, requests.series[0].points[1].1), (None, Some(1_230.0)));
    assert_eq!(ratio.conclusion, "Hit ratio by hour: 93\u{a0}%, at or above the target all the time.");

    // Without the subscription there is no hit rate, and the report says why there is no chart.
    let (snapshot, _) = emulator.audit(&["shop.example.com"]);
    let off = charts::drawn(&snapshot).into_iter().find(|(id, _)| *id == "cdn.hit_ratio").unwrap().1;
    assert!(off.unwrap_err().contains("additional metrics are off"));
    let report = emulator.report();
    assert!(report.contains("Requests by hour: ") && report.contains("cdn.hit_ratio"), "{report}");
}

#[test]
fn more_buckets_than_are_read_are_told() {
    let Some(mut emulator) = Emulator::start() else { return };
    emulator.plant(&["--many"]);
    let (snapshot, plan) = emulator.audit(&["many.example.com"]);
    let buckets = snapshot.cloudfront().unwrap().buckets().unwrap();
    assert_eq!((buckets.rows.len(), buckets.cut), (20, Some(3)));
    assert!(buckets.rows.iter().all(|b| b.objects.is_err()), "nothing was there to read");
    assert!(plan.unknown.iter().any(|(check, _)| check.id == "cdn-bucket-headers"), "{}", told(&plan));
    let report = emulator.report();
    assert!(report.contains("media buckets: 20 read, 3 left out"), "{report}");
}

#[test]
fn the_printed_policy_is_json_and_reads_only() {
    let output = Command::new(env!("CARGO_BIN_EXE_medusa-advisor")).args(["grants", "aws"]).output().unwrap();
    let policy: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|s| s["Action"].as_array().unwrap()).map(|a| a.as_str().unwrap());
    for action in actions {
        let verb = action.split_once(':').unwrap().1;
        assert!(verb.starts_with("Get") || verb.starts_with("List"), "{action} changes something");
    }
}
