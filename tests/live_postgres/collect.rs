//! The Postgres collector against a real server: `ADVISOR_TEST_POSTGRES` is the superuser URL of a private server with
//! pg_stat_statements preloaded; `ADVISOR_TEST_PGBOUNCER` the same through PgBouncer in transaction mode;
//! `ADVISOR_TEST_POSTGRES_SCALE` a large store to measure, if there is one.

use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use medusa_advisor::collect::run::{Note, Run};
use medusa_advisor::collect::{Asked, Candidate, Request, collect};
use medusa_advisor::connect::postgres::{self, GRANTS};
use medusa_advisor::connect::profile::{Environment, KeepSecrets, Limits, Profile, Secrets, parse_postgres};
use medusa_advisor::connect::steps::{CapabilityState, StepState};
use medusa_advisor::evidence::postgres::Postgres;
use medusa_advisor::evidence::{Cause, Gap, Section, Snapshot, Targets};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::Notify;

fn env(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|v| !v.is_empty());
    if value.is_none() {
        println!("skipped: {name} is not set");
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    value
}

fn request(url: &str) -> Request {
    let (postgres, password) = parse_postgres(&crate::live::maybe_pooled(url)).unwrap();
    Request {
        profile: Profile {
            id: "test".to_owned(),
            name: "Test".to_owned(),
            environment: Environment::Development,
            postgres: Some(postgres),
            redis: Vec::new(),
            cloudflare: None,
            cloudfront: None,
            shop: None,
            keep_secrets: KeepSecrets::AskEachTime,
            limits: Limits { window_s: 5, probe_timeout_s: 3, ..Limits::default() },
        },
        secrets: Secrets { postgres_password: password, ..Secrets::default() },
        targets: Targets::default(),
        candidates: |_| Vec::new(),
    }
}

async fn audit(request: &Request) -> Snapshot {
    let run = Run::new(Duration::from_secs(u64::from(request.profile.limits.window_s)), |_| ());
    collect(request, &run).await
}

async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn with_database(url: &str, database: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_path(database);
    url.to_string()
}

fn with_user(url: &str, user: &str, password: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_username(user).unwrap();
    url.set_password(Some(password)).unwrap();
    url.to_string()
}

/// Loads a recorded dump by psql: its COPY blocks are psql's own.
async fn load(url: &str, file: &str) -> Option<()> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/medusa").join(file);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {file} is not there");
        return None;
    };
    let dump = tempfile::NamedTempFile::new().unwrap();
    if file.ends_with(".gz") {
        let mut text = Vec::new();
        GzDecoder::new(bytes.as_slice()).read_to_end(&mut text).unwrap();
        std::fs::write(dump.path(), text).unwrap();
    } else {
        std::fs::write(dump.path(), bytes).unwrap();
    }
    let mut psql = tokio::process::Command::new("psql");
    psql.args(["-X", "-q", "-d", url, "-f"]).arg(dump.path()).stdout(Stdio::null()).stderr(Stdio::null());
    if psql.status().await.is_err() {
        println!("skipped: psql is not installed");
        return None;
    }
    Some(())
}

/// A scratch database with the stock schema and the rows of a small store.
async fn store(admin: &str, database: &str, major: u8) -> Option<String> {
    execute(admin, &format!("drop database if exists {database} with (force)")).await;
    execute(admin, &format!("create database {database}")).await;
    let url = with_database(admin, database);
    execute(&url, "create extension pg_stat_statements").await;
    load(&url, &format!("v{major}-schema.sql")).await?;
    load(&url, &format!("seed-v{major}.sql.gz")).await?;
    execute(&url, "analyze").await;
    Some(url)
}

async fn drop_store(admin: &str, database: &str) {
    execute(admin, &format!("drop database if exists {database} with (force)")).await;
}

fn evidence(snapshot: &Snapshot) -> &Postgres {
    snapshot.postgres.as_ref().unwrap()
}

fn print_figures(title: &str, snapshot: &Snapshot) {
    for c in &snapshot.costs {
        let busy = c.busy_ms.unwrap_or(f64::NAN);
        println!(
            "{title}: {} calls, wall {:.0} ms, busy {busy:.0} ms, {} bytes, window {:.1} s",
            c.calls, c.wall_ms, c.bytes, snapshot.meta.window_s
        );
    }
    for gap in evidence(snapshot).gaps() {
        println!("{title}: gap {:?}: {} [{}]", gap.section, gap.detail, gap.cause.remedy().unwrap_or("-"));
    }
}

fn grant_of(gaps: &[Gap], section: Section) -> String {
    match gaps.iter().find(|g| g.section == section).map(|g| &g.cause) {
        Some(Cause::Denied { grant }) => grant.clone(),
        other => panic!("{section:?}: {other:?}"),
    }
}

/// Twenty list queries of different length, inside the window.
async fn lists(url: String) {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for n in 1..=20 {
        let ids = (0..n).map(|i| format!("'p{i}'")).collect::<Vec<_>>().join(", ");
        let sql = format!("select i.* from public.image as i where i.product_id in ({ids}) and i.deleted_at is null");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_2_store_is_read_whole() {
    let Some(admin) = env("ADVISOR_TEST_POSTGRES") else { return };
    let Some(url) = store(&admin, "advisor_collect_v2", 2).await else { return };
    let request = request(&url);
    let opened = Arc::new(Notify::new());
    let tell = Arc::clone(&opened);
    let run = Run::new(Duration::from_secs(u64::from(request.profile.limits.window_s)), move |note| {
        if note == Note::WindowOpened {
            tell.notify_one();
        }
    });
    let load = tokio::spawn(async move {
        opened.notified().await;
        lists(url).await;
    });
    let snapshot = collect(&request, &run).await;
    load.await.unwrap();
    print_figures("v2", &snapshot);
    let pg = evidence(&snapshot);
    assert_eq!(pg.gaps(), Vec::new());
    let server = pg.server().unwrap();
    assert!(server.is_superuser && !server.is_replica);
    assert!(server.counters.window.is_some_and(|w| w.commits > 0));
    let medusa = pg.medusa().unwrap();
    assert_eq!((medusa.major, medusa.schema.as_str()), (2, "public"));
    assert_eq!(pg.tables().unwrap().rows.iter().filter(|t| t.extension.is_none()).count(), medusa.tables as usize);
    let index = pg.indexes().unwrap().rows.iter().find(|i| i.name == "IDX_image_product_id").unwrap();
    assert_eq!((index.keys[0].text.as_str(), index.predicate.as_deref(), index.method.as_str()), ("product_id", Some("deleted_at IS NULL"), "btree"));
    assert!(index.bytes > 0 && index.scans.window.is_some());
    let constraints = &pg.constraints().unwrap().rows;
    assert!(constraints.iter().any(|c| c.kind == "f" && c.table == "product_variant" && c.parent_table.as_deref() == Some("product")));
    let columns = &pg.columns().unwrap().rows;
    assert!(columns.iter().any(|c| c.table == "order" && c.name == "created_at" && c.data_type == "timestamp with time zone"));
    assert!(pg.column_stats().unwrap().rows.iter().any(|c| c.table == "product" && c.column == "deleted_at"));
    assert!(pg.media().unwrap().iter().any(|m| m.column == "image.url" && m.count > 0));
    assert!(pg.row_counts().unwrap().iter().any(|c| c.table == "product" && c.what == "total" && !c.is_estimate && c.rows > 0));
    let statements = pg.statements().unwrap();
    assert!(statements.own_excluded > 0);
    assert!(statements.rows.rows.iter().all(|s| !s.text.contains("medusa-advisor")), "our own statements are left out");
    let list = statements.rows.rows.iter().find(|s| s.text.contains("public.image as i where i.product_id in ($1, …)")).unwrap();
    assert_eq!(list.counters.window.unwrap().calls, 20);
    assert!(snapshot.timelines.iter().any(|t| t.id == "pg.database_time" && t.points.iter().any(|(_, v)| v.is_some())));
    drop_store(&admin, "advisor_collect_v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_1_store_is_read_whole() {
    let Some(admin) = env("ADVISOR_TEST_POSTGRES") else { return };
    let Some(url) = store(&admin, "advisor_collect_v1", 1).await else { return };
    let snapshot = audit(&request(&url)).await;
    print_figures("v1", &snapshot);
    let pg = evidence(&snapshot);
    assert_eq!(pg.gaps(), Vec::new());
    assert_eq!(pg.medusa().unwrap().major, 1);
    let trigram = pg.indexes().unwrap().rows.iter().find(|i| i.method == "gin" && i.table == "product").unwrap();
    assert_eq!(trigram.keys[0].opclass.as_deref(), Some("gin_trgm_ops"));
    drop_store(&admin, "advisor_collect_v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_connect_gets_gaps_that_name_the_grant() {
    let Some(admin) = env("ADVISOR_TEST_POSTGRES") else { return };
    let Some(url) = store(&admin, "advisor_collect_bare", 2).await else { return };
    execute(&url, "drop role if exists advisor_collect_bare; create role advisor_collect_bare login password 'bare'").await;
    let bare = with_user(&url, "advisor_collect_bare", "bare");
    let snapshot = audit(&request(&bare)).await;
    print_figures("bare", &snapshot);
    let pg = evidence(&snapshot);
    assert!(pg.tables().is_ok() && pg.indexes().is_ok() && pg.settings().is_ok());
    assert_eq!(pg.medusa().unwrap().version, "2.x");
    let gaps = pg.gaps();
    let media = grant_of(&gaps, Section::PgMedia);
    assert!(media.contains("on public.image to \"advisor_collect_bare\";"), "{media}");
    assert!(pg.statements().unwrap().hidden > 0, "texts of others are hidden, not absent");
    // The grants as printed close the gaps.
    execute(&url, &format!("{}\n{media}", grant_of(&gaps, Section::PgColumnStats))).await;
    let snapshot = audit(&request(&bare)).await;
    let pg = evidence(&snapshot);
    assert!(pg.media().is_ok_and(|m| !m.is_empty()));
    assert!(pg.column_stats().is_ok_and(|c| !c.rows.is_empty() && c.is_whole()));
    drop_store(&admin, "advisor_collect_bare").await;
    execute(&admin, "drop role advisor_collect_bare").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_grants_leave_no_gap_and_open_no_personal_column() {
    let Some(admin) = env("ADVISOR_TEST_POSTGRES") else { return };
    let Some(url) = store(&admin, "advisor_collect_grants", 2).await else { return };
    let drop_role = "do $$ begin if exists (select from pg_roles where rolname = 'medusa_advisor') then drop owned by medusa_advisor; \
                     drop role medusa_advisor; end if; end $$";
    execute(&url, &format!("drop extension pg_stat_statements; {drop_role}")).await;
    execute(&url, GRANTS).await;
    let role = with_user(&url, "medusa_advisor", "CHANGE-ME");
    let snapshot = audit(&request(&role)).await;
    print_figures("grants", &snapshot);
    let pg = evidence(&snapshot);
    // Plans need the rows' own right, which the least role does not have.
    assert!(pg.gaps().iter().all(|g| g.section == Section::PgPlans), "{:?}", pg.gaps());
    assert!(pg.server().unwrap().has_pg_monitor);
    assert_eq!(pg.statements().unwrap().hidden, 0);
    assert!(pg.column_stats().unwrap().is_whole());
    let mut connection = PgConnection::connect(&role).await.unwrap();
    assert!(sqlx::raw_sql("select email from public.customer").execute(&mut connection).await.is_err());
    assert!(sqlx::raw_sql("update public.image set url = ''").execute(&mut connection).await.is_err());
    connection.close().await.unwrap();
    execute(&url, drop_role).await;
    drop_store(&admin, "advisor_collect_grants").await;
}

fn image_candidate(snapshot: &Snapshot) -> Vec<Candidate> {
    let statements = snapshot.pg().and_then(|pg| pg.statements().cloned()).unwrap();
    let statement = statements.rows.rows.iter().find(|s| s.text.contains("i.product_id in (")).unwrap();
    vec![Candidate {
        statements: vec![Asked { id: statement.id.clone(), rows_a_call: 5.0 }],
        schema: "public".to_owned(),
        table: "image".to_owned(),
        columns: vec!["product_id".to_owned()],
        create_sql: "create index on public.image (product_id) where deleted_at is null".to_owned(),
    }]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_judged_by_the_planner() {
    let Some(admin) = env("ADVISOR_TEST_POSTGRES") else { return };
    let Some(url) = store(&admin, "advisor_collect_proof", 2).await else { return };
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let has_hypopg = sqlx::raw_sql("create extension hypopg").execute(&mut connection).await.is_ok();
    connection.close().await.unwrap();
    let fault = "drop index public.\"IDX_image_product_id\", public.\"IDX_product_image_rank_product_id\";
        set session_replication_role = replica;
        insert into public.image (id, url, product_id)
            select 'x' || n, 'https://cdn.example.com/' || n, 'p' || n / 5 from generate_series(1, 20000) as n;
        analyze public.image;";
    execute(&url, fault).await;
    execute(&url, "select i.* from public.image as i where i.product_id in ('a', 'b') and i.deleted_at is null").await;
    let snapshot = audit(&Request { candidates: image_candidate, ..request(&url) }).await;
    print_figures("proof", &snapshot);
    let proofs = evidence(&snapshot).proofs().unwrap();
    println!("{proofs:#?}");
    assert_eq!(proofs.len(), 1);
    assert_eq!(proofs[0].node_before, "Seq Scan on image");
    if has_hypopg {
        assert_eq!(proofs[0].method, "hypopg");
        assert!(proofs[0].cost_after.unwrap() < proofs[0].cost_before);
        assert!(proofs[0].bytes.unwrap() > 0);
    } else {
        println!("skipped: hypopg is not installed");
        assert_eq!((proofs[0].method.as_str(), proofs[0].cost_after), ("generic plan", None));
    }
    drop_store(&admin, "advisor_collect_proof").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_to_connect_say_what_to_do_and_hold_no_secret() {
    let Some(admin) = env("ADVISOR_TEST_POSTGRES") else { return };
    execute(&admin, "drop role if exists advisor_collect_login; create role advisor_collect_login login password 'right'").await;
    let mut refused = url::Url::parse(&admin).unwrap();
    refused.set_port(Some(1)).unwrap();
    let mut unknown = url::Url::parse(&admin).unwrap();
    unknown.set_host(Some("no-such-host.invalid")).unwrap();
    let mut cases =
        vec![(refused.to_string(), "refused"), (unknown.to_string(), "not known"), (with_database(&admin, "no_such_database"), "no database")];
    let wrong = with_user(&admin, "advisor_collect_login", "hunter2-wrong");
    if PgConnection::connect(&wrong).await.is_ok() {
        println!("skipped: this server does not look at passwords");
    } else {
        cases.push((wrong, "password"));
    }
    for (url, word) in cases {
        let snapshot = audit(&request(&url)).await;
        let gap = snapshot.postgres.as_ref().unwrap_err();
        println!("{word}: {}", gap.detail);
        assert!(gap.detail.contains(word), "{word}: {}", gap.detail);
        assert!(!gap.detail.contains("hunter2"));
    }
    execute(&admin, "drop role advisor_collect_login").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_medusa_is_said_to_be_one() {
    let Some(admin) = env("ADVISOR_TEST_POSTGRES") else { return };
    let snapshot = audit(&request(&with_database(&admin, "postgres"))).await;
    print_figures("no Medusa", &snapshot);
    let pg = evidence(&snapshot);
    assert!(pg.medusa().unwrap_err().detail.contains("not a Medusa database"));
    assert!(pg.settings().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_test_tells_every_step_and_what_is_missing() {
    let Some(admin) = env("ADVISOR_TEST_POSTGRES") else { return };
    let Some(url) = store(&admin, "advisor_collect_test", 2).await else { return };
    let (profile, password) = parse_postgres(&url).unwrap();
    let report = postgres::test(&profile, password.as_ref(), &Limits::default(), |step| println!("{step:?}")).await;
    assert!(report.is_connected());
    assert!(report.steps[5].name.starts_with("Medusa 2"));
    assert!(report.capabilities.iter().all(|c| !matches!(c.state, CapabilityState::Missing { .. })), "{:?}", report.capabilities);

    execute(&url, "drop role if exists advisor_collect_test; create role advisor_collect_test login password 'bare'").await;
    let (profile, password) = parse_postgres(&with_user(&url, "advisor_collect_test", "bare")).unwrap();
    let report = postgres::test(&profile, password.as_ref(), &Limits::default(), |_| ()).await;
    let missing: Vec<&str> =
        report.capabilities.iter().filter(|c| matches!(c.state, CapabilityState::Missing { .. })).map(|c| c.name.as_str()).collect();
    assert_eq!(missing, ["Statement texts", "Sessions of other users", "Settings", "Sequences", "Column statistics"]);

    let mut closed = profile.clone();
    closed.port = 1;
    let report = postgres::test(&closed, None, &Limits::default(), |_| ()).await;
    assert!(matches!(&report.steps[1].state, StepState::Failed(sentence) if sentence.contains("refused")));
    assert_eq!((report.steps.len(), report.steps[2].state.clone()), (6, StepState::NotRun));
    drop_store(&admin, "advisor_collect_test").await;
    execute(&admin, "drop role advisor_collect_test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_changes_nothing() {
    let (Some(admin), Some(bouncer)) = (env("ADVISOR_TEST_POSTGRES"), env("ADVISOR_TEST_PGBOUNCER")) else { return };
    if store(&admin, "advisor_collect_pooled", 2).await.is_none() {
        return;
    }
    let snapshot = audit(&request(&with_database(&bouncer, "advisor_collect_pooled"))).await;
    print_figures("pgbouncer", &snapshot);
    let pg = evidence(&snapshot);
    assert_eq!(pg.gaps(), Vec::new());
    assert_ne!(pg.server().unwrap().is_pooled, Some(false));
    assert!(pg.statements().unwrap().total.window.is_some());
    drop_store(&admin, "advisor_collect_pooled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_store_is_measured() {
    let Some(url) = env("ADVISOR_TEST_POSTGRES_SCALE") else { return };
    let _ = tracing_subscriber::fmt().with_env_filter("medusa_advisor=debug").without_time().with_ansi(false).try_init();
    for _ in 0..2 {
        let snapshot = audit(&request(&url)).await;
        print_figures("scale", &snapshot);
        let pg = evidence(&snapshot);
        assert!(pg.tables().is_ok() && pg.statements().is_ok());
    }
}
