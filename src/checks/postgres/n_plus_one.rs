//! A list is read, then each of its rows is looked up again on its own.

use crate::checks::medusa::is_stock_table;
use crate::checks::medusa_modules::{is_stock_lookup, owner};
use crate::checks::sql::{Kind, TableUse};
use crate::checks::workload::{Load, ReadLoad, Workload, read_loads, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Column, Constraint};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Lookups a call of the list: below, joining by hand is a matter of taste.
const CALLS_RATIO_MIN: f64 = 10.0;
/// Lookups in the period below which their share of the time must speak.
const CALLS_MIN: u64 = 1_000;
const SHARE_MIN: f64 = 0.05;
/// Rows a lookup returns at most: one parent's children are few.
const CHILD_ROWS_MAX: f64 = 5.0;
/// How far the lookups may be from one for each row listed: other pages list and look up too.
const MATCH_MIN: f64 = 0.5;
const MATCH_MAX: f64 = 2.0;
/// As close as a loop over the rows leaves them when hardly anything else looks up.
const CLOSE_MIN: f64 = 0.8;
const CLOSE_MAX: f64 = 1.25;
/// From Postgres 18 on the view itself joins lists of any length, so a list of one cannot be told from a batch.
const LISTS_JOINED_SINCE: u32 = 180_000;

pub static CHECK: Check = Check {
    id: "pg-n-plus-one",
    layer: Layer::Postgres,
    title: "The rows of a list are looked up one by one",
    passed: "No list is followed by a lookup for each of its rows.",
    why: "Code that reads a list and then asks for each row again sends one statement a row. Each is fast, but every one travels to the database and back, \
          so the page gets slower with every row it shows.",
    remedy: "Ask for all the rows at once: one statement with in (…), or the relation named in the query.",
    method: "Looks for a lookup by one value (a column = $1, or in ($1) with never more than one) that returns at most 5 rows and is called at least 10 \
             times as often as a list statement over the table it hangs on (by foreign key, by a column named after it, by a link table of Medusa) in the \
             same period, where the lookups match the rows listed by half to double, and there are 1,000 of them or they take 5 % of the database time. \
             Between two tables of Medusa itself they must match by a fifth, and lookups that stock Medusa sends itself are left out: its requests send \
             20 to 180 small statements. So are the foreign key checks of Postgres.",
    effort: Effort::Hours,
    references: &["https://docs.medusajs.com/learn/fundamentals/module-links/query"],
    needs: &[Section::PgStatements],
    uses: &[Section::PgConstraints, Section::PgColumns, Section::PgServer, Section::PgMedusa],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let work = workload(snapshot)?;
    let reads = read_loads(&work);
    let schema = Schema { constraints: pg.constraints.as_ref().map_or(&[], |c| &c.rows), columns: pg.columns.as_ref().map_or(&[], |c| &c.rows) };
    let mut findings = Vec::new();
    let has_single_lists = pg.server.as_ref().is_ok_and(|s| s.version_num < LISTS_JOINED_SINCE);
    for child in &reads {
        let Some((table, column)) = lookup(child, has_single_lists) else { continue };
        let is_much = child.load.counters.calls >= CALLS_MIN || work.share(&child.load) >= SHARE_MIN;
        if !is_much || findings.len() == FINDINGS_MAX {
            continue;
        }
        let fits = |p: &&ReadLoad| is_list_of(p, &child.load, table, column) && schema.is_parent(p, table, column);
        // The list whose rows match the lookups best.
        let parent = reads.iter().filter(fits).min_by(|a, b| distance(&a.load, &child.load).total_cmp(&distance(&b.load, &child.load)));
        if let Some(parent) = parent {
            findings.push(finding(snapshot, &work, child, parent, table, column));
        }
    }
    Ok(findings)
}

/// The table and column of a lookup by one value.
fn lookup<'r>(read: &'r ReadLoad<'_>, has_single_lists: bool) -> Option<(&'r TableUse, &'r str)> {
    let text = read.load.statement.text.to_ascii_lowercase();
    if read.shape.kind != Kind::Select || text.contains("for key share") || read.load.counters.rows_a_call() > CHILD_ROWS_MAX {
        return None;
    }
    let used = read.shape.tables.iter().find(|t| t.is_first)?;
    let is_one_each = used.batched.is_empty() || (has_single_lists && has_lists_of_one(&read.load));
    let single = used.equal.iter().find(|c| *c == "id" || c.ends_with("_id"))?;
    (!used.is_aggregate && is_one_each).then_some((used, single))
}

/// No text that was folded into this one had more placeholders than the folded text itself: each list held one value.
fn has_lists_of_one(load: &Load) -> bool {
    let folded = load.statement.text.matches('$').count();
    load.statement.placeholders as usize <= folded && !load.statement.text.to_ascii_lowercase().contains("any(")
}

fn is_list_of(parent: &ReadLoad, child: &Load, table: &TableUse, column: &str) -> bool {
    let (p, c) = (&parent.load.counters, &child.counters);
    let matching = c.calls as f64 / (p.rows as f64).max(1.0);
    let Some(listed) = parent.shape.tables.iter().find(|t| t.is_first && !t.is_aggregate) else { return false };
    let is_stock = is_stock_table(&listed.table) && is_stock_table(&table.table);
    // Medusa's pages look its own tables up too: only a close match tells the loop's lookups from theirs.
    let bounds = if is_stock_table(&table.table) { CLOSE_MIN..=CLOSE_MAX } else { MATCH_MIN..=MATCH_MAX };
    // Stock requests send such lookups by themselves: between Medusa's own tables a match is chance.
    if is_stock && is_stock_lookup(&table.table, column, table.batched.iter().any(|c| c == column)) {
        return false;
    }
    parent.shape.kind == Kind::Select
        && parent.load.statement.id != child.statement.id
        && p.calls > 0
        && c.calls as f64 >= p.calls as f64 * CALLS_RATIO_MIN
        && bounds.contains(&matching)
}

fn distance(parent: &Load, child: &Load) -> f64 {
    (child.counters.calls as f64 / (parent.counters.rows as f64).max(1.0)).ln().abs()
}

struct Schema<'s> {
    constraints: &'s [Constraint],
    columns: &'s [Column],
}

impl Schema<'_> {
    /// Whether the rows that `parent` lists lead to `table` by `column`.
    fn is_parent(&self, parent: &ReadLoad, table: &TableUse, column: &str) -> bool {
        let Some(listed) = parent.shape.tables.iter().find(|t| t.is_first) else { return false };
        if listed.table == table.table {
            // A list of the same table, then each of its rows again.
            return column == "id";
        }
        if column == "id" {
            return names_of_key(&table.table).iter().any(|c| self.has_column(&listed.table, c))
                || self.references(&listed.table, &table.table, None);
        }
        names_of_key(&listed.table).iter().any(|name| name == column) || self.references(&table.table, &listed.table, Some(column))
    }

    fn has_column(&self, table: &str, column: &str) -> bool {
        self.columns.iter().any(|c| c.table == table && c.name == column)
    }

    fn references(&self, child: &str, parent: &str, column: Option<&str>) -> bool {
        self.constraints.iter().any(|c| {
            c.kind == "f"
                && c.table == child
                && c.parent_table.as_deref() == Some(parent)
                && column.is_none_or(|k| c.columns.iter().any(|own| own == k))
        })
    }
}

/// How columns that point to `product_variant` are called: `product_variant_id`, and without its module's name `variant_id`.
fn names_of_key(table: &str) -> Vec<String> {
    let short = table.split_once('_').map(|(_, rest)| rest);
    std::iter::once(table).chain(short).map(|name| format!("{name}_id")).collect()
}

fn finding(snapshot: &Snapshot, work: &Workload, child: &ReadLoad, parent: &ReadLoad, table: &TableUse, column: &str) -> Finding {
    let (c, p) = (&child.load.counters, &parent.load.counters);
    let share = work.share(&child.load);
    let ratio = c.calls as f64 / p.calls.max(1) as f64;
    let listed = parent.shape.main_table().map_or("the list", |t| t.table.as_str());
    let matching = c.calls as f64 / (p.rows as f64).max(1.0);
    let is_close = (CLOSE_MIN..=CLOSE_MAX).contains(&matching);
    let major = snapshot.medusa().ok().map(|m| m.major);
    let hourly = work.calls_per_s(c.calls).map_or_else(String::new, |s| format!(" {} an hour,", text::number(s * 3_600.0)));
    Finding {
        subject: Subject::new("statement", format!("{}({column}) for each {listed}", table.table)),
        observed: format!(
            "{} of {listed} {} were followed by {} of {} ({}) by {column}:{hourly} {} a list, {} of the database time.",
            text::plural(p.calls, "list", "lists"),
            work.words,
            text::plural(c.calls, "lookup", "lookups"),
            table.table,
            owner(major, &table.table),
            text::number(ratio),
            text::percent(share)
        ),
        step: format!("Read {} for a whole list of {listed} at once", table.table),
        evidence: evidence(major, work, child, parent, table, listed),
        severity: Severity::from_share(share),
        confidence: if is_close { Confidence::Medium } else { Confidence::Low },
        confidence_because: format!(
            "{} lookups for each row listed, {}; which code sends them is not visible from the database",
            text::number(matching),
            work.because()
        ),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain(snapshot, work, child, parent, share)),
        averts: None,
        remedies: remedies(major, table, column, listed),
        verify: format!(
            "Audit again under the same traffic: the lookups of {} by {column} fall from {} a list to 1.",
            table.table,
            text::number(ratio)
        ),
        touches: vec![child.load.touch(), parent.load.touch()],
    }
}

fn evidence(major: Option<u8>, work: &Workload, child: &ReadLoad, parent: &ReadLoad, table: &TableUse, listed: &str) -> Vec<Evidence> {
    let row = |word: &str, load: &Load| {
        vec![
            Cell::text(word),
            Cell::text(text::cut(&text::one_line(&load.statement.text), 160)),
            Cell::number(load.counters.calls as f64, text::count(load.counters.calls)),
            Cell::number(load.counters.rows as f64, text::count(load.counters.rows)),
            Cell::number(load.counters.mean_ms(), text::millis(load.counters.mean_ms())),
            Cell::number(work.share(load), text::percent(work.share(load))),
        ]
    };
    let calls = child.load.counters.calls.saturating_sub(parent.load.counters.calls);
    let mut evidence = vec![
        Evidence::table(
            "Statements",
            &["", "Statement", "Calls", "Rows", "Mean", "Share of time"],
            vec![row("list", &parent.load), row("lookup", &child.load)],
        ),
        Evidence::text(
            "Where to look",
            format!("Code that lists {listed} ({}) and then asks for {} ({}).", owner(major, listed), table.table, owner(major, &table.table)),
        ),
    ];
    if let Some(rate) = work.calls_per_s(calls).map(|s| s * 3_600.0) {
        evidence.push(Evidence::figure("Statements that one list would spare", rate, "an hour", format!("{} an hour", text::number(rate))));
    }
    evidence
}

/// One statement a list instead of one a row; on the page it saves the round trips too.
fn gain(snapshot: &Snapshot, work: &Workload, child: &ReadLoad, parent: &ReadLoad, share: f64) -> Gain {
    let (c, p) = (&child.load.counters, &parent.load.counters);
    // The rows are still read, in one go: half the time is a cautious guess.
    const SAVING: f64 = 0.5;
    let fewer = (c.calls.saturating_sub(p.calls)) as f64 / p.calls.max(1) as f64;
    let mut gain = Gain::new(Basis::Modelled, format!("{} statements a list", text::minus_percent(1.0 - 1.0 / (fewer + 1.0))));
    gain.database_time_share = Some(share * SAVING);
    gain.database_ms_per_s = work.ms_per_s(c.total_ms * SAVING);
    gain.p95_ms = snapshot.pg().and_then(|pg| pg.server()).ok().map(|s| fewer * (s.round_trip_ms + c.mean_ms() * SAVING));
    gain
}

/// The batched form for the version found; without one, for both.
fn remedies(major: Option<u8>, table: &TableUse, column: &str, listed: &str) -> Vec<Remedy> {
    let child = &table.table;
    let one = |label: &str, text: String| Remedy {
        kind: RemedyKind::Code,
        label: label.to_owned(),
        text,
        lock: None,
        risk: "The result is one array for all rows: group it by the key before it is used.".to_owned(),
        undo: None,
    };
    let mut remedies = Vec::new();
    if major != Some(1) {
        remedies.push(one("Name the relation in the query (Medusa v2)", graph(child, column, listed)));
        remedies.push(one("Or list them by their keys (Medusa v2)", list(child, column, listed)));
    }
    if major != Some(2) {
        remedies.push(one("Load the relation, or all at once (Medusa v1)", type_orm(child, column, listed)));
    }
    remedies
}

fn graph(child: &str, column: &str, listed: &str) -> String {
    let before = format!("// before: one lookup for each {listed}\n// for (const row of rows) await service.");
    if column == "id" {
        let call = format!("retrieve(row.{child}_id)");
        return format!(
            "{before}{call}\nconst {{ data }} = await query.graph({{\n  entity: \"{listed}\",\n  fields: [\"*\", \"{child}.*\"],\n  filters,\n}})\n"
        );
    }
    format!(
        "{before}list({{ {column}: row.id }})\nconst {{ data }} = await query.graph({{\n  entity: \"{child}\",\n  fields: [\"*\"],\n  \
         filters: {{ {column}: rows.map((row) => row.id) }},\n}})\n"
    )
}

fn list(child: &str, column: &str, listed: &str) -> String {
    let (key, of) = if column == "id" { ("id".to_owned(), format!("row.{child}_id")) } else { (column.to_owned(), "row.id".to_owned()) };
    format!(
        "// list…() of the module's service: one statement for all rows of {listed}\nconst keys = [...new Set(rows.map((row) => {of}))]\n\
         const found = await service.list({{ {key}: keys }}, {{ take: null }})\n\
         const byKey = new Map()\nfor (const one of found) byKey.set(one.{key}, [...(byKey.get(one.{key}) ?? []), one])\n"
    )
}

fn type_orm(child: &str, column: &str, listed: &str) -> String {
    let before = format!("// before: one lookup for each {listed}\n");
    if column == "id" {
        return format!(
            "{before}// for (const row of rows) row.{child} = await {child}Repository.findOne({{ where: {{ id: row.{child}_id }} }})\n\
             const rows = await {listed}Repository.find({{ where, relations: [\"{child}\"] }})\n"
        );
    }
    format!(
        "{before}// for (const row of rows) await {child}Repository.find({{ where: {{ {column}: row.id }} }})\n\
         const found = await {child}Repository.find({{ where: {{ {column}: In(rows.map((row) => row.id)) }} }})\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Listed;
    use crate::evidence::postgres::{Postgres, Statement};

    const LIST: &str = "select * from author where region = $1 order by id limit $2";

    fn shop(parent: (u64, u64), child: (&str, u64, f64), edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        let mut list = statement("1", LIST, parent.0, 100.0);
        list.counters.total.rows = parent.1;
        store(|pg| {
            statements(pg, vec![list, statement("2", child.0, child.1, child.2), statement("3", "insert into log values ($1)", 10, 100_000.0)]);
            edit(pg);
        })
    }

    const LOOKUP: &str = "select * from review where author_id = $1";

    #[test]
    fn lookups_that_match_the_rows_of_a_list_are_reported() {
        let found = findings(&CHECK, &shop((100, 1_000), (LOOKUP, 1_000, 50.0), |_| {}));
        assert_eq!(found[0].subject.name, "review(author_id) for each author");
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Low, Confidence::Medium));
        assert!(found[0].remedies[0].text.contains("author_id: rows.map"));
        assert!(found[0].remedies[1].text.contains("service.list({ author_id: keys }"));
        assert!(found[0].observed.contains("lookups of review (a table of your own) by author_id: 5.95 an hour"), "{}", found[0].observed);
        assert_eq!(found[0].touches, ["statement:2", "statement:1"]);
    }

    #[test]
    fn calls_or_share_must_be_worth_it() {
        assert_passes(&CHECK, &shop((99, 999), (LOOKUP, 999, 50.0), |_| {}));
        assert_eq!(findings(&CHECK, &shop((99, 999), (LOOKUP, 999, 5_300.0), |_| {})).len(), 1);
    }

    #[test]
    fn the_ratio_and_the_rows_must_match() {
        assert_passes(&CHECK, &shop((101, 1_000), (LOOKUP, 1_009, 50.0), |_| {}));
        assert_eq!(findings(&CHECK, &shop((101, 1_000), (LOOKUP, 1_010, 50.0), |_| {})).len(), 1);
        assert_passes(&CHECK, &shop((10, 2_001), (LOOKUP, 1_000, 50.0), |_| {}));
        assert_eq!(findings(&CHECK, &shop((10, 2_000), (LOOKUP, 1_000, 50.0), |_| {}))[0].confidence, Confidence::Low);
        assert_passes(&CHECK, &shop((10, 499), (LOOKUP, 1_000, 50.0), |_| {}));
    }

    #[test]
    fn batched_counting_and_foreign_key_lookups_are_healthy() {
        for text in [
            "select * from review where author_id = any($1)",
            "select count(*) from review where author_id = $1",
            "select * from review where note = $1",
            r#"SELECT $2 FROM ONLY "public"."review" x WHERE "author_id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x"#,
        ] {
            assert_passes(&CHECK, &shop((100, 1_000), (text, 1_000, 50.0), |_| {}));
        }
    }

    #[test]
    fn lists_of_one_are_lookups() {
        let one = "select * from review where author_id in ($1, …)";
        let with = |placeholders: u32, version: u32| {
            shop((100, 1_000), (one, 1_000, 50.0), |pg| {
                let (Ok(s), Ok(server)) = (&mut pg.statements, &mut pg.server) else { unreachable!("the fixture has both") };
                s.rows.rows[1].placeholders = placeholders;
                server.version_num = version;
            })
        };
        assert_eq!(findings(&CHECK, &with(1, 170_000)).len(), 1);
        assert_passes(&CHECK, &with(2, 170_000));
        assert_passes(&CHECK, &with(1, 180_000));
    }

    #[test]
    fn tables_of_medusa_itself_must_match_closely() {
        const IMAGES: &str = "select * from image where product_id = $1";
        let of = |text: &str, rows: u64| {
            let mut list = statement("1", "select * from product order by id limit $1", 100, 100.0);
            list.counters.total.rows = rows;
            store(|pg| statements(pg, vec![list, statement("2", text, 1_250, 50.0)]))
        };
        let found = findings(&CHECK, &of(IMAGES, 1_000));
        assert!(found[0].observed.contains("lookups of image (the Product module) by product_id"), "{}", found[0].observed);
        assert_passes(&CHECK, &of(IMAGES, 999));
        assert_passes(&CHECK, &of("select * from product_sales_channel where product_id = $1", 1_000));
        assert_passes(&CHECK, &of("select * from image where product_id in ($1, …)", 1_000));
    }

    #[test]
    fn reads_by_key_need_a_list_that_leads_to_them() {
        let by_id = "select * from publisher where id = $1";
        assert_passes(&CHECK, &shop((100, 1_000), (by_id, 1_000, 50.0), |_| {}));
        let column =
            Column { schema: "public".into(), table: "author".into(), name: "publisher_id".into(), data_type: "text".into(), is_nullable: true };
        assert_eq!(findings(&CHECK, &shop((100, 1_000), (by_id, 1_000, 50.0), |pg| pg.columns = Ok(Listed::whole(vec![column])))).len(), 1);
        let keyed = shop((100, 1_000), ("select * from review where writer_id = $1", 1_000, 50.0), |pg| {
            pg.constraints = Ok(Listed::whole(vec![foreign_key("review", "writer_id", "author")]));
        });
        assert_eq!(findings(&CHECK, &keyed).len(), 1);
    }

    #[test]
    fn a_lookup_returns_few_rows() {
        let returning = |rows: u64| {
            let mut child: Statement = statement("2", LOOKUP, 1_000, 50.0);
            child.counters.total.rows = 1_000 * rows;
            let mut list = statement("1", LIST, 100, 100.0);
            list.counters.total.rows = 1_000;
            store(|pg| statements(pg, vec![list, child]))
        };
        assert_eq!(findings(&CHECK, &returning(5)).len(), 1);
        assert_passes(&CHECK, &returning(6));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop((100, 1_000), (LOOKUP, 1_000, 50.0), |_| {}));
    }
}
