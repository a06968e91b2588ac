//! Clusters and servers that want a client certificate: real ones, of real processes.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Server, audit_with, findings, profile, wait_until};
use medusa_advisor::connect::profile::{RedisPasswords, RedisProfile, parse_redis};
use medusa_advisor::connect::redis::{GRANTS, OpenErrorKind, open};
use medusa_advisor::evidence::redis::{Access, Instance, Network};
use medusa_advisor::evidence::{Cause, Section, Snapshot};
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
    // Two of its nodes lead to the same primaries: each is read once.
    let snapshot = audit_with(&[profile(&cluster.nodes[0]), profile(cluster.replica().unwrap())], &[None, None], 1, || ()).await;
    assert_eq!(ports(&snapshot.redis.unwrap().instances), expected);
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

async fn failure(p: &RedisProfile) -> String {
    match open(p, RedisPasswords::default(), LIMIT).await {
        Err(e) => {
            assert_eq!(e.kind, OpenErrorKind::Unreachable);
            e.words
        }
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let Some((server, ca)) = Server::start_tls_asking(true, &[]) else {
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
    let access = instance.server().unwrap().access.unwrap();
    assert!(access.is_tls && access.has_certificate && !access.has_password, "{access:?}");
    assert_eq!(access.lets_anybody_in, Some(false), "nobody comes in without a certificate");
    let unnamed = RedisProfile { server_name: None, ..whole };
    let error = failure(&unnamed).await;
    assert!(error.contains("for another name"), "{error}");
}

/// How the server was found to treat those who give nothing.
async fn lets_anybody_in(p: &RedisProfile, password: Option<&str>) -> (Option<bool>, Snapshot) {
    let snapshot = audit_with(std::slice::from_ref(p), &[password.map(|p| Secret::new(p.to_owned()))], 1, || ()).await;
    let instance = &snapshot.redis.as_ref().unwrap().instances[0];
    assert_eq!(instance.gaps(), []);
    (instance.server().unwrap().access.unwrap().lets_anybody_in, snapshot)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_asked_for_keeps_nobody_out() {
    let Some((server, ca)) = Server::start_tls_asking(false, &[]) else {
        println!("skipped: no redis-server with TLS, or no openssl here");
        return;
    };
    let bare = parse_redis(&format!("rediss://127.0.0.1:{}/0?ca={ca}&sni=localhost", server.port)).unwrap().0;
    assert_eq!(lets_anybody_in(&bare, None).await.0, None, "the session itself gave nothing");
    let shown = RedisProfile { cert_file: Some(server.file("server.pem")), key_file: Some(server.file("server.key")), ..bare };
    assert_eq!(lets_anybody_in(&shown, None).await.0, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_our_own_user_is_no_password_of_the_servers() {
    let Some(server) = Server::start(&[]) else {
        println!("skipped: no redis-server here");
        return;
    };
    // The printed grant makes a user with a password; the default user stays without one.
    server.cli(&GRANTS.replace("CHANGE_ME", "x"));
    let p = RedisProfile { user: "advisor".into(), ..profile(&server) };
    let (open, mut snapshot) = lets_anybody_in(&p, Some("x")).await;
    assert_eq!(open, Some(true));
    // As it would be judged were the server not on this machine.
    let told = snapshot.redis.as_mut().unwrap().instances[0].server.as_mut().unwrap();
    told.access = told.access.map(|access| Access { network: Network::Private, ..access });
    let found = findings(&snapshot, "redis-open-access");
    assert!(found.len() == 1 && found[0].observed.contains("the default user has none"), "{found:?}");
    assert_eq!(server.cli(&found[0].remedies[0].text).trim(), "OK");
    let (open, mut snapshot) = lets_anybody_in(&p, Some("x")).await;
    assert_eq!(open, Some(false));
    let told = snapshot.redis.as_mut().unwrap().instances[0].server.as_mut().unwrap();
    told.access = told.access.map(|access| Access { network: Network::Private, ..access });
    assert_eq!(findings(&snapshot, "redis-open-access"), []);
    // A default user that may do nothing lets nobody in either.
    assert!(server.cli_as("default", "CHANGE_ME", "ACL SETUSER default nopass -@all +ping").contains("OK"));
    assert_eq!(lets_anybody_in(&p, Some("x")).await.0, Some(false));
}
