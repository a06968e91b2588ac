//! Clusters, Sentinels and servers that want a client certificate: real ones, of real processes.

#[path = "redis_live/harness.rs"]
mod harness;

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Server, audit_with, findings, free_port, profile};
use medusa_advisor::connect::profile::{RedisProfile, parse_redis};
use medusa_advisor::connect::redis::{GRANTS, OpenErrorKind, open, test};
use medusa_advisor::evidence::redis::Instance;
use medusa_advisor::evidence::{Cause, Section};
use medusa_advisor::secret::Secret;

const LIMIT: Duration = Duration::from_secs(3);

/// Three primaries, each with a replica, that have agreed on their slots.
struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    fn start() -> Option<Self> {
        let nodes: Vec<Server> = (0..6).map(|_| Server::start_in_cluster()).collect::<Option<_>>()?;
        let places: Vec<String> = nodes.iter().map(|n| format!("127.0.0.1:{}", n.port)).collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&places)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdout(Stdio::null())
            .status();
        assert!(created.unwrap().success());
        let cluster = Self { nodes };
        wait_until("the cluster's nodes agree", || {
            cluster.nodes.iter().all(|n| {
                let info = n.cli("CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
            }) && cluster.replica().is_some()
        });
        Some(cluster)
    }

    fn replica(&self) -> Option<&Server> {
        self.nodes.iter().find(|n| n.cli("INFO replication").contains("role:slave"))
    }

    fn primary_ports(&self) -> Vec<u16> {
        self.nodes.iter().filter(|n| n.cli("INFO replication").contains("role:master")).map(|n| n.port).collect()
    }

    /// Through redis-cli, which follows the nodes' redirections.
    fn write(&self, lines: &str) {
        let port = self.nodes[0].port.to_string();
        let mut child = Command::new("redis-cli").args(["-c", "-p", &port]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within twenty seconds");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ports(instances: &[Instance]) -> Vec<u16> {
    let mut ports: Vec<u16> = instances.iter().map(|i| i.name.rsplit_once(':').unwrap().1.trim_end_matches("/0").parse().unwrap()).collect();
    ports.sort_unstable();
    ports
}

#[tokio::test(flavor = "multi_thread")]
async fn every_primary_of_a_cluster_is_read() {
    let Some(cluster) = Cluster::start() else {
        println!("skipped: no redis-server here");
        return;
    };
    let lines: String = (0..900).map(|i| format!("HSET mc:{i:016x} data x\n")).collect();
    cluster.write(&format!("{lines}HSET {{bull}}:mails:meta opts x\nLPUSH {{bull}}:mails:wait 1 2 3\n"));
    let mut expected = cluster.primary_ports();
    expected.sort_unstable();
    // The address of a replica leads to the same cluster.
    for node in [&cluster.nodes[0], cluster.replica().unwrap()] {
        let snapshot = audit_with(&[profile(node)], &[None], 1, || ()).await;
        let instances = &snapshot.redis.as_ref().unwrap().instances;
        assert_eq!(ports(instances), expected);
        assert!(instances.iter().all(|i| i.gaps().is_empty()), "{instances:?}");
        assert!(instances.iter().all(|i| i.server().unwrap().mode == "cluster" && i.server().unwrap().role == "master"));
        let keys: u64 = instances.iter().map(|i| i.keys().unwrap().keys_total).sum();
        assert_eq!(keys, 902);
        let queues: Vec<_> = instances.iter().flat_map(|i| i.queues().unwrap()).collect();
        assert_eq!(queues.len(), 1, "{queues:?}");
        assert_eq!(queues[0].waiting(), 3);
        // Entries without a lifetime lie on every node, and each finding names its own.
        let found = findings(&snapshot, "redis-cache-without-ttl");
        assert_eq!(found.len(), 3, "{found:?}");
        for instance in instances {
            assert!(found.iter().any(|f| f.subject.name.contains(&instance.name)), "{found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_ask_for_the_nodes_leaves_a_gap() {
    let Some(cluster) = Cluster::start() else {
        println!("skipped: no redis-server here");
        return;
    };
    let node = &cluster.nodes[0];
    node.cli(&GRANTS.replace("CHANGE_ME", "x").replace("+cluster|slots ", ""));
    let p = RedisProfile { user: "advisor".into(), ..profile(node) };
    let snapshot = audit_with(&[p], &[Some(Secret::new("x".to_owned()))], 1, || ()).await;
    let instances = snapshot.redis.unwrap().instances;
    assert_eq!(instances.len(), 2);
    assert!(instances[0].gaps().is_empty(), "{:?}", instances[0].gaps());
    let gap = instances[1].keys().unwrap_err();
    assert_eq!(gap.section, Section::RedisKeys);
    assert!(matches!(&gap.cause, Cause::Denied { grant } if grant.ends_with("+cluster|slots")), "{gap:?}");
    assert!(instances[1].name.starts_with("other nodes of 127.0.0.1"), "{}", instances[1].name);
}

/// A Sentinel, ended by its own handle.
struct Sentinel {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sentinel {
    fn start(master: u16) -> Option<Self> {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = dir.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor shop 127.0.0.1 {master} 2\nsentinel down-after-milliseconds shop 2000\n\
             sentinel failover-timeout shop 5000\n",
            dir.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let program = std::env::var("ADVISOR_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
        let child = Command::new(program).arg(&file).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let sentinel = Self { child, port, _dir: dir };
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
        ports(&[instance])[0]
    };
    assert_eq!(audited(p.clone()).await, first.port);
    wait_until("a failover begins", || sentinels[1].cli("sentinel failover shop").contains("OK"));
    wait_until("the replica is master", || second.cli("INFO replication").contains("role:master"));
    wait_until("the Sentinels say so", || {
        sentinels[1..].iter().all(|s| s.cli("sentinel get-master-addr-by-name shop").contains(&second.port.to_string()))
    });
    assert_eq!(audited(p.clone()).await, second.port);
    let report = test(&p, None, LIMIT).await;
    assert!(report.is_connected() && report.steps[0].detail.contains("shop"), "{report:?}");

    // What is wrong is told with what is right.
    let wrong = RedisProfile { sentinel: Some(medusa_advisor::connect::profile::Sentinel { master: "other".into(), others: vec![] }), ..p.clone() };
    let wrong = RedisProfile { port: sentinels[1].port, ..wrong };
    let error = failure(&wrong).await;
    assert!(error.ends_with("knows no master named other. It knows shop."), "{error}");
    let plain = RedisProfile::at("127.0.0.1", sentinels[1].port);
    let error = failure(&plain).await;
    assert!(error.contains("is a Sentinel") && error.contains(&format!("redis+sentinel://127.0.0.1:{}/shop/0", sentinels[1].port)), "{error}");
    let server = RedisProfile { port: second.port, ..wrong };
    let error = failure(&server).await;
    assert!(error.contains("is no Sentinel"), "{error}");
}

async fn failure(p: &RedisProfile) -> String {
    match open(p, None, LIMIT).await {
        Err(e) => {
            assert_eq!(e.kind, OpenErrorKind::Unreachable);
            e.words
        }
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let Some((server, ca)) = Server::start_tls_asking(true) else {
        println!("skipped: no redis-server with TLS, or no openssl here");
        return;
    };
    // The certificate is for localhost: the name is given where the address is another.
    let url = format!("rediss://127.0.0.1:{}/0?ca={ca}&sni=localhost", server.port);
    let bare = parse_redis(&url).unwrap().0;
    let error = failure(&bare).await;
    // In so many words where its alert arrives before the end of the connection.
    assert!(error.contains("asks for a client certificate"), "{error}");
    let half = RedisProfile { cert_file: Some(server.file("server.pem")), ..bare.clone() };
    assert!(failure(&half).await.contains("needs both"));
    let wrong = RedisProfile { key_file: Some(server.file("ca.pem")), ..half.clone() };
    assert!(failure(&wrong).await.contains("no unencrypted private key"));
    let foreign = RedisProfile { key_file: Some(server.file("ca.key")), ..half.clone() };
    assert!(failure(&foreign).await.contains("cannot be used together"));
    let whole = RedisProfile { key_file: Some(server.file("server.key")), ..half };
    let snapshot = audit_with(std::slice::from_ref(&whole), &[None], 1, || ()).await;
    let instance = snapshot.redis.unwrap().instances.remove(0);
    assert_eq!(instance.gaps(), []);
    assert!(instance.server().unwrap().access.unwrap().is_tls);
    let unnamed = RedisProfile { server_name: None, ..whole };
    let error = failure(&unnamed).await;
    assert!(error.contains("for another name"), "{error}");
}
