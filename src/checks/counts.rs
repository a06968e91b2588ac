//! The counted rows of Medusa's tables, as the `app-*` checks ask for them: a figure, or the exact grant that would give it.

use crate::checks::workload::{self, Workload};
use crate::evidence::medusa::{Medusa, RowCount};
use crate::evidence::postgres::{Table, quote};
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::finding::{Confidence, Evidence, Severity};
use crate::text;

/// Half the width of a share's 95 % interval is 0.98 ÷ √pages: the rows of a page are of one age, so pages are what was drawn.
const HALF_WIDTH: f64 = 0.98;

/// Disk that is worth more than a small step; the smallest disk of a hosted Postgres has a hundred times this.
pub const BYTES_WORTH: u64 = 100_000_000;

/// One counted figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    pub rows: u64,
    pub is_estimate: bool,
    /// Pages the estimate comes from; `None`: counted, or told by the planner's statistics.
    pub pages: Option<u64>,
}

impl Figure {
    /// "210,000", "about 210,000".
    pub fn shown(self) -> String {
        let about = if self.is_estimate { "about " } else { "" };
        format!("{about}{}", text::count(self.rows))
    }

    /// "1 row", "about 210,000 rows".
    pub fn plural(self, one: &str, many: &str) -> String {
        let about = if self.is_estimate { "about " } else { "" };
        format!("{about}{}", text::plural(self.rows, one, many))
    }

    /// How far a share of the table may be off, 0…1; `None`: counted, or not known.
    pub fn error(self) -> Option<f64> {
        self.pages.map(|p| HALF_WIDTH / (p.max(1) as f64).sqrt())
    }

    /// How sure, and why, as a clause.
    pub fn confidence(self) -> (Confidence, String) {
        match (self.is_estimate, self.pages, self.error()) {
            (false, ..) => (Confidence::High, "counted row by row".to_owned()),
            (true, Some(pages), Some(error)) => {
                let points = text::number((error * 100.0).ceil());
                (Confidence::Medium, format!("estimated from {}, off by {points} points of a hundred at most", text::plural(pages, "page", "pages")))
            }
            _ => (Confidence::Low, "estimated by the planner's statistics".to_owned()),
        }
    }

    pub fn evidence(self, label: &str) -> Evidence {
        Evidence::figure(label, self.rows as f64, "rows", self.shown())
    }
}

/// All counts of one snapshot.
pub struct Counts<'s> {
    snapshot: &'s Snapshot,
    rows: &'s [RowCount],
    pub medusa: &'s Medusa,
}

/// # Errors
/// A gap when the counts or the Medusa version could not be read.
pub fn counts(snapshot: &Snapshot) -> Result<Counts<'_>, Gap> {
    let pg = snapshot.pg()?;
    Ok(Counts { snapshot, rows: pg.row_counts()?, medusa: pg.medusa()? })
}

/// The table's name without its schema and quotes.
fn bare(table: &str) -> &str {
    table.rsplit('.').next().unwrap_or(table).trim_matches('"')
}

impl<'s> Counts<'s> {
    /// Whether the table exists in this store: every known table is counted, estimated or marked.
    pub fn has(&self, table: &str) -> bool {
        self.rows.iter().any(|c| bare(&c.table) == table)
    }

    pub fn find(&self, table: &str, what: &str) -> Option<Figure> {
        let of = |what: &str| self.rows.iter().find(|c| bare(&c.table) == table && c.what == what);
        let found = of(what)?;
        let pages = if found.is_estimate { of(RowCount::PAGES_SAMPLED).map(|p| p.rows) } else { None };
        Some(Figure { rows: found.rows, is_estimate: found.is_estimate, pages })
    }

    /// The figure, read from `columns`.
    ///
    /// # Errors
    /// Why it is not there: with the grant where the role may not read it.
    pub fn need(&self, table: &str, what: &str, columns: &[&str]) -> Result<Figure, Gap> {
        match self.find(table, what) {
            Some(figure) => Ok(figure),
            None => Err(self.missing(table, columns)?),
        }
    }

    fn missing(&self, table: &str, columns: &[&str]) -> Result<Gap, Gap> {
        let section = Section::PgRowCounts;
        let is_marked = |mark: &str| self.rows.iter().any(|c| bare(&c.table) == table && c.what == mark);
        if is_marked(RowCount::UNREADABLE) {
            let columns: Vec<String> = columns.iter().map(|c| quote(c)).collect();
            let grant = format!("grant select ({}) on {} to {};", columns.join(", "), self.name(table), self.role()?);
            let detail = format!("The role may not read the columns of {table} that its rows are counted by.");
            return Ok(Gap::new(section, Cause::Denied { grant }, detail));
        }
        if is_marked(RowCount::ROW_SECURITY) {
            let grant = format!("alter role {} bypassrls;", self.role()?);
            let detail = format!("Row level security hides rows of {table} from the role: its counts would be too low.");
            return Ok(Gap::new(section, Cause::Denied { grant }, detail));
        }
        if is_marked(RowCount::NOT_COUNTED) {
            let detail = format!("Counting rows of {table} took longer than the limit or met a lock. Run the audit again at a quieter hour.");
            return Ok(Gap::new(section, Cause::Unreadable, detail));
        }
        let cause = Cause::TooOld { have: "an earlier snapshot".to_owned(), need: "one taken by this version".to_owned() };
        let detail = format!("The snapshot was taken by an earlier version, which did not count this of {table}. Run the audit again.");
        Ok(Gap::new(section, cause, detail))
    }

    /// The role as SQL needs it: it may hold hyphens and capitals.
    fn role(&self) -> Result<String, Gap> {
        Ok(format!("\"{}\"", self.snapshot.pg()?.server()?.role.replace('"', "\"\"")))
    }

    /// `public.cart`, quoted where SQL needs it.
    pub fn name(&self, table: &str) -> String {
        format!("{}.{}", quote(&self.medusa.schema), quote(table))
    }

    /// What a finding on this table touches.
    pub fn touch(&self, table: &str) -> String {
        format!("table:{}.{table}", self.medusa.schema)
    }

    /// The table with its sizes.
    ///
    /// # Errors
    /// A gap when the tables could not be read.
    pub fn table(&self, table: &str) -> Result<Option<&'s Table>, Gap> {
        let tables = &self.snapshot.pg()?.tables()?.rows;
        Ok(tables.iter().find(|t| t.schema == self.medusa.schema && t.name == table))
    }

    /// Heap, indexes and TOAST of a table; 0 where it does not exist.
    ///
    /// # Errors
    /// A gap when the tables could not be read.
    pub fn bytes(&self, table: &str) -> Result<u64, Gap> {
        Ok(self.table(table)?.map_or(0, Table::total_bytes))
    }

    /// Share 0…1 of the database's disk.
    ///
    /// # Errors
    /// A gap when the server could not be read.
    pub fn storage_share(&self, bytes: u64) -> Result<f64, Gap> {
        let all = self.snapshot.pg()?.server()?.database_bytes;
        Ok(if all == 0 { 0.0 } else { (bytes as f64 / all as f64).min(1.0) })
    }
}

/// Share 0…1, of two counts.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

/// By the share of the disk; a large share of a small database is no more than Low.
pub fn storage_severity(share: f64, bytes: u64) -> Severity {
    if bytes < BYTES_WORTH { Severity::Low } else { Severity::from_share(share) }
}

/// What the statements that read some tables cost together.
pub struct Reading {
    /// Share 0…1 of database time.
    pub share: f64,
    pub calls: u64,
    pub mean_ms: f64,
    /// "in 30 s", "since 17 Nov 2026".
    pub period: String,
    pub because: String,
    /// Ids of the costliest, as `statement:…`.
    pub touches: Vec<String>,
}

/// Statements named in a finding.
const TOUCHED_MAX: usize = 5;

/// The selects that read any of these tables; `None` where the statements are not known or saw too little.
pub fn reading(snapshot: &Snapshot, tables: &[&str]) -> Option<Reading> {
    let workload: Workload<'_> = workload::workload(snapshot).ok()?;
    let reads = workload::read_loads(&workload);
    let of_tables: Vec<_> = reads
        .iter()
        .filter(|r| r.shape.kind == crate::checks::sql::Kind::Select && r.shape.tables.iter().any(|t| tables.contains(&t.table.as_str())))
        .collect();
    let ms: f64 = of_tables.iter().map(|r| r.load.counters.total_ms).sum();
    let calls: u64 = of_tables.iter().map(|r| r.load.counters.calls).sum();
    Some(Reading {
        share: workload.share_of(ms),
        calls,
        mean_ms: if calls == 0 { 0.0 } else { ms / calls as f64 },
        period: workload.words.clone(),
        because: workload.because(),
        touches: of_tables.iter().take(TOUCHED_MAX).map(|r| r.load.touch()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{counted, store};

    #[test]
    fn a_sample_says_how_far_it_may_be_off() {
        let figure = Figure { rows: 210_000, is_estimate: true, pages: Some(1_000) };
        assert!((figure.error().unwrap() - 0.031).abs() < 0.001);
        let (confidence, because) = figure.confidence();
        assert_eq!(confidence, Confidence::Medium);
        assert!(because.contains("off by 4 points"), "{because}");
        assert_eq!(Figure { rows: 1, is_estimate: false, pages: None }.confidence().0, Confidence::High);
        assert_eq!(Figure { rows: 1, is_estimate: true, pages: None }.confidence().0, Confidence::Low);
    }

    #[test]
    fn what_may_not_be_read_names_its_grant() {
        let snapshot = store(|pg| counted(pg, &[("order", "unreadable", 0), ("cart", "row_security", 0), ("price", "not_counted", 0)]));
        let counts = counts(&snapshot).unwrap();
        let cause = |table: &str| counts.need(table, "total", &["id", "to"]).unwrap_err().cause;
        assert_eq!(cause("order"), Cause::Denied { grant: "grant select (id, \"to\") on public.\"order\" to \"advisor\";".into() });
        assert_eq!(cause("cart"), Cause::Denied { grant: "alter role \"advisor\" bypassrls;".into() });
        assert_eq!(cause("price"), Cause::Unreadable);
        assert!(matches!(cause("image"), Cause::TooOld { .. }));
    }

    #[test]
    fn a_large_share_of_little_is_low() {
        assert_eq!(storage_severity(0.5, 99_999_999), Severity::Low);
        assert_eq!(storage_severity(0.5, 100_000_000), Severity::High);
    }

    #[test]
    fn a_table_may_carry_its_schema() {
        let snapshot = store(|pg| counted(pg, &[("public.\"order\"", "total", 7)]));
        assert_eq!(counts(&snapshot).unwrap().find("order", "total").map(|f| f.rows), Some(7));
    }
}
