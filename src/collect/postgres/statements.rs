//! `pg_stat_statements` of this database: texts once, counters at both ends of the window, folded into one row a query.

use std::collections::{BTreeMap, HashMap};

use sqlx::FromRow;
use time::OffsetDateTime;

use super::fold::{fold, highest_placeholder};
use super::literals::mask;
use super::reader::{Reader, count};
use crate::connect::postgres::{QueryErrorKind, TAG, quote_role};
use crate::evidence::postgres::{Extension, Statement, StatementCounters, Statements, quote};
use crate::evidence::{Cause, Gap, Listed, Sampled, Section, Seen};

/// Rows read with their texts; `statements.sql` says the same.
const ROWS_READ_MAX: usize = 5_000;
/// Rows kept after folding.
const ROWS_KEPT_MAX: usize = 1_500;
/// Statements first seen inside the window whose texts are fetched, costliest first.
const NEW_TEXTS_MAX: usize = 300;
const HIDDEN: &str = "<insufficient privilege>";
const REMEDY: &str = "alter system set shared_preload_libraries = 'pg_stat_statements'; -- keep what is listed there already, then restart\ncreate extension pg_stat_statements;";

/// One row of the view: `queryid` (hidden: none), user, whether it was called directly.
type Key = (Option<String>, i64, bool);

#[derive(FromRow)]
struct CountersRow {
    id: Option<String>,
    user_id: i64,
    is_toplevel: bool,
    calls: i64,
    total_ms: f64,
    max_ms: f64,
    stddev_ms: f64,
    rows: i64,
    blocks_hit: i64,
    blocks_read: i64,
    blocks_dirtied: i64,
    temp_blocks_read: i64,
    temp_blocks_written: i64,
    io_ms: f64,
    temp_io_ms: f64,
    jit_ms: f64,
    wal_bytes: i64,
}

#[derive(FromRow)]
struct StatementRow {
    text: Option<String>,
    text_chars: Option<i64>,
    dollars: Option<i64>,
    role: Option<String>,
    #[sqlx(flatten)]
    counters: CountersRow,
}

#[derive(FromRow)]
struct TextRow {
    id: Option<String>,
    user_id: i64,
    is_toplevel: bool,
    text: Option<String>,
    text_chars: Option<i64>,
    dollars: Option<i64>,
    role: Option<String>,
}

#[derive(FromRow)]
struct InfoRow {
    reset_at: Option<OffsetDateTime>,
    evictions: Option<i64>,
    max_entries: Option<i32>,
}

struct Text {
    /// Folded.
    folded: String,
    chars: u64,
    placeholders: u32,
    role: Option<String>,
    is_own: bool,
}

struct Entry {
    /// `None`: hidden from this role, or not fetched.
    text: Option<Text>,
    counters: Sampled<StatementCounters>,
}

/// What the view has told so far.
pub struct View {
    schema: String,
    extension_version: String,
    /// Server version whose columns this version of the extension has.
    columns_of: u32,
    entries: BTreeMap<Key, Entry>,
    rows_read: u64,
    hidden: u64,
    is_cut: bool,
    reset_at: Option<OffsetDateTime>,
    evictions: Option<Sampled<u64>>,
    max_entries: Option<u32>,
    /// Texts that were cut and then completed, by id.
    pub whole: BTreeMap<String, String>,
}

impl View {
    /// The quoted schema of the extension, and the version whose columns it has.
    pub fn place(&self) -> (&str, u32) {
        (&self.schema, self.columns_of)
    }
}

/// First reading, with texts.
pub async fn first(reader: &mut Reader<'_>, extensions: &Seen<Vec<(Extension, Option<String>)>>) -> Seen<View> {
    let extensions = extensions.as_ref().map_err(|g| Gap { section: Section::PgStatements, ..g.clone() })?;
    let (schema, version) = place(extensions)?;
    let columns_of = columns_of(&version, reader.major())?;
    let mut seen = View {
        schema: quote(&schema),
        extension_version: version,
        columns_of,
        entries: BTreeMap::new(),
        rows_read: 0,
        hidden: 0,
        is_cut: false,
        reset_at: None,
        evictions: None,
        max_entries: None,
        whole: BTreeMap::new(),
    };
    let info: InfoRow = query(reader, &seen, include_str!("sql/statements_info.sql")).await?.pop().ok_or_else(no_row)?;
    seen.reset_at = info.reset_at;
    seen.evictions = info.evictions.map(|n| Sampled::only(count(n)));
    seen.max_entries = info.max_entries.and_then(|n| u32::try_from(n).ok());
    let rows: Vec<StatementRow> = query(reader, &seen, include_str!("sql/statements.sql")).await?;
    seen.rows_read = rows.len() as u64;
    seen.is_cut = rows.len() >= ROWS_READ_MAX;
    for row in rows {
        seen.hidden += u64::from(is_hidden(row.text.as_deref()));
        let text = text(row.text, row.text_chars, row.dollars, row.role);
        let key = (row.counters.id.clone(), row.counters.user_id, row.counters.is_toplevel);
        let counters = counters(&row.counters);
        // Hidden rows have no id: they fall together by user.
        let entry = seen.entries.entry(key).or_insert_with(|| Entry { text, counters: Sampled::only(StatementCounters::default()) });
        entry.counters.total = add(&entry.counters.total, &counters);
    }
    Ok(seen)
}

/// Reads the counters again: their rise since the last reading becomes the window.
pub async fn again(reader: &mut Reader<'_>, seen: &mut View) -> Seen<()> {
    let info: InfoRow = query(reader, seen, include_str!("sql/statements_info.sql")).await?.pop().ok_or_else(no_row)?;
    let rows: Vec<CountersRow> = query(reader, seen, include_str!("sql/statement_counters.sql")).await?;
    let was_reset = seen.reset_at != info.reset_at;
    seen.reset_at = info.reset_at;
    if let (Some(evictions), Some(n)) = (&mut seen.evictions, info.evictions) {
        let n = count(n);
        *evictions = Sampled { total: n, window: n.checked_sub(evictions.total) };
    }
    let mut after: BTreeMap<Key, StatementCounters> = BTreeMap::new();
    for row in &rows {
        let sum = after.entry((row.id.clone(), row.user_id, row.is_toplevel)).or_default();
        *sum = add(sum, &counters(row));
    }
    // Without the extension's own reset time (13) a counter that went down is the only sign of a reset.
    let went_down = |k: &Key, c: &StatementCounters| seen.entries.get(k).is_some_and(|e| c.calls < e.counters.total.calls);
    let was_reset = was_reset || (seen.evictions.is_none() && after.iter().any(|(k, c)| went_down(k, c)));
    let new = merge(seen, after, was_reset);
    fetch_texts(reader, seen, new).await
}

/// Forgets differences that are not the window's.
pub fn forget_window(seen: &mut View) {
    seen.entries.values_mut().for_each(|e| e.counters.window = None);
    if let Some(evictions) = &mut seen.evictions {
        evictions.window = None;
    }
}

/// Sorts the new counters into the entries; returns the keys not seen before, costliest first.
fn merge(seen: &mut View, after: BTreeMap<Key, StatementCounters>, was_reset: bool) -> Vec<Key> {
    for (key, entry) in &mut seen.entries {
        if !after.contains_key(key) {
            // Evicted: what it did before that is not known, and little, or it would have stayed.
            entry.counters.window = (!was_reset).then(StatementCounters::default);
        }
    }
    let mut new: Vec<(Key, f64)> = Vec::new();
    for (key, counters) in after {
        match seen.entries.get_mut(&key) {
            Some(entry) => {
                // One that went down was evicted or reset by itself and began anew: all it has is of this window.
                let rise = subtract(&entry.counters.total, &counters).unwrap_or(counters);
                entry.counters = Sampled { total: counters, window: (!was_reset).then_some(rise) };
            }
            None => {
                new.push((key.clone(), counters.total_ms));
                let counters = Sampled { total: counters, window: (!was_reset && !seen.is_cut).then_some(counters) };
                seen.entries.insert(key, Entry { text: None, counters });
            }
        }
    }
    new.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    new.into_iter().map(|(k, _)| k).collect()
}

async fn fetch_texts(reader: &mut Reader<'_>, seen: &mut View, new: Vec<Key>) -> Seen<()> {
    // Ids are digits with a sign by their type; nothing else is put into the query.
    let ids: Vec<String> =
        new.iter().filter_map(|k| k.0.as_ref()).filter_map(|id| id.parse::<i64>().ok()).take(NEW_TEXTS_MAX).map(|id| id.to_string()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let sql = include_str!("sql/statement_texts.sql").replace("{ids}", &ids.join(", "));
    let rows: Vec<TextRow> = query(reader, seen, &sql).await?;
    for row in rows {
        let hidden = is_hidden(row.text.as_deref());
        let text = text(row.text, row.text_chars, row.dollars, row.role);
        if let Some(entry) = seen.entries.get_mut(&(row.id, row.user_id, row.is_toplevel)).filter(|e| e.text.is_none()) {
            entry.text = text;
            seen.rows_read += 1;
            seen.hidden += u64::from(hidden);
        }
    }
    Ok(())
}

/// The evidence: one row a query, longest first.
pub fn folded(seen: &View) -> Statements {
    let mut groups: HashMap<(&str, Option<&str>), Group> = HashMap::new();
    let mut total = Sampled { total: StatementCounters::default(), window: Some(StatementCounters::default()) };
    let mut own_excluded = 0;
    let mut without_text = 0_u64;
    for ((id, _, _), entry) in &seen.entries {
        if entry.text.as_ref().is_some_and(|t| t.is_own) {
            own_excluded += 1;
            continue;
        }
        total = add_sampled(&total, &entry.counters);
        match (&entry.text, id) {
            (Some(text), Some(id)) => {
                groups.entry((text.folded.as_str(), text.role.as_deref())).or_default().add(id, text, &entry.counters);
            }
            (None, Some(_)) => without_text += 1,
            (_, None) => {}
        }
    }
    let mut rows: Vec<Statement> = groups.into_iter().map(|((text, role), g)| g.statement(text, role, &seen.whole)).collect();
    rows.sort_by(|a, b| b.counters.total.total_ms.total_cmp(&a.counters.total.total_ms).then_with(|| a.id.cmp(&b.id)));
    let beyond = rows.len().saturating_sub(ROWS_KEPT_MAX) as u64 + without_text;
    rows.truncate(ROWS_KEPT_MAX);
    Statements {
        rows: Listed { rows, cut: if seen.is_cut { None } else { Some(beyond) } },
        rows_read: seen.rows_read,
        hidden: seen.hidden,
        own_excluded,
        total,
        reset_at: seen.reset_at,
        evictions: seen.evictions,
        extension_version: seen.extension_version.clone(),
        max_entries: seen.max_entries,
    }
}

/// Rows of the view that are one query.
#[derive(Default)]
struct Group {
    costliest: Option<(String, f64)>,
    chars: u64,
    placeholders: u32,
    folded: u32,
    counters: Option<Sampled<StatementCounters>>,
}

impl Group {
    fn add(&mut self, id: &str, text: &Text, counters: &Sampled<StatementCounters>) {
        if self.costliest.as_ref().is_none_or(|(_, ms)| counters.total.total_ms > *ms) {
            self.costliest = Some((id.to_owned(), counters.total.total_ms));
        }
        self.chars = self.chars.max(text.chars);
        self.placeholders = self.placeholders.max(text.placeholders);
        self.folded += 1;
        self.counters = Some(self.counters.as_ref().map_or(*counters, |sum| add_sampled(sum, counters)));
    }

    fn statement(self, text: &str, role: Option<&str>, whole: &BTreeMap<String, String>) -> Statement {
        let (id, _) = self.costliest.expect("a group is made by its first row");
        let text = whole.get(&id).map_or(text, String::as_str);
        Statement {
            id,
            text: text.to_owned(),
            text_chars: self.chars,
            placeholders: self.placeholders,
            folded: self.folded,
            role: role.map(str::to_owned),
            counters: self.counters.expect("a group is made by its first row"),
        }
    }
}

fn place(extensions: &[(Extension, Option<String>)]) -> Result<(String, String), Gap> {
    let absent = |detail: &str| {
        let cause = Cause::Absent { feature: "pg_stat_statements".to_owned(), remedy: REMEDY.to_owned() };
        Gap::new(Section::PgStatements, cause, detail)
    };
    let found = extensions.iter().find(|(e, _)| e.name == "pg_stat_statements");
    match found {
        Some((Extension { installed: Some(version), .. }, Some(schema))) => Ok((schema.clone(), version.clone())),
        Some(_) => Err(absent("The extension pg_stat_statements is not created in this database.")),
        None => Err(absent("The server has no extension pg_stat_statements; it comes with the contrib package.")),
    }
}

/// The server version whose columns this version of the extension has: an upgraded server may still run the older extension.
fn columns_of(version: &str, major: u32) -> Result<u32, Gap> {
    let minor: u32 = version.strip_prefix("1.").and_then(|m| m.parse().ok()).unwrap_or(0);
    match minor {
        0..=7 => {
            let cause = Cause::TooOld { have: version.to_owned(), need: "1.8".to_owned() };
            let detail = "The extension pg_stat_statements is older than the server. Run: alter extension pg_stat_statements update;";
            Err(Gap::new(Section::PgStatements, cause, detail))
        }
        8 => Ok(13),
        9 => Ok(14),
        10 => Ok(15),
        11 => Ok(17),
        _ => Ok(major.max(18)),
    }
}

fn no_row() -> Gap {
    Gap::new(Section::PgStatements, Cause::Unreadable, "The query for the statements gave no row.")
}

async fn query<T: for<'r> FromRow<'r, sqlx::postgres::PgRow>>(reader: &mut Reader<'_>, seen: &View, sql: &str) -> Seen<Vec<T>> {
    let sql = super::versioned::for_version(sql, seen.columns_of).replace("{schema}", &seen.schema);
    match reader.session.rows(&sql).await {
        Ok(rows) => Ok(rows),
        Err(e) => Err(match e.kind {
            QueryErrorKind::NotLoaded => Gap::new(
                Section::PgStatements,
                Cause::Absent { feature: "pg_stat_statements".to_owned(), remedy: REMEDY.to_owned() },
                "The extension pg_stat_statements is created but not loaded: it is missing from shared_preload_libraries.",
            ),
            QueryErrorKind::Denied => {
                let role = quote_role(reader.role());
                let grant = format!(
                    "grant usage on schema {0} to {role};\ngrant select on {0}.pg_stat_statements, {0}.pg_stat_statements_info to {role};",
                    seen.schema
                );
                Gap::new(Section::PgStatements, Cause::Denied { grant }, "The role may not read pg_stat_statements.")
            }
            _ => reader.gap(Section::PgStatements, &e),
        }),
    }
}

fn is_hidden(text: Option<&str>) -> bool {
    text.is_none_or(|t| t == HIDDEN)
}

fn text(text: Option<String>, chars: Option<i64>, dollars: Option<i64>, role: Option<String>) -> Option<Text> {
    let text = text.filter(|t| t != HIDDEN)?;
    let chars = chars.map_or(text.len() as u64, count);
    let is_whole = text.chars().count() as u64 >= chars;
    let highest = highest_placeholder(&text);
    // Beyond the cut only the signs can be counted; generated lists use each number once.
    let placeholders = if is_whole { highest } else { highest.max(dollars.and_then(|d| u32::try_from(d).ok()).unwrap_or(0)) };
    Some(Text { folded: mask(&fold(&text)), chars, placeholders, role, is_own: text.contains(TAG) })
}

fn counters(r: &CountersRow) -> StatementCounters {
    StatementCounters {
        calls: count(r.calls),
        total_ms: r.total_ms,
        max_ms: r.max_ms,
        stddev_ms: r.stddev_ms,
        rows: count(r.rows),
        blocks_hit: count(r.blocks_hit),
        blocks_read: count(r.blocks_read),
        blocks_dirtied: count(r.blocks_dirtied),
        temp_blocks_read: count(r.temp_blocks_read),
        temp_blocks_written: count(r.temp_blocks_written),
        io_ms: r.io_ms,
        temp_io_ms: r.temp_io_ms,
        jit_ms: r.jit_ms,
        wal_bytes: count(r.wal_bytes),
    }
}

fn add_sampled(a: &Sampled<StatementCounters>, b: &Sampled<StatementCounters>) -> Sampled<StatementCounters> {
    Sampled { total: add(&a.total, &b.total), window: a.window.zip(b.window).map(|(a, b)| add(&a, &b)) }
}

fn add(a: &StatementCounters, b: &StatementCounters) -> StatementCounters {
    StatementCounters {
        calls: a.calls + b.calls,
        total_ms: a.total_ms + b.total_ms,
        max_ms: a.max_ms.max(b.max_ms),
        stddev_ms: pooled_deviation(a, b),
        rows: a.rows + b.rows,
        blocks_hit: a.blocks_hit + b.blocks_hit,
        blocks_read: a.blocks_read + b.blocks_read,
        blocks_dirtied: a.blocks_dirtied + b.blocks_dirtied,
        temp_blocks_read: a.temp_blocks_read + b.temp_blocks_read,
        temp_blocks_written: a.temp_blocks_written + b.temp_blocks_written,
        io_ms: a.io_ms + b.io_ms,
        temp_io_ms: a.temp_io_ms + b.temp_io_ms,
        jit_ms: a.jit_ms + b.jit_ms,
        wal_bytes: a.wal_bytes + b.wal_bytes,
    }
}

/// Population standard deviation of two populations together.
fn pooled_deviation(a: &StatementCounters, b: &StatementCounters) -> f64 {
    let n = (a.calls + b.calls) as f64;
    if n == 0.0 {
        return 0.0;
    }
    let mean = (a.total_ms + b.total_ms) / n;
    let spread = |c: &StatementCounters| c.calls as f64 * (c.stddev_ms.powi(2) + (c.mean_ms() - mean).powi(2));
    ((spread(a) + spread(b)) / n).max(0.0).sqrt()
}

/// `after` less `before`; `None` when a counter went down.
fn subtract(before: &StatementCounters, after: &StatementCounters) -> Option<StatementCounters> {
    Some(StatementCounters {
        calls: after.calls.checked_sub(before.calls)?,
        total_ms: (after.total_ms - before.total_ms).max(0.0),
        max_ms: after.max_ms,
        stddev_ms: after.stddev_ms,
        rows: after.rows.checked_sub(before.rows)?,
        blocks_hit: after.blocks_hit.checked_sub(before.blocks_hit)?,
        blocks_read: after.blocks_read.checked_sub(before.blocks_read)?,
        blocks_dirtied: after.blocks_dirtied.checked_sub(before.blocks_dirtied)?,
        temp_blocks_read: after.temp_blocks_read.checked_sub(before.temp_blocks_read)?,
        temp_blocks_written: after.temp_blocks_written.checked_sub(before.temp_blocks_written)?,
        io_ms: (after.io_ms - before.io_ms).max(0.0),
        temp_io_ms: (after.temp_io_ms - before.temp_io_ms).max(0.0),
        jit_ms: (after.jit_ms - before.jit_ms).max(0.0),
        wal_bytes: after.wal_bytes.checked_sub(before.wal_bytes)?,
    })
}
