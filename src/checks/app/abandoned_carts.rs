//! `app-abandoned-carts`: most carts were left behind months ago and are kept for ever.

use crate::checks::counts::{Counts, Figure, counts, share, storage_severity};
use crate::checks::{Check, always, medusa, purge};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Subject};
use crate::text;

/// Below, the carts and all that hangs on them are a few hundred megabytes at most.
const CARTS_MIN: u64 = 100_000;
/// Of all carts: then the table is a store of what nobody comes back to.
const ABANDONED_SHARE_MIN: f64 = 0.5;
/// Days the counts speak of; the storefront's cookie that leads back to a cart lives for seven in Medusa's starter.
const DAYS: u32 = 90;

pub static CHECK: Check = Check {
    id: "app-abandoned-carts",
    layer: Layer::App,
    title: "Most carts were abandoned months ago and are kept",
    passed: "Abandoned carts are not the bulk of many carts.",
    why: "Every visitor who puts something into a cart leaves a row, its items, its shipping methods and its addresses. Medusa never deletes a cart that was not \
          completed, so the tables behind the checkout grow with the traffic instead of the orders, and backups and vacuum carry them along.",
    remedy: "Delete the carts that were never completed and have not been touched for 90 days, with everything that hangs on them, and let a scheduled job keep it so. \
             Completed carts are never touched.",
    method: "Counts carts without `completed_at` whose `updated_at` is older than 90 days; large tables by a sample of 1,000 pages. Speaks from 100,000 carts on, when \
             half of them or more are such. What hangs on them is reckoned by their share, line items by a sample of the carts.",
    effort: Effort::Hours,
    references: &["https://docs.medusajs.com/learn/fundamentals/scheduled-jobs", "https://www.postgresql.org/docs/current/plpgsql-transactions.html"],
    needs: &[Section::PgServer, Section::PgTables, Section::PgIndexes, Section::PgConstraints, Section::PgMedusa, Section::PgRowCounts],
    uses: &[Section::PgColumns],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Tables of the cart module and the links of carts in version 2; all rows of them belong to a cart.
const FAMILY: [&str; 11] = [
    "cart",
    "cart_line_item",
    "cart_line_item_adjustment",
    "cart_line_item_tax_line",
    "cart_shipping_method",
    "cart_shipping_method_adjustment",
    "cart_shipping_method_tax_line",
    "cart_address",
    "credit_line",
    "cart_promotion",
    "cart_payment_collection",
];

/// One table with what of it goes with the carts.
struct Hanging {
    table: &'static str,
    total: Option<Figure>,
    rows: u64,
    bytes: u64,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let total = counts.need("cart", "total", &["id"])?;
    let columns: &[&str] = if counts.medusa.major == 1 {
        &["id", "completed_at", "updated_at", "payment_authorized_at", "type"]
    } else {
        &["id", "completed_at", "updated_at"]
    };
    let abandoned = counts.need("cart", "abandoned_90_days", columns)?;
    let hanging = hanging(&counts, total, abandoned)?;
    let bytes: u64 = hanging.iter().map(|h| h.bytes).sum();
    let storage = counts.storage_share(bytes)?;
    let remedies = remedies(snapshot, &counts)?;
    let is_bulk = total.rows >= CARTS_MIN && share(abandoned.rows, total.rows) >= ABANDONED_SHARE_MIN;
    Ok(is_bulk.then(|| finding(snapshot, &counts, (total, abandoned), &hanging, (bytes, storage), remedies)).into_iter().collect())
}

fn hanging(counts: &Counts<'_>, total: Figure, abandoned: Figure) -> Result<Vec<Hanging>, Gap> {
    let part = share(abandoned.rows, total.rows);
    // In version 1 line items and shipping methods belong to orders too: only those of the sampled carts are known.
    let tables: &[&str] = if counts.medusa.major == 1 { &["cart", "line_item"] } else { &FAMILY };
    let mut hanging = Vec::new();
    for table in tables.iter().filter(|t| counts.has(t)) {
        let all = counts.find(table, "total");
        let rows = match (*table, counts.find(table, "of_abandoned_carts")) {
            ("cart", _) => abandoned.rows,
            (_, Some(items)) => items.rows,
            ("line_item", None) => 0,
            _ => all.map_or(0, |a| (a.rows as f64 * part).round() as u64),
        };
        let size = counts.bytes(table)? as f64;
        let bytes = all.map_or(0.0, |a| size * share(rows, a.rows));
        hanging.push(Hanging { table, total: all, rows, bytes: bytes as u64 });
    }
    Ok(hanging)
}

fn finding(
    snapshot: &Snapshot,
    counts: &Counts<'_>,
    (total, abandoned): (Figure, Figure),
    hanging: &[Hanging],
    (bytes, storage): (u64, f64),
    remedies: Vec<Remedy>,
) -> Finding {
    let (confidence, because) = abandoned.confidence();
    let mut gain = Gain::new(Basis::Modelled, format!("{} used again", text::bytes_disk(bytes)));
    gain.storage_bytes = Some(bytes);
    let part = share(abandoned.rows, total.rows);
    Finding {
        subject: Subject::new("table", format!("{}.cart", counts.medusa.schema)),
        observed: format!(
            "{} of {} were never completed and not touched for {DAYS} days ({}); with what hangs on them they take about {}, {} of the database.",
            abandoned.shown(),
            total.plural("cart", "carts"),
            text::percent(part),
            text::bytes_disk(bytes),
            text::percent(storage)
        ),
        step: format!("Delete {} abandoned carts and what hangs on them", text::count(abandoned.rows)),
        evidence: evidence(snapshot, hanging),
        severity: storage_severity(storage, bytes),
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Storage, share: storage },
        gain: Some(gain),
        averts: None,
        remedies,
        verify: format!("Audit again: the carts never completed and older than {DAYS} days are 0 after the delete, and stay below half."),
        touches: hanging.iter().filter(|h| h.rows > 0).map(|h| counts.touch(h.table)).collect(),
    }
}

fn evidence(snapshot: &Snapshot, hanging: &[Hanging]) -> Vec<Evidence> {
    let rows = hanging.iter().filter(|h| h.rows > 0).map(|h| {
        let all = h.total.map_or(0, |t| t.rows);
        vec![
            Cell::text(h.table),
            Cell::number(all as f64, text::count(all)),
            Cell::number(h.rows as f64, text::count(h.rows)),
            Cell::number(h.bytes as f64, text::bytes_disk(h.bytes)),
        ]
    });
    let mut out =
        vec![Evidence::table("What hangs on abandoned carts, reckoned by their share", &["Table", "Rows", "Of them", "Size"], rows.collect())];
    let columns = snapshot.pg().and_then(|pg| pg.columns()).into_iter().flat_map(|c| &c.rows);
    let mut own: Vec<&str> = columns.filter(|c| c.name == "cart_id" && !medusa::is_stock_table(&c.table)).map(|c| c.table.as_str()).collect();
    own.sort_unstable();
    own.dedup();
    if !own.is_empty() {
        out.push(Evidence::text("Tables of the store's own that name carts; the remedies leave them alone", own.join(", ")));
    }
    out
}

fn remedies(snapshot: &Snapshot, counts: &Counts<'_>) -> Result<Vec<Remedy>, Gap> {
    let (parents, sql, spares): (&[&str], String, &str) = if counts.medusa.major == 1 {
        (&["cart", "line_item", "shipping_method", "payment_session"], block_v1(counts), SPARES_V1)
    } else {
        (&["cart", "cart_line_item", "cart_shipping_method", "cart_address"], block_v2(counts), SPARES_V2)
    };
    let mut remedies = vec![look_first(counts)];
    remedies.extend(purge::lookup_indexes(snapshot, &counts.medusa.schema, parents)?);
    remedies.push(purge::delete(
        "Delete them in batches",
        sql.clone(),
        "Some 1,000 carts a second once the indexes of the step before exist.",
        spares,
    ));
    remedies.push(purge::vacuum(&counts.name("cart")));
    remedies.push(purge::job(counts.medusa.major, "purge-abandoned-carts", &sql));
    Ok(remedies)
}

fn look_first(counts: &Counts<'_>) -> Remedy {
    let text = format!(
        "select date_trunc('month', updated_at)::date as month, count(*) as carts from {} where completed_at is null group by 1 order by 1;",
        counts.name("cart")
    );
    Remedy {
        kind: RemedyKind::Sql,
        label: "See how old they are".to_owned(),
        text,
        lock: Some("None but ACCESS SHARE; reads the table once.".to_owned()),
        risk: "None: it only reads.".to_owned(),
        undo: None,
    }
}

const SPARES_V2: &str = "Carts that were completed, that an order refers to or for which a payment exists are spared. Payment collections stay, they are the record of \
                         what a payment provider was asked. A shopper who returns after 90 days finds an empty cart.";
const SPARES_V1: &str = "Carts that were completed, that belong to an order, swap or draft, or for which a payment exists are spared. Addresses stay: customers and orders \
                         share their table. A shopper who returns after 90 days finds an empty cart.";

fn block_v2(counts: &Counts<'_>) -> String {
    let n = |t: &str| counts.name(t);
    let mut deletes = String::new();
    // Line items and shipping methods take their adjustments and tax lines along by foreign keys; links and credit lines have none that does.
    for table in ["cart_promotion", "cart_payment_collection", "credit_line", "cart_line_item", "cart_shipping_method"] {
        if counts.has(table) {
            deletes.push_str(&format!("    delete from {} where cart_id = any (carts);\n", n(table)));
        }
    }
    format!(
        "do $$
declare
  last_id text;
  old text[];
  carts text[];
  addresses text[];
begin
  loop
    select array_agg(b.id order by b.id) into old from (
      select c.id from {cart} as c
      where (last_id is null or c.id > last_id)
        and c.completed_at is null and c.updated_at < now() - interval '{DAYS} days'
      order by c.id limit 1000 for update of c skip locked
    ) as b;
    exit when old is null;
    last_id := old[array_upper(old, 1)];
    select array_agg(c.id), array_agg(c.shipping_address_id) || array_agg(c.billing_address_id) into carts, addresses from {cart} as c
    where c.id = any (old)
      and not exists (select from {order_cart} as o where o.cart_id = c.id and o.deleted_at is null)
      and not exists (
        select from {link} as l join {payment} as p on p.payment_collection_id = l.payment_collection_id and p.deleted_at is null
        where l.cart_id = c.id and l.deleted_at is null
      );
{deletes}    delete from {cart} where id = any (carts);
    delete from {address} as a where a.id = any (addresses)
      and not exists (select from {cart} as c where c.shipping_address_id = a.id or c.billing_address_id = a.id);
    commit;
    perform pg_sleep(0.02);
  end loop;
end $$;",
        cart = n("cart"),
        order_cart = n("order_cart"),
        link = n("cart_payment_collection"),
        payment = n("payment"),
        address = n("cart_address"),
    )
}

fn block_v1(counts: &Counts<'_>) -> String {
    let n = |t: &str| counts.name(t);
    format!(
        "do $$
declare
  last_id text;
  old text[];
  carts text[];
begin
  loop
    select array_agg(b.id order by b.id) into old from (
      select c.id from {cart} as c
      where (last_id is null or c.id > last_id)
        and c.completed_at is null and c.payment_authorized_at is null and c.type = 'default' and c.updated_at < now() - interval '{DAYS} days'
      order by c.id limit 1000 for update of c skip locked
    ) as b;
    exit when old is null;
    last_id := old[array_upper(old, 1)];
    select array_agg(c.id) into carts from {cart} as c
    where c.id = any (old)
      and not exists (select from {order} as o where o.cart_id = c.id)
      and not exists (select from {swap} as s where s.cart_id = c.id)
      and not exists (select from {draft} as d where d.cart_id = c.id)
      and not exists (select from {payment} as p where p.cart_id = c.id)
      and not exists (select from {item} as i where i.cart_id = c.id and coalesce(i.order_id, i.swap_id, i.claim_order_id, i.order_edit_id) is not null)
      and not exists (select from {method} as m where m.cart_id = c.id and coalesce(m.order_id, m.swap_id, m.claim_order_id, m.return_id) is not null);
    delete from {custom} where cart_id = any (carts);
    delete from {tax_line} where shipping_method_id in (select m.id from {method} as m where m.cart_id = any (carts));
    delete from {method} where cart_id = any (carts);
    delete from {session} where cart_id = any (carts);
    delete from {item} where cart_id = any (carts);
    delete from {cart} where id = any (carts);
    commit;
    perform pg_sleep(0.02);
  end loop;
end $$;",
        cart = n("cart"),
        order = n("order"),
        swap = n("swap"),
        draft = n("draft_order"),
        payment = n("payment"),
        item = n("line_item"),
        method = n("shipping_method"),
        custom = n("custom_shipping_option"),
        tax_line = n("shipping_method_tax_line"),
        session = n("payment_session"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Postgres;
    use crate::finding::{Confidence, Severity};

    fn carts(total: u64, abandoned: u64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("cart", total, 1_000_000_000), table("cart_line_item", 600_000, 2_000_000_000)]);
            counted(
                pg,
                &[
                    ("cart", "total", total),
                    ("cart", "abandoned_90_days", abandoned),
                    ("cart_line_item", "total", 600_000),
                    ("cart_line_item", "of_abandoned_carts", 300_000),
                ],
            );
            edit(pg);
        })
    }

    #[test]
    fn half_of_a_hundred_thousand_is_the_bulk() {
        assert_passes(&CHECK, &carts(99_999, 99_999, |_| {}));
        assert_passes(&CHECK, &carts(100_000, 49_999, |_| {}));
        let found = findings(&CHECK, &carts(100_000, 50_000, |_| {}));
        // Half of 1 GB of carts and half of 2 GB of items, of 5 GB.
        assert_eq!(found[0].severity, Severity::High);
        assert!((found[0].cost.share - 0.3).abs() < 1e-9, "{}", found[0].cost.share);
        assert!(found[0].observed.starts_with("50,000 of 100,000"), "{}", found[0].observed);
    }

    #[test]
    fn the_remedy_spares_what_was_completed_or_paid() {
        let found = findings(&CHECK, &carts(100_000, 60_000, |_| {}));
        let sql = &found[0].remedies.iter().find(|r| r.label == "Delete them in batches").unwrap().text;
        for part in ["c.completed_at is null", "from public.order_cart as o", "join public.payment as p", "interval '90 days'"] {
            assert!(sql.contains(part), "{part} in {sql}");
        }
        assert!(!sql.contains("credit_line"), "a table this version does not have");
        let one = findings(&CHECK, &carts(100_000, 60_000, version_one));
        assert!(one[0].remedies.iter().any(|r| r.text.contains("from public.\"order\" as o") && r.text.contains("c.type = 'default'")));
    }

    #[test]
    fn a_sample_lowers_the_confidence() {
        let sampled = |pg: &mut Postgres| {
            if let Ok(rows) = &mut pg.row_counts {
                rows.iter_mut().for_each(|r| r.is_estimate = true);
                rows.push(crate::evidence::medusa::RowCount { table: "cart".into(), what: "pages_sampled".into(), rows: 1_000, is_estimate: true });
            }
        };
        let found = findings(&CHECK, &carts(300_000, 210_000, sampled));
        assert_eq!(found[0].confidence, Confidence::Medium);
        assert!(found[0].observed.starts_with("about 210,000 of about 300,000"), "{}", found[0].observed);
    }

    #[test]
    fn an_unreadable_cart_names_its_grant() {
        let gap = assert_unknown(&CHECK, &store(|pg| counted(pg, &[("cart", "total", 1), ("cart", "unreadable", 0)])));
        assert_eq!(gap.cause.remedy(), Some("grant select (id, completed_at, updated_at) on public.cart to \"advisor\";"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &carts(100_000, 60_000, |_| {}));
    }
}
