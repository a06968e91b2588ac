//! Searches by `like` and `ilike` that read whole tables.

use std::collections::BTreeMap;

use crate::checks::index::{find_table, is_listed, unlisted};
use crate::checks::new_index::NewIndex;
use crate::checks::partitions::Extent;
use crate::checks::sql::Shape;
use crate::checks::statement::{Sums, has_long_list, is_read, is_search, table as statement_table};
use crate::checks::workload::{Load, ReadLoad, Workload, read_loads, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Index, Table, quote};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Milliseconds a search from which whoever types waits for it.
const MEAN_MS_MIN: f64 = 100.0;
/// Or the share of the database time that quicker searches take.
const SHARE_OF_QUICK_MIN: f64 = 0.05;
/// Below it a search is somebody's in the back office.
const SHARE_MIN: f64 = 0.01;
const CALLS_MIN: u64 = 10;
/// Calls from which a mean is steady.
const CALLS_STEADY: u64 = 100;
/// Bytes of table a second of a trigram index's build: measured 7.4 s for 12 MB with two columns.
const BUILD_BYTES_A_SECOND: f64 = 1.5e6;
/// Of a search, by either remedy. A word of eight letters among 80,000 customers took 44 ms, with the index 0.1 ms; short ones gain less.
const SAVING: f64 = 0.9;
/// Tables of the search module of v2 that hold its documents.
const SEARCH_DOCUMENTS: &str = "search_postgres_index";

pub static CHECK: Check = Check {
    id: "pg-search-without-trigram",
    layer: Layer::Postgres,
    title: "Searches by ilike read whole tables",
    passed: "No costly search by ilike reads a whole table.",
    why: "A search for a piece of text in the middle of a column can use no ordinary index, so each one reads the whole table. Shoppers search on every visit, \
          often letter by letter, and each letter is one more read of everything.",
    remedy: "Send searches to a search provider. Where that is too much, a trigram index serves searches of three letters and more in one table.",
    method: "Reads by like or ilike with a mean of 100 ms, or 5 % of the database time, on tables of 10 MB or 10,000 rows whose searched columns have no trigram index; \
             per table from 10 calls and 1 % of the database time. Where one search spans several tables, no index can serve it and none is offered. Products are \
             left alone where the search module of Medusa v2 holds documents.",
    effort: Effort::Days,
    references: &[
        "https://docs.medusajs.com/resources/infrastructure-modules/search",
        "https://www.postgresql.org/docs/current/pgtrgm.html#PGTRGM-INDEX",
    ],
    needs: &[Section::PgStatements, Section::PgTables, Section::PgIndexes],
    uses: &[Section::PgMedusa],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// What is searched in one table.
struct Search<'s> {
    table: &'s Table,
    extent: Extent,
    /// Searched in this table alone, without a trigram index yet.
    columns: Vec<String>,
    /// Some statement searches other tables or expressions with it.
    is_spread: bool,
    is_live_only: bool,
    loads: Vec<Load<'s>>,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (tables, listed) = (&pg.tables()?.rows, pg.indexes()?);
    let indexes = &listed.rows;
    let work = workload(snapshot)?;
    let has_search = tables.iter().any(|t| t.name == SEARCH_DOCUMENTS && t.rows().is_some_and(|r| r > 0));
    let mut found: BTreeMap<(&str, &str), Search> = BTreeMap::new();
    for read in read_loads(&work) {
        let load = &read.load;
        let is_costly = load.counters.mean_ms() >= MEAN_MS_MIN || work.share(load) >= SHARE_OF_QUICK_MIN;
        // Lists of thousands of ids are slow for those; with the Index Module their search is quick as well.
        if !is_costly || !is_search(&load.statement.text) || !is_read(load, &read.shape) || has_long_list(load) {
            continue;
        }
        if let Some(search) = search(&read, tables, indexes) {
            if has_search && search.table.name.starts_with("product") {
                continue;
            }
            add(&mut found, search);
        }
    }
    let is_worth_it = |s: &&Search| {
        let sums = Sums::of(&s.loads);
        sums.calls >= CALLS_MIN && work.share_of(sums.total_ms) >= SHARE_MIN
    };
    let (known, beyond): (Vec<&Search>, Vec<&Search>) = found.values().filter(is_worth_it).partition(|s| is_listed(listed, s.table));
    if known.is_empty()
        && let Some(search) = beyond.first()
    {
        return Err(unlisted(search.table));
    }
    let mut findings: Vec<Finding> = known.iter().map(|s| finding(snapshot, &work, s, indexes)).collect();
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn add<'s>(found: &mut BTreeMap<(&'s str, &'s str), Search<'s>>, new: Search<'s>) {
    match found.get_mut(&(new.table.schema.as_str(), new.table.name.as_str())) {
        None => {
            found.insert((&new.table.schema, &new.table.name), new);
        }
        Some(known) => {
            for column in new.columns {
                if !known.columns.contains(&column) {
                    known.columns.push(column);
                }
            }
            known.is_spread |= new.is_spread;
            known.is_live_only &= new.is_live_only;
            known.loads.extend(new.loads);
        }
    }
}

/// What this statement searches, unless trigram indexes serve it or its table is small.
fn search<'s>(read: &ReadLoad<'s>, tables: &'s [Table], indexes: &[Index]) -> Option<Search<'s>> {
    let operands = operands(&read.load.statement.text, &read.shape);
    let (first, _) = operands.iter().flatten().next()?;
    let used = &read.shape.tables[*first];
    let table = find_table(tables, used)?;
    let extent = Extent::of(tables, table).filter(Extent::is_big)?;
    let is_spread = operands.iter().any(|o| o.as_ref().is_none_or(|(of, _)| read.shape.tables[*of].alias != used.alias));
    let mut columns: Vec<String> = Vec::new();
    for (_, column) in operands.iter().flatten().filter(|(of, _)| read.shape.tables[*of].alias == used.alias) {
        if !columns.contains(column) && !has_trigram(indexes, table, column) {
            columns.push(column.clone());
        }
    }
    let is_served = !is_spread && columns.is_empty();
    (!is_served && table.extension.is_none()).then(|| Search {
        table,
        extent,
        columns: if is_spread { Vec::new() } else { columns },
        is_spread,
        is_live_only: used.is_soft_delete_filtered(),
        loads: vec![read.load],
    })
}

fn has_trigram(indexes: &[Index], table: &Table, column: &str) -> bool {
    indexes.iter().any(|i| {
        let is_there = i.schema == table.schema && i.table == table.name && i.is_valid && i.is_ready;
        // `text_pattern_ops` serves searches that begin with the text, which a normalised statement does not tell apart.
        is_there && i.keys.iter().any(|k| k.text == column && k.opclass.as_deref().is_some_and(|o| o.contains("trgm") || o.contains("pattern_ops")))
    })
}

/// Mention and column left of each `like`; `None` for an expression or a column whose table is not known.
fn operands(text: &str, shape: &Shape) -> Vec<Option<(usize, String)>> {
    let lower = text.to_ascii_lowercase();
    let mut out = Vec::new();
    for word in [" ilike ", " like "] {
        for (at, _) in lower.match_indices(word) {
            // The lengths of both texts are the same: only ASCII letters were changed.
            let before = text[..at].trim_end();
            if !before.to_ascii_lowercase().ends_with(" not") {
                out.push(operand(before, shape));
            }
        }
    }
    out
}

fn operand(before: &str, shape: &Shape) -> Option<(usize, String)> {
    let start = before.char_indices().rev().scan(false, |is_quoted, (at, c)| {
        if c == '"' {
            *is_quoted = !*is_quoted;
        }
        (*is_quoted || c.is_alphanumeric() || matches!(c, '"' | '.' | '_')).then_some(at)
    });
    let start = start.last()?;
    // `sku::text`: the word is a type, and the column an expression.
    if before[..start].ends_with(':') {
        return None;
    }
    let name = &before[start..];
    let plain = |part: &str| if part.starts_with('"') { part.trim_matches('"').to_owned() } else { part.to_lowercase() };
    let mut parts = name.rsplit('.').map(plain);
    let column = parts.next().filter(|c| !c.is_empty())?;
    let of = match parts.next() {
        Some(alias) => shape.tables.iter().position(|t| t.alias == alias)?,
        None if shape.tables.len() == 1 => 0,
        None => return None,
    };
    Some((of, column))
}

fn finding(snapshot: &Snapshot, work: &Workload, search: &Search, indexes: &[Index]) -> Finding {
    let sums = Sums::of(&search.loads);
    let share = work.share_of(sums.total_ms);
    let table = search.table;
    let (confidence, because) = if sums.calls >= CALLS_STEADY {
        (Confidence::High, work.because())
    } else {
        (Confidence::Medium, format!("{} only, {}", text::plural(sums.calls, "call", "calls"), work.because()))
    };
    let mut touches: Vec<String> = search.loads.iter().map(Load::touch).collect();
    touches.push(format!("table:{}.{}", table.schema, table.name));
    let spread = if search.is_spread { " It looks into several tables or expressions at once, which no index serves." } else { "" };
    Finding {
        subject: Subject::new("table", format!("{}.{}", table.schema, table.name)),
        observed: format!(
            "{} {} searched {} of {} by ilike: {} a call, {} of the database time.{spread}",
            text::plural(sums.calls, "call", "calls"),
            work.words,
            table.name,
            text::plural(search.extent.rows.unwrap_or(0), "row", "rows"),
            text::millis(sums.mean_ms()),
            text::percent(share)
        ),
        step: format!("Take the search in {} off the database", table.name),
        evidence: vec![
            statement_table(work, &search.loads),
            Evidence::figure("Table size", search.extent.bytes as f64, "bytes", text::bytes_disk(search.extent.bytes)),
        ],
        severity: Severity::from_share(share),
        confidence,
        confidence_because: because,
        effort: Effort::Days,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain(work, &sums, share)),
        averts: None,
        remedies: remedies(snapshot, search, indexes),
        verify: format!(
            "Audit again under the same traffic: searches of {} take below {} a call, or are gone.",
            table.name,
            text::millis(MEAN_MS_MIN)
        ),
        touches,
    }
}

fn gain(work: &Workload, sums: &Sums, share: f64) -> Gain {
    let mut gain = Gain::new(Basis::RuleOfThumb, format!("{} database time", text::minus_percent(share * SAVING)));
    gain.database_time_share = Some(share * SAVING);
    gain.database_ms_per_s = work.ms_per_s(sums.total_ms * SAVING);
    gain
}

fn remedies(snapshot: &Snapshot, search: &Search, indexes: &[Index]) -> Vec<Remedy> {
    let mut remedies = vec![provider(snapshot)];
    // With a spread search beside a plain one, the index would serve the plain one only: still worth it, the finding says what remains.
    if !search.columns.is_empty() {
        remedies.push(trigram(snapshot, search, indexes));
    }
    remedies
}

fn provider(snapshot: &Snapshot) -> Remedy {
    let text = if snapshot.medusa().is_ok_and(|m| m.major == 1) {
        "// medusa-config.js, after npm install medusa-plugin-meilisearch (or medusa-plugin-algolia)\nplugins.push({\n  resolve: \"medusa-plugin-meilisearch\",\n  options: {\n    config: { host: process.env.MEILISEARCH_HOST, apiKey: process.env.MEILISEARCH_API_KEY },\n    settings: {\n      products: {\n        indexSettings: {\n          searchableAttributes: [\"title\", \"description\", \"variant_sku\"],\n          displayedAttributes: [\"id\", \"title\", \"thumbnail\", \"handle\"],\n        },\n        primaryKey: \"id\",\n      },\n    },\n  },\n})\n\n// The storefront then searches by POST /store/products/search instead of GET /store/products?q=\n"
    } else {
        "// The Search Module (2.21.1 and later) fills an index that you declare in src/search and keeps it current;\n// before that, a search provider (Meilisearch, Algolia) with a subscriber does it.\n// The search box asks the index and reads the products it found by id:\nconst ids = await searchProducts(term, { limit: 20 })\nconst { products } = await sdk.store.product.list({ id: ids, fields: \"id,title,handle,thumbnail\" })\n// instead of\n// await sdk.store.product.list({ q: term })\n"
    };
    Remedy {
        kind: RemedyKind::Code,
        label: "Search in a search provider".to_owned(),
        text: text.to_owned(),
        lock: None,
        risk: "One more service to run, and results lag behind the catalogue by the time of one event. In return it forgives typing errors."
            .to_owned(),
        undo: Some("Let the search box ask with q= again.".to_owned()),
    }
}

fn trigram(snapshot: &Snapshot, search: &Search, indexes: &[Index]) -> Remedy {
    let table = search.table;
    let named = NewIndex::new(&table.schema, &table.name, &["trgm".to_owned()], None, indexes);
    let columns: Vec<String> = search.columns.iter().map(|c| format!("{} gin_trgm_ops", quote(c))).collect();
    let live = if search.is_live_only { " where deleted_at is null" } else { "" };
    Remedy {
        kind: RemedyKind::Sql,
        label: "Or index its letters by threes".to_owned(),
        text: format!("create extension if not exists pg_trgm;\n{}", named.build_sql(snapshot, &format!("using gin ({}){live}", columns.join(", ")))),
        lock: Some(named.lock(snapshot, search.extent.bytes, BUILD_BYTES_A_SECOND)),
        risk: format!(
            "Every change of these columns writes a dozen index entries or more, and the index may be as large as the columns. Searches of one or two letters still read all of {}. \
             Where extensions lie in a schema of their own, it must be in the search path.",
            table.name
        ),
        undo: Some(named.drop_sql(snapshot)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::workload::shape;
    use crate::evidence::postgres::{Postgres, Statement};
    use crate::finding::Outcome;

    const CUSTOMERS: &str = r#"select "c0"."id" from "customer" as "c0" where ("c0"."first_name" ilike $1 or "c0"."email" ilike $2) and "c0"."deleted_at" is null order by "c0"."id" asc limit $3"#;

    fn shop(one: Statement, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("customer", 200_000, 60_000_000), table("product", 20_000, 20_000_000)]);
            statements(pg, vec![one, statement("2", "select * from author where id = $1", 1_000, 10_000.0)]);
            edit(pg);
        })
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), Outcome::Failed(_))
    }

    #[test]
    fn a_search_in_one_table_is_offered_an_index() {
        let found = findings(&CHECK, &shop(statement("1", CUSTOMERS, 100, 20_000.0), |_| {}));
        assert_eq!(found[0].subject.name, "public.customer");
        assert_eq!(found[0].severity, Severity::High);
        assert_eq!(found[0].remedies[0].kind, RemedyKind::Code);
        assert_eq!(
            found[0].remedies[1].text,
            "create extension if not exists pg_trgm;\ncreate index concurrently idx_customer_trgm on public.customer using gin (first_name gin_trgm_ops, email gin_trgm_ops) where deleted_at is null;"
        );
    }

    #[test]
    fn each_bound_has_two_sides() {
        for (calls, ms, named) in [
            (10, 1_000.0, true),
            (9, 1_000.0, false),
            (100, 10_000.0, true),
            // Quicker than 100 ms a call, but a twentieth of the time.
            (100, 527.0, true),
            (100, 526.0, false),
        ] {
            assert_eq!(fails(&shop(statement("1", CUSTOMERS, calls, ms), |_| {})), named, "{calls} calls, {ms} ms");
        }
        for (rest, named) in [(98_999.0, true), (99_001.0, false)] {
            let others = vec![statement("1", CUSTOMERS, 10, 1_000.0), statement("2", "select * from author where id = $1", 1_000, rest)];
            assert_eq!(fails(&shop(statement("1", CUSTOMERS, 10, 1.0), |pg| statements(pg, others))), named, "{rest}");
        }
        for (rows, bytes, named) in [(9_999, 9_999_999, false), (10_000, 9_999_999, true), (9_999, 10_000_000, true)] {
            assert_eq!(fails(&shop(statement("1", CUSTOMERS, 100, 20_000.0), |pg| tables(pg, vec![table("customer", rows, bytes)]))), named);
        }
    }

    #[test]
    fn trigram_indexes_serve_it() {
        let with = |columns: &[&str]| {
            shop(statement("1", CUSTOMERS, 100, 20_000.0), |pg| {
                let mut trigram = index("customer", "a", columns, None);
                trigram.method = "gin".into();
                trigram.keys.iter_mut().for_each(|k| k.opclass = Some("gin_trgm_ops".into()));
                indexes(pg, vec![trigram]);
            })
        };
        assert_passes(&CHECK, &with(&["first_name", "email"]));
        assert!(findings(&CHECK, &with(&["first_name"]))[0].remedies[1].text.contains("gin (email gin_trgm_ops)"));
    }

    #[test]
    fn a_search_over_several_tables_is_offered_none() {
        for text in [
            r#"select "p0"."id" from "product" as "p0" left join "product_variant" as "p3" on "p0"."id" = "p3"."product_id" where "p0"."title" ilike $1 or "p3"."sku" ilike $2"#,
            r#"select "o0"."id" from "product" as "o0" where cast(o0.rank as text) ilike $1 or "o0"."title" ilike $2"#,
        ] {
            let found = findings(&CHECK, &shop(statement("1", text, 100, 20_000.0), |_| {}));
            assert!(found[0].observed.ends_with("which no index serves."), "{}", found[0].observed);
            assert_eq!(found[0].remedies.len(), 1);
        }
    }

    #[test]
    fn the_search_module_long_lists_and_changes_are_left_alone() {
        let products = r#"select "p0"."id" from "product" as "p0" where "p0"."title" ilike $1"#;
        let filled = |rows| {
            shop(statement("1", products, 100, 20_000.0), |pg| {
                tables(pg, vec![table("product", 20_000, 20_000_000), table("search_postgres_index", rows, 8_192)]);
            })
        };
        assert_passes(&CHECK, &filled(1));
        assert!(fails(&filled(0)));
        assert_passes(&CHECK, &shop(Statement { placeholders: 20_010, ..statement("1", products, 100, 20_000.0) }, |_| {}));
        assert_passes(&CHECK, &shop(statement("1", "delete from customer where email like $1", 100, 20_000.0), |_| {}));
        assert_passes(&CHECK, &shop(statement("1", "select id from customer where email not like $1", 100, 20_000.0), |_| {}));
    }

    #[test]
    fn operands_are_found_wherever_they_stand() {
        let text =
            r#"select 1 from a as "x y" join b on b.id = "x y".b where (("x y"."First Name" ilike $1 or b.sku like $2) or lower(b.ean) like $3)"#;
        let found = operands(text, &shape(text));
        assert_eq!(found, [Some((0, "First Name".to_owned())), Some((1, "sku".to_owned())), None]);
        assert_eq!(operands("select é ilike", &shape("select é ilike")), []);
        let cast = "select id from a where rank::text ilike $1";
        assert_eq!(operands(cast, &shape(cast)), [None]);
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(statement("1", CUSTOMERS, 100, 20_000.0), |_| {}));
    }
}
