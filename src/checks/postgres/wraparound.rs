//! Transaction ids or multixacts run out.

use crate::checks::sessions::{holder, holder_touch, holder_words, release, risk};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Database, Table};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Effort, Evidence, Finding, Remedy, RemedyKind, Severity, Subject};
use crate::text;

/// Ids are 32 bits on a ring: half of it lies ahead. The server refuses writes 3 million before the end.
const IDS: u64 = 2_000_000_000;
/// Autovacuum freezes from a tenth on (autovacuum_freeze_max_age): at half, it has failed for long.
const SHARE_HIGH: f64 = 0.50;
/// Where Postgres itself drops every cost limit (vacuum_failsafe_age).
const SHARE_CRITICAL: f64 = 0.80;
/// Tables that are named; the rest follows from the same cause.
const TABLES_SHOWN: usize = 10;

pub static CHECK: Check = Check {
    id: "pg-wraparound",
    layer: Layer::Postgres,
    title: "Transaction ids are running out",
    passed: "Transaction ids and multixacts are far from running out.",
    why: "Postgres counts transactions on a ring of four billion. Vacuum must mark old rows as frozen before the ring closes on them; when it is kept from \
          doing so, the server stops taking writes to save the data, and the shop takes no orders until a long vacuum is done.",
    remedy: "End what holds vacuum back, then vacuum and freeze the oldest tables.",
    method: "The age of the oldest transaction id and of the oldest multixact of each database, and of each table of this one with its TOAST table, against 2 \
             billion: over 50 % is High, over 80 % Critical.",
    effort: Effort::Hours,
    references: &[
        "https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND",
        "https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-MULTIXACT-WRAPAROUND",
    ],
    needs: &[Section::PgDatabases, Section::PgTables],
    uses: &[Section::PgServer, Section::PgActivity, Section::PgReplication],
    symptom_of: &["pg-long-transaction", "pg-idle-in-transaction", "pg-inactive-slot"],
    applies_to: always,
    evaluate,
};

/// The two counters that can run out.
#[derive(Clone, Copy, PartialEq)]
enum Ids {
    Transactions,
    Multixacts,
}

impl Ids {
    fn of_database(self, database: &Database) -> u64 {
        if self == Ids::Transactions { database.xid_age } else { database.mxid_age }
    }

    fn of_table(self, table: &Table) -> u64 {
        if self == Ids::Transactions { table.xid_age } else { table.mxid_age }
    }

    fn name(self) -> &'static str {
        if self == Ids::Transactions { "transaction ids" } else { "multixacts" }
    }

    fn suffix(self) -> &'static str {
        if self == Ids::Transactions { "" } else { " multixacts" }
    }
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (databases, tables) = (pg.databases()?, &pg.tables()?.rows);
    let here = pg.server.as_ref().ok().map(|s| s.database.as_str());
    let mut findings = Vec::new();
    for ids in [Ids::Transactions, Ids::Multixacts] {
        for database in databases {
            let is_here = here == Some(database.name.as_str());
            let mut oldest: Vec<&Table> = if is_here { tables.iter().collect() } else { Vec::new() };
            oldest.sort_by(|a, b| ids.of_table(b).cmp(&ids.of_table(a)).then_with(|| a.full_name().cmp(&b.full_name())));
            // A table's own age is newer than the database's, which is written when a vacuum ends.
            let age = ids.of_database(database).max(oldest.first().map_or(0, |t| ids.of_table(t)));
            if let Some(severity) = severity(age) {
                findings.push(finding(snapshot, ids, database, age, severity, is_here.then_some(&oldest)));
            }
        }
    }
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn share(age: u64) -> f64 {
    age as f64 / IDS as f64
}

fn severity(age: u64) -> Option<Severity> {
    match share(age) {
        s if s > SHARE_CRITICAL => Some(Severity::Critical),
        s if s > SHARE_HIGH => Some(Severity::High),
        _ => None,
    }
}

fn finding(snapshot: &Snapshot, ids: Ids, database: &Database, age: u64, severity: Severity, oldest: Option<&Vec<&Table>>) -> Finding {
    let activity = snapshot.pg().and_then(|pg| pg.activity()).ok();
    let held = holder(activity).filter(|_| oldest.is_some() && ids == Ids::Transactions);
    let worst: Vec<&Table> =
        oldest.into_iter().flatten().copied().filter(|t| ids.of_table(t) as f64 >= age as f64 * 0.9).take(TABLES_SHOWN).collect();
    let named = worst.first().map(|t| format!(" The oldest table is {}.", t.name)).unwrap_or_default();
    Finding {
        subject: Subject::new("database", format!("{}{}", database.name, ids.suffix())),
        observed: format!(
            "{} of the {} of the database {} are used up ({} of 2\u{a0}billion).{named}{}",
            text::percent(share(age)),
            ids.name(),
            database.name,
            text::count_short(age),
            held.zip(activity).map(|(h, a)| format!(" Vacuum cannot go past the {}.", holder_words(a, h).trim_end_matches(','))).unwrap_or_default()
        ),
        step: format!("Freeze the oldest rows of the database {}", database.name),
        evidence: evidence(ids, age, &worst),
        severity,
        confidence: Confidence::High,
        confidence_because: "counted by the server itself".to_owned(),
        effort: Effort::Hours,
        cost: risk(severity),
        gain: None,
        averts: Some("a server that takes no writes".to_owned()),
        remedies: remedies(snapshot, database, held.map(|h| release(snapshot, h)), &worst, oldest.is_some()),
        verify: "Run select datname, age(datfrozenxid), mxid_age(datminmxid) from pg_database: both are below 200 million.".to_owned(),
        touches: held.map(holder_touch).into_iter().chain(worst.iter().map(|t| format!("table:{}.{}", t.schema, t.name))).collect(),
    }
}

fn evidence(ids: Ids, age: u64, worst: &[&Table]) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::figure("Age", age as f64, ids.name(), text::count(age))];
    if !worst.is_empty() {
        let row = |t: &&Table| {
            let bytes = t.table_bytes + t.toast_bytes;
            vec![
                Cell::text(format!("{}.{}", t.schema, t.name)),
                Cell::number(ids.of_table(t) as f64, text::count(ids.of_table(t))),
                Cell::number(bytes as f64, text::bytes_disk(bytes)),
            ]
        };
        evidence.push(Evidence::table("Oldest tables", &["Table", "Age", "Size"], worst.iter().map(row).collect()));
    }
    evidence
}

fn remedies(snapshot: &Snapshot, database: &Database, release: Option<Remedy>, worst: &[&Table], is_here: bool) -> Vec<Remedy> {
    let mut remedies: Vec<Remedy> = release.into_iter().collect();
    // An unread logical slot holds the catalogs' rows, which no table shows.
    let slots = snapshot.pg().and_then(|pg| pg.replication()).map(|r| r.slots.as_slice()).unwrap_or_default();
    let unread: Vec<&str> = slots.iter().filter(|s| !s.is_active).map(|s| s.name.as_str()).collect();
    let also =
        if unread.is_empty() { String::new() } else { format!(" These slots have no reader and may be what holds it: {}.", unread.join(", ")) };
    remedies.push(see_holders(&also));
    let names: Vec<String> = worst.iter().map(|t| format!("vacuum (freeze, verbose) {};", t.full_name())).collect();
    let text = if !is_here {
        format!("-- In the database {}:\nvacuum (freeze);", database.name)
    } else if names.is_empty() {
        // Only catalogs are this old.
        "vacuum (freeze);".to_owned()
    } else {
        names.join("\n")
    };
    remedies.push(Remedy {
        kind: RemedyKind::Sql,
        label: "Freeze the oldest rows".to_owned(),
        text,
        lock: Some("SHARE UPDATE EXCLUSIVE: reads and writes go on. It reads each table once, about 100 MB a second.".to_owned()),
        risk: "Uses I/O and writes log while it runs. It frees nothing past a transaction, slot or standby that is older: end that first.".to_owned(),
        undo: None,
    });
    remedies
}

fn see_holders(also: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "See what holds vacuum back".to_owned(),
        text: "select 'session' as kind, pid::text as name, greatest(age(backend_xmin), age(backend_xid)) as age from pg_stat_activity where backend_xmin is not \
               null or backend_xid is not null\nunion all select 'prepared transaction', gid, age(transaction) from pg_prepared_xacts\nunion all select \
               'replication slot', slot_name, greatest(age(xmin), age(catalog_xmin)) from pg_replication_slots\norder by age desc nulls last;"
            .to_owned(),
        lock: Some("None.".to_owned()),
        risk: format!("None: it reads.{also}"),
        undo: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::sessions::XMIN_AGE_MIN;
    use crate::evidence::postgres::{Postgres, XminHolder};

    fn aged(xid_age: u64, mxid_age: u64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            let mut old = table("cart", 10, 10_000);
            (old.xid_age, old.mxid_age) = (xid_age, mxid_age);
            tables(pg, vec![table("image", 10, 10_000), old]);
            pg.databases = Ok(vec![Database { name: "medusa".into(), bytes: None, connections: 1, xid_age, mxid_age }]);
            edit(pg);
        })
    }

    #[test]
    fn the_shares_decide() {
        assert_passes(&CHECK, &aged(1_000_000_000, 1_000_000_000, |_| {}));
        for (age, severity) in [(1_000_000_001, Severity::High), (1_600_000_000, Severity::High), (1_600_000_001, Severity::Critical)] {
            assert_eq!(findings(&CHECK, &aged(age, 0, |_| {}))[0].severity, severity, "{age}");
            let found = findings(&CHECK, &aged(0, age, |_| {}));
            assert_eq!((found[0].severity, found[0].subject.name.as_str()), (severity, "medusa multixacts"));
        }
    }

    #[test]
    fn the_oldest_tables_are_frozen() {
        let found = findings(&CHECK, &aged(1_200_000_000, 0, |_| {}));
        assert!(found[0].observed.contains("The oldest table is cart."), "{}", found[0].observed);
        assert_eq!(found[0].remedies.last().map(|r| r.text.as_str()), Some("vacuum (freeze, verbose) public.cart;"));
    }

    #[test]
    fn another_database_is_vacuumed_there() {
        let found = findings(
            &CHECK,
            &aged(0, 0, |pg| {
                pg.databases = Ok(vec![Database { name: "old".into(), bytes: None, connections: 0, xid_age: 1_700_000_000, mxid_age: 0 }]);
            }),
        );
        assert_eq!(found[0].remedies.last().map(|r| r.text.as_str()), Some("-- In the database old:\nvacuum (freeze);"));
    }

    #[test]
    fn what_holds_vacuum_back_is_named() {
        let held = |age| {
            aged(1_200_000_000, 0, |pg| {
                if let Ok(activity) = &mut pg.activity {
                    activity.oldest_xmin = Some(XminHolder { kind: "prepared transaction".into(), name: "tx-1".into(), age_xids: age });
                }
            })
        };
        let found = findings(&CHECK, &held(XMIN_AGE_MIN));
        assert!(found[0].observed.ends_with("Vacuum cannot go past the prepared transaction tx-1."), "{}", found[0].observed);
        assert_eq!(found[0].remedies[0].text, "rollback prepared 'tx-1';");
        assert!(!findings(&CHECK, &held(XMIN_AGE_MIN - 1))[0].observed.contains("tx-1"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &aged(1_200_000_000, 0, |_| {}));
    }
}
