//! The connections are running out.

use crate::checks::{Check, always};
use crate::evidence::postgres::Activity;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Of the connections that ordinary roles can have.
const SHARE_MAX: f64 = 0.80;
const SHARE_HIGH: f64 = 0.90;
/// The next deployment, which doubles the instances for a minute, will be refused.
const SHARE_CRITICAL: f64 = 0.95;
/// Idle backends from which a smaller pool would end it.
const IDLE_SHARE_MIN: f64 = 0.5;

pub static CHECK: Check = Check {
    id: "pg-connections-high",
    layer: Layer::Postgres,
    title: "The connections are running out",
    passed: "There are connections to spare.",
    why: "Postgres refuses new connections once all are taken: the shop answers with errors at the moment it is busiest, and an administrator may not get in \
          either.",
    remedy: "Bound the pools of the instances so that their sum stays below what the server has, or put a pooler in front.",
    method: "Counts the client connections of all databases, our own left out, against max_connections without the reserved ones: over 80 % is Medium, over 90 % \
             High, over 95 % Critical.",
    effort: Effort::Hours,
    references: &[
        "https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS",
        "https://www.pgbouncer.org/config.html",
    ],
    needs: &[Section::PgActivity],
    uses: &[Section::PgMedusa],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let activity = snapshot.pg()?.activity()?;
    let usable = activity.max_connections.saturating_sub(activity.reserved);
    if usable == 0 {
        return Err(Gap::new(Section::PgActivity, Cause::Unreadable, "The server says that it takes no connections."));
    }
    let share = f64::from(activity.connections) / f64::from(usable);
    Ok(if share > SHARE_MAX { vec![finding(snapshot, activity, usable, share)] } else { Vec::new() })
}

fn finding(snapshot: &Snapshot, activity: &Activity, usable: u32, share: f64) -> Finding {
    let idle: u32 = activity.groups.iter().filter(|g| g.state == "idle").map(|g| g.count).sum();
    let idle_share = f64::from(idle) / f64::from(activity.connections.max(1));
    let mostly = if idle_share >= IDLE_SHARE_MIN {
        format!(" {} of them are idle: the pools are larger than the work.", text::percent(idle_share))
    } else {
        String::new()
    };
    Finding {
        subject: Subject::new("server", "connections"),
        observed: format!(
            "{} of {} usable connections are taken ({}).{mostly}",
            text::count(activity.connections.into()),
            text::count(usable.into()),
            text::percent(share)
        ),
        step: "Bound the connection pools".to_owned(),
        evidence: vec![groups(activity), Evidence::figure("Usable connections", usable.into(), "connections", text::count(usable.into()))],
        severity: match share {
            s if s > SHARE_CRITICAL => Severity::Critical,
            s if s > SHARE_HIGH => Severity::High,
            _ => Severity::Medium,
        },
        confidence: if activity.hidden == 0 { Confidence::High } else { Confidence::Medium },
        confidence_because: if activity.hidden == 0 {
            "every connection was counted".to_owned()
        } else {
            "the states of other roles' connections are hidden".to_owned()
        },
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: share.min(1.0) },
        gain: None,
        averts: Some("refused connections".to_owned()),
        remedies: remedies(snapshot, usable),
        verify: format!("Audit again at the busiest hour: at most {} connections.", text::count((f64::from(usable) * SHARE_MAX) as u64)),
        touches: Vec::new(),
    }
}

fn groups(activity: &Activity) -> Evidence {
    let mut groups: Vec<_> = activity.groups.iter().collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.application, &a.role, &a.state).cmp(&(&b.application, &b.role, &b.state))));
    let named = |s: &str| if s.is_empty() { "(no name)".to_owned() } else { s.to_owned() };
    let row = |g: &&crate::evidence::postgres::SessionGroup| {
        vec![
            Cell::text(named(&g.application)),
            Cell::text(&g.role),
            Cell::text(named(&g.state)),
            Cell::number(g.count.into(), text::count(g.count.into())),
        ]
    };
    Evidence::table("Connections", &["Application", "Role", "State", "Count"], groups.iter().map(row).collect())
}

fn remedies(snapshot: &Snapshot, usable: u32) -> Vec<Remedy> {
    // Two instances (server and worker), doubled while a deployment replaces them, within 80 %.
    let pool = (f64::from(usable) * SHARE_MAX / 4.0).floor().clamp(2.0, 20.0);
    let (label, text) = match snapshot.medusa().map(|m| m.major) {
        Ok(1) => (
            "Bound the pool of each instance",
            format!(
                "// medusa-config.js: per instance; {pool} for two instances that a deployment doubles\nprojectConfig: {{\n  database_extra: {{ max: {pool}, idleTimeoutMillis: 30000 }},\n}}\n"
            ),
        ),
        _ => (
            "Bound the pool of each instance",
            format!(
                "// medusa-config.ts: per instance; {pool} for two instances that a deployment doubles\nprojectConfig: {{\n  databaseDriverOptions: {{\n    pool: {{ min: 2, max: {pool}, idleTimeoutMillis: 30000 }},\n  }},\n}}\n"
            ),
        ),
    };
    vec![
        Remedy {
            kind: RemedyKind::MedusaConfig,
            label: label.to_owned(),
            text,
            lock: None,
            risk: "Too small a pool makes requests wait for a connection: count the instances before you choose.".to_owned(),
            undo: Some("Take the pool out of the configuration.".to_owned()),
        },
        Remedy {
            kind: RemedyKind::Sql,
            label: "End transactions that were left open".to_owned(),
            text: "alter system set idle_in_transaction_session_timeout = '60s';\nselect pg_reload_conf();".to_owned(),
            lock: Some("None: no restart, a reload.".to_owned()),
            risk: "A transaction that waits longer than a minute for its application is rolled back.".to_owned(),
            undo: Some("alter system reset idle_in_transaction_session_timeout;\nselect pg_reload_conf();".to_owned()),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::SessionGroup;

    fn taken(connections: u32, edit: impl FnOnce(&mut Activity)) -> Snapshot {
        store(|pg| {
            if let Ok(activity) = &mut pg.activity {
                (activity.max_connections, activity.reserved, activity.connections) = (103, 3, connections);
                edit(activity);
            }
        })
    }

    #[test]
    fn the_shares_decide() {
        assert_passes(&CHECK, &taken(80, |_| {}));
        for (connections, severity) in [
            (81, Severity::Medium),
            (90, Severity::Medium),
            (91, Severity::High),
            (95, Severity::High),
            (96, Severity::Critical),
            (110, Severity::Critical),
        ] {
            assert_eq!(findings(&CHECK, &taken(connections, |_| {}))[0].severity, severity, "{connections}");
        }
    }

    #[test]
    fn idle_pools_are_named() {
        let idle =
            |count| taken(90, |a| a.groups = vec![SessionGroup { application: String::new(), role: "medusa".into(), state: "idle".into(), count }]);
        assert!(findings(&CHECK, &idle(45))[0].observed.contains("are idle"));
        assert!(!findings(&CHECK, &idle(44))[0].observed.contains("are idle"));
        assert!(findings(&CHECK, &idle(45))[0].remedies[0].text.contains("max: 20"));
    }

    #[test]
    fn hidden_states_lower_the_confidence() {
        assert_eq!(findings(&CHECK, &taken(90, |a| a.hidden = 1))[0].confidence, Confidence::Medium);
        assert_eq!(findings(&CHECK, &taken(90, |_| {}))[0].confidence, Confidence::High);
    }

    #[test]
    fn no_capacity_is_unknown_and_needs_are_exact() {
        assert_unknown(&CHECK, &taken(1, |a| a.reserved = 103));
        assert_needs_are_exact(&CHECK, &taken(90, |_| {}));
    }
}
