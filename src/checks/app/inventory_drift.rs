//! `app-inventory-drift`: a level says another quantity is reserved than its reservations do.

use time::OffsetDateTime;

use crate::checks::counts::{Counts, Figure, counts, share};
use crate::checks::{Applies, Check};
use crate::evidence::medusa::RowCount;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "app-inventory-drift",
    layer: Layer::App,
    title: "Reserved stock differs from the reservations",
    passed: "Every level reserves what its reservations add up to.",
    why: "What a shopper may buy is the stock less the reserved quantity. Where that quantity is too high, products are sold out that lie on the shelf; where it is too \
          low or negative, more is sold than there is.",
    remedy: "List the levels that differ, set each to the sum of its reservations, and find what writes to one of the two tables without the other.",
    method: "Compares inventory_level.reserved_quantity with the sum of the live reservation_item rows of the same item and location. Below 50,000 rows each level is compared; \
             above, a sample of the levels, and the sums of both tables as a whole.",
    effort: Effort::Hours,
    references: &["https://github.com/medusajs/medusa/issues/12401", "https://docs.medusajs.com/resources/commerce-modules/inventory/concepts"],
    needs: &[Section::PgMedusa, Section::PgRowCounts],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let counts = counts(snapshot)?;
    let is_there = counts.has("inventory_level") && counts.has("reservation_item");
    Ok(if is_there { Applies::Yes } else { Applies::No("the inventory module is not installed".to_owned()) })
}

struct Drift {
    levels: Figure,
    drifted: Figure,
    negative: Figure,
    /// Levels that were compared one by one.
    compared: u64,
    /// Of the sums of both tables, where only a sample was compared.
    difference: Option<u64>,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let columns = ["inventory_item_id", "location_id", "reserved_quantity", "deleted_at"];
    // The drift is missing when either table is closed: the one that is names its own grant.
    if counts.find("inventory_level", "drifted").is_none() {
        counts.need("reservation_item", "total", &["id"])?;
        if [RowCount::UNREADABLE, RowCount::ROW_SECURITY].iter().any(|mark| counts.find("reservation_item", mark).is_some()) {
            counts.need("reservation_item", "compared", &["inventory_item_id", "location_id", "quantity", "deleted_at"])?;
        }
    }
    let seen = Drift {
        levels: counts.need("inventory_level", "total", &["id"])?,
        drifted: counts.need("inventory_level", "drifted", &columns)?,
        negative: counts.need("inventory_level", "negative", &columns)?,
        compared: counts.need("inventory_level", "compared", &columns)?.rows,
        difference: counts.find("inventory_level", "sum_difference").map(|f| f.rows),
    };
    let differs = seen.drifted.rows > 0 || seen.negative.rows > 0 || seen.difference.is_some_and(|d| d > 0);
    if differs {
        return Ok(vec![finding(&counts, &seen, snapshot.meta.taken_at)]);
    }
    if seen.drifted.is_estimate && seen.difference.is_none() {
        let cause = Cause::TooFew { have: seen.compared, need: seen.levels.rows, what: "compared levels".to_owned() };
        let detail = format!(
            "Of {} only {} could be compared in time, and none differs. At a quiet hour this lists all that differ: {}",
            seen.levels.plural("level", "levels"),
            text::count(seen.compared),
            listing(&counts)
        );
        return Err(Gap::new(Section::PgRowCounts, cause, detail));
    }
    Ok(Vec::new())
}

fn finding(counts: &Counts<'_>, seen: &Drift, at: OffsetDateTime) -> Finding {
    let rows = seen.drifted.rows.max(seen.negative.rows);
    let part = share(rows, seen.levels.rows);
    let (confidence, because) = if rows == 0 {
        (Confidence::Low, format!("the sums differ, but none of {} that were compared does", text::plural(seen.compared, "level", "levels")))
    } else if seen.drifted.is_estimate {
        (Confidence::Medium, format!("{} were compared and the share reckoned up", text::plural(seen.compared, "level", "levels")))
    } else {
        (Confidence::High, "every level was compared".to_owned())
    };
    Finding {
        subject: Subject::new("table", format!("{}.inventory_level", counts.medusa.schema)),
        observed: observed(seen, rows, part),
        step: "Set the reserved stock to what the reservations add up to".to_owned(),
        evidence: evidence(seen),
        severity: Severity::from_share(part),
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: part },
        gain: None,
        averts: Some("products sold out that are there, or sold that are not".to_owned()),
        remedies: vec![list(counts), correct(counts, at)],
        verify: "Audit again: no level differs from its reservations, none is negative.".to_owned(),
        touches: vec![counts.touch("inventory_level"), counts.touch("reservation_item")],
    }
}

fn observed(seen: &Drift, rows: u64, part: f64) -> String {
    if rows == 0 {
        let difference = text::count(seen.difference.unwrap_or(0));
        return format!("All levels together reserve {difference} more or fewer than all reservations together.");
    }
    let negative = match seen.negative.rows {
        0 => String::new(),
        _ => format!("; {} a negative quantity", seen.negative.plural("level reserves", "levels reserve")),
    };
    format!(
        "{} of {} ({}) {} another quantity than the reservations of the same item and location add up to{negative}.",
        seen.drifted.shown(),
        seen.levels.plural("level", "levels"),
        text::percent(part),
        if seen.drifted.rows == 1 { "reserves" } else { "reserve" },
    )
}

fn evidence(seen: &Drift) -> Vec<Evidence> {
    let mut out = vec![
        seen.drifted.evidence("Levels that differ"),
        seen.negative.evidence("Levels below zero"),
        seen.levels.evidence("All levels"),
        Evidence::figure("Levels compared", seen.compared as f64, "rows", text::count(seen.compared)),
    ];
    if let Some(difference) = seen.difference {
        out.push(Evidence::figure("Difference of the sums", difference as f64, "pieces", text::count(difference)));
    }
    out
}

/// Each level with the sum of its reservations, only where they differ.
fn differing(counts: &Counts<'_>) -> String {
    format!(
        "select l.id, l.inventory_item_id, l.location_id, l.reserved_quantity as says, coalesce(sum(i.quantity), 0) as reserved
from {} as l
left join {} as i on i.inventory_item_id = l.inventory_item_id and i.location_id = l.location_id and i.deleted_at is null
where l.deleted_at is null
group by l.id, l.inventory_item_id, l.location_id, l.reserved_quantity
having l.reserved_quantity <> coalesce(sum(i.quantity), 0)",
        counts.name("inventory_level"),
        counts.name("reservation_item")
    )
}

fn listing(counts: &Counts<'_>) -> String {
    format!("{}\norder by l.id;", differing(counts))
}

fn list(counts: &Counts<'_>) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "List the levels that differ".to_owned(),
        text: listing(counts),
        lock: Some("None but ACCESS SHARE; about a second for 100,000 levels.".to_owned()),
        risk: "None: it only reads.".to_owned(),
        undo: None,
    }
}

fn correct(counts: &Counts<'_>, at: OffsetDateTime) -> Remedy {
    let (level, reservation) = (counts.name("inventory_level"), counts.name("reservation_item"));
    // What was is kept under the day's name: a second run on that day stops instead of overwriting it.
    let before = counts.name(&format!("inventory_level_before_{}{:02}{:02}", at.year(), u8::from(at.month()), at.day()));
    // Version 2 reads the precise quantity from the second column; the first is for sorting and filtering.
    let (raw_set, raw_kept, raw_undo) = if counts.medusa.major == 2 {
        (
            "\n  raw_reserved_quantity = jsonb_build_object('value', trim_scale(b.reserved)::text, 'precision', 20),",
            ", l.raw_reserved_quantity",
            ", raw_reserved_quantity = b.raw_reserved_quantity",
        )
    } else {
        ("", "", "")
    };
    Remedy {
        kind: RemedyKind::Sql,
        label: "Set them to the sum of their reservations".to_owned(),
        text: format!(
            "begin;
set local lock_timeout = '3s';
lock table {level}, {reservation} in share row exclusive mode;
create table {before} as
select d.reserved, l.id, l.reserved_quantity{raw_kept}
from {level} as l join (
{}
) as d on d.id = l.id;
update {level} as l set
  reserved_quantity = b.reserved,{raw_set}
  updated_at = now()
from {before} as b where b.id = l.id;
commit;",
            differing(counts)
        ),
        lock: Some(
            "SHARE ROW EXCLUSIVE on both tables for about a second a 100,000 levels: reads go on, checkouts wait. It gives up after three seconds of waiting.".to_owned(),
        ),
        risk: "Where a reservation itself is wrong (an order that was cancelled or sent long ago), the sum is wrong too: look through the list first. What wrote to one \
               table without the other will do it again. The table with what was is yours to drop."
            .to_owned(),
        undo: Some(format!(
            "update {level} as l set reserved_quantity = b.reserved_quantity{raw_undo} from {before} as b where b.id = l.id;\ndrop table {before};"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::finding::Outcome;

    fn levels(drifted: u64, negative: u64) -> Snapshot {
        store(|pg| {
            counted(
                pg,
                &[
                    ("inventory_level", "total", 1_000),
                    ("inventory_level", "drifted", drifted),
                    ("inventory_level", "negative", negative),
                    ("inventory_level", "compared", 1_000),
                    ("reservation_item", "total", 500),
                ],
            );
        })
    }

    fn sampled(difference: Option<u64>) -> Snapshot {
        let mut snapshot = levels(0, 0);
        let rows = snapshot.postgres.as_mut().unwrap().row_counts.as_mut().unwrap();
        rows[1].is_estimate = true;
        rows.extend(difference.map(|d| RowCount { table: "inventory_level".into(), what: "sum_difference".into(), rows: d, is_estimate: false }));
        snapshot
    }

    #[test]
    fn one_level_is_enough() {
        assert_passes(&CHECK, &levels(0, 0));
        let found = findings(&CHECK, &levels(1, 0));
        assert_eq!(found[0].severity, Severity::Low);
        assert!(found[0].observed.starts_with("1 of 1,000"), "{}", found[0].observed);
        assert_eq!(findings(&CHECK, &levels(50, 0))[0].severity, Severity::Medium);
        assert!(findings(&CHECK, &levels(2, 2))[0].observed.contains("2\u{a0}levels reserve a negative quantity"));
    }

    #[test]
    fn a_sample_without_drift_passes_only_when_the_sums_agree() {
        assert_passes(&CHECK, &sampled(Some(0)));
        assert_eq!(findings(&CHECK, &sampled(Some(3)))[0].confidence, Confidence::Low);
        assert!(matches!(assert_unknown(&CHECK, &sampled(None)).cause, Cause::TooFew { have: 1_000, .. }));
    }

    #[test]
    fn both_columns_of_version_2_are_corrected() {
        assert!(findings(&CHECK, &levels(1, 0))[0].remedies[1].text.contains("raw_reserved_quantity = jsonb_build_object"));
    }

    #[test]
    fn without_the_module_it_does_not_apply() {
        assert!(matches!(CHECK.run(&store(|_| {})), Outcome::NotApplicable(_)));
    }

    #[test]
    fn the_closed_table_names_its_grant() {
        let closed = |table: &str| {
            let rows = [("inventory_level", "total", 5), ("reservation_item", "total", 5), (table, "unreadable", 0)];
            assert_unknown(&CHECK, &store(|pg| counted(pg, &rows))).cause.remedy().unwrap().to_owned()
        };
        assert!(
            closed("inventory_level")
                .starts_with("grant select (inventory_item_id, location_id, reserved_quantity, deleted_at) on public.inventory_level")
        );
        assert!(
            closed("reservation_item").starts_with("grant select (inventory_item_id, location_id, quantity, deleted_at) on public.reservation_item")
        );
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &levels(5, 0));
    }
}
