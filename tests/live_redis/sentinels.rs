//! Sentinels: of real processes, with and without passwords and TLS of their own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::{Server, audit_of, audit_with, certificates, free_port, wait_until};
use medusa_advisor::connect::profile::{RedisPasswords, RedisProfile, Secrets, Sentinel as Named, parse_redis, sentinel_password};
use medusa_advisor::connect::redis::{OpenErrorKind, open, test};
use medusa_advisor::evidence::Cause;
use medusa_advisor::secret::Secret;

const LIMIT: Duration = Duration::from_secs(3);

/// A Sentinel, ended by its own handle.
struct Sentinel {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
    /// Its certificate's.
    files: Option<tempfile::TempDir>,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sentinel {
    fn start(master: u16) -> Option<Self> {
        Self::start_with(master, 2, "", false)
    }

    /// Watches the master of this port as "shop"; `more` is lines of its configuration.
    fn start_with(master: u16, quorum: u8, more: &str, is_tls: bool) -> Option<Self> {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let listen = if is_tls { format!("port 0\ntls-port {port}") } else { format!("port {port}") };
        let file = dir.path().join("sentinel.conf");
        let text = format!(
            "{listen}\nbind 127.0.0.1\ndir {}\nsentinel monitor shop 127.0.0.1 {master} {quorum}\n\
             sentinel down-after-milliseconds shop 2000\nsentinel failover-timeout shop 5000\n{more}",
            dir.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let program = std::env::var("ADVISOR_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
        let child = Command::new(program).arg(&file).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let sentinel = Self { child, port, _dir: dir, files: None };
        wait_until("the Sentinel listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(sentinel)
    }

    fn cli(&self, line: &str) -> String {
        let ran = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(line.split(' ')).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_name_the_master_also_after_a_failover() {
    let Some(first) = Server::start(&[]) else {
        println!("skipped: no redis-server here");
        return;
    };
    let second = Server::start(&["--replicaof", "127.0.0.1", &first.port.to_string()]).unwrap();
    let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(first.port).unwrap()).collect();
    wait_until("the Sentinels know each other and the replica", || {
        sentinels.iter().all(|s| {
            let told = s.cli("sentinel master shop");
            let after = |name: &str| told.lines().skip_while(|l| *l != name).nth(1).unwrap_or("").to_owned();
            after("num-other-sentinels") == "2" && after("num-slaves") == "1"
        })
    });
    // The first Sentinel of the list is gone: the next one is asked.
    let url = format!("redis+sentinel://127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}/shop", free_port(), sentinels[1].port, sentinels[2].port);
    let p = parse_redis(&url).unwrap().0;
    let audited = |p: RedisProfile| async move {
        let snapshot = audit_with(&[p], &[None], 1, || ()).await;
        let instance = snapshot.redis.unwrap().instances.remove(0);
        assert_eq!(instance.gaps(), []);
        assert_eq!(instance.server().unwrap().role, "master");
        assert!(instance.name.starts_with("127.0.0.1:"), "{}", instance.name);
        instance.name.trim_start_matches("127.0.0.1:").trim_end_matches("/0").parse::<u16>().unwrap()
    };
    assert_eq!(audited(p.clone()).await, first.port);
    wait_until("a failover begins", || sentinels[1].cli("sentinel failover shop").contains("OK"));
    wait_until("the replica is master", || second.cli("INFO replication").contains("role:master"));
    wait_until("the Sentinels say so", || {
        sentinels[1..].iter().all(|s| s.cli("sentinel get-master-addr-by-name shop").contains(&second.port.to_string()))
    });
    assert_eq!(audited(p.clone()).await, second.port);
    let report = test(&p, RedisPasswords::default(), LIMIT).await;
    assert!(report.is_connected() && report.steps[0].detail.contains("shop"), "{report:?}");

    // What is wrong is told with what is right.
    let wrong = RedisProfile { sentinel: Some(Named { master: "other".into(), ..Named::default() }), ..p.clone() };
    let wrong = RedisProfile { port: sentinels[1].port, ..wrong };
    let error = failure(&wrong, RedisPasswords::default()).await;
    assert!(error.ends_with("knows no master named other. It knows shop."), "{error}");
    let plain = RedisProfile::at("127.0.0.1", sentinels[1].port);
    let error = failure(&plain, RedisPasswords::default()).await;
    assert!(error.contains("is a Sentinel") && error.contains(&format!("redis+sentinel://127.0.0.1:{}/shop/0", sentinels[1].port)), "{error}");
    let server = RedisProfile { port: second.port, ..wrong };
    let error = failure(&server, RedisPasswords::default()).await;
    assert!(error.contains("is no Sentinel"), "{error}");
}

/// The words and the kind of why it does not open.
async fn refused(p: &RedisProfile, passwords: RedisPasswords<'_>) -> (OpenErrorKind, String) {
    match open(p, passwords, LIMIT).await {
        Err(e) => (e.kind, e.words),
        Ok(_) => panic!("it opened"),
    }
}

async fn failure(p: &RedisProfile, passwords: RedisPasswords<'_>) -> String {
    let (kind, words) = refused(p, passwords).await;
    assert_eq!(kind, OpenErrorKind::Unreachable, "{words}");
    words
}

/// Whose authority signed what: the server's is another than the Sentinel's.
struct Guarded {
    server: Server,
    sentinel: Sentinel,
    server_ca: String,
    sentinel_ca: String,
}

const STORE: &str = "store-pw-7f";
const WATCH: &str = "watch-pw-91";

impl Guarded {
    /// A server with TLS and a password; before it a Sentinel with a password of its own, and TLS if so.
    fn start(is_tls: bool, own: &str) -> Option<Self> {
        let (server, server_ca) = Server::start_tls_asking(false, &["--requirepass", STORE])?;
        let dir = tempfile::tempdir().unwrap();
        let files = certificates(dir.path())?;
        let of_sentinel: Vec<String> = files.iter().filter(|(n, _)| *n != "tls-ca-cert-file").map(|(n, path)| format!("{n} {path}")).collect();
        let more = format!(
            "{}\ntls-ca-cert-file {server_ca}\ntls-replication yes\ntls-auth-clients no\nsentinel auth-pass shop {STORE}\n{own}\n",
            of_sentinel.join("\n")
        );
        let mut sentinel = Sentinel::start_with(server.port, 1, &more, is_tls)?;
        let sentinel_ca = dir.path().join("ca.pem").to_string_lossy().into_owned();
        sentinel.files = Some(dir);
        Some(Self { server, sentinel, server_ca, sentinel_ca })
    }

    /// The profile and both passwords of an address with this query.
    fn at(&self, query: &str) -> (RedisProfile, Secrets) {
        let ca = &self.server_ca;
        let url = format!("rediss+sentinel://:{STORE}@127.0.0.1:{}/shop?ca={ca}&sni=localhost{query}", self.sentinel.port);
        let (profile, password) = parse_redis(&url).unwrap();
        (profile, Secrets { redis_passwords: vec![password], sentinel_passwords: vec![sentinel_password(&url)], ..Secrets::default() })
    }

    async fn is_audited(&self, query: &str) {
        let (profile, secrets) = self.at(query);
        let snapshot = audit_of(std::slice::from_ref(&profile), &secrets, 1, || ()).await;
        let instance = snapshot.redis.unwrap().instances.remove(0);
        assert_eq!(instance.gaps(), []);
        let server = instance.server().unwrap();
        let access = server.access.unwrap();
        assert!(server.role == "master" && access.is_tls && access.lets_anybody_in == Some(false), "{server:?}");
        assert_eq!(instance.name, format!("127.0.0.1:{}/0", self.server.port));
        let report = test(&profile, secrets.redis(0), LIMIT).await;
        assert!(report.is_connected(), "{report:?}");
    }

    async fn error(&self, query: &str) -> (OpenErrorKind, String) {
        let (profile, secrets) = self.at(query);
        let (kind, words) = refused(&profile, secrets.redis(0)).await;
        assert!(!words.contains(STORE) && !words.contains(WATCH), "{words}");
        let report = test(&profile, secrets.redis(0), LIMIT).await;
        assert!(!report.is_connected() && !format!("{report:?}").contains(WATCH), "{report:?}");
        (kind, words)
    }
}

fn skipped() {
    println!("skipped: no redis-server with TLS, or no openssl here");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_have_a_password_and_an_authority_of_their_own() {
    let Some(shop) = Guarded::start(true, &format!("requirepass {WATCH}")) else { return skipped() };
    let (at, authority) = (format!("127.0.0.1:{}", shop.sentinel.port), format!("&sentinel_ca={}", shop.sentinel_ca));
    let right = format!("{authority}&sentinel_password={WATCH}");
    shop.is_audited(&right).await;

    let (kind, words) = shop.error(&format!("{authority}&sentinel_password=wrong")).await;
    assert!(kind == OpenErrorKind::SignIn && words.contains(&format!("The Sentinel {at}")) && words.contains("refused the password"), "{words}");
    // The store's password is tried, and is not theirs.
    let (kind, words) = shop.error(&authority).await;
    assert!(kind == OpenErrorKind::SignIn && words.contains(&format!("The Sentinel {at} asks for a password of its own")), "{words}");
    let (kind, words) = shop.error(&format!("&sentinel_password={WATCH}")).await;
    assert!(kind == OpenErrorKind::Unreachable && words.contains(&format!("The Sentinel {at}")) && words.contains("Give its CA file"), "{words}");
    let (_, words) = shop.error(&format!("{right}&sentinel_tls=no")).await;
    assert!(words.contains(&format!("The Sentinel {at}")), "{words}");
    // The Sentinels answer, the server behind them is not to be trusted.
    let (profile, secrets) = shop.at(&right);
    let foreign = RedisProfile { ca_file: Some(shop.sentinel_ca.clone()), ..profile.clone() };
    let (kind, words) = refused(&foreign, secrets.redis(0)).await;
    let master = format!("The master shop that the Sentinels name, 127.0.0.1:{}", shop.server.port);
    assert!(kind == OpenErrorKind::Unreachable && words.starts_with(&master) && words.contains("Give its CA file"), "{words}");
    let wrong = Secret::new("wrong".to_owned());
    let passwords = RedisPasswords { server: Some(&wrong), ..secrets.redis(0) };
    let (kind, words) = refused(&profile, passwords).await;
    assert!(kind == OpenErrorKind::SignIn && words.starts_with(&master) && words.contains("refused the password"), "{words}");
    // One of the Sentinels is down: what the other says is told.
    let (profile, secrets) = shop.at(&format!("{authority}&sentinel_password=wrong"));
    let mut named = profile.sentinel.clone().unwrap();
    named.others = vec![format!("127.0.0.1:{}", free_port())];
    let (kind, words) = refused(&RedisProfile { sentinel: Some(named), ..profile.clone() }, secrets.redis(0)).await;
    assert!(kind == OpenErrorKind::SignIn && words.contains("refused the password"), "{words}");
    // An audit says it too.
    let snapshot = audit_of(&[profile], &secrets, 1, || ()).await;
    let gap = snapshot.redis.unwrap_err();
    assert!(matches!(gap.cause, Cause::Denied { .. }) && gap.detail.contains(&at) && !gap.detail.contains(WATCH), "{gap:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_without_tls_stand_before_servers_with_it() {
    let Some(shop) = Guarded::start(false, &format!("requirepass {STORE}")) else { return skipped() };
    // One password for both, as many have it.
    shop.is_audited("&sentinel_tls=no").await;
    let (_, words) = shop.error("").await;
    assert!(words.contains("sentinel_tls=no"), "{words}");
    let (kind, words) = shop.error("&sentinel_tls=no&sentinel_user=nobody&sentinel_password=x").await;
    assert!(kind == OpenErrorKind::SignIn && words.contains("user nobody"), "{words}");
}
