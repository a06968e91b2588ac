//! `app-catalogue-shape`: products with very many variants, or very many products a sales channel.

use crate::checks::counts::{Counts, Figure, counts, reading, share};
use crate::checks::{Check, always};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// A product with more variants is half the answer of an ordinary list by itself. The counts speak of the same bound.
const VARIANTS_MAX: u64 = 100;
/// So many such products and of all: rarer ones are met by few shoppers.
const PRODUCTS_MIN: u64 = 10;
const PRODUCTS_SHARE_MIN: f64 = 0.01;
/// Variants a product on average: twelve products are then 300 variants, each with options, prices and stock.
const VARIANTS_MEAN_MAX: f64 = 25.0;
/// Uncompressed JSON of one variant in GET /store/products of 2.21.2: 232 kB for 12 products of 8 variants, measured.
const VARIANT_BYTES: f64 = 2_400.0;
/// Products on a page of the storefront starter.
const PAGE_PRODUCTS: f64 = 12.0;
/// Products a sales channel: every product list of version 2 reads all their ids first. medusajs/medusa#13356.
const CHANNEL_PRODUCTS_MAX: u64 = 2_000;
/// At 20,000 products GET /store/products was measured at 1.1 to 1.3 s with 20,500 rows read, of which 0.2 s remain with the index engine.
const MEASURED_PRODUCTS: f64 = 20_000.0;
const MEASURED_MS: f64 = 1_100.0;
const MEASURED_ENGINE_MS: f64 = 200.0;
/// Of database time; below, what reads the table costs nothing worth a step.
const TIME_SHARE_MIN: f64 = 0.01;

pub static CHECK: Check = Check {
    id: "app-catalogue-shape",
    layer: Layer::App,
    title: "The catalogue is larger than stock list endpoints carry well",
    passed: "The catalogue has a shape that stock list endpoints carry well.",
    why: "Product lists answer with every variant of every product, its options, prices and stock, and Medusa 2 first reads the ids of all products of the sales channel. Both \
          grow with the catalogue, not with the page the shopper sees.",
    remedy: "Ask lists only for the fields the page shows, load variants on the product page, and switch the index engine on for large sales channels.",
    method: "Counts variants a product (speaks when at least 10 products and 1 % of them have over 100, or at 25 on average) and, in version 2 without the index engine, products a \
             sales channel (over 2,000). The severity is the share of database time of the statements that read these tables; where statements are not known, Low.",
    effort: Effort::Days,
    references: &[
        "https://docs.medusajs.com/learn/fundamentals/module-links/index-module",
        "https://docs.medusajs.com/api/store#select-fields-and-relations",
        "https://github.com/medusajs/medusa/issues/13356",
    ],
    needs: &[Section::PgMedusa, Section::PgRowCounts],
    uses: &[Section::PgStatements],
    symptom_of: &["pg-link-filter-explosion"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let mut findings = Vec::new();
    findings.extend(variants(snapshot, &counts)?);
    if counts.medusa.major == 2 {
        findings.extend(channels(snapshot, &counts)?);
    }
    Ok(findings)
}

fn variants(snapshot: &Snapshot, counts: &Counts<'_>) -> Result<Option<Finding>, Gap> {
    if !counts.has("product_variant") {
        return Ok(None);
    }
    let columns = ["product_id", "deleted_at"];
    let products = counts.need("product_variant", "products_with_variants", &columns)?;
    let over = counts.need("product_variant", "products_over_100_variants", &columns)?;
    let most = counts.need("product_variant", "most_variants_a_product", &columns)?;
    let live = live(counts, "product_variant", &columns)?;
    let mean = if products.rows == 0 { 0.0 } else { live.rows as f64 / products.rows as f64 };
    let are_many = over.rows >= PRODUCTS_MIN && share(over.rows, products.rows) >= PRODUCTS_SHARE_MIN;
    if !are_many && mean < VARIANTS_MEAN_MAX {
        return Ok(None);
    }
    let page = mean * PAGE_PRODUCTS * VARIANT_BYTES;
    let observed = format!(
        "{} with variants have {} each on average and {} at most{}; {} over {VARIANTS_MAX}. A page of 12 such products is about {} of JSON before compression.",
        products.plural("product", "products"),
        text::number(mean),
        text::count(most.rows),
        if most.is_estimate { " as far as seen" } else { "" },
        over.plural("has", "have"),
        text::bytes_disk(page as u64)
    );
    let evidence = vec![
        over.evidence("Products with over 100 variants"),
        most.evidence("Variants of the largest product"),
        Evidence::figure("Variants a product", mean, "rows", text::number(mean)),
        Evidence::figure("A page of 12 products, modelled", page, "bytes", text::bytes_disk(page as u64)),
    ];
    let verify = format!(
        "Load a product list of the storefront and look at its size: without the variants a page of 12 products is below 100 kB. The audit stays at {} variants a product until the \
         catalogue itself is split.",
        text::number(mean)
    );
    let remedies = vec![largest_products(counts), fields()];
    let shape =
        Shape { table: "product_variant", figure: over, observed, step: "Leave the variants out of product lists", evidence, remedies, verify };
    Ok(Some(finding(snapshot, counts, shape)))
}

/// Rows that are not soft-deleted.
fn live(counts: &Counts<'_>, table: &str, columns: &[&str]) -> Result<Figure, Gap> {
    let total = counts.need(table, "total", columns)?;
    let deleted = counts.find(table, "soft_deleted").map_or(0, |d| d.rows);
    Ok(Figure { rows: total.rows.saturating_sub(deleted), ..total })
}

fn largest_products(counts: &Counts<'_>) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "See the largest products".to_owned(),
        text: format!(
            "select product_id, count(*) as variants from {} where deleted_at is null group by product_id order by variants desc, product_id limit 20;",
            counts.name("product_variant")
        ),
        lock: Some("None but ACCESS SHARE; reads the table once.".to_owned()),
        risk: "None: it only reads.".to_owned(),
        undo: None,
    }
}

fn fields() -> Remedy {
    Remedy {
        kind: RemedyKind::Storefront,
        label: "Ask lists only for what the page shows".to_owned(),
        text: "// the list: these fields and no others; names without a sign replace the default ones
const { products } = await sdk.store.product.list({
  limit: 12,
  region_id: region.id,
  fields: \"id,title,handle,thumbnail\",
})

// the product page: one product with its variants
const { product } = await sdk.store.product.retrieve(id, {
  region_id: region.id,
  fields: \"*variants.calculated_price,+variants.inventory_quantity\",
})"
        .to_owned(),
        lock: None,
        risk: "A list that shows \"from 19 €\" needs a price: keep the lowest one in the product's metadata, or in a route of your own.".to_owned(),
        undo: Some("Take the fields parameter out.".to_owned()),
    }
}

fn channels(snapshot: &Snapshot, counts: &Counts<'_>) -> Result<Option<Finding>, Gap> {
    // The engine answers once it has read the catalogue; its bookkeeping then says so.
    let has_engine = counts.find("index_metadata", "done").is_some_and(|d| d.rows > 0);
    if has_engine || !counts.has("product_sales_channel") {
        return Ok(None);
    }
    let most = counts.need("product_sales_channel", "most_products_a_channel", &["sales_channel_id", "deleted_at"])?;
    if most.rows <= CHANNEL_PRODUCTS_MAX {
        return Ok(None);
    }
    let scale = most.rows as f64 / MEASURED_PRODUCTS;
    let (now, then) = (MEASURED_MS * scale, MEASURED_ENGINE_MS);
    let observed = format!(
        "The largest sales channel has {}: each product list reads all their ids before it looks for the page. By a measurement at 20,000 products that is about {} an answer on a \
         small machine.",
        most.plural("product", "products"),
        text::millis(now)
    );
    let mut evidence = vec![most.evidence("Products of the largest sales channel")];
    if now > then {
        evidence.push(Evidence::BeforeAfter {
            label: "GET /store/products, modelled".to_owned(),
            unit: "ms".to_owned(),
            before: now,
            after: then,
            basis: crate::finding::Basis::RuleOfThumb,
        });
    }
    let shape = Shape {
        table: "product_sales_channel",
        figure: most,
        observed,
        step: "Switch the index engine on",
        evidence,
        remedies: vec![index_engine()],
        verify: "Audit again: the index engine has read the catalogue (index_metadata says done), and statements on product_sales_channel return few rows a call.".to_owned(),
    };
    Ok(Some(finding(snapshot, counts, shape)))
}

fn index_engine() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Switch the index engine on".to_owned(),
        text: "// npm install @medusajs/index, the same version as @medusajs/medusa
// .env: MEDUSA_FF_INDEX_ENGINE=true
// medusa-config.ts
module.exports = defineConfig({
  modules: [{ resolve: \"@medusajs/index\" }],
})
// then: npx medusa db:migrate, and restart"
            .to_owned(),
        lock: None,
        risk: "The first start reads the whole catalogue: measured at 20,000 products, five and a half minutes and 599 MB of tables. Lists filtered by category, tag or option still \
               take the old way."
            .to_owned(),
        undo: Some("Take the module and the variable out and restart; the tables index_* and cat_* may then be dropped.".to_owned()),
    }
}

/// One finding but for what reads its table.
struct Shape {
    table: &'static str,
    figure: Figure,
    observed: String,
    step: &'static str,
    evidence: Vec<Evidence>,
    remedies: Vec<Remedy>,
    verify: String,
}

fn finding(snapshot: &Snapshot, counts: &Counts<'_>, shape: Shape) -> Finding {
    let read = reading(snapshot, &[shape.table]);
    let (counted, because) = shape.figure.confidence();
    let mut evidence = shape.evidence;
    let mut touches = vec![counts.touch(shape.table), "path:/store/products".to_owned()];
    let (mut observed, mut severity, mut time_share) = (shape.observed, Severity::Low, 0.0);
    if let Some(r) = &read {
        evidence.push(Evidence::figure("Database time of what reads it", r.share, "ratio", text::percent(r.share)));
        observed.push_str(&format!(" What reads {} took {} of database time {}.", shape.table, text::percent(r.share), r.period));
        severity = if r.share < TIME_SHARE_MIN { Severity::Info } else { Severity::from_share(r.share) };
        time_share = r.share;
        touches.extend(r.touches.iter().cloned());
    }
    Finding {
        subject: Subject::new("table", format!("{}.{}", counts.medusa.schema, shape.table)),
        observed,
        step: shape.step.to_owned(),
        evidence,
        severity,
        // What it costs in Medusa itself, which is most of it, was measured on another machine.
        confidence: counted.min(Confidence::Medium),
        confidence_because: format!("{because}; what lists cost beyond the database is modelled"),
        effort: Effort::Days,
        cost: Cost { resource: Resource::DatabaseTime, share: time_share },
        gain: None,
        averts: None,
        remedies: shape.remedies,
        verify: shape.verify,
        touches,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;

    fn catalogue(products: u64, variants: u64, over: u64, channel: u64, more: &[(&str, &str, u64)]) -> Snapshot {
        let mut rows = vec![
            ("product_variant", "products_with_variants", products),
            ("product_variant", "products_over_100_variants", over),
            ("product_variant", "most_variants_a_product", 150),
            ("product_variant", "total", variants),
            ("product_sales_channel", "most_products_a_channel", channel),
        ];
        rows.extend(more);
        store(|pg| counted(pg, &rows))
    }

    #[test]
    fn ten_products_and_one_in_a_hundred_are_many() {
        assert_passes(&CHECK, &catalogue(100, 800, 9, 100, &[]));
        assert_passes(&CHECK, &catalogue(1_001, 8_000, 10, 100, &[]));
        assert_eq!(findings(&CHECK, &catalogue(1_000, 8_000, 10, 100, &[]))[0].severity, Severity::Low);
    }

    #[test]
    fn the_mean_counts_living_variants() {
        assert_passes(&CHECK, &catalogue(100, 2_499, 0, 100, &[]));
        let found = findings(&CHECK, &catalogue(100, 2_500, 0, 100, &[]));
        assert!(found[0].observed.contains("720\u{a0}kB"), "{}", found[0].observed);
        assert_passes(&CHECK, &catalogue(100, 2_500, 0, 100, &[("product_variant", "soft_deleted", 1)]));
    }

    #[test]
    fn two_thousand_products_a_channel_are_carried() {
        assert_passes(&CHECK, &catalogue(100, 800, 0, 2_000, &[]));
        assert_eq!(findings(&CHECK, &catalogue(100, 800, 0, 2_001, &[]))[0].subject.name, "public.product_sales_channel");
        assert_passes(&CHECK, &catalogue(100, 800, 0, 20_000, &[("index_metadata", "done", 3)]));
        assert_eq!(findings(&CHECK, &catalogue(100, 800, 0, 20_000, &[("index_metadata", "done", 0)])).len(), 1);
    }

    #[test]
    fn version_1_joins_its_channels() {
        let mut snapshot = catalogue(100, 800, 0, 20_000, &[]);
        version_one(snapshot.postgres.as_mut().unwrap());
        assert_passes(&CHECK, &snapshot);
    }

    #[test]
    fn severity_is_the_share_of_database_time() {
        let with = |ms: f64| {
            let mut snapshot = catalogue(100, 800, 0, 20_000, &[]);
            let text = "select \"product_id\" from \"product_sales_channel\" where \"sales_channel_id\" = $1";
            let rows = vec![statement("1", text, 1_000, ms), statement("2", "select * from \"image\" where id = $1", 1_000, 10_000.0 - ms)];
            statements(snapshot.postgres.as_mut().unwrap(), rows);
            snapshot
        };
        for (ms, severity) in [(99.0, Severity::Info), (100.0, Severity::Low), (500.0, Severity::Medium), (2_500.0, Severity::High)] {
            assert_eq!(findings(&CHECK, &with(ms))[0].severity, severity, "{ms}");
        }
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &catalogue(1_000, 8_000, 500, 20_000, &[]));
    }
}
