//! `app-price-explosion`: so many price rows or tax rules that a list price is expensive to find.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::checks::counts::{Counts, Figure, Reading, counts, reading, share};
use crate::checks::{Check, always, purge};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Live prices of one set: ten currencies with five rules each. Every list reads them all and sorts out what does not fit.
/// medusajs/medusa#11896, #13890.
const SET_PRICES_MAX: u64 = 50;
/// Sets with more: some are a pricing scheme, one in a hundred is an import that adds instead of replacing.
const SETS_MIN: u64 = 10;
const SETS_SHARE_MIN: f64 = 0.01;
/// Prices of one list: Medusa Admin hangs when it opens it. medusajs/medusa#4468.
const LIST_PRICES_MAX: u64 = 10_000;
/// Each product asks for its tax rules. medusajs/medusa#14137.
const TAX_RULES_MAX: u64 = 1_000;
/// Of database time; below, what reads the table costs nothing worth a step.
const TIME_SHARE_MIN: f64 = 0.01;

pub static CHECK: Check = Check {
    id: "app-price-explosion",
    layer: Layer::App,
    title: "Prices or tax rules are too many to be looked up quickly",
    passed: "Prices and tax rules are few enough to be looked up quickly.",
    why: "To show one price, Medusa reads all live price rows of the variant's price set and sorts out which applies; to show it with tax, all rules of the tax region. \
          Imports that add prices instead of replacing them, or lists that name a price for every customer, make each product list slower.",
    remedy: "Remove the rows that can never be chosen, take the prices of ended price lists away, and give rules to groups of customers and product types instead of to each.",
    method: "Counts live prices a price set (speaks when at least 10 sets and 1 % of them have over 50), prices a price list (over 10,000), and tax rules (over 1,000). The severity \
             is the share of database time of the statements that read these tables; where statements are not known, Low.",
    effort: Effort::Hours,
    references: &[
        "https://docs.medusajs.com/resources/commerce-modules/pricing/price-calculation",
        "https://github.com/medusajs/medusa/issues/13890",
        "https://github.com/medusajs/medusa/issues/14137",
        "https://github.com/medusajs/medusa/issues/4468",
    ],
    needs: &[Section::PgTables, Section::PgIndexes, Section::PgConstraints, Section::PgMedusa, Section::PgRowCounts],
    uses: &[Section::PgStatements],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let prices = if counts.medusa.major == 1 { "money_amount" } else { "price" };
    let indexes = purge::lookup_indexes(snapshot, &counts.medusa.schema, &[prices])?;
    let mut findings = Vec::new();
    if counts.medusa.major == 2 {
        findings.extend(sets(snapshot, &counts)?);
        findings.extend(tax_rules(snapshot, &counts)?);
    }
    findings.extend(lists(snapshot, &counts, prices, indexes)?);
    Ok(findings)
}

/// One finding but for what its table says.
struct Excess {
    subject: &'static str,
    table: &'static str,
    observed: String,
    step: &'static str,
    figure: Figure,
    evidence: Vec<Evidence>,
    remedies: Vec<Remedy>,
    verify: String,
}

fn sets(snapshot: &Snapshot, counts: &Counts<'_>) -> Result<Option<Finding>, Gap> {
    if !counts.has("price") {
        return Ok(None);
    }
    let columns = ["price_set_id", "deleted_at"];
    let over = counts.need("price", "sets_over_50_prices", &columns)?;
    let sets = counts.need("price", "sets_with_prices", &columns)?;
    let most = counts.need("price", "most_prices_a_set", &columns)?;
    let part = share(over.rows, sets.rows);
    if over.rows < SETS_MIN || part < SETS_SHARE_MIN {
        return Ok(None);
    }
    let excess = Excess {
        subject: "price_set",
        table: "price",
        observed: format!(
            "{} of {} ({}) have over {SET_PRICES_MAX} live prices, the largest {}{}.",
            over.shown(),
            sets.plural("price set", "price sets"),
            text::percent(part),
            if most.is_estimate { "seen " } else { "" },
            text::count(most.rows)
        ),
        step: "Remove the price rows that are never chosen",
        figure: over,
        evidence: vec![over.evidence("Price sets with over 50 prices"), most.evidence("Prices of the largest set"), sets.evidence("Price sets")],
        remedies: vec![largest_sets(counts), duplicates(counts, snapshot.meta.taken_at)],
        verify: format!(
            "Audit again: under {SETS_MIN} price sets, or under {}, have over {SET_PRICES_MAX} live prices.",
            text::percent(SETS_SHARE_MIN)
        ),
    };
    Ok(Some(finding(snapshot, counts, excess)))
}

fn largest_sets(counts: &Counts<'_>) -> Remedy {
    read_only(
        "See the largest price sets",
        format!(
            "select p.price_set_id, count(*) as prices, count(distinct p.currency_code) as currencies, count(distinct p.price_list_id) as lists\n\
             from {} as p where p.deleted_at is null group by p.price_set_id order by prices desc, p.price_set_id limit 20;",
            counts.name("price")
        ),
    )
}

/// Of rows without rules for the same list, currency and quantities Medusa takes the lowest amount; the others are never chosen.
/// The order is that of `@medusajs/pricing` 2.21.2, repositories/pricing.js.
fn duplicates(counts: &Counts<'_>, at: OffsetDateTime) -> Remedy {
    let (price, rule) = (counts.name("price"), counts.name("price_rule"));
    let at = at.format(&Rfc3339).unwrap_or_else(|_| at.to_string());
    Remedy {
        kind: RemedyKind::Sql,
        label: "Take away what is never chosen".to_owned(),
        text: format!(
            "update {price} as t set deleted_at = '{at}'
from (
  select p.id, row_number() over (
    partition by p.price_set_id, p.price_list_id, p.currency_code, p.min_quantity, p.max_quantity order by p.amount, p.id
  ) as place
  from {price} as p
  where p.deleted_at is null and coalesce(p.rules_count, 0) = 0
    and not exists (select from {rule} as r where r.price_id = p.id and r.deleted_at is null)
) as d
where d.id = t.id and d.place > 1;"
        ),
        lock: Some("ROW EXCLUSIVE: reads go on; the rows it marks are locked until it ends, some seconds a million prices.".to_owned()),
        risk: "The lowest amount of identical rows stays, which is the one Medusa shows now: no price changes. Prices are marked as deleted, not removed. Caches keep old \
               lists until they expire."
            .to_owned(),
        undo: Some(format!("update {price} set deleted_at = null where deleted_at = '{at}';")),
    }
}

fn lists(snapshot: &Snapshot, counts: &Counts<'_>, prices: &'static str, indexes: Option<Remedy>) -> Result<Option<Finding>, Gap> {
    if !counts.has(prices) {
        return Ok(None);
    }
    let columns = ["price_list_id", "deleted_at"];
    let over = counts.need(prices, "lists_over_10000_prices", &columns)?;
    let most = counts.need(prices, "most_prices_a_list", &columns)?;
    // A sampled list shows a part of its prices: the largest is reckoned up, how many are as large is not known.
    if most.rows <= LIST_PRICES_MAX {
        return Ok(None);
    }
    let mut remedies = vec![largest_lists(counts, prices)];
    remedies.extend(indexes);
    remedies.push(ended_lists(counts, prices));
    let excess = Excess {
        subject: "price_list",
        table: prices,
        observed: format!(
            "{}; the largest has {} live prices.",
            over.plural("price list has over 10,000 prices", "price lists have over 10,000 prices"),
            most.shown()
        ),
        step: "Split the largest price lists and delete the ended ones",
        figure: most,
        evidence: vec![most.evidence("Prices of the largest list"), over.evidence("Lists with over 10,000")],
        remedies,
        verify: format!("Audit again: no price list has over {} live prices.", text::count(LIST_PRICES_MAX)),
    };
    Ok(Some(finding(snapshot, counts, excess)))
}

fn largest_lists(counts: &Counts<'_>, prices: &str) -> Remedy {
    read_only(
        "See the largest price lists",
        format!(
            "select l.id, l.status, l.starts_at, l.ends_at, count(*) as prices\nfrom {} as p join {} as l on l.id = p.price_list_id\n\
             where p.deleted_at is null group by l.id, l.status, l.starts_at, l.ends_at order by prices desc, l.id limit 20;",
            counts.name(prices),
            counts.name("price_list")
        ),
    )
}

fn ended_lists(counts: &Counts<'_>, prices: &str) -> Remedy {
    let list = counts.name("price_list");
    let condition = format!("t.price_list_id in (select l.id from {list} as l where l.ends_at < now() - interval '90 days')");
    purge::delete(
        "Delete the prices of lists that ended 90 days ago",
        purge::in_batches(&counts.name(prices), &["id".to_owned()], &condition, &[]),
        "Some 5,000 rows a second.",
        "The lists stay, empty: setting a new end date does not bring their prices back. Running and coming lists are not touched.",
    )
}

fn tax_rules(snapshot: &Snapshot, counts: &Counts<'_>) -> Result<Option<Finding>, Gap> {
    if !counts.has("tax_rate_rule") {
        return Ok(None);
    }
    let rules = counts.need("tax_rate_rule", "total", &["id"])?;
    let deleted = counts.find("tax_rate_rule", "soft_deleted").map_or(0, |d| d.rows);
    let live = Figure { rows: rules.rows.saturating_sub(deleted), ..rules };
    if live.rows <= TAX_RULES_MAX {
        return Ok(None);
    }
    let excess = Excess {
        subject: "tax_rate_rule",
        table: "tax_rate_rule",
        observed: format!("{} apply; each product of a list with taxes is held against them.", live.plural("tax rule", "tax rules")),
        step: "Give tax rates to product types instead of to each product",
        figure: live,
        evidence: vec![live.evidence("Live tax rules")],
        remedies: vec![rules_by_rate(counts), orphaned_rules(counts)],
        verify: format!("Audit again: at most {} tax rules apply.", text::count(TAX_RULES_MAX)),
    };
    Ok(Some(finding(snapshot, counts, excess)))
}

fn rules_by_rate(counts: &Counts<'_>) -> Remedy {
    read_only(
        "See which rates have them",
        format!(
            "select tax_rate_id, reference, count(*) as rules from {} where deleted_at is null group by tax_rate_id, reference order by rules desc;",
            counts.name("tax_rate_rule")
        ),
    )
}

fn orphaned_rules(counts: &Counts<'_>) -> Remedy {
    let product = counts.name("product");
    let gone = format!("not exists (select from {product} as p where p.id = t.reference_id and p.deleted_at is null)");
    purge::delete(
        "Delete the rules of products that are gone",
        purge::in_batches(&counts.name("tax_rate_rule"), &["id".to_owned()], "t.reference = 'product'", &[gone]),
        "Some 10,000 rows a second.",
        "A product that is restored later comes back without its own tax rule. The rules of living products must be moved to their product type in Medusa Admin.",
    )
}

fn read_only(label: &str, text: String) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: label.to_owned(),
        text,
        lock: Some("None but ACCESS SHARE; reads the table once.".to_owned()),
        risk: "None: it only reads.".to_owned(),
        undo: None,
    }
}

fn finding(snapshot: &Snapshot, counts: &Counts<'_>, excess: Excess) -> Finding {
    let read = reading(snapshot, &[excess.table]);
    let (confidence, because) = excess.figure.confidence();
    let (severity, time_share) = severity(read.as_ref());
    let mut evidence = excess.evidence;
    let mut touches = vec![counts.touch(excess.table)];
    let spent = match &read {
        Some(r) if r.calls > 0 => {
            evidence.push(Evidence::figure("Database time of what reads it", r.share, "ratio", text::percent(r.share)));
            touches.extend(r.touches.iter().cloned());
            format!(" What reads them took {} of database time {}, {} a call.", text::percent(r.share), r.period, text::millis(r.mean_ms))
        }
        Some(r) => format!(" Nothing read them {}.", r.period),
        None => String::new(),
    };
    Finding {
        subject: Subject::new("table", format!("{}.{}", counts.medusa.schema, excess.subject)),
        observed: format!("{}{spent}", excess.observed),
        step: excess.step.to_owned(),
        evidence,
        severity,
        confidence: if read.is_some() { confidence } else { confidence.min(Confidence::Medium) },
        confidence_because: read.map_or(because.clone(), |r| format!("{because}; its cost {}", r.because)),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share: time_share },
        gain: None,
        averts: None,
        remedies: excess.remedies,
        verify: excess.verify,
        touches,
    }
}

/// By the share of database time that reads the table; a note where that is nothing.
fn severity(read: Option<&Reading>) -> (Severity, f64) {
    match read {
        Some(r) if r.share < TIME_SHARE_MIN => (Severity::Info, r.share),
        Some(r) => (Severity::from_share(r.share), r.share),
        None => (Severity::Low, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Postgres;

    fn prices(rows: &[(&str, &str, u64)], edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        let mut all = vec![
            ("price", "sets_with_prices", 1_000),
            ("price", "sets_over_50_prices", 0),
            ("price", "most_prices_a_set", 4),
            ("price", "most_prices_a_list", 0),
            ("price", "lists_over_10000_prices", 0),
            ("tax_rate_rule", "total", 0),
        ];
        for row in rows {
            match all.iter_mut().find(|r| r.0 == row.0 && r.1 == row.1) {
                Some(old) => *old = *row,
                None => all.push(*row),
            }
        }
        store(|pg| {
            counted(pg, &all);
            edit(pg);
        })
    }

    fn over(sets: u64, all: u64) -> Snapshot {
        prices(&[("price", "sets_over_50_prices", sets), ("price", "sets_with_prices", all)], |_| {})
    }

    #[test]
    fn ten_sets_and_one_in_a_hundred_are_many() {
        assert_passes(&CHECK, &prices(&[], |_| {}));
        assert_passes(&CHECK, &over(9, 100));
        assert_passes(&CHECK, &over(10, 1_001));
        assert_eq!(findings(&CHECK, &over(10, 1_000))[0].severity, Severity::Low);
    }

    #[test]
    fn a_list_may_have_ten_thousand_prices() {
        let list = |most| prices(&[("price", "most_prices_a_list", most), ("price", "lists_over_10000_prices", 1)], |_| {});
        assert_passes(&CHECK, &list(10_000));
        assert_eq!(findings(&CHECK, &list(10_001))[0].subject.name, "public.price_list");
    }

    #[test]
    fn a_thousand_tax_rules_are_allowed() {
        let rules = |total, deleted| prices(&[("tax_rate_rule", "total", total), ("tax_rate_rule", "soft_deleted", deleted)], |_| {});
        assert_passes(&CHECK, &rules(1_000, 0));
        assert_passes(&CHECK, &rules(1_100, 100));
        assert_eq!(findings(&CHECK, &rules(1_001, 0))[0].subject.name, "public.tax_rate_rule");
    }

    #[test]
    fn severity_is_the_share_of_database_time() {
        let with = |ms: f64| {
            prices(&[("tax_rate_rule", "total", 5_000)], |pg| {
                let text = "select * from \"tax_rate_rule\" where \"reference_id\" = $1";
                statements(pg, vec![statement("1", text, 1_000, ms), statement("2", "select * from \"image\" where id = $1", 1_000, 10_000.0 - ms)]);
            })
        };
        for (ms, severity) in [(99.0, Severity::Info), (100.0, Severity::Low), (500.0, Severity::Medium), (2_500.0, Severity::High)] {
            assert_eq!(findings(&CHECK, &with(ms))[0].severity, severity, "{ms}");
        }
    }

    #[test]
    fn version_1_is_judged_by_its_price_lists() {
        let snapshot = store(|pg| {
            version_one(pg);
            counted(pg, &[("money_amount", "most_prices_a_list", 12_000), ("money_amount", "lists_over_10000_prices", 1)]);
        });
        assert!(findings(&CHECK, &snapshot)[0].remedies.iter().any(|r| r.text.contains("from public.money_amount as t")));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &over(500, 1_000));
    }
}
