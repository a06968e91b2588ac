//! Storefronts that misbehave: each ends in a gap or a cut answer within the time limit, and none makes the audit download or wait without end.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::shop::{asked_path, free_port, limits, listen, probe, probe_at, probe_shop};
use medusa_advisor::checks::find;
use medusa_advisor::connect::profile::{Limits, ShopProfile, parse_resolve};
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::finding::Outcome;

fn short() -> Limits {
    Limits { probe_timeout_s: 1, probe_body_bytes_max: 100_000, ..limits() }
}

async fn timed(name: &str, port: u16, limits: &Limits, seconds: u64) -> Snapshot {
    let start = Instant::now();
    let snapshot = probe(port, limits, Vec::new()).await;
    assert!(start.elapsed() < Duration::from_secs(seconds), "{name} took {:?}", start.elapsed());
    snapshot
}

fn assert_gap(name: &str, snapshot: &Snapshot) -> String {
    let gap = snapshot.shop().unwrap().pages().unwrap_err();
    assert!(gap.detail.ends_with('.') && gap.detail.len() > 20, "{name}: {}", gap.detail);
    for id in ["cdn-uncached-catalogue", "cdn-visitor-redirect", "cdn-personal-response-cached", "cdn-compression-missing", "cdn-rsc-mixed"] {
        assert!(matches!(find(id).unwrap().run(snapshot), Outcome::Unknown(_)), "{name}: {id}");
    }
    gap.detail
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_speak_nonsense_end_in_a_sentence() {
    let looping = listen(|mut s, head| {
        let path = asked_path(&head);
        let _ = write!(s, "HTTP/1.1 302 Found\r\nLocation: {path}x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let round = listen(|mut s, head| {
        let to = if asked_path(&head) == "/a" { "/b" } else { "/a" };
        let _ = write!(s, "HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let slow = listen(|mut s, _| {
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: ".iter().cycle() {
            if s.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let garbage = listen(|mut s, _| {
        let _ = s.write_all(&[0xff; 5_000]);
    });
    let inward = listen(|mut s, _| {
        let _ = s.write_all(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let other_scheme = listen(|mut s, _| {
        let _ = s.write_all(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let many_headers = listen(|mut s, _| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\n");
        for n in 0..200_000 {
            if write!(s, "X-Filler-{n}: {}\r\n", "y".repeat(200)).is_err() {
                return;
            }
        }
    });
    let short_body = listen(|mut s, _| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 90000\r\n\r\n<html>");
    });
    let two_lengths = listen(|mut s, _| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\nabcdefghi");
    });
    let closed = listen(|s, _| drop(s));
    let all = [
        ("looping", looping),
        ("round", round),
        ("slow", slow),
        ("garbage", garbage),
        ("inward", inward),
        ("other scheme", other_scheme),
        ("many headers", many_headers),
        ("short body", short_body),
        ("two lengths", two_lengths),
        ("closed", closed),
    ];
    for (name, port) in all {
        let snapshot = timed(name, port, &short(), 15).await;
        assert_gap(name, &snapshot);
    }
}

/// Pictures and redirects that name another service of a host which is part of the store: nothing is said to it.
#[tokio::test(flavor = "multi_thread")]
async fn other_services_of_the_stores_hosts_are_left_alone() {
    const NAME: &str = "shop.example.com";
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let private = listen(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let front = listen(move |mut s, head| {
        let body =
            format!("<img src=\"http://{NAME}:{private}/p.png\"><img src=\"http://127.0.0.1:{private}/q.png\"><a href=\"/us/products/x\">x</a>");
        let _ = match asked_path(&head).as_str() {
            "/" => write!(s, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()),
            _ => write!(s, "HTTP/1.1 302 Found\r\nLocation: http://{NAME}:{private}/keys\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        };
    });
    let resolve = vec![parse_resolve(&format!("{NAME}=127.0.0.1")).unwrap()];
    let profile = ShopProfile { storefront_url: Some(format!("http://{NAME}:{front}")), resolve, ..ShopProfile::default() };
    let snapshot = probe_shop(profile, &short(), Vec::new()).await;
    let shop = snapshot.shop().unwrap();
    assert!(shop.pages().unwrap()[0].probes[0].answer.is_ok(), "the home page itself was read");
    let told: Vec<&String> = shop.pages().unwrap().iter().flat_map(|t| &t.probes).filter_map(|p| p.answer.as_ref().err()).collect();
    assert!(told.iter().any(|t| t.contains(&format!("its port {private}"))), "{told:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_is_cut() {
    let endless = listen(|mut s, _| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n");
        while s.write_all(&[b'x'; 8_192]).is_ok() {}
    });
    let snapshot = timed("endless", endless, &short(), 30).await;
    let pages = snapshot.shop().unwrap().pages().unwrap().clone();
    assert!(pages[0].probes[0].answer.as_ref().is_ok_and(|a| a.body_cut));
}

/// Forty pictures of 4 MB each: bodies end at 2 MB, and the run at 20 MB.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_downloads_no_more_than_its_limit() {
    let heavy = listen(|mut s, head| {
        let body = if asked_path(&head) == "/" {
            (0..40).map(|n| format!("<img src=\"/p{n}.jpg\">")).collect::<String>().into_bytes()
        } else {
            vec![b'x'; 4_000_000]
        };
        let kind = if body.starts_with(b"<") { "text/html" } else { "image/jpeg" };
        let _ = write!(s, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = s.write_all(&body);
    });
    let limits = limits();
    let snapshot = timed("heavy", heavy, &limits, 60).await;
    let cost = &snapshot.costs[0];
    // A piece of each of two answers may be on its way when the limit is met.
    assert!(cost.bytes <= limits.probe_bytes_max + 1_000_000, "{} bytes", cost.bytes);
    assert!(cost.calls <= u64::from(limits.probe_requests_max), "{} requests", cost.calls);
    assert!(!snapshot.shop().unwrap().limits_met.is_empty());
}

/// 500 MB of zeros in half a megabyte, sent although the plain page was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_bomb_is_not_unpacked() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0u8; 1_000_000];
    (0..500).for_each(|_| encoder.write_all(&zeros).unwrap());
    let bomb = encoder.finish().unwrap();
    let port = listen(move |mut s, _| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nConnection: close\r\nContent-Length:";
        let _ = write!(s, "{head} {}\r\n\r\n", bomb.len());
        let _ = s.write_all(&bomb);
    });
    let before = peak_bytes();
    timed("bomb", port, &Limits { probe_timeout_s: 5, ..limits() }, 40).await;
    assert!(peak_bytes().saturating_sub(before) < 300_000_000, "{} bytes more", peak_bytes() - before);
}

/// The highest resident memory of this process so far; 0 where the system does not tell.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1_024
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tls_is_told() {
    let plain = listen(|mut s, _| {
        let _ = s.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    // Never answers a greeting.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let held: Vec<_> = silent.incoming().flatten().collect();
        drop(held);
    });
    for (name, port) in [("plain", plain), ("silent", silent_port)] {
        let start = Instant::now();
        let snapshot = probe_at(&format!("https://localhost:{port}"), &short(), Vec::new()).await;
        assert!(start.elapsed() < Duration::from_secs(25), "{name} took {:?}", start.elapsed());
        assert_gap(name, &snapshot);
        let gap = snapshot.shop().unwrap().tls().unwrap_err();
        assert!(gap.detail.contains("localhost") && gap.detail.ends_with('.'), "{name}: {}", gap.detail);
    }
}

/// A real OpenSSL server with a certificate nobody signed.
#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_certificate_is_told() {
    let Some((mut server, port, _folder)) = openssl(&["-tls1_3"]) else { return };
    let snapshot = probe_at(&format!("https://localhost:{port}"), &short(), Vec::new()).await;
    let _ = server.kill();
    let _ = server.wait();
    let detail = assert_gap("self-signed", &snapshot);
    assert!(detail.to_lowercase().contains("certificate"), "{detail}");
    let tls = &snapshot.shop().unwrap().tls().unwrap()[0];
    assert_eq!((tls.version.as_str(), tls.distrust.is_some()), ("TLSv1.3", true), "what it speaks is told all the same: {tls:?}");
}

/// The greeting of an old version, answered by a real OpenSSL server that agrees to it and by one that does not.
#[tokio::test(flavor = "multi_thread")]
async fn old_versions_are_told_from_refusals() {
    use medusa_advisor::collect::storefront::{TlsServer, old_tls_versions};
    let wanted: [(&[&str], &[&str]); 3] = [
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], &["TLSv1.1"]),
        (&["-tls1", "-cipher", "ALL:@SECLEVEL=0"], &["TLSv1.0"]),
        (&["-no_tls1", "-no_tls1_1"], &[]),
    ];
    for (options, versions) in wanted {
        let Some((mut server, port, _folder)) = openssl(options) else { return };
        let told = old_tls_versions(TlsServer { name: "localhost", port, at: None }, Duration::from_secs(3)).await;
        let _ = server.kill();
        let _ = server.wait();
        assert_eq!(told.as_deref(), Some(versions.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>().as_slice()), "{options:?}");
    }
    let nobody = TlsServer { name: "localhost", port: free_port(), at: None };
    assert_eq!(old_tls_versions(nobody, Duration::from_secs(1)).await, None);
}

fn openssl(options: &[&str]) -> Option<(std::process::Child, u16, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-days",
            "2",
            "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|s| s.success()) {
        println!("skipped: openssl is not installed");
        return None;
    }
    let port = free_port();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-key"]).arg(&key).arg("-cert").arg(&certificate).args(options);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "openssl s_server did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some((child, port, folder))
}
