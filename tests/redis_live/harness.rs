//! A private Redis a test, ended by its own handle, and an audit of nothing but Redis.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use medusa_advisor::checks;
use medusa_advisor::collect::redis::collect;
use medusa_advisor::collect::run::{Note, Run};
use medusa_advisor::connect::profile::{Limits, RedisProfile, Secrets};
use medusa_advisor::evidence::{Layer, Meta, Snapshot, Targets};
use medusa_advisor::finding::{Finding, Outcome, Remedy, RemedyKind, Severity};
use medusa_advisor::secret::Secret;
use redis::{Cmd, ConnectionLike};

pub struct Server {
    child: Child,
    pub port: u16,
    password: Option<String>,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program() -> String {
    std::env::var("ADVISOR_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

/// What the program says of itself ("Redis server v=7.0.15 sha=…"): "Redis 7.0.15", "Valkey 8.1.1".
pub fn program_version() -> String {
    let said = Command::new(program()).arg("--version").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap().replacen(" server v=", " ", 1);
    said.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

impl Server {
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let port = free_port();
        Self::spawn(port, &["--port", &port.to_string()], arguments)
    }

    /// With leave to use DEBUG: Redis 7 and Valkey keep it to those who ask for it; earlier versions do not know the setting.
    pub fn start_with_debug(arguments: &[&str]) -> Option<Self> {
        let version = program_version();
        let major: u32 = version.split([' ', '.']).find_map(|p| p.parse().ok()).unwrap();
        let leave: &[&str] = if major >= 7 { &["--enable-debug-command", "yes"] } else { &[] };
        Self::start(&[leave, arguments].concat())
    }

    /// On a port that others already know.
    pub fn start_at(port: u16, arguments: &[&str]) -> Option<Self> {
        Self::spawn(port, &["--port", &port.to_string()], arguments)
    }

    /// After it ended by itself: the same place and port, its data read from where it left them.
    pub fn start_again(mut self, arguments: &[&str]) -> Option<Self> {
        self.child.wait().ok()?;
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        Self::spawn_in(dir, self.port, &["--port", &self.port.to_string()], arguments)
    }

    fn spawn(port: u16, listen: &[&str], arguments: &[&str]) -> Option<Self> {
        Self::spawn_in(tempfile::tempdir().unwrap(), port, listen, arguments)
    }

    fn spawn_in(dir: tempfile::TempDir, port: u16, listen: &[&str], arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(program());
        command.args(listen).args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(dir.path()).args(arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let password = arguments.iter().position(|a| *a == "--requirepass").map(|i| arguments[i + 1].to_owned());
        let server = Self { child, port, password, dir };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// A server whose cluster bus has a port too: ten thousand above its own.
    pub fn start_in_cluster() -> Option<Self> {
        let port = (0..1_000).map(|_| free_port()).find(|p| *p < 55_000)?;
        Self::spawn(port, &["--port", &port.to_string()], &["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"])
    }

    /// A file of the server's own folder.
    pub fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    /// A server that speaks TLS alone, and the file of the authority that signed it.
    pub fn start_tls() -> Option<(Self, String)> {
        Self::start_tls_asking(false, &[])
    }

    /// The same; `asks` for a certificate of the client too, which server.pem and server.key are.
    pub fn start_tls_asking(asks: bool, arguments: &[&str]) -> Option<(Self, String)> {
        let dir = tempfile::tempdir().unwrap();
        let tls = certificates(dir.path())?;
        let port = free_port();
        let text = port.to_string();
        let mut listen = vec!["--port", "0", "--tls-port", &text, "--tls-auth-clients", if asks { "yes" } else { "no" }];
        let files: Vec<String> = tls.iter().flat_map(|(name, path)| [format!("--{name}"), path.clone()]).collect();
        listen.extend(files.iter().map(String::as_str));
        let mut server = Self::spawn(port, &listen, arguments)?;
        server.dir = dir;
        let ca = server.file("ca.pem");
        Some((server, ca))
    }

    pub fn url(&self) -> String {
        let password = self.password.as_ref().map_or(String::new(), |p| format!(":{p}@"));
        format!("redis://{password}127.0.0.1:{}", self.port)
    }

    /// Runs one line through redis-cli and returns what it prints.
    pub fn cli(&self, line: &str) -> String {
        self.run_cli(&["-u", &self.url()], line)
    }

    pub fn cli_as(&self, user: &str, password: &str, line: &str) -> String {
        self.run_cli(&["-p", &self.port.to_string(), "--user", user, "--pass", password, "--no-auth-warning"], line)
    }

    fn run_cli(&self, arguments: &[&str], line: &str) -> String {
        let mut child = Command::new("redis-cli").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    /// Runs a printed shell remedy as it stands.
    pub fn shell(&self, text: &str) {
        let ran = Command::new("sh").args(["-c", text]).env("REDIS_URL", self.url()).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }

    pub fn used_memory(&self) -> u64 {
        self.info("used_memory").parse().unwrap()
    }

    /// One field of INFO; empty when there is none.
    pub fn info(&self, field: &str) -> String {
        let info = self.cli("INFO");
        let value = info.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        value.map_or_else(String::new, |v| v.trim().to_owned())
    }

    /// Waits until a field of INFO is as wanted; panics after half a minute.
    pub fn wait_for(&self, field: &str, is_wanted: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_wanted(&self.info(field)) {
            assert!(Instant::now() < deadline, "{field} stays at {:?}", self.info(field));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Sends a signal such as STOP or CONT to this server alone.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub fn connect_named(&self, name: &str) -> redis::Connection {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        redis::cmd("CLIENT").arg("SETNAME").arg(name).query::<()>(&mut connection).unwrap();
        connection
    }
}

/// An authority of its own (ca.pem, ca.key) and what it signed for localhost (server.pem, server.key), with the settings that name them.
pub fn certificates(dir: &std::path::Path) -> Option<[(&'static str, String); 3]> {
    let openssl = |line: &str| {
        let ran = Command::new("openssl").args(line.split(' ')).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ran.is_ok_and(|s| s.success()).then_some(())
    };
    std::fs::write(dir.join("san"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Authority -keyout ca.key -out ca.pem")?;
    openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr")?;
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem")?;
    let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
    Some([("tls-cert-file", path("server.pem")), ("tls-key-file", path("server.key")), ("tls-ca-cert-file", path("ca.pem"))])
}

pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within twenty seconds");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn command(parts: &[&str]) -> Cmd {
    let mut command = redis::cmd(parts[0]);
    parts[1..].iter().for_each(|p| {
        command.arg(*p);
    });
    command
}

/// Sends real traffic on a connection of its own, in pipelines of 200.
pub fn fill(server: &Server, commands: impl IntoIterator<Item = Cmd>) {
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let commands: Vec<Cmd> = commands.into_iter().collect();
    for chunk in commands.chunks(200) {
        let packed: Vec<u8> = chunk.iter().flat_map(Cmd::get_packed_command).collect();
        // An error is part of some traffic (no memory, no permission); a lost connection is not.
        connection.req_packed_commands(&packed, 0, chunk.len()).unwrap();
    }
}

pub fn profile(server: &Server) -> RedisProfile {
    RedisProfile::at("127.0.0.1", server.port)
}

/// Audits one instance over two seconds with `traffic` running meanwhile.
pub async fn audit(server: &Server, traffic: impl FnOnce(&Server) + Send) -> Snapshot {
    audit_with(&[profile(server)], &[None], 2, || traffic(server)).await
}

pub async fn audit_with(profiles: &[RedisProfile], passwords: &[Option<Secret<String>>], window_s: u64, traffic: impl FnOnce() + Send) -> Snapshot {
    audit_of(profiles, &Secrets { redis_passwords: passwords.to_vec(), ..Secrets::default() }, window_s, traffic).await
}

pub async fn audit_of(profiles: &[RedisProfile], secrets: &Secrets, window_s: u64, traffic: impl FnOnce() + Send) -> Snapshot {
    audit_limited(profiles, secrets, window_s, &Limits::default(), traffic).await
}

pub async fn audit_limited(profiles: &[RedisProfile], secrets: &Secrets, window_s: u64, limits: &Limits, traffic: impl FnOnce() + Send) -> Snapshot {
    let (opened, wait) = mpsc::sync_channel(1);
    let run = Run::new(Duration::from_secs(window_s), move |note| {
        if matches!(note, Note::WindowOpened) {
            let _ = opened.send(());
        }
    });
    let lane = run.lane(Layer::Redis);
    for other in [Layer::Cdn, Layer::Postgres, Layer::App] {
        drop(run.lane(other));
    }
    let collected = std::thread::scope(|scope| {
        let traffic = scope.spawn(move || {
            // Nothing to do where the window never opens: the servers of that test are all out of reach.
            if wait.recv_timeout(Duration::from_secs(8)).is_ok() {
                std::thread::sleep(Duration::from_millis(300));
                traffic();
            }
        });
        let handle = tokio::runtime::Handle::current();
        let collected = tokio::task::block_in_place(|| handle.block_on(collect(profiles, secrets, limits, &lane)));
        drop(lane);
        drop(run.clone());
        (collected, traffic.is_finished())
    })
    .0;
    let meta = Meta {
        tool_version: "test".into(),
        store: "test".into(),
        environment: "test".into(),
        taken_at: time::OffsetDateTime::now_utc(),
        window_s: run.window_seconds(),
        window_asked_s: window_s as f64,
        cancelled: false,
        targets: Targets::default(),
    };
    let mut snapshot = Snapshot::empty(meta);
    snapshot.redis = collected.seen;
    snapshot.timelines = collected.timelines;
    snapshot.costs.push(collected.cost);
    snapshot
}

pub fn outcome(snapshot: &Snapshot, id: &str) -> Outcome {
    checks::find(id).unwrap().run(snapshot)
}

/// The findings of one check; none when it did not fail.
pub fn findings(snapshot: &Snapshot, id: &str) -> Vec<Finding> {
    match outcome(snapshot, id) {
        Outcome::Failed(found) => found,
        _ => Vec::new(),
    }
}

/// Nothing above Info is said of Redis but by these checks, each of which finds something; what is unknown is printed.
pub fn assert_quiet(snapshot: &Snapshot, but: &[&str]) {
    for judged in checks::run_all(snapshot, |c| c.id.starts_with("redis-")) {
        let id = judged.check.id;
        match &judged.outcome {
            Outcome::Failed(found) => assert!(but.contains(&id) || found.iter().all(|f| f.severity == Severity::Info), "{id}: {found:?}"),
            other => assert!(!but.contains(&id), "{id}: {other:?}"),
        }
        if let Outcome::Unknown(gap) = &judged.outcome {
            println!("{id}: {}", gap.detail);
        }
    }
}

pub fn remedy(finding: &Finding, kind: RemedyKind) -> &Remedy {
    finding.remedies.iter().find(|r| r.kind == kind).unwrap_or_else(|| panic!("{:?}", finding.remedies))
}

/// Key families of a stock Medusa v2 and v1 store with their types and lifetimes.
pub fn write_stock(server: &Server, ulid: &str) {
    let mut commands = vec![
        command(&["HSET", "bull:medusa-workflows:meta", "opts", "{}"]),
        command(&["HSET", "bull:medusa-workflows-jobs:meta", "opts", "{}"]),
        command(&["SET", "bull:medusa-workflows:stalled-check", "1", "PX", "30000"]),
        command(&["ZADD", "bull:workflows-cleaner:delayed", "1", "repeat:x"]),
        command(&["HSET", "bull:workflows-cleaner:repeat:af93f17f71dd6d9f8dcdff728d74b155", "a", "1"]),
        command(&["SET", "RedisEventBusService:events-queue:id", "5415"]),
        command(&["HSET", "RedisEventBusService:events-queue:meta", "opts", "{}"]),
        command(&["XADD", "RedisEventBusService:events-queue:events", "*", "event", "added"]),
        command(&["SET", &format!("medusa_lock:cart_{ulid}"), "owner", "EX", "120"]),
        command(&["SET", &format!("dtrx:complete-cart:auto-{ulid}"), &"x".repeat(24_000)]),
        command(&["RPUSH", &format!("staging:{ulid}"), "event"]),
        command(&["EXPIRE", &format!("staging:{ulid}"), "600"]),
    ];
    for i in 0..150 {
        commands.push(command(&["HSET", &format!("mc:{i:016x}"), "data", "{}", "options", "{}"]));
        commands.push(command(&["EXPIRE", &format!("mc:{i:016x}"), "3600"]));
        commands.push(command(&["SADD", &format!("mc:tags:{i:016x}"), "tag"]));
        commands.push(command(&["EXPIRE", &format!("mc:tags:{i:016x}"), "3660"]));
        commands.push(command(&["HSET", &format!("RedisEventBusService:events-queue:{i}"), "data", "{}"]));
        commands.push(command(&["SET", &format!("sess:{i:0>12}UkchYwOsiIKO85jIep7i"), "{}", "EX", "36000"]));
        commands.push(command(&["SET", &format!("medusa:ps:variant_{ulid}:reg_{ulid}:eur:null:{i}:true:0"), "[]", "EX", "30"]));
    }
    for i in 0..1_000 {
        commands.push(command(&["SADD", &format!("mc:tag:{i:016x}"), "mc:1"]));
        commands.push(command(&["EXPIRE", &format!("mc:tag:{i:016x}"), "3660"]));
    }
    fill(server, commands);
}
