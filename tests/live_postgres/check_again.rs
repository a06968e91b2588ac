//! "Check again" against a real server, through the runtime: still there, then gone, and nothing lost when the server is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::live::{Db, finding, server};
use medusa_advisor::app::recheck::{Rechecked, Verdict};
use medusa_advisor::app::{Audit, Effect, Event, Settings};
use medusa_advisor::connect::profile::{Limits, Profile, Secrets, parse_postgres};
use medusa_advisor::finding::RemedyKind;
use medusa_advisor::runtime::Runtime;

const TABLES: &str = r"
create table mikro_orm_migrations (id serial primary key, name varchar(255), executed_at timestamptz default current_timestamp);
create table link_module_migrations (id serial primary key, table_name varchar(255) not null unique);
create table workflow_execution (id text primary key, state text);
create table order_summary (id text primary key);
create table product (id text primary key, title text not null, created_at timestamptz not null default now(), deleted_at timestamptz);
create table image (id text primary key, url text not null, product_id text not null, deleted_at timestamptz);
insert into image (id, url, product_id) select 'img_' || i, 'https://cdn.example.com/' || i || '.jpg', 'prod_' || i % 20000 from generate_series(1, 60000) i;
create index image_url_a on image (url);
create index image_url_b on image (url);
vacuum analyze image
";

fn profile(url: &str) -> (Profile, Secrets) {
    let (postgres, password) = parse_postgres(url).unwrap();
    let profile = crate::live::profile(postgres, Limits { window_s: 5, ..Limits::default() });
    (profile, Secrets { postgres_password: password, ..Secrets::default() })
}

/// Checks the finding again as the window does: an effect in, events out.
async fn again(url: &str, audit: &Arc<Audit>, key: &str) -> Rechecked {
    let (profile, secrets) = profile(url);
    let effect =
        Effect::CheckAgain { run: 7, profile, secrets: Some(secrets), settings: Settings::default(), audit: Arc::clone(audit), key: key.to_owned() };
    let wait = move || {
        let runtime = Runtime::new(|| {}).unwrap();
        runtime.perform(effect);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            match runtime.poll() {
                Some(Event::CheckedAgain { run: 7, result, .. }) => return result.unwrap(),
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("no answer within a minute");
    };
    tokio::task::spawn_blocking(wait).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_index_is_still_there_until_it_is_dropped() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "check_again").await;
    db.run(TABLES).await;
    let (snapshot, plan) = db.quiet_audit().await;
    let found = plan.findings.iter().find(|r| r.check.id == "pg-duplicate-index").map(|r| r.finding.subject.name.clone());
    let found = finding(&plan, "pg-duplicate-index", &found.unwrap_or_default());
    let key = found.key.clone();
    let remedy = found.finding.remedies.iter().find(|r| r.kind == RemedyKind::Sql).unwrap().text.clone();
    let audit = Arc::new(Audit { store: Some("live".into()), snapshot, plan, path: None, previous: None });

    let now = again(&db.url, &audit, &key).await;
    assert!(matches!(now.verdict, Verdict::StillThere(_)), "{now:?}");
    assert!(now.window_s > 3.0, "{now:?}");

    db.run(&remedy).await;
    let now = again(&db.url, &audit, &key).await;
    assert!(matches!(now.verdict, Verdict::Gone(_)), "{now:?}");

    let now = again("postgres://nobody:wrong@127.0.0.1:1/none", &audit, &key).await;
    assert!(matches!(now.verdict, Verdict::CannotTell(_)), "{now:?}");
    assert!(audit.plan.find(&key).is_some(), "the audit keeps what it found");
}
