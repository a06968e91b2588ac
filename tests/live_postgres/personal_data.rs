//! Nothing personal and no secret leaves a service: marks planted in rows, statements, passwords, keys and values are looked for in
//! every output.

use std::time::Duration;

use crate::live::{Db, server};
use medusa_advisor::audit;
use medusa_advisor::collect::{collect, run::Run};
use medusa_advisor::connect::profile::{Environment, KeepSecrets, Limits, Profile, Secrets, parse_postgres, parse_redis};
use medusa_advisor::evidence::{Snapshot, Targets};
use medusa_advisor::plan;
use medusa_advisor::report::{Options, Report, html, json, markdown, pdf};
use medusa_advisor::secret::Secret;

/// In every planted text; no word of the product.
const MARK: &str = "zqxsentinel";

const PLANTED: &str = "create table mikro_orm_migrations (id serial primary key, name varchar(255));
create table link_module_migrations (id serial primary key, table_name varchar(255));
create table workflow_execution (id text primary key, state text);
create table order_summary (id text primary key);
create table customer (id text primary key, email text, first_name text, deleted_at timestamptz);
insert into customer select 'cus_' || i, 'zqxsentinel' || i || '@mail.example', 'zqxsentinel name', null from generate_series(1, 30000) i;
analyze customer;
drop role if exists sentinel_role;
create role sentinel_role login password 'zqxsentinelpw';
select * from customer where email = 'zqxsentinel77@mail.example';
select 'zqxsentinel literal', count(*) from customer where first_name like 'zqxsentinel%';
do $$ begin perform 'zqxsentinel in a block'; end $$;
alter role sentinel_role password 'zqxsentinelpw2';
prepare p as select * from customer where email = 'zqxsentinel78@mail.example';
create index customer_but_one on customer (email) where email <> 'zqxsentinel5@mail.example';
create index customer_is_one on customer ((email = 'zqxsentinel6@mail.example'));
comment on table customer is 'zqxsentinel comment'";

fn profile(postgres: &str, redis: Option<&str>) -> (Profile, Secrets) {
    let (pg, password) = parse_postgres(postgres).unwrap();
    let redis = redis.map(|url| parse_redis(url).unwrap().0);
    let secrets = Secrets {
        postgres_password: password.or_else(|| Some(Secret::new(format!("{MARK}-pg-password")))),
        redis_passwords: redis.iter().map(|_| None).collect(),
        cloudflare_token: Some(Secret::new(format!("{MARK}-token"))),
        ..Secrets::default()
    };
    let profile = Profile {
        id: "sentinels".into(),
        name: "sentinels".into(),
        environment: Environment::Production,
        postgres: Some(pg),
        redis: redis.into_iter().collect(),
        cloudflare: None,
        cloudfront: None,
        shop: None,
        keep_secrets: KeepSecrets::AskEachTime,
        limits: Limits { window_s: 5, ..Limits::default() },
    };
    (profile, secrets)
}

/// Every output of a snapshot that must not hold the mark.
fn outputs(snapshot: &Snapshot, profile: &Profile, secrets: &Secrets) -> Vec<(&'static str, String)> {
    let plan = plan::build(snapshot, &[], |_| true);
    let report = Report::build(snapshot, &plan, &Options::whole("sentinels"));
    let mut out = vec![
        ("snapshot", serde_json::to_string(snapshot).unwrap()),
        ("JSON", json::render(&report)),
        ("Markdown", markdown::render(&report)),
        ("HTML", html::render(&report)),
        ("secrets in Debug", format!("{secrets:?}")),
        ("profile on disk", serde_json::to_string(profile).unwrap()),
    ];
    match pdf_text(&pdf::render(&report).unwrap()) {
        Some(text) => out.push(("PDF", text)),
        None => println!("skipped: pdftotext is missing, so the PDF's text was not searched"),
    }
    out
}

fn pdf_text(bytes: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.pdf");
    std::fs::write(&path, bytes).unwrap();
    let out = std::process::Command::new("pdftotext").arg(&path).arg("-").output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

async fn plant_in_redis(url: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut c = client.get_multiplexed_async_connection().await.unwrap();
    let mut pipe = redis::pipe();
    for i in 0..300 {
        pipe.cmd("SET").arg(format!("cart:{MARK}{i}@mail.example")).arg(format!("{MARK} value")).ignore();
        pipe.cmd("SET").arg(format!("sess:{MARK}{i}")).arg(format!("{MARK} session")).arg("EX").arg(3_600).ignore();
        pipe.cmd("HSET").arg(format!("mc:{i:016x}")).arg("data").arg(format!("{MARK} cached")).ignore();
    }
    pipe.cmd("KEYS").arg(format!("cart:{MARK}*")).ignore();
    let _: () = pipe.query_async(&mut c).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_planted_mark_reaches_any_output() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "sentinels").await;
    db.run(PLANTED).await;
    let redis = std::env::var("ADVISOR_TEST_REDIS").ok();
    match &redis {
        Some(url) => plant_in_redis(url).await,
        None => println!("skipped: ADVISOR_TEST_REDIS names no private Redis, so only Postgres was searched"),
    }
    let (profile, secrets) = profile(&db.url, redis.as_deref());
    let run = Run::new(Duration::from_secs(5), |note| assert!(!format!("{note:?}").contains(MARK), "{note:?}"));
    let mut busy = db.connection().await;
    sqlx::Executor::execute(&mut busy, "set application_name = 'zqxsentinel@mail.example'").await.unwrap();
    let traffic = tokio::spawn(async move {
        let mut c = busy;
        loop {
            let text = "select count(*) from customer where email = 'zqxsentinel5@mail.example' or first_name = $1";
            if sqlx::query(text).bind(MARK).fetch_all(&mut c).await.is_err() {
                break;
            }
        }
    });
    let snapshot = collect(&audit::request(profile.clone(), secrets.clone(), Targets::default()), &run).await;
    traffic.abort();
    assert!(snapshot.pg().and_then(|pg| pg.statements()).is_ok_and(|s| !s.rows.rows.is_empty()), "the statements were read");
    for (name, text) in outputs(&snapshot, &profile, &secrets) {
        let at = text.to_lowercase().find(MARK);
        assert!(at.is_none(), "{name} holds a mark: …{}…", at.map_or("", |i| &text[i.saturating_sub(120)..(i + 80).min(text.len())]));
    }
    db.run("drop role sentinel_role").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_password_is_in_no_output() {
    let Some(server) = server() else { return };
    let mut url = url::Url::parse(&server).unwrap();
    url.set_username("nobody_here").unwrap();
    url.set_password(Some(&format!("{MARK}refused"))).unwrap();
    let (profile, secrets) = profile(url.as_str(), None);
    let run = Run::new(Duration::from_secs(5), |note| assert!(!format!("{note:?}").contains(MARK), "{note:?}"));
    let snapshot = collect(&audit::request(profile.clone(), secrets.clone(), Targets::default()), &run).await;
    assert!(snapshot.postgres.is_err(), "nobody_here may not sign in");
    for (name, text) in outputs(&snapshot, &profile, &secrets) {
        assert!(!text.contains(MARK), "{name} holds the password");
    }
}
