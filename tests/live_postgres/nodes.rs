//! A primary and its streaming replica: an index that only the replica's readers use is kept.

use std::time::Duration;

use crate::live::{Db, finding, is_found};
use crate::servers::Servers;
use medusa_advisor::audit;
use medusa_advisor::collect::{collect, run::Run};
use medusa_advisor::connect::profile::{Environment, KeepSecrets, Limits, PostgresProfile, Profile, Secrets, parse_postgres};
use medusa_advisor::evidence::postgres::{Node, NodeUsage};
use medusa_advisor::evidence::{Cause, Snapshot, Targets};
use medusa_advisor::finding::Confidence;
use medusa_advisor::plan::{self, Plan};
use sqlx::{Connection, Executor, PgConnection};

const LINES: &str = "create table line (id bigint primary key, note text not null, mark text not null);
insert into line select i, md5(i::text), md5((-i)::text) from generate_series(1, 300000) i;
create index idx_line_note on line (note);
create index idx_line_mark on line (mark);
vacuum analyze line";

const MARK: &str = "public.idx_line_mark";
const NOTE: &str = "public.idx_line_note";

fn profile(url: &str) -> PostgresProfile {
    parse_postgres(url).unwrap().0
}

/// Audits `first` with the others as its nodes; the password is the first's, as replicas have the primary's roles.
async fn audited(first: &str, others: &[&str]) -> Snapshot {
    let (mut postgres, password) = parse_postgres(first).unwrap();
    postgres.nodes = others.iter().map(|url| profile(url)).collect();
    let profile = Profile {
        id: "nodes".into(),
        name: "nodes".into(),
        environment: Environment::Production,
        postgres: Some(postgres),
        redis: Vec::new(),
        cloudflare: None,
        cloudfront: None,
        shop: None,
        keep_secrets: KeepSecrets::AskEachTime,
        limits: Limits { window_s: 5, probe_timeout_s: 3, ..Limits::default() },
    };
    let secrets = Secrets { postgres_password: password, ..Secrets::default() };
    let run = Run::new(Duration::from_secs(1), |_| {});
    collect(&audit::request(profile, secrets, Targets::default()), &run).await
}

fn usage(node: &Node) -> &NodeUsage {
    node.usage.as_ref().unwrap_or_else(|gap| panic!("{}: {}", node.host, gap.detail))
}

fn scans(node: &Node, name: &str) -> u64 {
    usage(node).indexes.rows.iter().find(|i| i.name == name).map(|i| i.scans).unwrap()
}

fn plan(snapshot: &Snapshot) -> Plan {
    plan::build(snapshot, &[], |_| true)
}

/// The same evidence with counters of sixty days: nobody waits that long for a test.
fn aged(snapshot: &Snapshot) -> Snapshot {
    let mut snapshot = snapshot.clone();
    let pg = snapshot.postgres.as_mut().unwrap();
    let server = pg.server.as_mut().unwrap();
    let since = Some(server.now - time::Duration::days(60));
    server.stats_reset_at = since;
    crate::live::age_indexes(pg);
    for node in pg.nodes.as_mut().unwrap() {
        if let Ok(usage) = &mut node.usage {
            usage.counting_since = since;
        }
    }
    snapshot
}

async fn read_by_note_on(replica: &str) {
    let mut c = caught_up(replica).await;
    c.execute("set enable_seqscan = off").await.unwrap();
    for _ in 0..3 {
        sqlx::query("select id from line where note = md5('7')").fetch_all(&mut c).await.unwrap();
    }
    // A backend hands its counters in when it ends.
    c.close().await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
}

async fn caught_up(replica: &str) -> PgConnection {
    for _ in 0..200 {
        if let Ok(mut c) = PgConnection::connect(replica).await
            && c.execute("select 'public.idx_line_mark'::regclass").await.is_ok()
        {
            return c;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the replica did not catch up");
}

fn with_database(url: &str, database: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_path(database);
    url.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_used_on_the_replica_alone_is_kept() {
    let Some(servers) = Servers::start("replica") else { return };
    let db = Db::new(servers.value("PRIMARY"), "nodes").await;
    db.run(LINES).await;
    let replica = with_database(servers.value("REPLICA"), &db.name);
    read_by_note_on(&replica).await;

    // Alone, the primary would give both up; a replica is attached, so it is not sure.
    let alone = plan(&aged(&audited(&db.url, &[]).await));
    assert_eq!(finding(&alone, "pg-unused-index", NOTE).finding.confidence, Confidence::Low);
    assert!(is_found(&alone, "pg-unused-index", MARK));

    // Whichever address comes first, the primary is audited.
    let snapshot = audited(&replica, &[&db.url]).await;
    let pg = snapshot.pg().unwrap();
    assert_eq!(pg.server().unwrap().host, profile(&db.url).address());
    let nodes = pg.nodes().unwrap();
    assert_eq!((nodes.len(), nodes[0].host.as_str()), (1, profile(&replica).address().as_str()));
    assert!(usage(&nodes[0]).is_replica && usage(&nodes[0]).counting_since.is_some());
    assert_eq!((scans(&nodes[0], "idx_line_note"), scans(&nodes[0], "idx_line_mark")), (3, 0));
    let password = url::Url::parse(&db.url).unwrap().password().unwrap().to_owned();
    assert!(!serde_json::to_string(&snapshot).unwrap().contains(&password));

    // As they are, the counters are minutes old: nothing is called unused.
    let young = plan(&snapshot);
    assert!(young.findings.iter().all(|r| r.check.id != "pg-unused-index"));
    let gap = young.unknown.iter().find(|(c, _)| c.id == "pg-unused-index").map(|(_, g)| g).expect("too young");
    assert!(matches!(gap.cause, Cause::TooYoung { .. }), "{}", gap.detail);

    let old = plan(&aged(&snapshot));
    assert!(!is_found(&old, "pg-unused-index", NOTE), "the replica uses it");
    let found = &finding(&old, "pg-unused-index", MARK).finding;
    assert!(found.observed.contains("on either node"), "{}", found.observed);
    assert_eq!(found.confidence, Confidence::Medium, "{}", found.confidence_because);
    db.run(&found.remedies[0].text).await;
    let mended = plan(&aged(&audited(&db.url, &[&replica]).await));
    assert!(!is_found(&mended, "pg-unused-index", MARK) && !is_found(&mended, "pg-unused-index", NOTE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_down_leaves_the_question_open() {
    let Some(servers) = Servers::start("replica") else { return };
    let db = Db::new(servers.value("PRIMARY"), "nodes_down").await;
    db.run(LINES).await;
    let replica = with_database(servers.value("REPLICA"), &db.name);
    caught_up(&replica).await.close().await.unwrap();
    let mut down = url::Url::parse(&replica).unwrap();
    down.set_port(Some(1)).unwrap();
    let started = std::time::Instant::now();
    // The first address is the one that is down: the others are audited all the same.
    let snapshot = audited(down.as_str(), &[&replica, &db.url]).await;
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let pg = snapshot.pg().unwrap();
    assert_eq!(pg.server().unwrap().host, profile(&db.url).address());
    assert_eq!(pg.nodes().unwrap().iter().map(|n| n.usage.is_ok()).collect::<Vec<_>>(), [false, true]);
    let old = plan(&aged(&snapshot));
    assert!(old.findings.iter().all(|r| r.check.id != "pg-unused-index"));
    let gap = old.unknown.iter().find(|(c, _)| c.id == "pg-unused-index").map(|(_, g)| g).expect("not known");
    assert_eq!(gap.cause, Cause::Unreachable);
    assert!(gap.detail.contains("127.0.0.1:1 was not read") && gap.detail.contains("refused"), "{}", gap.detail);

    // Without the primary the replica is audited, and says so.
    let snapshot = audited(&replica, &[down.as_str()]).await;
    assert!(snapshot.pg().unwrap().server().unwrap().is_replica);
}
