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

use medusa_advisor::evidence::{Snapshot, file};
use medusa_advisor::finding::RemedyKind;
use medusa_advisor::plan::{self, Plan, Ranked};

const FAULTS: &str = include_str!("planted/aws-faults.csv");
const TRAPS: &str = include_str!("planted/aws-traps.csv");
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
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/planted/aws.py");
        let output = self.command(&self.bin.join("python")).args([script, &self.endpoint]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        self.ids = text.lines().filter_map(|l| l.split_once('=')).map(|(n, id)| (n.to_owned(), id.to_owned())).collect();
        self
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

    /// Runs a printed remedy verbatim.
    fn run(&self, script: &str) {
        let output = self.command(Path::new("/bin/bash")).args(["-euo", "pipefail", "-c", script]).output().unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
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
