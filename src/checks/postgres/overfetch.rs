//! Lists that fetch wide columns nobody shows.

use std::collections::BTreeSet;

use crate::checks::index::find_table;
use crate::checks::sql::{Shape, TableUse};
use crate::checks::statement::{code, has_long_list, is_read, rewrite, subject, touches};
use crate::checks::workload::{Load, ReadLoad, Workload, read_loads, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Column, ColumnStats, Table};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, Resource, Severity, Subject};
use crate::text;

/// Share of the database time, or of the blocks touched.
const SHARE_MIN: f64 = 0.05;
/// Fewer rows make a page, whatever they hold.
const ROWS_A_CALL_MIN: f64 = 100.0;
/// Bytes a call in wide columns: five times what the stock product list fetches (12 products of 8 variants, 180 rows of 300 bytes).
const WIDE_BYTES_A_CALL_MIN: f64 = 256_000.0;
/// Bytes on average from which a column is wide: names, handles and ids of Medusa have 30.
const WIDE_BYTES_MIN: f64 = 100.0;
/// Fewer are somebody's export.
const CALLS_MIN: u64 = 10;

pub static CHECK: Check = Check {
    id: "pg-overfetch",
    layer: Layer::Postgres,
    title: "Lists fetch wide columns by the hundred",
    passed: "No costly list fetches wide columns by the hundred.",
    why: "Descriptions and metadata are read from disk, sent over the network, parsed and thrown away where the page shows a title and a picture. The application \
          pays more for it than the database: it builds an object from every row.",
    remedy: "Name the fields the page shows. Fetch descriptions and metadata with the one product that is opened.",
    method: "Selects of 100 rows a call or more whose wide columns (100 bytes or more on average by the planner's statistics, values kept outside the row included) make \
             256 kB a call, from 10 calls and 5 % of the database time or of the blocks touched. Joins repeat the columns of the outer row, and so does \
             the count.",
    effort: Effort::Hours,
    references: &[
        "https://docs.medusajs.com/learn/fundamentals/module-links/query",
        "https://docs.medusajs.com/api/store#select-fields-and-relations",
    ],
    needs: &[Section::PgStatements, Section::PgTables, Section::PgColumns],
    uses: &[Section::PgColumnStats, Section::PgMedusa],
    symptom_of: &["pg-missing-index", "pg-link-filter-explosion", "pg-soft-delete-blind"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (tables, columns) = (&pg.tables()?.rows, &pg.columns()?.rows);
    let work = workload(snapshot)?;
    let blocks: f64 = work.loads.iter().map(touched).sum();
    let mut findings = Vec::new();
    for read in read_loads(&work) {
        let load = &read.load;
        let is_costly = work.share(load) >= SHARE_MIN || touched(load) >= blocks * SHARE_MIN;
        let is_list = load.counters.rows_a_call() >= ROWS_A_CALL_MIN && load.counters.calls >= CALLS_MIN && is_read(load, &read.shape);
        if !is_costly || !is_list || has_long_list(load) || findings.len() == FINDINGS_MAX {
            continue;
        }
        let fetched = fetched(&read, tables, columns);
        if !fetched.iter().any(|f| is_wide_type(f.column)) {
            continue;
        }
        // Only now do the widths matter; without them this is not known.
        let wide = wide(&fetched, &pg.column_stats()?.rows);
        let bytes_a_row: f64 = wide.iter().map(|w| w.bytes).sum();
        if bytes_a_row * load.counters.rows_a_call() >= WIDE_BYTES_A_CALL_MIN {
            findings.push(finding(snapshot, &work, &read, &wide, touched(load) / blocks.max(1.0)));
        }
    }
    Ok(findings)
}

fn touched(load: &Load) -> f64 {
    (load.counters.blocks_hit + load.counters.blocks_read) as f64
}

/// A column that the statement returns.
struct Fetched<'s> {
    table: &'s Table,
    column: &'s Column,
}

/// A wide one with its bytes a row.
struct Wide<'s> {
    table: &'s Table,
    column: &'s Column,
    bytes: f64,
}

fn fetched<'s>(read: &ReadLoad, tables: &'s [Table], columns: &'s [Column]) -> Vec<Fetched<'s>> {
    let mut out: Vec<Fetched> = Vec::new();
    for item in projection(&read.load.statement.text) {
        let Some(table) = owner(&read.shape, item.alias.as_deref()).and_then(|used| find_table(tables, used)) else { continue };
        let is_of = |c: &&Column| c.schema == table.schema && c.table == table.name && item.column.as_ref().is_none_or(|name| *name == c.name);
        for column in columns.iter().filter(is_of) {
            if !out.iter().any(|f| std::ptr::eq(f.column, column)) {
                out.push(Fetched { table, column });
            }
        }
    }
    out
}

/// The mention an alias stands for; without one the only table there is.
fn owner<'s>(shape: &'s Shape, alias: Option<&str>) -> Option<&'s TableUse> {
    match alias {
        Some(alias) => shape.tables.iter().find(|t| t.alias == alias),
        None => shape.tables.first().filter(|_| shape.tables.len() == 1),
    }
}

fn is_wide_type(column: &Column) -> bool {
    ["json", "text", "character varying", "xml", "bytea"].iter().any(|t| column.data_type.starts_with(t)) || column.data_type.ends_with("[]")
}

/// Average widths count what lies in the row; what is kept outside it is divided among the table's documents.
fn wide<'s>(fetched: &[Fetched<'s>], stats: &[ColumnStats]) -> Vec<Wide<'s>> {
    let in_row = |column: &Column| {
        stats
            .iter()
            .find(|s| s.schema == column.schema && s.table == column.table && s.column == column.name)
            .map_or(0.0, |s| f64::from(s.average_width) * (1.0 - s.null_fraction))
    };
    let mut outside: BTreeSet<&str> = BTreeSet::new();
    let mut wide = Vec::new();
    for f in fetched.iter().filter(|f| is_wide_type(f.column)) {
        let mut bytes = in_row(f.column);
        let is_document = f.column.data_type.starts_with("json") || f.column.name == "description";
        // A table that was never analyzed has no widths: nothing is said of it.
        if is_document && bytes > 0.0 && outside.insert(&f.table.name) {
            bytes += f.table.toast_bytes as f64 / f.table.rows().unwrap_or(0).max(1) as f64;
        }
        if bytes >= WIDE_BYTES_MIN {
            wide.push(Wide { table: f.table, column: f.column, bytes });
        }
    }
    wide.sort_by(|a, b| b.bytes.total_cmp(&a.bytes).then_with(|| a.column.name.cmp(&b.column.name)));
    wide
}

fn finding(snapshot: &Snapshot, work: &Workload, read: &ReadLoad, wide: &[Wide], blocks_share: f64) -> Finding {
    let load = &read.load;
    let share = work.share(load);
    let rows = load.counters.rows_a_call();
    let bytes = wide.iter().map(|w| w.bytes).sum::<f64>() * rows;
    let main = read.shape.main_table().map_or("the list", |t| t.table.as_str());
    let names: Vec<&str> = wide.iter().take(4).map(|w| w.column.name.as_str()).collect();
    Finding {
        subject: Subject::new("statement", subject(load, &read.shape)),
        observed: format!(
            "{} {} fetched {} each with {}: {} a call in these columns, {} of the database time and {} of the blocks touched.",
            text::plural(load.counters.calls, "call", "calls"),
            work.words,
            text::plural(rows.round() as u64, "row", "rows"),
            names.join(", "),
            text::bytes_disk(bytes as u64),
            text::percent(share),
            text::percent(blocks_share)
        ),
        step: format!("Name the fields that lists of {main} show"),
        evidence: evidence(load, wide, rows),
        severity: Severity::from_share(share),
        confidence: Confidence::Medium,
        confidence_because: format!("widths by the planner's statistics, {}; what the page shows is not visible from the database", work.because()),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain(work, load, share)),
        averts: None,
        remedies: vec![remedy(snapshot, main, wide)],
        verify: format!("Audit again under the same traffic: the statement names its columns and {} are not among them.", names.join(", ")),
        touches: touches(load, &read.shape),
    }
}

fn evidence(load: &Load, wide: &[Wide], rows: f64) -> Vec<Evidence> {
    let row = |w: &Wide| {
        vec![
            Cell::text(format!("{}.{}", w.table.name, w.column.name)),
            Cell::text(&w.column.data_type),
            Cell::number(w.bytes, text::bytes_disk(w.bytes as u64)),
            Cell::number(w.bytes * rows, text::bytes_disk((w.bytes * rows) as u64)),
        ]
    };
    vec![code(load), Evidence::table("Wide columns", &["Column", "Type", "A row", "A call"], wide.iter().map(row).collect())]
}

/// Half of the statement's time is a cautious guess; the application, which builds objects from it, gains more.
fn gain(work: &Workload, load: &Load, share: f64) -> Gain {
    const SAVING: f64 = 0.5;
    let mut gain = Gain::new(Basis::RuleOfThumb, format!("{} database time", text::minus_percent(share * SAVING)));
    gain.database_time_share = Some(share * SAVING);
    gain.database_ms_per_s = work.ms_per_s(load.counters.total_ms * SAVING);
    gain
}

fn remedy(snapshot: &Snapshot, main: &str, wide: &[Wide]) -> Remedy {
    let left_out: Vec<&str> = wide.iter().map(|w| w.column.name.as_str()).collect();
    let text = if snapshot.medusa().is_ok_and(|m| m.major == 1) {
        format!(
            "// before: find() without select fetches every column\nconst rows = await {main}Repository.find({{ where, select: [\"id\", \"title\", \"handle\", \"thumbnail\"], take: 12 }})\n\n// Over the API: GET /store/products?limit=12&fields=id,title,handle,thumbnail&expand=variants\n// left out: {}\n",
            left_out.join(", ")
        )
    } else {
        format!(
            "// before: fields: [\"*\"], or a relation with a star such as *products\nconst {{ data }} = await query.graph({{\n  entity: \"{main}\",\n  fields: [\"id\", \"title\", \"handle\", \"thumbnail\"],\n  pagination: {{ take: 12 }},\n}})\n\n// Over the API: GET /store/products?limit=12&fields=id,title,handle,thumbnail\n// A minus takes single fields out of the default: fields=-description,-metadata\n// left out: {}\n",
            left_out.join(", ")
        )
    };
    rewrite("Name the fields", text, "A page that shows one of the columns left out shows nothing there: look for its uses first.")
}

/// One item of a select list: a column, or all of an alias.
#[derive(Debug, PartialEq)]
struct Item {
    alias: Option<String>,
    /// `None`: the star.
    column: Option<String>,
}

/// What the outermost select returns; expressions are left out.
fn projection(text: &str) -> Vec<Item> {
    let trimmed = text.trim_start();
    let Some(rest) = trimmed.get(..7).filter(|w| w.eq_ignore_ascii_case("select ")).map(|_| &trimmed[7..]) else { return Vec::new() };
    let (mut depth, mut is_quoted, mut start) = (0_usize, false, 0);
    let mut items = Vec::new();
    for (at, c) in rest.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                items.extend(item(&rest[start..at]));
                start = at + 1;
            }
            ' ' | '\n' if depth == 0 && rest.get(at + 1..at + 6).is_some_and(|w| w.eq_ignore_ascii_case("from ")) => {
                items.extend(item(&rest[start..at]));
                return items;
            }
            _ => {}
        }
    }
    // No `from` in sight: the text is cut inside its list, and the last item may not be whole.
    items
}

fn item(text: &str) -> Option<Item> {
    let text = text.trim();
    let end = text.to_ascii_lowercase().find(" as ").unwrap_or(text.len());
    let name = text.get(..end)?.trim();
    if name.is_empty() || name.contains(['(', '$', ' ', '\'']) {
        return None;
    }
    let plain = |part: &str| if part.starts_with('"') { part.trim_matches('"').to_owned() } else { part.to_lowercase() };
    let mut parts = name.rsplit('.');
    let column = parts.next().map(plain)?;
    Some(Item { alias: parts.next().map(plain), column: Some(column).filter(|c| c != "*") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Listed;
    use crate::evidence::postgres::{Postgres, Statement};
    use crate::finding::Outcome;

    const LIST: &str = r#"select "p0".* from "product" as "p0" where "p0"."deleted_at" is null order by "p0"."id" asc limit $1"#;

    fn column(name: &str, data_type: &str) -> Column {
        Column { schema: "public".into(), table: "product".into(), name: name.into(), data_type: data_type.into(), is_nullable: true }
    }

    fn width(name: &str, average_width: u32, null_fraction: f64) -> ColumnStats {
        ColumnStats {
            schema: "public".into(),
            table: "product".into(),
            column: name.into(),
            null_fraction,
            average_width,
            distinct: -1.0,
            correlation: None,
        }
    }

    fn list(text: &str, calls: u64, rows: u64, ms: f64) -> Statement {
        let mut one = scanning("1", text, calls, ms, 100);
        one.counters.total.rows = calls * rows;
        one
    }

    /// Products with descriptions of 1,200 and metadata of 1,360 bytes, half of the latter null.
    fn shop(one: Statement, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("product", 20_000, 40_000_000)]);
            pg.columns =
                Ok(Listed::whole(vec![column("id", "text"), column("title", "text"), column("description", "text"), column("metadata", "jsonb")]));
            pg.column_stats = Ok(Listed::whole(vec![
                width("id", 31, 0.0),
                width("title", 20, 0.0),
                width("description", 1_200, 0.0),
                width("metadata", 2_720, 0.5),
            ]));
            statements(pg, vec![one, scanning("2", "select * from author where id = $1", 10_000, 10_000.0, 100)]);
            edit(pg);
        })
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), Outcome::Failed(_))
    }

    #[test]
    fn the_wide_columns_are_named_with_their_bytes() {
        let found = findings(&CHECK, &shop(list(LIST, 100, 200, 5_000.0), |_| {}));
        assert_eq!(found[0].subject.name, "rows of product(order id)");
        assert!(found[0].observed.contains("200\u{a0}rows each with metadata, description: 512\u{a0}kB a call"), "{}", found[0].observed);
        assert_eq!(found[0].severity, Severity::High);
        assert!(found[0].remedies[0].text.contains("left out: metadata, description"));
    }

    #[test]
    fn each_bound_has_two_sides() {
        for (calls, rows, ms, named) in [
            (100, 100, 5_000.0, true),
            (100, 99, 5_000.0, false),
            (10, 100, 5_000.0, true),
            (9, 100, 5_000.0, false),
            (100, 100, 527.0, true),
            (100, 100, 526.0, false),
        ] {
            assert_eq!(fails(&shop(list(LIST, calls, rows, ms), |_| {})), named, "{calls} calls, {rows} rows, {ms} ms");
        }
        // 2,560 bytes a row make 256 kB at 100 rows.
        let narrower = |pg: &mut Postgres| {
            if let Ok(stats) = &mut pg.column_stats {
                stats.rows[2].average_width = 1_199;
            }
        };
        assert_passes(&CHECK, &shop(list(LIST, 100, 100, 5_000.0), narrower));
    }

    #[test]
    fn blocks_count_where_time_does_not() {
        // 5 % of the blocks are 52,632 of 1,000,000 others.
        for (blocks, named) in [(527, true), (526, false)] {
            let mut one = list(LIST, 100, 200, 100.0);
            one.counters.total.blocks_hit = 100 * blocks;
            assert_eq!(fails(&shop(one, |_| {})), named, "{blocks}");
        }
    }

    #[test]
    fn only_what_is_fetched_counts() {
        let named = r#"select "p0"."id", "p0"."title" as "t", count("p0"."metadata") as "n" from "product" as "p0" limit $1"#;
        assert_passes(&CHECK, &shop(list(named, 100, 200, 5_000.0), |_| {}));
        assert!(fails(&shop(list("select id, description from product limit $1", 100, 2_000, 5_000.0), |_| {})));
    }

    #[test]
    fn what_lies_outside_the_row_counts_too() {
        let narrow = |pg: &mut Postgres, toast: u64| {
            pg.column_stats = Ok(Listed::whole(vec![width("metadata", 18, 0.0)]));
            if let Ok(tables) = &mut pg.tables {
                tables.rows[0].toast_bytes = toast;
            }
        };
        assert!(fails(&shop(list(LIST, 100, 200, 5_000.0), |pg| narrow(pg, 20_000 * 1_262))));
        assert_passes(&CHECK, &shop(list(LIST, 100, 200, 5_000.0), |pg| narrow(pg, 20_000 * 1_261)));
    }

    #[test]
    fn without_widths_it_is_not_known() {
        let unread = |pg: &mut Postgres| pg.column_stats = Err(Gap::not_configured(Section::PgColumnStats));
        assert_unknown(&CHECK, &shop(list(LIST, 100, 200, 5_000.0), unread));
        assert_passes(&CHECK, &shop(list(LIST, 100, 20, 5_000.0), unread));
    }

    #[test]
    fn select_lists_are_read() {
        let item = |alias: Option<&str>, column: Option<&str>| Item { alias: alias.map(Into::into), column: column.map(Into::into) };
        assert_eq!(
            projection(r#"select "p0"."id", p1.Title as "x", count(distinct("p0"."a")), (select a from b), * from "product" as "p0""#),
            [item(Some("p0"), Some("id")), item(Some("p1"), Some("title")), item(None, None)]
        );
        assert_eq!(projection(r#"select "p0"."id", "p0"."desc"#), [item(Some("p0"), Some("id"))]);
        assert_eq!(projection("update a set b = $1"), []);
        assert_eq!(projection("sélect é"), []);
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(list(LIST, 100, 200, 5_000.0), |_| {}));
    }
}
