//! `max_wal_size` is too small for what the store writes.

use crate::checks::Check;
use crate::checks::checkpoints::{Forced, applies, forced};
use crate::checks::server_settings::{Change, Effect, Settings, for_server, managed_name, platform, shown};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, Resource, Severity, Subject};
use crate::text;

const GIB: u64 = 1_024 * 1_024 * 1_024;
/// From here on the room is no longer what is missing: recovery after a crash replays it all.
const MAX_WAL_ENOUGH: u64 = 16 * GIB;
/// Over the WAL of one `checkpoint_timeout`, for the busy hours that an average hides.
const HEADROOM: f64 = 2.0;

pub static CHECK: Check = Check {
    id: "pg-settings-wal",
    layer: Layer::Postgres,
    title: "The WAL has too little room between checkpoints",
    passed: "The WAL of the store fits between two checkpoints.",
    why: "Postgres makes a checkpoint by the clock, or as soon as the WAL since the last one fills its room. With too little room every busy minute ends in a \
          checkpoint: all changed pages are written at once and statements wait for the disk.",
    remedy: "Raise max_wal_size to what the store writes between two timed checkpoints, twice over.",
    method: "Over 30 % of the checkpoints forced by WAL (as pg-forced-checkpoints counts them) while max_wal_size is below 16 GiB. The new size is the WAL \
             measured in one checkpoint_timeout, doubled, and at least twice the present one.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/wal-configuration.html",
        "https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-MAX-WAL-SIZE",
    ],
    needs: &[Section::PgCheckpoints, Section::PgSettings, Section::PgServer],
    uses: &[],
    symptom_of: &[],
    applies_to: applies,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let (settings, forced) = (Settings::of(snapshot)?, forced(snapshot)?);
    let now = settings.bytes("max_wal_size")?;
    let timeout_s = settings.millis("checkpoint_timeout")? / 1e3;
    if !forced.is_often() || now >= MAX_WAL_ENOUGH {
        return Ok(Vec::new());
    }
    let wanted = wanted(&forced, now, timeout_s);
    Ok(vec![finding(platform(snapshot)?, &settings, &forced, now, wanted)])
}

/// Whole gibibytes, a power of two of them.
fn wanted(forced: &Forced, now: u64, timeout_s: f64) -> u64 {
    let between = forced.wal_bytes_per_s().unwrap_or(0.0) * timeout_s * HEADROOM;
    let bytes = (between as u64).max(now * 2);
    (bytes.div_ceil(GIB).next_power_of_two() * GIB).min(MAX_WAL_ENOUGH)
}

fn finding(platform: &str, settings: &Settings, forced: &Forced, now: u64, wanted: u64) -> Finding {
    let managed = managed_name(platform);
    let rate = forced.wal_bytes_per_s().map_or_else(String::new, |r| format!(" The store wrote {} of WAL a second.", text::bytes_disk(r as u64)));
    let of_platform = managed.map_or_else(String::new, |name| format!(" {name} sets the size by default; it is the workload that outgrew it."));
    Finding {
        subject: Subject::new("setting", "max_wal_size"),
        observed: format!(
            "max_wal_size is {}: WAL forced {} of {} {}.{rate}{of_platform}",
            text::bytes_memory(now),
            text::count(forced.forced),
            text::plural(forced.timed + forced.requested, "checkpoint", "checkpoints"),
            forced.words
        ),
        step: format!("Raise max_wal_size to {}", text::bytes_memory(wanted)),
        evidence: evidence(settings, forced),
        // A platform's own default is no fault.
        severity: if managed.is_some() { Severity::Info } else { Severity::Low },
        confidence: if forced.is_window || forced.wal_bytes.is_none() { Confidence::Medium } else { Confidence::High },
        confidence_because: if forced.is_window {
            "seen in the window alone, an import may have run".to_owned()
        } else {
            "by the server's own counters".to_owned()
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: forced.share() * 0.1 },
        gain: None,
        averts: Some("stalls while the disk is busy".to_owned()),
        remedies: vec![remedy(platform, settings, wanted)],
        verify: format!("show max_wal_size; says {}; after a day the audit counts at most 30 % forced checkpoints.", text::bytes_memory(wanted)),
        touches: vec!["setting:max_wal_size".to_owned()],
    }
}

fn evidence(settings: &Settings, forced: &Forced) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Forced checkpoints", forced.forced as f64, "checkpoints", text::count(forced.forced)),
        Evidence::figure("Checkpoints on time", forced.timed as f64, "checkpoints", text::count(forced.timed)),
    ];
    if let Some(wal) = forced.wal_bytes {
        evidence.push(Evidence::figure("WAL written", wal as f64, "bytes", text::bytes_disk(wal)));
    }
    let names = ["max_wal_size", "checkpoint_timeout", "checkpoint_completion_target", "wal_compression", "full_page_writes"];
    evidence.extend(names.iter().filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?)))));
    evidence
}

fn remedy(platform: &str, settings: &Settings, wanted: u64) -> Remedy {
    let risk = format!(
        "The folder pg_wal may grow to {}: see that the disk has that room twice. After a crash, recovery replays up to that much.",
        text::bytes_memory(wanted)
    );
    for_server(platform, "Give the WAL more room", &[Change::bytes(settings, "max_wal_size", wanted)], Effect::Reload, &risk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::checkpoints::tests::counted;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::{run_by, setting};

    #[test]
    fn forced_checkpoints_are_the_evidence() {
        assert_passes(&CHECK, &counted(70, 30, None, 2.0, |_| {}));
        let found = findings(&CHECK, &counted(69, 31, None, 2.0, |_| {}));
        assert_eq!(found[0].remedies[0].text, "alter system set max_wal_size = '2GB';\nselect pg_reload_conf();");
        assert_eq!(found[0].severity, Severity::Low);
    }

    #[test]
    fn the_size_follows_what_was_written() {
        // 10 MiB a second for a day, 300 s between checkpoints: 3 GiB, twice: 6, rounded: 8.
        let day = 86_400 * 10 * 1_024 * 1_024;
        let found = findings(&CHECK, &counted(0, 1_000, Some(day), 1.0, |_| {}));
        assert!(found[0].step.ends_with("to 8\u{a0}GiB"), "{}", found[0].step);
    }

    #[test]
    fn enough_is_enough() {
        let sized = |mb: &str| {
            let mb = mb.to_owned();
            counted(0, 1_000, None, 1.0, move |pg| {
                if let Ok(settings) = &mut pg.settings {
                    settings[0] = setting("max_wal_size", &mb, "MB");
                }
            })
        };
        assert_passes(&CHECK, &sized("16384"));
        assert!(findings(&CHECK, &sized("16383"))[0].step.ends_with("to 16\u{a0}GiB"));
    }

    #[test]
    fn a_managed_default_is_no_fault() {
        let found = findings(&CHECK, &counted(0, 1_000, None, 1.0, |pg| run_by(pg, "rds")));
        assert_eq!(found[0].severity, Severity::Info);
        assert!(found[0].remedies[0].text.contains("ParameterName=max_wal_size,ParameterValue=2048"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &counted(0, 1_000, None, 1.0, |_| {}));
    }
}
