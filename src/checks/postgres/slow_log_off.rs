//! Slow statements leave no trace in the log, or everything is logged.

use crate::checks::{Check, always};
use crate::evidence::postgres::Setting;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Milliseconds; a threshold above it misses what shoppers already feel.
const THRESHOLD_MS_MAX: i64 = 1_000;

pub static CHECK: Check = Check {
    id: "pg-slow-log-off",
    layer: Layer::Postgres,
    title: "Slow statements are not logged",
    passed: "Slow statements are logged, and only they.",
    why: "Averages hide the one call that took ten seconds. The log of slow statements keeps it, with its time and its values; without it, the complaint \
          of a customer cannot be traced. Logging every statement instead costs disk and writes customer data into the log.",
    remedy: "Log statements from 200 ms on.",
    method: "Reads log_min_duration_statement: off (-1) or above 1 s is reported, unless log_min_duration_sample logs a sample. log_statement = all, or a \
             threshold of 0 in production, is reported for what it costs.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-MIN-DURATION-STATEMENT"],
    needs: &[Section::PgSettings],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let settings = snapshot.pg()?.settings()?;
    let threshold = whole(settings, "log_min_duration_statement")?;
    let logs_all = value(settings, "log_statement").is_some_and(|v| v == "all");
    let is_production = snapshot.meta.environment == "production";
    let found = if logs_all {
        Some(("log_statement", "log_statement = all writes every statement with its values into the log.".to_owned(), Severity::Low))
    } else if threshold == 0 && is_production {
        Some(("log_min_duration_statement", "log_min_duration_statement = 0 logs every statement of a production store.".to_owned(), Severity::Low))
    } else if is_sampled(settings) {
        None
    } else if threshold < 0 {
        Some((
            "log_min_duration_statement",
            "log_min_duration_statement is -1: no statement is ever logged for its duration.".to_owned(),
            Severity::Info,
        ))
    } else if threshold > THRESHOLD_MS_MAX {
        let observed = format!("Only statements over {} are logged.", text::millis(threshold as f64));
        Some(("log_min_duration_statement", observed, Severity::Info))
    } else {
        None
    };
    Ok(found.map(|(name, observed, severity)| finding(snapshot, settings, name, observed, severity)).into_iter().collect())
}

/// A sample of what takes at most a second is logged.
fn is_sampled(settings: &[Setting]) -> bool {
    let from = whole(settings, "log_min_duration_sample").unwrap_or(-1);
    let rate = value(settings, "log_statement_sample_rate").and_then(|v| v.parse::<f64>().ok());
    (0..=THRESHOLD_MS_MAX).contains(&from) && rate.is_some_and(|r| r > 0.0)
}

fn value<'s>(settings: &'s [Setting], name: &str) -> Option<&'s str> {
    settings.iter().find(|s| s.name == name).map(|s| s.value.as_str())
}

fn whole(settings: &[Setting], name: &str) -> Result<i64, Gap> {
    value(settings, name)
        .and_then(|v| v.parse().ok())
        .ok_or_else(|| Gap::new(Section::PgSettings, Cause::Unreadable, format!("The setting {name} was not among those read.")))
}

fn finding(snapshot: &Snapshot, settings: &[Setting], name: &str, observed: String, severity: Severity) -> Finding {
    let platform = snapshot.pg().and_then(|pg| pg.server()).map_or("plain", |s| s.platform.as_str());
    let shown = |n: &str| value(settings, n).unwrap_or("not read").to_owned();
    Finding {
        subject: Subject::new("setting", name),
        observed,
        step: if name == "log_statement" { "Log slow statements instead of all".to_owned() } else { "Log statements from 200 ms on".to_owned() },
        evidence: vec![
            Evidence::text("log_min_duration_statement", shown("log_min_duration_statement")),
            Evidence::text("log_statement", shown("log_statement")),
        ],
        severity,
        confidence: Confidence::High,
        confidence_because: "read from the running server".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Insight, share: 0.0 },
        gain: None,
        averts: None,
        remedies: vec![remedy(platform, name == "log_statement")],
        verify: "Run show log_min_duration_statement; in a new connection: it says 200ms, and select pg_sleep(0.3); appears in the log.".to_owned(),
        touches: Vec::new(),
    }
}

fn remedy(platform: &str, is_all: bool) -> Remedy {
    let (kind, label, text, undo) = match platform {
        "rds" => (
            RemedyKind::Shell,
            "Set it in the parameter group",
            "aws rds modify-db-parameter-group --db-parameter-group-name GROUP --parameters \"ParameterName=log_min_duration_statement,ParameterValue=200,ApplyMethod=immediate\" \"ParameterName=log_statement,ParameterValue=none,ApplyMethod=immediate\"".to_owned(),
            "aws rds reset-db-parameter-group --db-parameter-group-name GROUP --parameters \"ParameterName=log_min_duration_statement,ApplyMethod=immediate\"".to_owned(),
        ),
        "cloud-sql" => (
            RemedyKind::Shell,
            "Set the flag",
            "gcloud sql instances patch INSTANCE --database-flags=log_min_duration_statement=200".to_owned(),
            "Patch the instance with the flags it had.".to_owned(),
        ),
        "supabase" | "neon" => (
            RemedyKind::Sql,
            "Set it for this database",
            "do $$ begin execute format('alter database %I set log_min_duration_statement = ''200ms''', current_database()); end $$;".to_owned(),
            "do $$ begin execute format('alter database %I reset log_min_duration_statement', current_database()); end $$;".to_owned(),
        ),
        _ => {
            let also = if is_all { "\nalter system set log_statement = 'none';" } else { "" };
            let back = if is_all { "\nalter system reset log_statement;" } else { "" };
            (
                RemedyKind::Sql,
                "Set it for the server",
                format!("alter system set log_min_duration_statement = '200ms';{also}\nselect pg_reload_conf();"),
                format!("alter system reset log_min_duration_statement;{back}\nselect pg_reload_conf();"),
            )
        }
    };
    Remedy {
        kind,
        label: label.to_owned(),
        text,
        lock: Some("None: no restart, a reload.".to_owned()),
        risk: "Logged statements carry their values: treat the log as customer data.".to_owned(),
        undo: Some(undo),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;

    fn with(settings: &[(&str, &str)]) -> Snapshot {
        let one = |(name, value): &(&str, &str)| Setting {
            name: (*name).into(),
            value: (*value).into(),
            unit: None,
            source: "default".into(),
            boot_value: None,
            pending_restart: false,
        };
        store(|pg| pg.settings = Ok(settings.iter().map(one).collect()))
    }

    const DURATION: &str = "log_min_duration_statement";

    #[test]
    fn the_threshold_decides() {
        for (value, severity) in
            [("-1", Some(Severity::Info)), ("0", Some(Severity::Low)), ("1", None), ("200", None), ("1000", None), ("1001", Some(Severity::Info))]
        {
            let outcome = CHECK.run(&with(&[(DURATION, value), ("log_statement", "none")]));
            let got = match outcome {
                crate::finding::Outcome::Failed(found) => Some(found[0].severity),
                _ => None,
            };
            assert_eq!(got, severity, "{value}");
        }
    }

    #[test]
    fn the_remedy_is_what_the_server_takes() {
        let found = findings(&CHECK, &with(&[(DURATION, "-1")]));
        assert_eq!(found[0].remedies[0].text, "alter system set log_min_duration_statement = '200ms';\nselect pg_reload_conf();");
    }

    #[test]
    fn everything_is_too_much() {
        let found = findings(&CHECK, &with(&[(DURATION, "200"), ("log_statement", "all")]));
        assert_eq!((found[0].severity, found[0].subject.name.as_str()), (Severity::Low, "log_statement"));
        let mut staging = with(&[(DURATION, "0")]);
        staging.meta.environment = "staging".into();
        assert_passes(&CHECK, &staging);
    }

    #[test]
    fn a_sample_is_enough() {
        let sampled = |from, rate| with(&[(DURATION, "-1"), ("log_min_duration_sample", from), ("log_statement_sample_rate", rate)]);
        assert_passes(&CHECK, &sampled("1000", "0.1"));
        assert_eq!(findings(&CHECK, &sampled("1001", "0.1")).len(), 1);
        assert_eq!(findings(&CHECK, &sampled("100", "0")).len(), 1);
    }

    #[test]
    fn an_unread_setting_is_unknown_and_needs_are_exact() {
        assert_unknown(&CHECK, &with(&[]));
        assert_needs_are_exact(&CHECK, &with(&[(DURATION, "-1")]));
    }
}
