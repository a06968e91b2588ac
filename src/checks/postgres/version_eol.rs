//! The Postgres version gets no more fixes.

use time::macros::date;
use time::{Date, Duration};

use crate::checks::server_settings::managed_name;
use crate::checks::{Check, always};
use crate::evidence::postgres::Server;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Major version, last day of community support: <https://www.postgresql.org/support/versioning/>, the second Thursday of November in the
/// fifth year after its release.
const SUPPORTED_UNTIL: [(u32, Date); 6] = [
    (13, date!(2025 - 11 - 13)),
    (14, date!(2026 - 11 - 12)),
    (15, date!(2027 - 11 - 11)),
    (16, date!(2028 - 11 - 09)),
    (17, date!(2029 - 11 - 08)),
    (18, date!(2030 - 11 - 14)),
];
/// Years of support left, and every platform offers it.
const MOVE_TO: u32 = 17;
/// Minor releases of 13 November 2025, by their announcement on postgresql.org: 18.1, 17.7, 16.11, 15.15, 14.20 and 13.23.
const MINORS_AT: Date = date!(2025 - 11 - 13);
const MINORS: [(u32, u32); 6] = [(13, 23), (14, 20), (15, 15), (16, 11), (17, 7), (18, 1)];
/// Minor releases come each quarter; one that is a year old lacks four of them.
const MINOR_AGE: Duration = Duration::days(365);
/// Half a year to plan a move.
const NOTICE: Duration = Duration::days(180);
/// Unfixed for this long, known holes are being used.
const LONG_PAST: Duration = Duration::days(365);

pub static CHECK: Check = Check {
    id: "pg-version-eol",
    layer: Layer::Postgres,
    title: "The Postgres version gets no more fixes, or misses a year of them",
    passed: "The Postgres version is supported by its community.",
    why: "The community fixes a major version for five years. After that, security holes and faults that lose data stay open; managed platforms charge extra for \
          such versions or move them at a time of their own choosing.",
    remedy: "Move to a supported major version: rehearse it on a copy, then upgrade at a quiet hour.",
    method: "The major version against the community's table of dates: out of support is Low, for over a year Medium; the last 180 days before are a note. A minor \
             release older than those of 13 November 2025 is a note once they are a year old.",
    effort: Effort::Days,
    references: &["https://www.postgresql.org/support/versioning/", "https://www.postgresql.org/docs/current/upgrading.html"],
    needs: &[Section::PgServer],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let server = snapshot.pg()?.server()?;
    let (major, minor) = (server.version_num / 10_000, server.version_num % 10_000);
    let today = snapshot.meta.taken_at.date();
    // A version that is not in the table is newer than it.
    let Some((_, until)) = SUPPORTED_UNTIL.iter().find(|(m, _)| *m == major) else { return Ok(Vec::new()) };
    let left = *until - today;
    if left < Duration::ZERO {
        return Ok(vec![unsupported(server, major, *until, -left)]);
    }
    if left <= NOTICE {
        return Ok(vec![ending(server, major, *until)]);
    }
    let is_old = MINORS.iter().any(|(m, newest)| *m == major && minor < *newest);
    Ok(if is_old && today - MINORS_AT >= MINOR_AGE { vec![old_minor(server, major)] } else { Vec::new() })
}

fn unsupported(server: &Server, major: u32, until: Date, past: Duration) -> Finding {
    let note = managed_name(&server.platform).map_or_else(String::new, |name| format!(" {name} may fix it for longer, for an extra charge."));
    Finding {
        observed: format!("Postgres {} has had no fixes since {}.{note}", server.version, day(until)),
        severity: if past > LONG_PAST { Severity::Medium } else { Severity::Low },
        cost: Cost { resource: Resource::Risk, share: if past > LONG_PAST { 0.1 } else { 0.05 } },
        ..finding(server, major, until)
    }
}

fn ending(server: &Server, major: u32, until: Date) -> Finding {
    Finding {
        observed: format!("Postgres {} gets its last fixes on {}.", server.version, day(until)),
        severity: Severity::Info,
        cost: Cost { resource: Resource::Risk, share: 0.02 },
        ..finding(server, major, until)
    }
}

fn finding(server: &Server, major: u32, until: Date) -> Finding {
    Finding {
        subject: Subject::new("server", format!("postgres {major}")),
        observed: String::new(),
        step: format!("Upgrade Postgres to {MOVE_TO}"),
        evidence: vec![Evidence::text("Version", server.version.clone()), Evidence::text("Supported until", day(until))],
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: "by the community's table of dates".to_owned(),
        effort: Effort::Days,
        cost: Cost { resource: Resource::Risk, share: 0.05 },
        gain: None,
        averts: Some("faults and holes that nobody fixes any more".to_owned()),
        remedies: vec![upgrade(&server.platform, major)],
        verify: format!("select version(); says {MOVE_TO} or later, and the audit passes."),
        touches: Vec::new(),
    }
}

fn upgrade(platform: &str, major: u32) -> Remedy {
    let text = match platform {
        "rds" => format!(
            "aws rds modify-db-instance --db-instance-identifier INSTANCE --engine-version {MOVE_TO} --allow-major-version-upgrade --apply-immediately"
        ),
        "cloud-sql" => format!("gcloud sql instances patch INSTANCE --database-version=POSTGRES_{MOVE_TO}"),
        "azure" => format!("az postgres flexible-server upgrade --resource-group GROUP --name SERVER --version {MOVE_TO}"),
        "supabase" => "# Dashboard, Project settings, Infrastructure: Upgrade project".to_owned(),
        "neon" => format!(
            "# Neon moves by dump and restore into a new project with Postgres {MOVE_TO}:\npg_dump -Fc -d \"$OLD_URL\" -f medusa.dump\npg_restore -d \"$NEW_URL\" --no-owner medusa.dump"
        ),
        _ => format!(
            "# Debian and Ubuntu, with the packages of apt.postgresql.org; on a copy first.\napt-get install postgresql-{MOVE_TO}\n\
             pg_dropcluster {MOVE_TO} main --stop\npg_upgradecluster -m upgrade -v {MOVE_TO} {major} main\nsudo -u postgres vacuumdb --all --analyze-in-stages"
        ),
    };
    Remedy {
        kind: RemedyKind::Shell,
        label: format!("Upgrade to {MOVE_TO}"),
        text,
        lock: Some("The server is down while it runs: minutes with pg_upgrade and on the platforms, hours with a dump of a large store.".to_owned()),
        risk: "Take a backup and rehearse on a copy: extensions must exist for the new version, and statistics are gathered anew before plans are good. Check \
               which versions your Medusa supports."
            .to_owned(),
        undo: Some("Start the old cluster (pg_upgradecluster keeps it) or restore the backup; what was ordered since is lost with it.".to_owned()),
    }
}

fn old_minor(server: &Server, major: u32) -> Finding {
    let newest = MINORS.iter().find(|(m, _)| *m == major).map_or(0, |(_, n)| *n);
    Finding {
        observed: format!(
            "Postgres {} is older than {major}.{newest}, which came out on {}: it lacks a year of fixes.",
            server.version,
            day(MINORS_AT)
        ),
        step: format!("Update Postgres {major} to its newest minor release"),
        severity: Severity::Info,
        cost: Cost { resource: Resource::Risk, share: 0.02 },
        evidence: vec![Evidence::text("Version", server.version.clone()), Evidence::text("Released 13 Nov 2025", format!("{major}.{newest}"))],
        remedies: vec![update(&server.platform, major)],
        effort: Effort::Minutes,
        verify: format!("select version(); says {major}.{newest} or later."),
        ..finding(server, major, MINORS_AT)
    }
}

fn update(platform: &str, major: u32) -> Remedy {
    let text = if managed_name(platform).is_some() {
        "# The platform installs minor releases in its maintenance window: let it, or apply the pending update in its console.".to_owned()
    } else {
        format!("apt-get update\napt-get install --only-upgrade postgresql-{major}")
    };
    Remedy {
        kind: RemedyKind::Shell,
        label: "Install the minor release".to_owned(),
        text,
        lock: Some("A restart: every connection is cut for some seconds.".to_owned()),
        risk: "Minor releases change no data files and no behaviour but faults; read the notes for indexes that must be rebuilt.".to_owned(),
        undo: Some("Install the former package version.".to_owned()),
    }
}

fn day(date: Date) -> String {
    text::date(date.midnight().assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::run_by;

    fn version(num: u32, on: Date) -> Snapshot {
        let mut snapshot = store(|pg| pg.server.as_mut().unwrap().version_num = num);
        snapshot.meta.taken_at = on.midnight().assume_utc();
        snapshot
    }

    fn severity(num: u32, on: Date) -> Option<Severity> {
        match CHECK.run(&version(num, on)) {
            crate::finding::Outcome::Failed(found) => Some(found[0].severity),
            _ => None,
        }
    }

    #[test]
    fn the_dates_decide() {
        assert_eq!(severity(130_023, date!(2025 - 11 - 13)), Some(Severity::Info));
        assert_eq!(severity(130_023, date!(2025 - 11 - 14)), Some(Severity::Low));
        assert_eq!(severity(130_023, date!(2026 - 11 - 13)), Some(Severity::Low));
        assert_eq!(severity(130_023, date!(2026 - 11 - 14)), Some(Severity::Medium));
        assert_eq!(severity(140_023, date!(2026 - 05 - 15)), None);
        assert_eq!(severity(140_023, date!(2026 - 05 - 16)), Some(Severity::Info));
        assert_eq!(severity(140_023, date!(2026 - 11 - 23)), Some(Severity::Low));
        for num in [150_018, 160_014, 170_010, 180_004, 190_000] {
            assert_eq!(severity(num, date!(2026 - 11 - 23)), None, "{num}");
        }
    }

    #[test]
    fn every_date_is_a_second_thursday_of_november() {
        for (major, until) in SUPPORTED_UNTIL {
            assert_eq!((until.weekday(), until.month(), until.year()), (time::Weekday::Thursday, time::Month::November, 2012 + major as i32));
            assert!((8..=14).contains(&until.day()), "{major}");
        }
    }

    #[test]
    fn a_minor_release_a_year_behind_is_a_note() {
        assert_eq!(severity(150_014, date!(2026 - 11 - 12)), None);
        assert_eq!(severity(150_014, date!(2026 - 11 - 13)), Some(Severity::Info));
        assert_eq!(severity(150_015, date!(2026 - 11 - 13)), None);
    }

    #[test]
    fn platforms_have_their_own_way_and_needs_are_exact() {
        let mut snapshot = version(130_023, date!(2026 - 11 - 23));
        assert_needs_are_exact(&CHECK, &snapshot);
        run_by(snapshot.postgres.as_mut().unwrap(), "rds");
        let found = findings(&CHECK, &snapshot);
        assert!(found[0].observed.contains("extra charge") && found[0].remedies[0].text.contains("--allow-major-version-upgrade"));
    }
}
