//! Checkpoints are forced by WAL instead of coming at their time.

use crate::checks::Check;
use crate::checks::checkpoints::{Forced, applies, forced};
use crate::checks::server_settings::{Settings, shown};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Forced this close together, each page is written to the WAL whole again within the minute.
const EVERY_S_MEDIUM: f64 = 60.0;

pub static CHECK: Check = Check {
    id: "pg-forced-checkpoints",
    layer: Layer::Postgres,
    title: "Checkpoints are forced by the amount of WAL",
    passed: "Checkpoints come at their time, WAL seldom forces one.",
    why: "A checkpoint writes every changed page to disk. One that WAL forces comes early and in a hurry: the disk is busy while shoppers wait, and the first \
          change of each page after it is written to the WAL whole, which makes more WAL and the next checkpoint come sooner still.",
    remedy: "Give the WAL more room, so that checkpoints come by the clock; spread imports and re-indexing over time.",
    method: "Requested checkpoints that WAL can account for, as a share of all: over 30 % is reported. A checkpoint is taken as forced only where enough WAL was \
             written for it, so backups do not count. The window counts from three forced ones; else the time since the reset, from a day and 20 checkpoints on.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/wal-configuration.html"],
    needs: &[Section::PgCheckpoints, Section::PgSettings, Section::PgServer],
    uses: &[],
    symptom_of: &["pg-settings-wal"],
    applies_to: applies,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let forced = forced(snapshot)?;
    if !forced.is_often() {
        return Ok(Vec::new());
    }
    Ok(vec![finding(&forced, &Settings::of(snapshot)?)])
}

fn finding(forced: &Forced, settings: &Settings) -> Finding {
    let severity = if forced.every_s() < EVERY_S_MEDIUM && !forced.is_window { Severity::Medium } else { Severity::Low };
    Finding {
        subject: Subject::new("server", "checkpoints"),
        observed: format!(
            "{} of {} {} were forced by WAL ({}), one every {}.",
            text::count(forced.forced),
            text::plural(forced.timed + forced.requested, "checkpoint", "checkpoints"),
            forced.words,
            text::percent(forced.share()),
            text::seconds(forced.every_s())
        ),
        step: "Let checkpoints come by the clock".to_owned(),
        evidence: evidence(forced, settings),
        severity,
        confidence: if forced.is_window || forced.wal_bytes.is_none() { Confidence::Medium } else { Confidence::High },
        confidence_because: match (forced.is_window, forced.wal_bytes) {
            (true, _) => "seen in the window alone, an import may have run".to_owned(),
            (_, None) => "this version does not count WAL, backups may be among them".to_owned(),
            _ => "by the server's own counters of checkpoints and WAL".to_owned(),
        },
        effort: Effort::Minutes,
        // Writing in bursts is felt, but by how much nobody measures: a tenth of what was forced.
        cost: Cost { resource: Resource::Risk, share: forced.share() * 0.1 },
        gain: None,
        averts: Some("stalls while the disk is busy".to_owned()),
        remedies: vec![Remedy {
            kind: RemedyKind::Sql,
            label: "See what writes most".to_owned(),
            text: "select calls, pg_size_pretty(wal_bytes) as wal, left(query, 80) as statement from pg_stat_statements order by wal_bytes desc limit 10;"
                .to_owned(),
            lock: Some("None: it reads the statement counters.".to_owned()),
            risk: "None. Where an import or the index ingestion leads the list, run it in smaller batches at a quiet hour.".to_owned(),
            undo: None,
        }],
        verify: "Audit again after a day: at most 30 % of the checkpoints are forced.".to_owned(),
        touches: vec!["setting:max_wal_size".to_owned()],
    }
}

fn evidence(forced: &Forced, settings: &Settings) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Checkpoints on time", forced.timed as f64, "checkpoints", text::count(forced.timed)),
        Evidence::figure("Requested", forced.requested as f64, "checkpoints", text::count(forced.requested)),
        Evidence::figure("Of them forced by WAL", forced.forced as f64, "checkpoints", text::count(forced.forced)),
    ];
    if let Some(wal) = forced.wal_bytes {
        evidence.push(Evidence::figure("WAL written", wal as f64, "bytes", text::bytes_disk(wal)));
    }
    evidence.extend(["max_wal_size", "checkpoint_timeout"].iter().filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?)))));
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::checkpoints::tests::{GB, counted, in_window};
    use crate::checks::fixtures::*;

    #[test]
    fn thirty_of_a_hundred_are_the_limit() {
        assert_passes(&CHECK, &counted(70, 30, None, 2.0, |_| {}));
        assert_eq!(findings(&CHECK, &counted(69, 31, None, 2.0, |_| {})).len(), 1);
        assert_passes(&CHECK, &counted(0, 100, Some(16 * GB), 2.0, |_| {}));
    }

    #[test]
    fn one_a_minute_is_medium() {
        // A day is 1,440 minutes.
        assert_eq!(findings(&CHECK, &counted(0, 1_440, None, 1.0, |_| {}))[0].severity, Severity::Low);
        assert_eq!(findings(&CHECK, &counted(0, 1_441, None, 1.0, |_| {}))[0].severity, Severity::Medium);
        let window = counted(500, 0, Some(0), 9.0, |pg| in_window(pg, 0, 3, 10 * GB));
        assert_eq!(findings(&CHECK, &window)[0].severity, Severity::Low);
    }

    #[test]
    fn young_counters_tell_nothing_and_needs_are_exact() {
        assert_unknown(&CHECK, &counted(0, 100, None, 0.5, |_| {}));
        assert_needs_are_exact(&CHECK, &counted(0, 100, None, 2.0, |_| {}));
    }
}
