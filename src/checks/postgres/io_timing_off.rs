//! The server does not measure how long it waits for its disk.

use crate::checks::{Check, always};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};

const NAME: &str = "track_io_timing";

pub static CHECK: Check = Check {
    id: "pg-io-timing-off",
    layer: Layer::Postgres,
    title: "The time spent waiting for the disk is not measured",
    passed: "The time spent waiting for the disk is measured.",
    why: "A statement that computes and one that waits for the disk look the same without it. The first wants another plan, the second more memory, and \
          the wrong choice costs a day.",
    remedy: "Switch track_io_timing on. On machines with a usable clock it costs nothing that can be measured.",
    method: "Reads the setting track_io_timing. Its absence changes no other verdict; it is a note.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/runtime-config-statistics.html#GUC-TRACK-IO-TIMING",
        "https://www.postgresql.org/docs/current/pgtesttiming.html",
    ],
    needs: &[Section::PgSettings],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let settings = snapshot.pg()?.settings()?;
    let Some(setting) = settings.iter().find(|s| s.name == NAME) else {
        return Err(Gap::new(Section::PgSettings, Cause::Unreadable, format!("The setting {NAME} was not among those read.")));
    };
    Ok(if setting.value == "off" { vec![finding(snapshot, &setting.source)] } else { Vec::new() })
}

fn finding(snapshot: &Snapshot, source: &str) -> Finding {
    let platform = snapshot.pg().ok().and_then(|pg| pg.server().ok()).map_or("plain", |s| s.platform.as_str());
    Finding {
        subject: Subject::new("setting", NAME),
        observed: format!("{NAME} is off: no statement's time is split into computing and waiting for the disk."),
        step: "Measure the time spent waiting for the disk".to_owned(),
        evidence: vec![Evidence::text(NAME, "off"), Evidence::text("Where it is set", source)],
        severity: Severity::Info,
        confidence: Confidence::High,
        confidence_because: "read from the running server".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Insight, share: 0.0 },
        gain: None,
        averts: None,
        remedies: vec![remedy(platform)],
        verify: format!("Run show {NAME}; in a new connection: it says on, and the next audit shows the time spent reading from disk."),
        touches: Vec::new(),
    }
}

/// How each platform turns it on.
pub(super) fn remedy(platform: &str) -> Remedy {
    let (kind, label, text, undo) = match platform {
        "rds" | "aurora" => (
            RemedyKind::Shell,
            "Set it in the parameter group",
            "aws rds modify-db-parameter-group --db-parameter-group-name GROUP --parameters \"ParameterName=track_io_timing,ParameterValue=1,ApplyMethod=immediate\"",
            "aws rds reset-db-parameter-group --db-parameter-group-name GROUP --parameters \"ParameterName=track_io_timing,ApplyMethod=immediate\"",
        ),
        "cloud-sql" => (
            RemedyKind::Shell,
            "Set the flag",
            "gcloud sql instances patch INSTANCE --database-flags=track_io_timing=on",
            "Patch the instance with the flags it had.",
        ),
        "azure" => (
            RemedyKind::Shell,
            "Set the server parameter",
            "az postgres flexible-server parameter set --name track_io_timing --value on --server-name SERVER --resource-group GROUP",
            "az postgres flexible-server parameter set --name track_io_timing --value off --server-name SERVER --resource-group GROUP",
        ),
        // supautils lets the role postgres change this setting, for roles only.
        "supabase" => (
            RemedyKind::Sql,
            "Set it for the application's role",
            "alter role postgres set track_io_timing = on;",
            "alter role postgres reset track_io_timing;",
        ),
        "neon" => (
            RemedyKind::Sql,
            "Set it for this database, where the platform permits it",
            "do $$ begin execute format('alter database %I set track_io_timing = on', current_database()); end $$;",
            "do $$ begin execute format('alter database %I reset track_io_timing', current_database()); end $$;",
        ),
        _ => (
            RemedyKind::Sql,
            "Set it for the server",
            "alter system set track_io_timing = on;\nselect pg_reload_conf();",
            "alter system reset track_io_timing;\nselect pg_reload_conf();",
        ),
    };
    Remedy {
        kind,
        label: label.to_owned(),
        text: text.to_owned(),
        lock: Some("None: no restart, a reload.".to_owned()),
        risk: "Each read asks the clock twice. Run pg_test_timing on the server's machine: below 100 ns a loop it cannot be noticed.".to_owned(),
        undo: Some(undo.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Setting;

    fn with(value: &str, platform: &str) -> Snapshot {
        store(|pg| {
            pg.settings = Ok(vec![Setting {
                name: NAME.into(),
                value: value.into(),
                unit: None,
                source: "default".into(),
                boot_value: Some("off".into()),
                pending_restart: false,
            }]);
            if let Ok(server) = &mut pg.server {
                server.platform = platform.into();
            }
        })
    }

    #[test]
    fn off_is_a_note_and_on_passes() {
        let found = findings(&CHECK, &with("off", "plain"));
        assert_eq!(found[0].severity, Severity::Info);
        assert_eq!(found[0].remedies[0].text, "alter system set track_io_timing = on;\nselect pg_reload_conf();");
        assert_passes(&CHECK, &with("on", "plain"));
    }

    #[test]
    fn each_platform_has_its_step() {
        for (platform, word) in
            [("rds", "aws rds"), ("cloud-sql", "gcloud"), ("azure", "az postgres"), ("supabase", "alter role postgres"), ("neon", "alter database")]
        {
            assert!(findings(&CHECK, &with("off", platform))[0].remedies[0].text.contains(word), "{platform}");
        }
    }

    #[test]
    fn a_setting_that_was_not_read_is_unknown() {
        assert_unknown(&CHECK, &store(|pg| pg.settings = Ok(Vec::new())));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &with("off", "plain"));
    }
}
