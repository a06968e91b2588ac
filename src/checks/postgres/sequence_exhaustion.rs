//! Sequences, or the key columns they fill, that near their largest number.

use crate::checks::workload::statistics_age;
use crate::checks::{Applies, Check, FINDINGS_MAX, medusa};
use crate::evidence::postgres::{Column, Constraint, Postgres, Sequence, Table, quote};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Time to plan a change of type in peace.
const SHARE_MEDIUM: f64 = 0.75;
const SHARE_CRITICAL: f64 = 0.90;
/// At the rate seen, nothing is imminent.
const DAYS_CALM: f64 = 365.0;
/// A rate needs days, not a load of a minute.
const RATE_DAYS_MIN: f64 = 1.0;
/// Largest number that can run out: past it, no store ever counts (a million a second for 30 years).
const LIMIT_MAX: i64 = 1_000_000_000_000_000;
/// A name that quoting leaves as it is may be long; steps that make objects of their own keep theirs short.
const STEP_PREFIX: &str = "advisor_widen";

pub static CHECK: Check = Check {
    id: "pg-sequence-exhaustion",
    layer: Layer::Postgres,
    title: "A sequence is running out of numbers",
    passed: "No sequence is near its largest number.",
    why: "When a sequence, or the integer column it fills, reaches its largest number, every insert into its table fails: no more orders, claims or rows of \
          whatever it counts.",
    remedy: "Make the column and its sequence bigint before it happens; the change is planned for a quiet hour.",
    method: "The last number of each sequence against the smaller of its own largest and that of the column it fills, by ownership, identity or default: an \
             integer column fed by a bigint sequence ends at 2,147,483,647. Over 75 % is Medium, over 90 % Critical, or High when at the rate of inserts \
             counted it lasts another year. Sequences that cycle or count down are left out.",
    effort: Effort::Days,
    references: &[
        "https://www.postgresql.org/docs/current/sql-altersequence.html",
        "https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-SERIAL",
    ],
    needs: &[Section::PgSequences],
    uses: &[Section::PgServer, Section::PgTables, Section::PgColumns, Section::PgConstraints],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let has_any = snapshot.pg()?.sequences()?.iter().any(can_run_out);
    Ok(if has_any { Applies::Yes } else { Applies::No("no sequence can run out in a store's lifetime".to_owned()) })
}

fn can_run_out(sequence: &Sequence) -> bool {
    (1..LIMIT_MAX).contains(&sequence.max_value)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let judged: Vec<&Sequence> = pg.sequences()?.iter().filter(|s| can_run_out(s)).collect();
    let mut findings: Vec<Finding> = judged.iter().filter(|s| share(s) > SHARE_MEDIUM).map(|s| finding(snapshot, pg, s)).collect();
    let unread: Vec<&&Sequence> = judged.iter().filter(|s| !s.is_readable).collect();
    if findings.is_empty() && !unread.is_empty() {
        return Err(unreadable(pg, &unread));
    }
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn unreadable(pg: &Postgres, unread: &[&&Sequence]) -> Gap {
    let role = pg.server.as_ref().map_or("ROLE".to_owned(), |s| quote(&s.role));
    let mut names: Vec<String> = unread.iter().map(|s| full_name(s)).collect();
    names.sort();
    let grant = format!("grant select on sequence {} to {role};", names.join(", "));
    let detail = format!("This role may not read the last number of {}.", text::plural(unread.len() as u64, "sequence", "sequences"));
    Gap::new(Section::PgSequences, Cause::Denied { grant }, detail)
}

fn full_name(sequence: &Sequence) -> String {
    format!("{}.{}", quote(&sequence.schema), quote(&sequence.name))
}

/// 0…1 of the numbers there are.
fn share(sequence: &Sequence) -> f64 {
    sequence.last_value.map_or(0.0, |last| (last.max(0) as f64 / sequence.max_value as f64).min(1.0))
}

/// The column it fills: table and column by name.
fn fills(sequence: &Sequence) -> Option<(&str, &str)> {
    sequence.column.as_deref()?.rsplit_once('.')
}

fn table_of<'s>(pg: &'s Postgres, sequence: &Sequence) -> Option<&'s Table> {
    let (table, _) = fills(sequence)?;
    let tables = &pg.tables.as_ref().ok()?.rows;
    let mut named = tables.iter().filter(|t| t.name == table);
    named.clone().find(|t| t.schema == sequence.schema).or_else(|| named.next())
}

/// Days until it is reached at the rate of inserts since the counters were reset.
fn days_left(snapshot: &Snapshot, table: Option<&Table>, sequence: &Sequence) -> Option<f64> {
    let days = statistics_age(snapshot).ok().map(|a| a.days()).filter(|d| *d >= RATE_DAYS_MIN)?;
    let inserts = table?.counters.total.inserts;
    let left = (sequence.max_value - sequence.last_value?).max(0) as f64;
    (inserts > 0).then(|| left / (inserts as f64 / days))
}

fn severity(share: f64, days_left: Option<f64>) -> Severity {
    match share {
        s if s > SHARE_CRITICAL && days_left.is_some_and(|d| d > DAYS_CALM) => Severity::High,
        s if s > SHARE_CRITICAL => Severity::Critical,
        _ => Severity::Medium,
    }
}

fn finding(snapshot: &Snapshot, pg: &Postgres, sequence: &Sequence) -> Finding {
    let table = table_of(pg, sequence);
    let days = days_left(snapshot, table, sequence);
    let severity = severity(share(sequence), days);
    let column = column_of(pg, table, sequence);
    let last = sequence.last_value.unwrap_or(0);
    let limit = match column.map(|c| c.data_type.as_str()) {
        Some(narrow @ ("integer" | "smallint")) => format!(" the column {} is {narrow}", sequence.column.as_deref().unwrap_or("")),
        _ => " its own largest number".to_owned(),
    };
    let left = days.map_or_else(String::new, |d| format!(" At the rate of inserts counted it lasts {}.", text::seconds(d * 86_400.0)));
    Finding {
        subject: Subject::new("sequence", format!("{}.{}", sequence.schema, sequence.name)),
        observed: format!(
            "The sequence {} has given {} of {} numbers ({}):{limit}.{left}",
            sequence.name,
            text::count(last.max(0) as u64),
            text::count(sequence.max_value.max(0) as u64),
            text::percent(share(sequence))
        ),
        step: sequence.column.as_ref().map_or_else(|| format!("Widen the sequence {}", sequence.name), |c| format!("Make {c} bigint")),
        evidence: vec![
            Evidence::figure("Last number", last as f64, "", text::count(last.max(0) as u64)),
            Evidence::figure("Largest number", sequence.max_value as f64, "", text::count(sequence.max_value.max(0) as u64)),
        ],
        severity,
        confidence: Confidence::High,
        confidence_because: "read from the sequence".to_owned(),
        effort: Effort::Days,
        cost: Cost { resource: Resource::Risk, share: if severity == Severity::Critical { share(sequence) } else { share(sequence) / 4.0 } },
        gain: None,
        averts: Some("inserts that fail".to_owned()),
        remedies: remedies(pg, sequence, table, column),
        verify: format!("Audit again: {} has used far less than {} of its numbers.", sequence.name, text::percent(SHARE_MEDIUM)),
        touches: table.map(|t| format!("table:{}.{}", t.schema, t.name)).into_iter().collect(),
    }
}

fn column_of<'s>(pg: &'s Postgres, table: Option<&Table>, sequence: &Sequence) -> Option<&'s Column> {
    let (table, (_, column)) = (table?, fills(sequence)?);
    pg.columns.as_ref().ok()?.rows.iter().find(|c| c.schema == table.schema && c.table == table.name && c.name == column)
}

/// Columns that hold the same numbers by a foreign key.
fn children<'s>(pg: &'s Postgres, table: &Table, column: &str) -> Vec<(&'s Constraint, &'s str)> {
    let constraints = pg.constraints.as_ref().map(|c| c.rows.as_slice()).unwrap_or_default();
    let points = |c: &&Constraint| c.kind == "f" && c.parent_table.as_ref() == Some(&table.name) && c.parent_schema.as_ref() == Some(&table.schema);
    let mut found: Vec<(&Constraint, &str)> = constraints
        .iter()
        .filter(points)
        .filter_map(|c| Some((c, c.columns.get(c.parent_columns.iter().position(|p| p == column)?)?.as_str())))
        .collect();
    found.sort_by(|a, b| (&a.0.schema, &a.0.table, a.1).cmp(&(&b.0.schema, &b.0.table, b.1)));
    found
}

fn remedies(pg: &Postgres, sequence: &Sequence, table: Option<&Table>, column: Option<&Column>) -> Vec<Remedy> {
    let name = full_name(sequence);
    let (Some(table), Some(column)) = (table, column) else {
        return vec![widen_sequence(&name)];
    };
    if column.data_type == "bigint" {
        return vec![widen_sequence(&name)];
    }
    let mut remedies = vec![at_once(pg, &name, table, column)];
    if pg.constraints.is_ok() && children(pg, table, &column.name).is_empty() && !is_key(pg, table, &column.name) {
        remedies.push(in_steps(&name, table, column));
    }
    remedies
}

fn is_key(pg: &Postgres, table: &Table, column: &str) -> bool {
    let constraints = pg.constraints.as_ref().map(|c| c.rows.as_slice()).unwrap_or_default();
    let mut keys = constraints.iter().filter(|c| matches!(c.kind.as_str(), "p" | "u") && c.schema == table.schema && c.table == table.name);
    keys.any(|c| c.columns.iter().any(|k| k == column))
}

fn widen_sequence(name: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "Make the sequence bigint".to_owned(),
        text: format!("alter sequence {name} as bigint no maxvalue;"),
        lock: Some("SHARE ROW EXCLUSIVE on the sequence for a moment.".to_owned()),
        risk: "None for the data: the column is wide enough, or this report does not know of one.".to_owned(),
        undo: None,
    }
}

/// What widening means for whoever reads the numbers.
fn reader_risk(table: &Table) -> String {
    let stock = if medusa::is_stock_table(&table.name) {
        " The column is Medusa's own: its next migration may set it back, and its code must take the text; try it on a copy of the store."
    } else {
        ""
    };
    format!("Node's driver hands a bigint out as text and not as a number: code that compares or adds it must convert it.{stock}")
}

fn at_once(pg: &Postgres, name: &str, table: &Table, column: &Column) -> Remedy {
    let mut lines = vec!["set lock_timeout = '5s';".to_owned()];
    lines.push(format!("alter table {} alter column {} type bigint;", table.full_name(), quote(&column.name)));
    for (child, key) in children(pg, table, &column.name) {
        lines.push(format!("alter table {}.{} alter column {} type bigint;", quote(&child.schema), quote(&child.table), quote(key)));
    }
    lines.push(format!("alter sequence {name} as bigint no maxvalue;"));
    lines.push("reset lock_timeout;".to_owned());
    Remedy {
        kind: RemedyKind::Sql,
        label: "Change the type at once".to_owned(),
        text: lines.join("\n"),
        lock: Some(format!(
            "ACCESS EXCLUSIVE on {} while it and its indexes are written anew ({}): nobody reads or writes it, about 10 s a gigabyte and as much free disk.",
            table.name,
            text::bytes_disk(table.table_bytes + table.index_bytes)
        )),
        risk: format!("Where it waits for longer than 5 s it gives up: run it again in a quiet hour. {}", reader_risk(table)),
        undo: Some("None once numbers past 2,147,483,647 are in it; before, alter column … type integer, with the same lock.".to_owned()),
    }
}

/// Without a long lock: a second column is filled beside the first and takes its place in a moment.
fn in_steps(name: &str, table: &Table, column: &Column) -> Remedy {
    let (full, c, wide) = (table.full_name(), quote(&column.name), quote(&format!("{}_wide", column.name)));
    // A check that was validated beforehand spares `set not null` its scan (since Postgres 12).
    let checked = [
        format!("alter table {full} add constraint {STEP_PREFIX} check ({wide} is not null) not valid;"),
        format!("alter table {full} validate constraint {STEP_PREFIX};"),
    ];
    let lines = [
        format!("alter table {full} add column {wide} bigint;"),
        format!("create function {STEP_PREFIX}() returns trigger language plpgsql as $$ begin new.{wide} := new.{c}; return new; end $$;"),
        format!("create trigger {STEP_PREFIX} before insert or update on {full} for each row execute function {STEP_PREFIX}();"),
        format!(
            "do $$ begin loop update {full} set {wide} = {c} where ctid in (select ctid from {full} where {wide} is null and {c} is not null limit 10000); \
             exit when not found; commit; end loop; end $$;"
        ),
    ];
    let last = [
        format!("alter sequence {name} as bigint no maxvalue;"),
        if column.is_nullable { swap_default(name, &full, &c, &wide) } else { swap_not_null(name, &full, &column.name, &wide) },
        format!("drop function {STEP_PREFIX}();"),
    ];
    let of_column: &[String] = if column.is_nullable { &[] } else { &checked };
    Remedy {
        kind: RemedyKind::Sql,
        label: "Change the type in steps".to_owned(),
        text: lines.iter().chain(of_column).chain(&last).map(String::as_str).collect::<Vec<_>>().join("\n"),
        lock: Some(format!(
            "ACCESS EXCLUSIVE on {} for a moment at the first and at the last step; the filling in between writes 10,000 rows at a time.",
            table.name
        )),
        risk: format!(
            "Indexes on the column go with the old one: create them on the new column concurrently before the last step. An identity column gets a new \
             sequence that counts on from the old one's number, by ones. {}",
            reader_risk(table)
        ),
        undo: Some(format!("Before the last step: drop the trigger and the function {STEP_PREFIX}, and the column {wide}.")),
    }
}

/// The sequence is the column's default, and stays it.
fn take_place(name: &str, full: &str, c: &str, wide: &str) -> String {
    format!(
        "alter sequence {name} owned by none; alter table {full} alter column {c} drop default; alter table {full} drop column {c}; alter table {full} rename \
         column {wide} to {c}; alter table {full} alter column {c} set default nextval('{literal}'); alter sequence {name} owned by {full}.{c};",
        literal = literal(name),
    )
}

fn swap_default(name: &str, full: &str, c: &str, wide: &str) -> String {
    format!(
        "do $$ begin set local lock_timeout = '5s'; lock table {full} in access exclusive mode; drop trigger {STEP_PREFIX} on {full}; {} end $$;",
        take_place(name, full, c, wide)
    )
}

/// It may be an identity column, whose sequence cannot be detached: the new one then gets a sequence of its own that counts on.
fn swap_not_null(name: &str, full: &str, column: &str, wide: &str) -> String {
    let (c, column, table) = (&quote(column), literal(column), literal(full));
    format!(
        "do $$ declare kind text; last bigint; used boolean; begin set local lock_timeout = '5s'; lock table {full} in access exclusive mode; \
         drop trigger {STEP_PREFIX} on {full}; alter table {full} alter column {wide} set not null; alter table {full} drop constraint {STEP_PREFIX}; \
         select attidentity::text into kind from pg_attribute where attrelid = '{table}'::regclass and attname = '{column}'; \
         if kind = '' then {swap} else select last_value, is_called into last, used from {name}; alter table {full} drop column {c}; \
         alter table {full} rename column {wide} to {c}; \
         if kind = 'a' then alter table {full} alter column {c} add generated always as identity; \
         else alter table {full} alter column {c} add generated by default as identity; end if; \
         perform setval(pg_get_serial_sequence('{table}', '{column}'), last, used); end if; end $$;",
        swap = take_place(name, full, c, wide),
    )
}

fn literal(name: &str) -> String {
    name.replace('\'', "''")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Listed;
    use crate::finding::Outcome;

    const INT: i64 = 2_147_483_647;

    fn sequence(last: i64) -> Sequence {
        Sequence {
            schema: "public".into(),
            name: "order_display_id_seq".into(),
            last_value: Some(last),
            is_readable: true,
            max_value: INT,
            column: Some("order.display_id".into()),
        }
    }

    fn with(sequence: Sequence, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("order", 100, 10_000)]);
            let column = |data_type: &str| Column {
                schema: "public".into(),
                table: "order".into(),
                name: "display_id".into(),
                data_type: data_type.into(),
                is_nullable: true,
            };
            pg.columns = Ok(Listed::whole(vec![column("integer")]));
            pg.sequences = Ok(vec![sequence]);
            edit(pg);
        })
    }

    /// The numbers that are a share of all, and one more.
    fn at(share: f64) -> (i64, i64) {
        let at = (INT as f64 * share).floor() as i64;
        (at, at + 1)
    }

    #[test]
    fn the_shares_decide() {
        let ((calm, medium), (still, critical)) = (at(0.75), at(0.90));
        assert_passes(&CHECK, &with(sequence(calm), |_| {}));
        for (last, severity) in [(medium, Severity::Medium), (still, Severity::Medium), (critical, Severity::Critical)] {
            assert_eq!(findings(&CHECK, &with(sequence(last), |_| {}))[0].severity, severity, "{last}");
        }
    }

    #[test]
    fn a_year_at_the_rate_counted_is_not_imminent() {
        // 60 days of counters, about 200 million left.
        let rate = |inserts| {
            let snapshot = with(sequence(at(0.91).0), |pg| {
                if let Ok(tables) = &mut pg.tables {
                    tables.rows[0].counters.total.inserts = inserts;
                }
            });
            findings(&CHECK, &snapshot)[0].severity
        };
        assert_eq!(rate(1_000_000), Severity::High);
        assert_eq!(rate(100_000_000), Severity::Critical);
        assert_eq!(rate(0), Severity::Critical);
    }

    #[test]
    fn unreadable_sequences_are_unknown_with_the_grant() {
        let hidden = Sequence { is_readable: false, last_value: None, ..sequence(1) };
        let gap = assert_unknown(&CHECK, &with(hidden.clone(), |_| {}));
        assert_eq!(gap.cause.remedy(), Some("grant select on sequence public.order_display_id_seq to advisor;"));
        let wide = Sequence { max_value: i64::MAX, ..hidden };
        assert!(matches!(CHECK.run(&with(wide, |_| {})), Outcome::NotApplicable(_)));
    }

    #[test]
    fn the_remedy_widens_what_is_narrow() {
        let found = findings(&CHECK, &with(sequence(2_000_000_000), |_| {}));
        let text = &found[0].remedies[0].text;
        assert!(text.contains("alter table public.\"order\" alter column display_id type bigint;"), "{text}");
        assert!(text.contains("alter sequence public.order_display_id_seq as bigint no maxvalue;"), "{text}");
        assert!(found[0].remedies[0].risk.contains("Medusa's own"));
        assert_eq!(found[0].remedies.len(), 2);
        let wide = with(sequence(2_000_000_000), |pg| pg.columns.as_mut().unwrap().rows[0].data_type = "bigint".into());
        assert_eq!(findings(&CHECK, &wide)[0].remedies[0].text, "alter sequence public.order_display_id_seq as bigint no maxvalue;");
    }

    #[test]
    fn an_identity_keeps_what_it_is() {
        let steps = |is_nullable: bool| {
            let snapshot = with(sequence(2_000_000_000), |pg| pg.columns.as_mut().unwrap().rows[0].is_nullable = is_nullable);
            findings(&CHECK, &snapshot)[0].remedies[1].text.clone()
        };
        let (nullable, filled) = (steps(true), steps(false));
        assert!(!nullable.contains("identity") && !nullable.contains("not null not valid"), "an identity column is never null: {nullable}");
        let swap = filled.lines().find(|l| l.contains("attidentity")).expect("it is asked for");
        let (_, of_identity) = swap.split_once(" else ").expect("two ways");
        assert!(!of_identity.contains("owned by"), "{of_identity}");
        assert!(of_identity.contains("generated always as identity") && of_identity.contains("generated by default as identity"));
        assert!(filled.contains("validate constraint advisor_widen") && filled.contains("set not null"));
    }

    #[test]
    fn unknown_keys_are_not_dropped_in_steps() {
        let snapshot = with(sequence(2_000_000_000), |pg| pg.constraints = Err(Gap::not_configured(Section::PgConstraints)));
        assert_eq!(findings(&CHECK, &snapshot)[0].remedies.len(), 1);
    }

    #[test]
    fn keys_take_their_children_along() {
        let child = Constraint {
            parent_table: Some("order".into()),
            parent_columns: vec!["display_id".into()],
            columns: vec!["order_no".into()],
            ..foreign_key("note", "order_no", "order")
        };
        let found = findings(&CHECK, &with(sequence(2_000_000_000), |pg| pg.constraints = Ok(Listed::whole(vec![child]))));
        assert!(found[0].remedies[0].text.contains("alter table public.note alter column order_no type bigint;"));
        assert_eq!(found[0].remedies.len(), 1, "no steps for what others point to");
    }

    #[test]
    fn never_used_passes_and_needs_are_exact() {
        assert_passes(&CHECK, &with(Sequence { last_value: None, ..sequence(1) }, |_| {}));
        assert_needs_are_exact(&CHECK, &with(sequence(2_000_000_000), |_| {}));
    }
}
