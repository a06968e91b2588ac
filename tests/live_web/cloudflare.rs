//! The Cloudflare client against mocks made from Cloudflare's own descriptions: Prism with the OpenAPI subset and recorded bodies, and a
//! GraphQL server built from the analytics schema.
//!
//! Both are installed from npm once, into a cache folder (`ADVISOR_NODE_CACHE`, else `/var/tmp/advisor-node`); without node, npm, a network
//! or the descriptions beside the project the tests print "skipped".

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use medusa_advisor::checks;
use medusa_advisor::collect::cloudflare;
use medusa_advisor::collect::run::Run;
use medusa_advisor::connect::cloudflare as connect;
use medusa_advisor::connect::profile::{CloudflareProfile, Limits};
use medusa_advisor::evidence::cdn::Cloudflare;
use medusa_advisor::evidence::{Layer, Meta, Seen, Snapshot, Targets};
use medusa_advisor::finding::Outcome;
use medusa_advisor::secret::Secret;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloudflare_live");
const QUERIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/collect/cloudflare/graphql");
const DESCRIPTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/cdn");
const SCHEMA: &str = "cloudflare-graphql-analytics.subset.graphql";
/// Prism starts in three to eight seconds, more on a busy machine.
const STARTS_IN: Duration = Duration::from_secs(90);

/// Ended with the test, by its own handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder with the mocks installed; says "skipped" where it cannot be.
fn mocks() -> Option<PathBuf> {
    if !Path::new(DESCRIPTIONS).join(SCHEMA).exists() {
        println!("skipped: Cloudflare's descriptions are not beside the project");
        return None;
    }
    let cache = std::env::var("ADVISOR_NODE_CACHE").unwrap_or_else(|_| "/var/tmp/advisor-node".into());
    let folder = Path::new(&cache).join("cloudflare-1");
    let install = || {
        std::fs::create_dir_all(&folder).ok()?;
        for file in ["package.json", "validate.mjs", "front.mjs", "graphql.mjs"] {
            std::fs::copy(Path::new(SOURCES).join(file), folder.join(file)).ok()?;
        }
        if ["@stoplight/prism-cli", "graphql", "@graphql-tools/mock"]
            .iter()
            .all(|p| folder.join("node_modules").join(p).join("package.json").exists())
        {
            return Some(());
        }
        let arguments = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=20000"];
        let ran = Command::new("npm").args(arguments).current_dir(&folder).output().ok()?;
        ran.status.success().then_some(())
    };
    if install().is_none() {
        println!("skipped: the mocks are not installed in {} and cannot be: node, npm or a network is missing", folder.display());
        return None;
    }
    Some(folder)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    let deadline = Instant::now() + STARTS_IN;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn node(folder: &Path) -> Command {
    let mut command = Command::new("node");
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Prism, the GraphQL server and one address before both.
struct Mock {
    _running: [Running; 3],
    base: String,
    log: PathBuf,
}

/// Fields of one query that the plan allows, as seen on real zones.
const FIELDS_MAX: u64 = 70;

/// A query that the GraphQL server was asked.
#[derive(Debug, serde::Deserialize)]
struct Asked {
    name: String,
    fields: u64,
    /// What the schema says against it; empty for nothing.
    wrong: String,
}

impl Mock {
    fn start(folder: &Path) -> Self {
        Self::with_fields(folder, FIELDS_MAX)
    }

    fn with_fields(folder: &Path, fields_max: u64) -> Self {
        let (rest, graphql) = (free_port(), free_port());
        let description = Path::new(DESCRIPTIONS).join("cloudflare-subset.prism.openapi.json");
        let prism = folder.join("node_modules/@stoplight/prism-cli/dist/index.js");
        let prism = node(folder).arg(prism).args(["mock", "-h", "127.0.0.1", "-p", &rest.to_string()]).arg(description).spawn().unwrap();
        let prism = Running(prism);
        let log = folder.join(format!("asked-{graphql}.log"));
        let _ = std::fs::remove_file(&log);
        let schema = Path::new(DESCRIPTIONS).join(SCHEMA);
        let mut graphql_server = node(folder);
        let graphql_server = graphql_server.arg("graphql.mjs").arg(graphql.to_string()).arg(schema).arg(fields_max.to_string()).arg(&log);
        let graphql_server = Running(graphql_server.spawn().unwrap());
        let mut front = node(folder);
        let mut front = front.arg("front.mjs").args([rest.to_string(), graphql.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(front.stdout.take().unwrap()).read_line(&mut port).unwrap();
        wait_for(rest);
        wait_for(graphql);
        Self { _running: [prism, graphql_server, Running(front)], base: format!("http://127.0.0.1:{}", port.trim()), log }
    }

    /// What it was asked so far.
    fn asked(&self) -> Vec<Asked> {
        std::fs::read_to_string(&self.log).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    fn profile(&self, zone: &str) -> CloudflareProfile {
        CloudflareProfile { zone: zone.into(), base_url: Some(self.base.clone()) }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.log);
    }
}

fn limits() -> Limits {
    Limits { probe_timeout_s: 20, ..Limits::default() }
}

async fn collect(mock: &Mock, zone: &str) -> Seen<Cloudflare> {
    let run = Run::new(Duration::from_secs(1), |_| {});
    for layer in [Layer::Postgres, Layer::Redis, Layer::App] {
        drop(run.lane(layer));
    }
    let token = Secret::new("a-token".to_owned());
    cloudflare::collect(&mock.profile(zone), Some(&token), &limits(), &run.lane(Layer::Cdn)).await.seen
}

#[test]
fn our_queries_are_valid_in_cloudflares_schema() {
    let Some(folder) = mocks() else { return };
    let mut queries: Vec<PathBuf> = std::fs::read_dir(QUERIES).unwrap().map(|e| e.unwrap().path()).collect();
    queries.sort();
    assert!(queries.len() >= 6, "{queries:?}");
    let validate = |files: &[PathBuf]| {
        let schema = Path::new(DESCRIPTIONS).join(SCHEMA);
        Command::new("node").current_dir(&folder).arg("validate.mjs").arg(schema).args(files).output().unwrap()
    };
    let output = validate(&queries);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // What is wrong is found.
    let bad = validate(&[Path::new(DESCRIPTIONS).join("graphql/bad_field.graphql")]);
    assert_eq!(bad.status.code(), Some(1), "{}", String::from_utf8_lossy(&bad.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_is_read_whole_from_cloudflares_own_descriptions() {
    let Some(folder) = mocks() else { return };
    let mock = Mock::start(&folder);
    let cloudflare = collect(&mock, "example.com").await.unwrap();
    assert_eq!(cloudflare.gaps(), vec![], "everything is described, so everything is read");
    let zone = cloudflare.zone().unwrap();
    assert_eq!((zone.name.as_str(), zone.id.as_str()), ("example.com", "0da42c8d2132a9ddaf714f9e7c920711"));
    assert!(cloudflare.settings().unwrap().len() >= 40, "{}", cloudflare.settings().unwrap().len());
    assert!(!cloudflare.page_rules().unwrap().is_empty());
    let add_ons = cloudflare.add_ons().unwrap();
    assert!(add_ons.cache_reserve.is_ok() && add_ons.argo_smart_routing.is_ok() && add_ons.certificates.is_ok(), "{add_ons:?}");
    let analytics = cloudflare.analytics().unwrap();
    assert!(analytics.from < analytics.to && !analytics.by_status.is_empty() && !analytics.by_hour.is_empty());
    assert_eq!(analytics.by_class.len(), 7, "{}", analytics.source);
    assert!(analytics.by_class.iter().all(|c| c.origin_p50_ms.is_some() && c.share_5xx.is_some()), "{:?}", analytics.by_class);
    assert!(analytics.origin_p95_ms.is_some() && analytics.share_5xx.is_some() && !analytics.by_content_type.is_empty());
    assert_eq!((analytics.source.as_str(), analytics.tracked.as_ref().map(|t| t.by_tracker.len())), ("httpRequestsAdaptiveGroups", Some(6)));
    // Those that are put together as they are asked are valid too, and none asks more than is allowed.
    let asked = mock.asked();
    let names: Vec<&str> = asked.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["Limits", "Status", "Hours", "Paths", "Origin", "Classes", "ClassOrigins", "Tracked", "Types"]);
    assert!(asked.iter().all(|a| a.wrong.is_empty() && a.fields <= FIELDS_MAX), "{asked:#?}");
    // No check stumbles over it.
    let meta = Meta {
        tool_version: "0".into(),
        store: "t".into(),
        environment: "production".into(),
        taken_at: time::OffsetDateTime::UNIX_EPOCH,
        window_s: 0.0,
        window_asked_s: 0.0,
        cancelled: false,
        targets: Targets::default(),
    };
    let mut snapshot = Snapshot::empty(meta);
    snapshot.cdn = Ok(cloudflare);
    for judged in checks::run_all(&snapshot, |c| c.layer == Layer::Cdn) {
        let is_bug = matches!(&judged.outcome, Outcome::Unknown(g) if g.cause.id() == "check_panicked");
        assert!(!is_bug, "{} panicked", judged.check.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_query_asks_more_fields_than_the_plan_allows() {
    let Some(folder) = mocks() else { return };
    for fields_max in [30, 10, 5] {
        let mock = Mock::with_fields(&folder, fields_max);
        let cloudflare = collect(&mock, "example.com").await.unwrap();
        let analytics = cloudflare.analytics().unwrap();
        let asked = mock.asked();
        assert!(asked.iter().all(|a| a.wrong.is_empty() && a.fields <= fields_max), "{asked:#?}");
        assert_eq!((analytics.by_class.len(), analytics.tracked.is_some()), (7, true), "{}", analytics.source);
        assert_eq!(analytics.source, "httpRequestsAdaptiveGroups", "with {fields_max} nothing is left out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_tested_against_the_mock() {
    let Some(folder) = mocks() else { return };
    let mock = Mock::start(&folder);
    let token = Secret::new("a-token".to_owned());
    let report = connect::test(&mock.profile("0da42c8d2132a9ddaf714f9e7c920711"), Some(&token), &limits()).await;
    assert!(report.is_connected(), "{:?}", report.steps);
    assert!(collect(&mock, "not-in-this-account.example").await.is_err());
}
