//! A small store for live tests: an origin whose faults can be switched on, and a real nginx, Varnish or Squid in front of it. Everything
//! listens on loopback, lives in a temporary folder and is ended by the process id that was started.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use medusa_advisor::collect::run::Run;
use medusa_advisor::collect::storefront;
use medusa_advisor::connect::profile::{Limits, ShopProfile};
use medusa_advisor::evidence::medusa::MediaHost;
use medusa_advisor::evidence::{Layer, Meta, Snapshot, Targets};
use time::OffsetDateTime;

/// What the origin sends.
#[derive(Clone)]
pub struct Origin {
    pub page_cache_control: Option<&'static str>,
    pub cart_cache_control: Option<&'static str>,
    pub static_cache_control: Option<&'static str>,
    pub api_cache_control: Option<&'static str>,
    pub opens_session: bool,
    /// The storefront starter's middleware: a page without `_medusa_cache_id` is a redirect to itself.
    pub wants_visitor_cookie: bool,
}

impl Origin {
    /// A store as it should be.
    pub fn healthy() -> Self {
        Self {
            page_cache_control: Some("s-maxage=300, stale-while-revalidate=600"),
            cart_cache_control: Some("private, no-cache, no-store, max-age=0, must-revalidate"),
            static_cache_control: Some("public, max-age=31536000, immutable"),
            api_cache_control: Some("public, s-maxage=60"),
            opens_session: false,
            wants_visitor_cookie: false,
        }
    }

    fn answer(&self, path: &str, head: &str) -> String {
        let (route, _) = path.split_once('?').unwrap_or((path, ""));
        if self.wants_visitor_cookie && route.starts_with("/us") && !head.contains("_medusa_cache_id=") {
            return format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: {path}\r\nSet-Cookie: _medusa_cache_id=SENTINEL; Path=/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        if route == "/" {
            return "HTTP/1.1 307 Temporary Redirect\r\nLocation: /us\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
        }
        let filler = "<p>Medusa Sweatshirt in soft cotton</p>".repeat(60);
        let home = r#"<link rel="stylesheet" href="/_next/static/css/a1b2c3d4e5f6a7b8.css"><link rel="icon" href="/logo.svg">
            <a href="/us/products/shirt">Shirt</a><a href="/us/collections/summer">Summer</a>"#;
        let (kind, cache_control, body) = match route {
            "/us" => ("text/html; charset=utf-8", self.page_cache_control, format!("{home}{filler}")),
            r if r.starts_with("/us/products/") || r.starts_with("/us/collections/") => ("text/html", self.page_cache_control, filler),
            "/us/cart" | "/us/account" | "/us/checkout" => ("text/html", self.cart_cache_control, filler),
            r if r.starts_with("/_next/static/") => ("text/css", self.static_cache_control, "a{color:red}\n".repeat(200)),
            "/logo.svg" => ("image/svg+xml", Some("public, max-age=3600"), "<svg/>".to_owned()),
            r if r.starts_with("/static/") => ("image/jpeg", Some("public, max-age=0"), "x".repeat(3_000)),
            "/health" => ("text/plain", None, "OK".to_owned()),
            "/store/products" => {
                ("application/json", self.api_cache_control, format!(r#"{{"products":[{{"id":"prod_1","d":"{}"}}]}}"#, "y".repeat(4_000)))
            }
            "/store/products/prod_1" | "/store/regions" => ("application/json", self.api_cache_control, r#"{"ok":true}"#.to_owned()),
            _ => return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        };
        let is_backend = route == "/health" || route.starts_with("/store/") || route.starts_with("/static/");
        let cookie = if self.opens_session && is_backend { "Set-Cookie: connect.sid=s%3ASENTINEL.x; Path=/; HttpOnly\r\n" } else { "" };
        let cache = cache_control.map_or_else(String::new, |c| format!("Cache-Control: {c}\r\n"));
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{cache}{cookie}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }
}

/// Serves the origin on a free port until the test process ends.
pub fn serve(origin: &Arc<Mutex<Origin>>) -> u16 {
    let origin = Arc::clone(origin);
    listen(move |mut stream, head| {
        let path = asked_path(&head);
        let answer = origin.lock().unwrap().answer(&path, &head);
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// The path of a request's first line.
pub fn asked_path(head: &str) -> String {
    head.split_whitespace().nth(1).unwrap_or("/").to_owned()
}

/// Calls `handle` with each connection and the head of its request.
pub fn listen(handle: impl Fn(TcpStream, String) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || {
                if let Some((stream, head)) = read_head(stream) {
                    handle(stream, head);
                }
            });
        }
    });
    port
}

fn read_head(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    let mut head = Vec::new();
    let mut buffer = [0u8; 4096];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        head.extend_from_slice(&buffer[..n]);
    }
    Some((stream, String::from_utf8_lossy(&head).into_owned()))
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A server process in its own folder, killed when dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Extra lines for the three blocks of nginx.conf.
#[derive(Default, Clone)]
pub struct Extra {
    pub http: String,
    pub server: String,
    pub location: String,
}

/// nginx with proxy_cache and `X-Cache-Status` in front of `origin`; `None` where nginx is not installed.
pub fn nginx(origin: u16, extra: &Extra) -> Option<Server> {
    let binary = ["/usr/sbin/nginx", "/usr/local/bin/nginx", "/opt/homebrew/bin/nginx"].into_iter().find(|p| Path::new(p).exists())?;
    let folder = tempfile::tempdir().unwrap();
    let (root, port) = (folder.path().display().to_string(), free_port());
    let Extra { http, server, location } = extra;
    let conf = format!(
        "daemon off; master_process off; pid {root}/pid; error_log {root}/error.log;\nevents {{}}\nhttp {{\n\
         access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/t; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
         proxy_cache_path {root}/cache keys_zone=shop:1m;\nupstream storefront {{ server 127.0.0.1:{origin}; }}\nupstream medusa {{ server 127.0.0.1:{origin}; }}\n{http}\n\
         server {{\nlisten 127.0.0.1:{port};\nadd_header X-Cache-Status $upstream_cache_status;\n{server}\nlocation / {{\nproxy_pass http://storefront;\nproxy_cache shop;\n{location}\n}}\n}}\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), conf).unwrap();
    let child =
        Command::new(binary).args(["-p", &root, "-c", &format!("{root}/nginx.conf")]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = folder.path().join("error.log");
    let server = Server { child, port, _folder: folder };
    wait_for(port, || std::fs::read_to_string(&log).unwrap_or_default());
    Some(server)
}

/// Texts are compressed in front of the shop.
pub const VARNISH_GZIP: &str =
    "sub vcl_backend_response { if (beresp.http.content-type ~ \"text|json|svg|javascript\") { set beresp.do_gzip = true; } }";

/// Varnish with its built-in rules and `rules` before them; `None` where it is not installed.
pub fn varnish(origin: u16, rules: &str) -> Option<Server> {
    let binary = ["/usr/sbin/varnishd", "/usr/local/sbin/varnishd"].into_iter().find(|p| Path::new(p).exists())?;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let vcl = format!("vcl 4.1;\nbackend default {{ .host = \"127.0.0.1\"; .port = \"{origin}\"; }}\n{rules}\n");
    let file = folder.path().join("shop.vcl");
    std::fs::write(&file, vcl).unwrap();
    let work = folder.path().join("work").display().to_string();
    let listen = format!("127.0.0.1:{port}");
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = Command::new(binary)
        .args(["-F", "-j", "none", "-n", &work, "-a", &listen, "-T", "none", "-s", "malloc,16m", "-f"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let log = folder.path().join("log");
    let server = Server { child, port, _folder: folder };
    wait_for(port, || std::fs::read_to_string(&log).unwrap_or_default());
    Some(server)
}

/// Squid as the shop's accelerator, with `rules` in its configuration; `None` where it is not installed.
pub fn squid(origin: u16, rules: &str) -> Option<Server> {
    use std::os::unix::fs::PermissionsExt;
    let binary = ["/usr/sbin/squid", "/usr/local/sbin/squid", "/opt/homebrew/sbin/squid"].into_iter().find(|p| Path::new(p).exists())?;
    let folder = tempfile::tempdir().unwrap();
    // Started by root it becomes its own user, who writes here.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (root, port) = (folder.path().display().to_string(), free_port());
    let conf = format!(
        "http_port 127.0.0.1:{port} accel defaultsite=shop no-vhost\ncache_peer 127.0.0.1 parent {origin} 0 no-query no-digest originserver name=shop\n\
         http_access allow all\ncache_mem 16 MB\nmaximum_object_size_in_memory 2 MB\npid_filename {root}/pid\naccess_log none\ncache_log {root}/log\ncoredump_dir {root}\n\
         netdb_filename none\npinger_enable off\nshutdown_lifetime 0 seconds\nvisible_hostname shop\n{rules}\n"
    );
    let file = folder.path().join("squid.conf");
    std::fs::write(&file, conf).unwrap();
    let child = Command::new(binary).args(["-N", "-f"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = folder.path().join("log");
    let server = Server { child, port, _folder: folder };
    wait_for(port, || std::fs::read_to_string(&log).unwrap_or_default());
    Some(server)
}

fn wait_for(port: u16, log: impl Fn() -> String) {
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "the server did not start: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn limits() -> Limits {
    Limits { window_s: 2, probe_timeout_s: 5, ..Limits::default() }
}

/// Probes storefront and backend at `port` as an audit does.
pub async fn probe(port: u16, limits: &Limits, media: Vec<MediaHost>) -> Snapshot {
    probe_at(&format!("http://127.0.0.1:{port}"), limits, media).await
}

/// The same at an address.
pub async fn probe_at(url: &str, limits: &Limits, media: Vec<MediaHost>) -> Snapshot {
    probe_shop(ShopProfile { storefront_url: Some(url.to_owned()), backend_url: Some(url.to_owned()), ..ShopProfile::default() }, limits, media).await
}

/// The same of a profile.
pub async fn probe_shop(profile: ShopProfile, limits: &Limits, media: Vec<MediaHost>) -> Snapshot {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let run = Run::new(Duration::from_secs(u64::from(limits.window_s)), |_| {});
    let postgres = run.lane(Layer::Postgres);
    postgres.publish_media(media);
    drop((postgres, run.lane(Layer::Redis), run.lane(Layer::Cdn)));
    let collected = storefront::collect(&profile, run.media(), limits, &run.lane(Layer::App)).await;
    let mut snapshot = Snapshot::empty(Meta {
        tool_version: "0".into(),
        store: "live".into(),
        environment: "production".into(),
        taken_at: OffsetDateTime::now_utc(),
        window_s: run.window_seconds(),
        window_asked_s: f64::from(limits.window_s),
        cancelled: false,
        targets: Targets::default(),
    });
    snapshot.storefront = collected.seen;
    snapshot.timelines = collected.timelines;
    snapshot.costs.push(collected.cost);
    snapshot
}

/// The same answers as they would read under a public name.
pub fn as_public(mut snapshot: Snapshot) -> Snapshot {
    let shop = snapshot.storefront.as_mut().unwrap();
    for url in [&mut shop.storefront_url, &mut shop.backend_url] {
        *url = Some("https://shop.example.com".to_owned());
    }
    for target in [&mut shop.pages, &mut shop.assets, &mut shop.api].into_iter().flatten().flatten() {
        let path = target.url.splitn(4, '/').nth(3).unwrap_or("").to_owned();
        target.url = format!("https://shop.example.com/{path}");
        let redirects = target.probes.iter_mut().filter_map(|p| p.answer.as_mut().ok()).flat_map(|a| &mut a.redirects);
        for (_, to) in redirects {
            *to = format!("https://shop.example.com/{}", to.splitn(4, '/').nth(3).unwrap_or(""));
        }
    }
    snapshot
}
