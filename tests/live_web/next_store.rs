//! A real Next.js production build behind a real nginx: as the storefront starter has it, and mended as the findings say.
//!
//! Next.js is installed from npm once, into a cache folder (`ADVISOR_NODE_CACHE`, else `/var/tmp/advisor-node`), and each storefront is built
//! there once for its sources; without node, npm or a network the test prints "skipped".

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::shop::{Extra, as_public, free_port, nginx, probe};
use medusa_advisor::checks::run_all;
use medusa_advisor::connect::profile::Limits;
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::storefront::{PathClass, Variant};
use medusa_advisor::finding::{Finding, Outcome, RemedyKind, Severity};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/next_store");
const VERSION: &str = "15.3.9";
/// Next.js is up in a second on a quiet machine.
const STARTS_IN: Duration = Duration::from_secs(60);

/// `next start`, ended with the test.
struct Store {
    child: Child,
    port: u16,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ran(command: &mut Command) -> Option<()> {
    command.env("NEXT_TELEMETRY_DISABLED", "1").stdin(Stdio::null()).output().ok().filter(|o| o.status.success()).map(|_| ())
}

/// The folder with the storefront built; `None` where Next.js cannot be installed.
fn built(form: &str) -> Option<PathBuf> {
    let cache = std::env::var("ADVISOR_NODE_CACHE").unwrap_or_else(|_| "/var/tmp/advisor-node".into());
    let packages = Path::new(&cache).join(format!("next-{VERSION}"));
    std::fs::create_dir_all(&packages).ok()?;
    if !packages.join("node_modules/next/package.json").exists() {
        std::fs::copy(Path::new(SOURCES).join("shared/package.json"), packages.join("package.json")).ok()?;
        let arguments = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=20000"];
        ran(Command::new("npm").args(arguments).current_dir(&packages))?;
    }
    let (stamp, folder) = (stamp(form), Path::new(&cache).join(format!("next-{VERSION}-{form}")));
    if std::fs::read_to_string(folder.join("built")).is_ok_and(|s| s == stamp) {
        return Some(folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).ok()?;
    for part in ["shared", form] {
        ran(Command::new("cp").arg("-R").arg(format!("{SOURCES}/{part}/.")).arg(&folder))?;
    }
    std::os::unix::fs::symlink(packages.join("node_modules"), folder.join("node_modules")).ok()?;
    ran(Command::new("node").arg("picture.js").current_dir(&folder))?;
    let built = ran(Command::new("node").args(["node_modules/next/dist/bin/next", "build"]).current_dir(&folder));
    assert!(built.is_some(), "next build failed in {}", folder.display());
    std::fs::write(folder.join("built"), stamp).ok()?;
    Some(folder)
}

/// The sources as one text: a build is kept while they stay the same.
fn stamp(form: &str) -> String {
    let mut files: Vec<PathBuf> = ["shared", form].iter().flat_map(|part| files_under(&Path::new(SOURCES).join(part))).collect();
    files.sort();
    files.iter().map(|f| format!("{}\n{}\n", f.strip_prefix(SOURCES).unwrap().display(), std::fs::read_to_string(f).unwrap())).collect()
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}

fn start(form: &str) -> Option<Store> {
    let Some(folder) = built(form) else {
        println!("skipped: Next.js {VERSION} is not installed and cannot be: node, npm or a network is missing");
        return None;
    };
    let port = free_port();
    let child = Command::new("node")
        .args(["node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", &port.to_string()])
        .env("NEXT_TELEMETRY_DISABLED", "1")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let store = Store { child, port };
    let end = Instant::now() + STARTS_IN;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "next start did not listen");
        std::thread::sleep(Duration::from_millis(100));
    }
    // A page that was built more than five minutes ago is renewed by its first request, whose answer has no Cache-Control.
    for path in ["/us", "/us/products/shirt", "/us/collections/summer", "/us/categories/shirts"] {
        get(port, path);
    }
    std::thread::sleep(Duration::from_secs(1));
    Some(store)
}

fn get(port: u16, path: &str) {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

const GZIP: &str = "gzip on; gzip_proxied any; gzip_min_length 500; gzip_types text/css application/javascript image/svg+xml;";

async fn audit(store: &Store, extra: &Extra) -> Option<Snapshot> {
    // Next.js names its own port in redirects.
    let server = format!("proxy_redirect ~^https?://[^/]+(/.*)$ $scheme://$http_host$1;\n{}", extra.server);
    let extra = Extra { http: format!("{GZIP}\n{}", extra.http), server, location: extra.location.clone() };
    let Some(front) = nginx(store.port, &extra) else {
        println!("skipped: nginx is not installed");
        return None;
    };
    let limits = Limits { window_s: 2, probe_timeout_s: 10, probe_timings: 2, ..Limits::default() };
    Some(as_public(probe(front.port, &limits, Vec::new()).await))
}

/// What the CDN checks found above a note.
fn found(snapshot: &Snapshot) -> Vec<(&'static str, Finding)> {
    let judged = run_all(snapshot, |c| c.id.starts_with("cdn-"));
    let failed = judged.into_iter().filter_map(|j| match j.outcome {
        Outcome::Failed(findings) => Some((j.check.id, findings)),
        _ => None,
    });
    failed.flat_map(|(id, all)| all.into_iter().filter(|f| f.severity > Severity::Info).map(move |f| (id, f))).collect()
}

fn ids(snapshot: &Snapshot) -> Vec<&'static str> {
    found(snapshot)
        .into_iter()
        .map(|(id, f)| {
            println!("{id}: {}", f.observed);
            id
        })
        .collect()
}

fn remedy(snapshot: &Snapshot, id: &str) -> String {
    let (_, finding) = found(snapshot).into_iter().find(|(i, _)| *i == id).unwrap_or_else(|| panic!("{id} was missed"));
    finding.remedies.iter().find(|r| r.kind == RemedyKind::Shell).expect("a remedy for nginx").text.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_starters_ways_are_named_and_the_mended_store_is_quiet() {
    let Some(stock) = start("stock") else { return };
    let Some(seen) = audit(&stock, &Extra::default()).await else { return };
    assert_eq!(ids(&seen), ["cdn-uncached-catalogue", "cdn-visitor-redirect"]);
    drop(stock);

    let Some(mended) = start("mended") else { return };
    let seen = audit(&mended, &Extra::default()).await.unwrap();
    assert_eq!(ids(&seen), Vec::<&str>::new());
    let shop = seen.shop().unwrap();
    let product = shop.pages().unwrap().iter().find(|t| t.class == PathClass::Product).unwrap();
    let rsc = product.probes.iter().find(|p| p.variant == Variant::Rsc).and_then(|p| p.answer.as_ref().ok()).unwrap();
    assert_eq!(rsc.header("content-type").as_deref(), Some("text/x-component"));
    let picture = shop.assets().unwrap().iter().find(|t| t.class == PathClass::OptimizedImage).unwrap();
    let sizes: Vec<u64> = picture.probes.iter().map(|p| p.answer.as_ref().unwrap().body_bytes).collect();
    assert!(sizes.len() == 3 && sizes[2] < sizes[1] / 4, "64 pixels are smaller: {sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_the_query_are_named_until_the_printed_rules() {
    let Some(store) = start("mended") else { return };
    let careless = Extra { location: "proxy_cache_key $uri; proxy_ignore_headers Vary;".into(), ..Extra::default() };
    let Some(seen) = audit(&store, &careless).await else { return };
    let named = ids(&seen);
    let pictures = seen.shop().unwrap().assets().unwrap().iter().filter(|t| t.class == PathClass::OptimizedImage);
    assert!(named.contains(&"cdn-rsc-mixed") && named.contains(&"cdn-image-optimizer-uncached"), "{named:?} {:#?}", pictures.collect::<Vec<_>>());
    let key = remedy(&seen, "cdn-rsc-mixed");
    let pictures = remedy(&seen, "cdn-image-optimizer-uncached");
    let mended = Extra { location: format!("{key}\nproxy_ignore_headers Vary;"), server: pictures, ..Extra::default() };
    assert_eq!(ids(&audit(&store, &mended).await.unwrap()), Vec::<&str>::new());
}
