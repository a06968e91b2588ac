//! A scratch database on the private server, an audit of it with traffic in the window, and remedies run verbatim.

// Each test program uses its part of this.
#![allow(dead_code)]

use std::future::Future;
use std::time::Duration;

use medusa_advisor::audit;
use medusa_advisor::collect::{collect, run::Run};
use medusa_advisor::connect::profile::{Environment, KeepSecrets, Limits, PostgresProfile, Profile, Secrets, parse_postgres};
use medusa_advisor::evidence::postgres::Postgres;
use medusa_advisor::evidence::{Snapshot, Targets};
use medusa_advisor::plan::{self, Plan, Ranked};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Observation window of the live tests, seconds.
pub const WINDOW_S: u32 = 5;

/// The private server's URL; says "skipped" where there is none.
pub fn server() -> Option<String> {
    let url = std::env::var("ADVISOR_TEST_POSTGRES").ok();
    if url.is_none() {
        println!("skipped: ADVISOR_TEST_POSTGRES names no private Postgres server; tests/run.sh starts one");
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    url
}

/// A database of its own, dropped by the next run of the same test.
pub struct Db {
    pub url: String,
    pub name: String,
}

impl Db {
    pub async fn new(server: &str, name: &str) -> Self {
        let name = format!("live_{name}");
        let mut admin = PgConnection::connect(server).await.unwrap();
        admin.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await.unwrap();
        admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        let mut url = url::Url::parse(server).unwrap();
        url.set_path(&name);
        let db = Self { url: url.to_string(), name };
        db.run("create extension pg_stat_statements").await;
        db
    }

    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Runs statements one by one, outside a transaction, as a person pasting them would.
    pub async fn run(&self, sql: &str) {
        let mut c = self.connection().await;
        for statement in statements(sql) {
            c.execute(AssertSqlSafe(statement.clone())).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
    }

    pub async fn reset_counters(&self) {
        self.run("select pg_stat_statements_reset()").await;
    }

    /// Audits this database while `load` runs over and over on a connection of its own.
    pub async fn audit<F, L>(&self, load: L) -> (Snapshot, Plan)
    where
        L: Fn(PgConnection) -> F + Send + 'static,
        F: Future<Output = PgConnection> + Send,
    {
        let mut connection = self.connection().await;
        let traffic = tokio::spawn(async move {
            loop {
                connection = load(connection).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let seen = self.quiet_audit().await;
        traffic.abort();
        seen
    }

    /// Audits this database as it is.
    pub async fn quiet_audit(&self) -> (Snapshot, Plan) {
        let snapshot = collect_from(&self.url, WINDOW_S).await;
        if let Some(folder) = std::env::var_os("ADVISOR_TEST_DUMP") {
            let path = std::path::Path::new(&folder).join(format!("{}.snapshot", self.name));
            std::fs::write(path, medusa_advisor::evidence::file::write(&snapshot)).unwrap();
        }
        let plan = plan::build(&snapshot, &[], |_| true);
        (snapshot, plan)
    }
}

/// Splits pasted SQL at the semicolons that end lines.
pub fn statements(sql: &str) -> Vec<String> {
    sql.split(";\n").map(|s| s.trim().trim_end_matches(';').to_owned()).filter(|s| !s.is_empty()).collect()
}

/// The same database through PgBouncer where `ADVISOR_TEST_THROUGH_POOL` asks for it: `tests/postgres-matrix.sh` does.
pub fn maybe_pooled(url: &str) -> String {
    let var = |name: &str| std::env::var(name).ok();
    let parsed = |url: &str| url::Url::parse(url).unwrap();
    let (Some(_), Some(server), Some(pool)) = (var("ADVISOR_TEST_THROUGH_POOL"), var("ADVISOR_TEST_POSTGRES"), var("ADVISOR_TEST_PGBOUNCER")) else {
        return url.to_owned();
    };
    let (mut url, server, pool) = (parsed(url), parsed(&server), parsed(&pool));
    if (url.host_str(), url.port()) == (server.host_str(), server.port()) {
        url.set_port(pool.port()).unwrap();
    }
    url.to_string()
}

/// A store of which only Postgres is known.
pub fn profile(postgres: PostgresProfile, limits: Limits) -> Profile {
    Profile {
        id: "live".into(),
        name: "live".into(),
        environment: Environment::Production,
        postgres: Some(postgres),
        redis: Vec::new(),
        cloudflare: None,
        cloudfront: None,
        shop: None,
        keep_secrets: KeepSecrets::AskEachTime,
        limits,
    }
}

pub async fn collect_from(url: &str, window_s: u32) -> Snapshot {
    let (postgres, password) = parse_postgres(&maybe_pooled(url)).unwrap();
    let profile = profile(postgres, Limits { window_s, ..Limits::default() });
    let run = Run::new(Duration::from_secs(u64::from(window_s)), |_| {});
    let secrets = Secrets { postgres_password: password, ..Secrets::default() };
    collect(&audit::request(profile, secrets, Targets::default()), &run).await
}

/// The finding of this check on this subject; what was found instead is in the failure.
pub fn finding<'p>(plan: &'p Plan, check: &str, subject: &str) -> &'p Ranked {
    let found = plan.findings.iter().find(|r| r.check.id == check && r.finding.subject.name == subject);
    found.unwrap_or_else(|| {
        let keys: Vec<String> = plan.findings.iter().map(|r| format!("{} [{:.4}]: {}", r.key, r.weight, r.finding.observed)).collect();
        let gap = plan.unknown.iter().find(|(c, _)| c.id == check).map(|(_, g)| &g.detail);
        panic!("{check}:{subject} was not found (gap: {gap:?}). Found:\n{}", keys.join("\n"))
    })
}

/// As if every index were a year old: that cannot be waited for.
pub fn age_indexes(pg: &mut Postgres) {
    for index in &mut pg.indexes.as_mut().unwrap().rows {
        index.age_s_min = Some(365.0 * 86_400.0);
    }
}

pub fn is_found(plan: &Plan, check: &str, subject: &str) -> bool {
    plan.findings.iter().any(|r| r.check.id == check && r.finding.subject.name == subject)
}
