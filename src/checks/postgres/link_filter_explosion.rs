//! A filter by a link sends every id it found: the product lists of Medusa v2 read all products of a sales channel, then ask for them by name.

use std::collections::BTreeMap;

use crate::checks::sql::Kind;
use crate::checks::statement::{LONG_LIST, Sums, caching_module, has_long_list, rewrite, table};
use crate::checks::workload::{Load, Workload, shape, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Rows a call from which the reads of the link table are those of whole sales channels: a page of products has at most a few hundred.
const LINK_ROWS_MAX: f64 = 2_000.0;
/// Below this share a large list is somebody's export.
const SHARE_MIN: f64 = 0.01;
/// Fewer are one person's clicks.
const CALLS_MIN: u64 = 10;
/// Calls from which a mean is steady.
const CALLS_STEADY: u64 = 100;
const LINK_TABLE: &str = "product_sales_channel";
const PRODUCT: &str = "product";
/// `GET /store/products?limit=12` at 20,000 products with Medusa 2.21.2: 128 ms of statements, 18 ms with the Index Module.
const SAVING_MEASURED: f64 = 0.86;

pub static CHECK: Check = Check {
    id: "pg-link-filter-explosion",
    layer: Layer::Postgres,
    title: "Lists are filtered by thousands of ids sent along",
    passed: "No statement sends thousands of ids to filter a list.",
    why: "To show twelve products, the store first reads the ids of all products of the sales channel and then sends them back to the database as a list. Both \
          statements grow with the catalogue, and the application spends far longer on the list than the database does.",
    remedy: "Let the database follow the link itself: the Index Module does it for Medusa's product lists. A cache hides the cost from repeated lists.",
    method: "Reads of product_sales_channel that return more than 2,000 rows a call, and selects with more than 1,000 placeholders or 20,000 characters of text, \
             grouped by the table they list; from 10 calls and 1 % of the database time. Inserts of many rows are no such lists. Postgres 18 folds the \
             placeholders, so there the reads of the link table alone tell it.",
    effort: Effort::Hours,
    references: &[
        "https://docs.medusajs.com/learn/fundamentals/module-links/index-module",
        "https://github.com/medusajs/medusa/issues/13356",
        "https://docs.medusajs.com/resources/infrastructure-modules/caching",
    ],
    needs: &[Section::PgStatements],
    uses: &[Section::PgMedusa, Section::PgRowCounts],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let work = workload(snapshot)?;
    let mut groups: BTreeMap<String, Vec<Load>> = BTreeMap::new();
    for load in &work.loads {
        if let Some(listed) = listed(load) {
            groups.entry(listed).or_default().push(*load);
        }
    }
    let mut findings: Vec<Finding> = groups
        .iter()
        .filter(|(_, loads)| {
            let sums = Sums::of(loads);
            sums.calls >= CALLS_MIN && work.share_of(sums.total_ms) >= SHARE_MIN
        })
        .map(|(listed, loads)| finding(snapshot, &work, listed, loads))
        .collect();
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

/// The table whose list explodes.
fn listed(load: &Load) -> Option<String> {
    // The text is read only where the counters speak: most statements are neither long nor return much.
    if !has_long_list(load) && load.counters.rows_a_call() <= LINK_ROWS_MAX {
        return None;
    }
    let shape = shape(&load.statement.text);
    if shape.kind != Kind::Select {
        return None;
    }
    let main = shape.main_table().map_or("", |t| t.table.as_str());
    if main == LINK_TABLE {
        let is_of_channel = shape.tables.iter().any(|t| t.equal.iter().any(|c| c == "sales_channel_id"));
        return (is_of_channel && load.counters.rows_a_call() > LINK_ROWS_MAX).then(|| PRODUCT.to_owned());
    }
    // Variants are filtered by the products of the channel, as products are.
    let is_product = main == PRODUCT || main == "product_variant";
    has_long_list(load).then(|| if is_product { PRODUCT.to_owned() } else { main.to_owned() })
}

fn finding(snapshot: &Snapshot, work: &Workload, listed: &str, loads: &[Load]) -> Finding {
    let sums = Sums::of(loads);
    let share = work.share_of(sums.total_ms);
    let is_medusas = listed == PRODUCT && snapshot.medusa().is_ok_and(|m| m.major == 2);
    let shown = if listed.is_empty() { "rows" } else { listed };
    let (confidence, because) = if sums.calls >= CALLS_STEADY {
        (Confidence::High, work.because())
    } else {
        (Confidence::Medium, format!("{} only, {}", text::plural(sums.calls, "call", "calls"), work.because()))
    };
    let mut touches: Vec<String> = loads.iter().map(Load::touch).collect();
    if !listed.is_empty() {
        touches.push(format!("table:public.{listed}"));
    }
    Finding {
        subject: Subject::new("statement", format!("lists of {shown} by id")),
        observed: observed(work, shown, loads, &sums, share),
        step: if is_medusas {
            "Serve the product lists from the Index Module".to_owned()
        } else {
            format!("Filter {shown} by a join instead of a list")
        },
        evidence: evidence(snapshot, work, loads, is_medusas),
        severity: Severity::from_share(share),
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: is_medusas.then(|| gain(work, &sums, share)),
        averts: None,
        remedies: if is_medusas { medusas_remedies(snapshot) } else { vec![join(shown)] },
        verify: verify(is_medusas, shown),
        touches,
    }
}

fn observed(work: &Workload, shown: &str, loads: &[Load], sums: &Sums, share: f64) -> String {
    let ids = loads.iter().map(|l| l.statement.placeholders).max().unwrap_or(0);
    let read = loads.iter().filter(|l| !has_long_list(l)).map(|l| l.counters.rows_a_call()).fold(0.0, f64::max);
    let sent = match (ids > LONG_LIST, read > 0.0) {
        (true, true) => format!("read {} ids and send up to {} of them back", text::number(read), text::count(ids.into())),
        (true, false) => format!("send up to {} values", text::count(ids.into())),
        (false, true) => format!("read {} ids each", text::number(read)),
        (false, false) => "send lists of more than 20,000 characters".to_owned(),
    };
    format!(
        "{} {} for lists of {shown} {sent}: {} of the database time.",
        text::plural(sums.calls, "call", "calls"),
        work.words,
        text::percent(share)
    )
}

fn evidence(snapshot: &Snapshot, work: &Workload, loads: &[Load], is_medusas: bool) -> Vec<Evidence> {
    let mut evidence = vec![table(work, loads)];
    let longest = loads.iter().map(|l| l.statement.text_chars).max().unwrap_or(0);
    evidence.push(Evidence::figure("Longest text", longest as f64, "characters", text::count(longest)));
    if is_medusas {
        for (label, name) in [("Products", PRODUCT), ("Sales channels", "sales_channel")] {
            if let Some(rows) = live_rows(snapshot, name) {
                evidence.push(Evidence::figure(label, rows as f64, "rows", text::count(rows)));
            }
        }
    }
    evidence
}

/// Rows that are not soft-deleted.
fn live_rows(snapshot: &Snapshot, name: &str) -> Option<u64> {
    let counts = snapshot.pg().ok()?.row_counts().ok()?;
    let of = |what: &str| counts.iter().find(|c| c.table == name && c.what == what).map(|c| c.rows);
    Some(of("total")?.saturating_sub(of("soft_deleted").unwrap_or(0)))
}

/// Of the database time; the application gains more: 1.1 s → 0.20 s a list.
fn gain(work: &Workload, sums: &Sums, share: f64) -> Gain {
    let mut gain = Gain::new(Basis::RuleOfThumb, format!("{} database time", text::minus_percent(share * SAVING_MEASURED)));
    gain.database_time_share = Some(share * SAVING_MEASURED);
    gain.database_ms_per_s = work.ms_per_s(sums.total_ms * SAVING_MEASURED);
    gain
}

fn medusas_remedies(snapshot: &Snapshot) -> Vec<Remedy> {
    let mut remedies = vec![index_module()];
    // One channel needs no filter, and from some release between 2.10.3 and 2.13.6 on Medusa leaves it out then.
    if live_rows(snapshot, "sales_channel").is_none_or(|n| n > 1) {
        remedies.push(one_channel());
    }
    remedies.push(caching_module());
    remedies.push(own_route());
    remedies
}

fn index_module() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Turn the Index Module on".to_owned(),
        text: "// npm install @medusajs/index (the release of your @medusajs/medusa)\n// MEDUSA_FF_INDEX_ENGINE=true in the environment, then npx medusa db:migrate\nmodules: [\n  { resolve: \"@medusajs/index\" },\n],\n".to_owned(),
        lock: None,
        risk: "Measured at 20,000 products with 2.21.2: lists 1.1 s → 0.20 s, by handle 0.73 → 0.08 s, search 1.4 → 0.15 s. The first start copies the catalogue: \
               5.5 minutes, 599 MB of tables. Lists filtered by category, tag or option take the old path and stay as they are (0.89 s)."
            .to_owned(),
        undo: Some("Remove the module and the flag; its tables (index_*, cat_*) may then be dropped.".to_owned()),
    }
}

fn one_channel() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Delete sales channels that sell nothing".to_owned(),
        text: "// Medusa Admin → Settings → Sales Channels: delete those that no storefront, publishable key or stock location uses.\n// With exactly one left, GET /store/products asks for no ids at all.\n".to_owned(),
        lock: None,
        risk: "Known of 2.13.6 to 2.21.2; 2.10.3 filters always. It counts all channels of the store, not those of the key. GET /store/product-variants \
               filters in any case."
            .to_owned(),
        undo: Some("Create the channel again and link its products.".to_owned()),
    }
}

fn own_route() -> Remedy {
    rewrite(
        "Answer it by a route of your own",
        "// src/api/store/catalogue/route.ts: one statement, the link followed by the database.\nimport { MedusaResponse, MedusaStoreRequest } from \"@medusajs/framework/http\"\nimport { ContainerRegistrationKeys } from \"@medusajs/framework/utils\"\n\nexport async function GET(req: MedusaStoreRequest, res: MedusaResponse) {\n  const knex = req.scope.resolve(ContainerRegistrationKeys.PG_CONNECTION)\n  const ids = await knex(\"product as p\")\n    .join(\"product_sales_channel as l\", \"l.product_id\", \"p.id\")\n    .whereIn(\"l.sales_channel_id\", req.publishable_key_context.sales_channel_ids)\n    .where(\"p.status\", \"published\")\n    .whereNull(\"p.deleted_at\")\n    .whereNull(\"l.deleted_at\")\n    .orderBy(\"p.id\")\n    .limit(12)\n    .pluck(\"p.id\")\n  const query = req.scope.resolve(ContainerRegistrationKeys.QUERY)\n  const { data } = await query.graph({ entity: \"product\", fields: [\"id\", \"title\", \"handle\", \"thumbnail\"], filters: { id: ids } })\n  res.json({ products: data })\n}\n",
        "It reads Medusa's tables directly: look at it again with each upgrade. A product in two channels of the key is listed twice unless the ids are made distinct.",
    )
}

fn join(shown: &str) -> Remedy {
    rewrite(
        "Follow the relation in the statement",
        format!(
            "-- before: select … from {shown} where id in ($1, $2, … $20000)\nselect r.*\nfrom {shown} as r\njoin the_link as l on l.{shown}_id = r.id\nwhere l.other_id = $1\norder by r.id\nlimit $2\n"
        ),
        "Rows that are linked twice come twice: use exists, or distinct.",
    )
}

fn verify(is_medusas: bool, shown: &str) -> String {
    if is_medusas {
        format!(
            "Ask for GET /store/products?limit=12 and audit again: no read of {LINK_TABLE} returns more than {} rows a call, and no list of products has more than {} placeholders.",
            text::number(LINK_ROWS_MAX),
            text::count(LONG_LIST.into())
        )
    } else {
        format!("Audit again: no list of {shown} has more than {} placeholders.", text::count(LONG_LIST.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::medusa::RowCount;
    use crate::evidence::postgres::{Postgres, Statement};

    const LINK: &str = r#"select "l0"."sales_channel_id", "l0"."product_id" from "product_sales_channel" as "l0" where "l0"."deleted_at" is null and "l0"."sales_channel_id" in ($1, …)"#;
    const LIST: &str = r#"select "p0"."id", "p0"."title" from "product" as "p0" where "p0"."deleted_at" is null and "p0"."id" in ($1, …) limit $2"#;

    fn link(rows: u64, calls: u64) -> Statement {
        let mut link = statement("l", LINK, calls, 500.0);
        link.counters.total.rows = rows * calls;
        link
    }

    fn list(placeholders: u32, chars: u64) -> Statement {
        Statement { placeholders, text_chars: chars, ..statement("p", LIST, 50, 5_000.0) }
    }

    fn shop(rows: Vec<Statement>, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            statements(pg, rows.into_iter().chain([statement("o", "select * from author where id = $1", 1_000, 10_000.0)]).collect());
            edit(pg);
        })
    }

    #[test]
    fn the_link_and_its_list_are_one_finding() {
        let found = findings(&CHECK, &shop(vec![link(20_000, 50), list(20_052, 150_933)], |_| {}));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject.name, "lists of product by id");
        assert_eq!(
            found[0].observed,
            "100\u{a0}calls since 16 Nov 2026 for lists of product read 20,000 ids and send up to 20,052 of them back: 35\u{a0}% of the database time."
        );
        assert_eq!((found[0].severity, found[0].confidence), (Severity::High, Confidence::High));
        assert_eq!(found[0].touches, ["statement:p", "statement:l", "table:public.product"]);
        assert!(found[0].remedies[0].text.contains("MEDUSA_FF_INDEX_ENGINE=true"));
    }

    #[test]
    fn rows_placeholders_and_characters_bound_it() {
        for (statement, fails) in [
            (link(2_001, 50), true),
            (link(2_000, 50), false),
            (list(1_001, 4_000), true),
            (list(1_000, 4_000), false),
            (list(1, 20_001), true),
            (list(1, 20_000), false),
        ] {
            let words = format!("{} {}", statement.placeholders, statement.text_chars);
            assert_eq!(matches!(CHECK.run(&shop(vec![statement], |_| {})), crate::finding::Outcome::Failed(_)), fails, "{words}");
        }
    }

    #[test]
    fn a_few_calls_and_a_trifle_are_no_finding() {
        assert_eq!(findings(&CHECK, &shop(vec![link(20_000, 10)], |_| {}))[0].confidence, Confidence::Medium);
        assert_passes(&CHECK, &shop(vec![link(20_000, 9)], |_| {}));
        let trifle = |ms: f64| Statement { placeholders: 5_000, ..statement("p", LIST, 50, ms) };
        assert_eq!(findings(&CHECK, &shop(vec![trifle(102.0)], |_| {}))[0].severity, Severity::Low);
        assert_passes(&CHECK, &shop(vec![trifle(100.0)], |_| {}));
    }

    #[test]
    fn bulk_inserts_and_other_reads_of_the_link_are_healthy() {
        let insert = Statement { placeholders: 9_000, ..statement("i", "insert into price (id) values ($1), …", 500, 5_000.0) };
        assert_passes(&CHECK, &shop(vec![insert], |_| {}));
        let mut export = statement("e", "select id, title from product order by id", 50, 5_000.0);
        export.counters.total.rows = 50 * 20_000;
        assert_passes(&CHECK, &shop(vec![export], |_| {}));
    }

    #[test]
    fn the_remedy_follows_version_and_channels() {
        let channels = |n: u64| RowCount { table: "sales_channel".into(), what: "total".into(), rows: n, is_estimate: false };
        for (rows, offered) in [(vec![], true), (vec![channels(1)], false), (vec![channels(2)], true)] {
            let found = findings(&CHECK, &shop(vec![list(20_052, 150_933)], |pg| pg.row_counts = Ok(rows)));
            assert_eq!(found[0].remedies.iter().any(|r| r.label.starts_with("Delete sales channels")), offered);
        }
        let first = shop(vec![list(20_052, 150_933)], |pg| {
            if let Ok(medusa) = &mut pg.medusa {
                medusa.major = 1;
            }
        });
        assert_eq!(findings(&CHECK, &first)[0].step, "Filter product by a join instead of a list");
        let other = Statement { placeholders: 3_000, ..statement("r", "select * from review where id in ($1, …)", 50, 5_000.0) };
        let found = findings(&CHECK, &shop(vec![other], |_| {}));
        assert_eq!((found[0].subject.name.as_str(), found[0].remedies.len()), ("lists of review by id", 1));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(vec![link(20_000, 50), list(20_052, 150_933)], |_| {}));
    }
}
