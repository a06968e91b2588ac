//! What is promised on a store of shop size, measured: `ADVISOR_TEST_SCALE_V2` is the address of a database that `scripts/scale-store.sh`
//! filled. Indexes that shops lack (some of Medusa's own among them) are taken away, the shop's statements run, one audit advises, every
//! printed statement runs verbatim, the statements run again, and a second audit is compared with the first. The indexes stay.

use std::time::Duration;

use crate::live::{Db, collect_from};
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::finding::{Evidence, Finding, RemedyKind};
use medusa_advisor::history::compare;
use medusa_advisor::plan::{self, Plan};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// The saved time, and how many times faster a call becomes, must be what was promised within this factor.
const FACTOR: f64 = 2.0;
const WINDOW_S: u32 = 45;
/// Calls that are timed before and after.
const CALLS: usize = 10;

/// A statement of a shop, where its values come from, and the index whose absence makes it slow.
struct Case {
    sql: &'static str,
    values: &'static str,
    lost: &'static str,
    advised: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        sql: r#"select "i0".* from "image" as "i0" where "i0"."deleted_at" is null and "i0"."product_id" = $1"#,
        values: "select product_id from image where product_id is not null order by hashtext(id) limit 40",
        lost: r#"drop index if exists "IDX_image_product_id""#,
        advised: "image(product_id)",
    },
    Case {
        sql: r#"select "o0".* from "order" as "o0" where "o0"."deleted_at" is null and "o0"."customer_id" = $1 order by "o0"."created_at" desc limit 20"#,
        values: r#"select customer_id from "order" where customer_id is not null order by hashtext(id) limit 40"#,
        lost: r#"drop index if exists "IDX_order_customer_id""#,
        advised: "order(customer_id)",
    },
    Case {
        sql: r#"select "i0".* from "order_item" as "i0" where "i0"."deleted_at" is null and "i0"."order_id" = $1 and "i0"."version" = 1"#,
        values: "select order_id from order_item order by hashtext(id) limit 40",
        lost: r#"drop index if exists "IDX_order_item_order_id";
drop index if exists "IDX_order_item_order_id_version""#,
        advised: "order_item(order_id)",
    },
    Case {
        sql: r#"select "p0".* from "payment" as "p0" where "p0"."deleted_at" is null and "p0"."payment_collection_id" = $1"#,
        values: "select payment_collection_id from payment order by hashtext(id) limit 40",
        lost: r#"drop index if exists "IDX_payment_payment_collection_id""#,
        advised: "payment(payment_collection_id)",
    },
    Case {
        sql: r#"select "l0".* from "cart_line_item" as "l0" where "l0"."deleted_at" is null and "l0"."cart_id" = $1 order by "l0"."created_at" asc"#,
        values: "select cart_id from cart_line_item order by hashtext(id) limit 40",
        lost: r#"drop index if exists "IDX_cart_line_item_cart_id""#,
        advised: "cart_line_item(cart_id)",
    },
    Case {
        sql: r#"select "o0"."id", "o0"."display_id" from "order" as "o0" where lower("o0"."email") = $1"#,
        values: r#"select lower(email) from "order" where email is not null order by hashtext(id) limit 40"#,
        lost: "select 1",
        advised: "order(lower(email))",
    },
    Case {
        sql: r#"select "c0"."id" from "cart" as "c0" where "c0"."email" = $1 and "c0"."completed_at" is null and "c0"."deleted_at" is null"#,
        values: "select email from cart where email is not null order by hashtext(id) limit 40",
        lost: "select 1",
        advised: "cart(email)",
    },
    Case {
        sql: r#"select "v0".* from "product_variant" as "v0" where "v0"."deleted_at" is null and "v0"."product_id" = $1"#,
        values: "select product_id from product_variant order by hashtext(id) limit 40",
        lost: r#"drop index if exists "IDX_product_variant_product_id""#,
        advised: "product_variant(product_id)",
    },
];

/// What an earlier run created: Medusa's own names begin in capitals.
const EARLIER: &str = r"do $$ declare i text; begin for i in select indexname from pg_indexes where schemaname = 'public' and indexname like 'idx\_%' loop execute format('drop index %I', i); end loop; end $$";

async fn values(c: &mut PgConnection, case: &Case) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(case.values)).fetch_all(c).await.unwrap()
}

/// Mean milliseconds of a call by the server's own count, with the pages in memory.
async fn mean_ms(db: &Db, case: &Case) -> f64 {
    let mut c = db.connection().await;
    let values = values(&mut c, case).await;
    for value in values.iter().take(CALLS) {
        sqlx::query(case.sql).bind(value).fetch_all(&mut c).await.unwrap();
    }
    c.execute("select pg_stat_statements_reset()").await.unwrap();
    for value in values.iter().take(CALLS) {
        sqlx::query(case.sql).bind(value).fetch_all(&mut c).await.unwrap();
    }
    let text = "select sum(total_exec_time) / sum(calls) from pg_stat_statements where query ~ $1 and dbid = (select oid from pg_database where datname = current_database())";
    // The server writes constants as parameters, so the text is found by its beginning.
    let begin = case.sql.split("$1").next().unwrap();
    let pattern = format!("^{}", regex_escaped(begin));
    let (mean,): (f64,) = sqlx::query_as(text).bind(pattern).fetch_one(&mut c).await.unwrap();
    c.close().await.unwrap();
    mean
}

fn regex_escaped(text: &str) -> String {
    text.chars().flat_map(|c| if ".()*+?[]{}^$|\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect()
}

/// An audit while the shop sends each statement in turn.
async fn audit(db: &Db) -> (Snapshot, Plan) {
    let mut c = db.connection().await;
    let mut known = Vec::new();
    for case in &CASES {
        known.push((case.sql, values(&mut c, case).await));
    }
    db.reset_counters().await;
    let traffic = tokio::spawn(async move {
        for at in 0.. {
            for (sql, values) in &known {
                sqlx::query(*sql).bind(&values[at % values.len()]).fetch_all(&mut c).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let snapshot = collect_from(&db.url, WINDOW_S).await;
    traffic.abort();
    let plan = plan::build(&snapshot, &[], |check| check.layer == medusa_advisor::evidence::Layer::Postgres);
    (snapshot, plan)
}

fn promised(finding: &Finding) -> Option<(f64, f64)> {
    finding.evidence.iter().find_map(|e| match e {
        Evidence::BeforeAfter { before, after, .. } => Some((*before, *after)),
        _ => None,
    })
}

/// Findings that advise an index, by the index.
fn advice<'p>(plan: &'p Plan, case: &Case) -> Option<&'p Finding> {
    let is_it = |f: &Finding| f.subject.name == format!("public.{}", case.advised);
    plan.findings.iter().map(|r| &r.finding).find(|f| is_it(f))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_promised_on_a_store_of_shop_size_is_kept() {
    let Ok(url) = std::env::var("ADVISOR_TEST_SCALE_V2") else {
        println!("skipped: ADVISOR_TEST_SCALE_V2 names no database that scripts/scale-store.sh filled");
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let db = Db { name: "scale".to_owned(), url };
    let _ = db.connection().await.execute("create extension if not exists hypopg").await;
    db.run(EARLIER).await;
    for case in &CASES {
        db.run(case.lost).await;
    }
    let mut before = Vec::new();
    for case in &CASES {
        before.push(mean_ms(&db, case).await);
    }
    let first = audit(&db).await;
    for r in first.1.findings.iter().take(15) {
        println!("{:>2} {:?} {}: {}", r.rank, r.finding.severity, r.key, r.finding.observed);
    }
    let advised: Vec<Option<&Finding>> = CASES.iter().map(|case| advice(&first.1, case)).collect();
    for (case, found) in CASES.iter().zip(&advised) {
        let Some(found) = found else { continue };
        let sql = found.remedies.iter().find(|r| r.kind == RemedyKind::Sql).unwrap();
        println!("{}: {}", case.advised, sql.text);
        db.run(&sql.text).await;
    }
    db.run("analyze").await;
    let mut wrong = Vec::new();
    println!("| index | ms a call | promised | measured | speed-up promised | measured |\n| --- | ---: | ---: | ---: | ---: | ---: |");
    for ((case, found), before) in CASES.iter().zip(&advised).zip(before) {
        let Some((from, to)) = found.and_then(promised) else {
            wrong.push(format!("{} is not advised or promises nothing", case.advised));
            continue;
        };
        let after = mean_ms(&db, case).await;
        let (told, kept) = (1.0 - to / from, 1.0 - after / before);
        println!("| {} | {before:.2} | {to:.3} | {after:.3} | {:.0} | {:.0} |", case.advised, from / to, before / after);
        if told > kept * FACTOR || kept > told * FACTOR {
            wrong.push(format!("{}: {told:.3} of the time promised, {kept:.3} saved", case.advised));
        }
        let (told, kept) = (from / to, before / after);
        if told > kept * FACTOR || kept > told * FACTOR {
            wrong.push(format!("{}: promised {told:.0} times faster, it is {kept:.0} times", case.advised));
        }
    }
    let second = audit(&db).await;
    let comparison = compare::compare((&first.0, &first.1), (&second.0, &second.1));
    for case in CASES.iter().filter(|case| advice(&first.1, case).is_some()) {
        let subject = format!("public.{}", case.advised);
        if comparison.resolved.iter().all(|r| r.finding.subject.name != subject) {
            wrong.push(format!("{} is not among what was resolved", case.advised));
        }
    }
    println!("{}", compare::markdown(&comparison));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
