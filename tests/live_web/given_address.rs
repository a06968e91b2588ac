//! A store under its public name at an address that was given, before DNS knows it: the built program against a real nginx and OpenSSL with an
//! authority made here. Faults of TLS are named, the printed remedies are put into the server's configuration, and they are gone.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use crate::shop::{Extra, Origin, Server, free_port, limits, nginx, probe_shop, serve};
use medusa_advisor::checks::find;
use medusa_advisor::connect::profile::{ShopProfile, parse_resolve};
use medusa_advisor::evidence::{Snapshot, file};
use medusa_advisor::finding::{Finding, Outcome, RemedyKind, Severity};

const NAME: &str = "shop.example.com";

/// An authority and the shop's certificate and key, as PEM files.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// `None` where openssl is not installed.
    fn make() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &str| {
            let mut command = Command::new("openssl");
            command.args(arguments.split(' ')).current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|s| s.success())
        };
        std::fs::write(folder.path().join("san"), format!("subjectAltName=DNS:{NAME}\n")).unwrap();
        let is_made = run("req -x509 -newkey rsa:2048 -nodes -subj /CN=Tests -days 2 -keyout ca.key -out ca.pem")
            && run(&format!("req -newkey rsa:2048 -nodes -subj /CN={NAME} -keyout key.pem -out request.pem"))
            && run("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out certificate.pem");
        if !is_made {
            println!("skipped: openssl is not installed");
        }
        is_made.then_some(Self { folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn lines(&self) -> String {
        format!("ssl_certificate {}; ssl_certificate_key {};", self.path("certificate.pem"), self.path("key.pem"))
    }
}

fn started(origin: u16, extra: &Extra) -> Option<Server> {
    let server = nginx(origin, extra);
    if server.is_none() {
        println!("skipped: nginx is not installed");
    }
    server
}

/// Runs the program as an agency would; what it read.
fn audit(url: &str, resolve: &str, authority: Option<&str>) -> (Snapshot, String) {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("audit.snapshot");
    let mut command = program(folder.path());
    command.args(["audit", "--storefront", url, "--resolve", resolve, "--window", "5s", "--quiet", "--format", "json", "--out"]).arg(&kept);
    if let Some(authority) = authority {
        command.env("SSL_CERT_FILE", authority);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    (file::read(&std::fs::read(kept).unwrap()).unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medusa-advisor"));
    command.env("MEDUSA_ADVISOR_HOME", home).env("HOME", home);
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run(id: &str, snapshot: &Snapshot) -> Outcome {
    find(id).unwrap().run(snapshot)
}

fn finding(id: &str, snapshot: &Snapshot) -> Finding {
    match run(id, snapshot) {
        Outcome::Failed(mut findings) => findings.remove(0),
        other => panic!("{id} was to fail: {other:?}"),
    }
}

fn for_nginx(finding: &Finding) -> String {
    finding.remedies.iter().find(|r| r.kind == RemedyKind::Shell).expect("a remedy for nginx").text.clone()
}

/// The printed lines of HTTP/2 for the nginx that is installed, at the test's own port.
fn http2_lines(printed: &str, port: u16) -> String {
    let version = Command::new("/usr/sbin/nginx").arg("-v").output().map(|o| told(&o)).unwrap_or_default();
    let numbers: Vec<u32> = version.rsplit('/').next().unwrap_or("").split('.').map_while(|n| n.trim().parse().ok()).collect();
    let (new, old) = printed.split_once("# before 1.25.1: ").expect("both forms");
    let lines = if numbers.as_slice() >= &[1, 25, 1][..] { new } else { old };
    lines.replace("listen 443", &format!("listen 127.0.0.1:{port}"))
}

fn origin() -> u16 {
    serve(&Arc::new(Mutex::new(Origin::healthy())))
}

fn resolve() -> String {
    format!("{NAME}=127.0.0.1")
}

#[test]
fn old_versions_and_http_1_are_named_until_the_printed_lines() {
    let Some(certificates) = Certificates::make() else { return };
    let (port, authority) = (free_port(), certificates.path("ca.pem"));
    let url = format!("https://{NAME}:{port}");
    let old = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;";
    let faulty = Extra { server: format!("listen 127.0.0.1:{port} ssl;\n{}\n{old}", certificates.lines()), ..Extra::default() };
    let origin = origin();
    let Some(server) = started(origin, &faulty) else { return };
    let (seen, json) = audit(&url, &resolve(), Some(&authority));
    let (weak, version) = (finding("cdn-tls-weak", &seen), finding("cdn-http-version", &seen));
    assert_eq!(weak.observed, format!("{NAME} agrees to TLSv1.1 and TLSv1.0."));
    assert_eq!(version.observed, format!("{NAME} was offered h2 and http/1.1 and took http/1.1 (nginx's cache answers there)."));
    for found in [&weak, &version] {
        assert!(format!("{:?}", found.evidence).contains(&format!("{NAME} at 127.0.0.1")), "{:?}", found.evidence);
    }
    assert!(json.contains(&format!("{NAME} at 127.0.0.1")), "the report says where it asked");
    assert_eq!(seen.shop().unwrap().tls().unwrap()[0].distrust, None);
    assert!(seen.shop().unwrap().pages().unwrap().len() >= 5, "the pages were read over it");
    drop(server);

    let lines = format!("{}\n{}\n{}", certificates.lines(), for_nginx(&weak), http2_lines(&for_nginx(&version), port));
    let Some(_server) = started(origin, &Extra { server: lines, ..Extra::default() }) else { return };
    let (seen, _) = audit(&url, &resolve(), Some(&authority));
    assert_eq!((run("cdn-tls-weak", &seen), run("cdn-http-version", &seen)), (Outcome::Passed, Outcome::Passed));
    let pages = seen.shop().unwrap().pages().unwrap();
    assert!(pages.iter().flat_map(|t| &t.probes).all(|p| p.answer.as_ref().is_ok_and(|a| a.protocol == "HTTP/2")));

    // The same before the certificate is in place: what is agreed to is judged all the same, and the pages are not read.
    let (seen, _) = audit(&url, &resolve(), None);
    assert_eq!((run("cdn-tls-weak", &seen), run("cdn-http-version", &seen)), (Outcome::Passed, Outcome::Passed));
    let distrust = seen.shop().unwrap().tls().unwrap()[0].distrust.clone();
    assert_eq!(distrust.as_deref(), Some("its issuer is not known to this system"));
    assert!(seen.shop().unwrap().pages().unwrap_err().detail.to_lowercase().contains("certificate"));
}

/// Needs ports 80 and 443 of an address of this machine, which only root may take.
#[test]
fn plain_http_is_named_until_the_printed_lines() {
    let Some(certificates) = Certificates::make() else { return };
    const AT: &str = "127.0.0.77";
    if [80, 443].iter().any(|port| std::net::TcpListener::bind((AT, *port)).is_err()) {
        println!("skipped: ports 80 and 443 of {AT} cannot be taken");
        return;
    }
    let (url, resolve, authority) = (format!("http://{NAME}"), format!("{NAME}={AT}"), certificates.path("ca.pem"));
    let origin = origin();
    let Some(server) = started(origin, &Extra { server: format!("listen {AT}:80;"), ..Extra::default() }) else { return };
    let (seen, _) = audit(&url, &resolve, Some(&authority));
    let plain = finding("cdn-tls-weak", &seen);
    assert_eq!((plain.severity, plain.subject.name.as_str()), (Severity::High, format!("{NAME} (http)").as_str()));
    assert!(matches!(run("cdn-http-version", &seen), Outcome::NotApplicable(_)));
    drop(server);

    let printed = for_nginx(&plain);
    let (at_80, at_443) = printed.split_once("# server block of port 443").expect("both blocks");
    let https = format!(
        "server {{\nlisten {AT}:443 ssl;\n{}\nssl_protocols TLSv1.2 TLSv1.3;\n{at_443}\nlocation / {{ proxy_pass http://storefront; }}\n}}",
        certificates.lines()
    );
    let Some(_server) = started(origin, &Extra { http: https, server: format!("listen {AT}:80;\n{at_80}"), ..Extra::default() }) else { return };
    let (seen, _) = audit(&url, &resolve, Some(&authority));
    assert_eq!(run("cdn-tls-weak", &seen), Outcome::Passed);
    let home = seen.shop().unwrap().pages().unwrap()[0].probes[0].answer.as_ref().unwrap();
    assert_eq!(home.redirects[0], (301, format!("https://{NAME}/")));
    assert!(home.header("strict-transport-security").is_some());
}

/// A server that has nothing newer: no handshake of ours is completed, and it is named all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_1_1_alone_is_named() {
    let Some(certificates) = Certificates::make() else { return };
    let port = free_port();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-accept", &format!("127.0.0.1:{port}")]);
    command.args(["-key", &certificates.path("key.pem"), "-cert", &certificates.path("certificate.pem")]);
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let fixed = vec![parse_resolve(&resolve()).unwrap()];
    let profile = ShopProfile { storefront_url: Some(format!("https://{NAME}:{port}")), resolve: fixed, ..ShopProfile::default() };
    let seen = probe_shop(profile, &limits(), Vec::new()).await;
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(finding("cdn-tls-weak", &seen).observed, format!("{NAME} agrees to TLSv1.1."));
}

#[test]
fn bad_addresses_are_told_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let told_for = |arguments: &[&str]| {
        let output = program(folder.path()).arg("audit").args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        told(&output)
    };
    let shop = ["--storefront", "https://shop.example.com"];
    for (resolve, why) in [("shop.example.com", "has no \"=\""), ("shop.example.com=203.0.113.7:443", "leave a port out")] {
        let told = told_for(&[shop[0], shop[1], "--resolve", resolve]);
        assert!(told.contains(why) && told.contains("Write HOST=ADDRESS"), "{told}");
    }
    let twice = told_for(&[shop[0], shop[1], "--resolve", "shop.example.com=203.0.113.7", "--resolve", "Shop.example.com=203.0.113.8"]);
    assert!(twice.contains("shop.example.com is given two addresses"), "{twice}");
    let alone = told_for(&["--redis", "redis://127.0.0.1:1/0", "--resolve", "shop.example.com=203.0.113.7"]);
    assert!(alone.contains("--storefront or --backend"), "{alone}");
}
