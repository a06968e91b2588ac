//! The statements that take the time cannot be seen.

use crate::checks::{Check, always};
use crate::evidence::postgres::{Extension, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Hidden texts below this share leave the picture whole.
const HIDDEN_SHARE_MAX: f64 = 0.05;
const NAME: &str = "pg_stat_statements";

pub static CHECK: Check = Check {
    id: "pg-statements-unavailable",
    layer: Layer::Postgres,
    title: "The statements cannot be seen",
    passed: "The statements and their times can be seen.",
    why: "Which statement takes the time is the first question of every audit of a database. Without pg_stat_statements it stays a guess, and missing \
          indexes, slow statements and lookups in loops cannot be found.",
    remedy: "Load and create the extension pg_stat_statements and let the audit's role read it.",
    method: "Looks whether pg_stat_statements is created in this database, answers, and shows the texts: more than 5 % hidden texts are reported. The steps are \
             those of the platform the server was recognised as.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/pgstatstatements.html"],
    needs: &[Section::PgServer, Section::PgExtensions],
    uses: &[Section::PgStatements],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// What stands in the way.
enum Obstacle {
    /// Not loaded into the server.
    Loading(String),
    /// Loaded or loadable, not created in this database.
    Creating,
    /// This role may not read it, or not the texts of others.
    Reading { hidden: u64, of: u64 },
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (server, extensions) = (pg.server()?, pg.extensions()?);
    let obstacle = match &pg.statements {
        Ok(seen) if is_hidden(seen.hidden, seen.rows_read) => Some(Obstacle::Reading { hidden: seen.hidden, of: seen.rows_read }),
        Ok(_) => None,
        Err(_) if !is_created(extensions) => Some(Obstacle::Creating),
        Err(gap) => match &gap.cause {
            Cause::Denied { .. } => Some(Obstacle::Reading { hidden: 0, of: 0 }),
            Cause::Absent { .. } => Some(Obstacle::Loading(gap.detail.clone())),
            // A time-out or an unreadable answer says nothing about the set-up.
            _ => return Err(gap.clone()),
        },
    };
    Ok(obstacle.map(|o| finding(server, &o)).into_iter().collect())
}

fn is_created(extensions: &[Extension]) -> bool {
    extensions.iter().any(|e| e.name == NAME && e.installed.is_some())
}

fn is_hidden(hidden: u64, rows_read: u64) -> bool {
    hidden as f64 > rows_read as f64 * HIDDEN_SHARE_MAX
}

fn finding(server: &Server, obstacle: &Obstacle) -> Finding {
    let (observed, step) = match obstacle {
        Obstacle::Loading(detail) => (format!("The extension is created but does not answer: {detail}"), "Load pg_stat_statements".to_owned()),
        Obstacle::Creating => (
            format!("The extension pg_stat_statements is not created in the database {}, so no statement can be judged.", server.database),
            "Create pg_stat_statements".to_owned(),
        ),
        Obstacle::Reading { of: 0, .. } => {
            (format!("The role {} may not read pg_stat_statements.", server.role), format!("Let {} read the statements", server.role))
        }
        Obstacle::Reading { hidden, of } => (
            format!(
                "The texts of {} of {} are hidden from the role {}.",
                text::count(*hidden),
                text::plural(*of, "statement", "statements"),
                server.role
            ),
            format!("Let {} read the statements", server.role),
        ),
    };
    Finding {
        subject: Subject::new("server", NAME),
        observed,
        step,
        evidence: vec![
            Evidence::text("Server", format!("Postgres {} ({})", server.version, platform_name(&server.platform))),
            Evidence::text("Role", &server.role),
        ],
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: "the server says so itself".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Insight, share: 0.0 },
        gain: None,
        averts: None,
        remedies: remedies(server, obstacle),
        verify: "Run select count(*) from pg_stat_statements; as the audit's role, then audit again: the statements are listed.".to_owned(),
        touches: Vec::new(),
    }
}

fn platform_name(platform: &str) -> &str {
    match platform {
        "rds" => "Amazon RDS",
        "cloud-sql" => "Cloud SQL",
        "supabase" => "Supabase",
        "neon" => "Neon",
        "azure" => "Azure",
        _ => "self-managed",
    }
}

fn remedies(server: &Server, obstacle: &Obstacle) -> Vec<Remedy> {
    let role = crate::evidence::postgres::quote(&server.role);
    match obstacle {
        Obstacle::Reading { .. } => vec![Remedy {
            kind: RemedyKind::Sql,
            label: "Grant it".to_owned(),
            text: format!("grant pg_read_all_stats to {role};"),
            lock: None,
            risk: "The role sees the normalised texts and the counters of all roles, no rows of any table.".to_owned(),
            undo: Some(format!("revoke pg_read_all_stats from {role};")),
        }],
        Obstacle::Creating => load(&server.platform).into_iter().chain([create()]).collect(),
        Obstacle::Loading(_) => load(&server.platform).into_iter().collect(),
    }
}

fn create() -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "Create it in this database".to_owned(),
        text: "create extension if not exists pg_stat_statements;".to_owned(),
        lock: None,
        risk: "None: it adds a view and a few functions.".to_owned(),
        undo: Some("drop extension pg_stat_statements;".to_owned()),
    }
}

/// The step that loads the library; `None` where the platform loads it by itself.
fn load(platform: &str) -> Option<Remedy> {
    let remedy = |kind, label: &str, text: &str, risk: &str, undo: &str| {
        Some(Remedy { kind, label: label.to_owned(), text: text.to_owned(), lock: None, risk: risk.to_owned(), undo: Some(undo.to_owned()) })
    };
    const RESTART: &str = "Needs a restart: connections are cut for some seconds. The counters cost about 1 % of the processor.";
    match platform {
        "supabase" | "neon" => None,
        "rds" => remedy(
            RemedyKind::Shell,
            "Load it by the parameter group",
            "aws rds modify-db-parameter-group --db-parameter-group-name GROUP --parameters \"ParameterName=shared_preload_libraries,ParameterValue=pg_stat_statements,ApplyMethod=pending-reboot\"\naws rds reboot-db-instance --db-instance-identifier INSTANCE",
            RESTART,
            "Set the parameter back and reboot.",
        ),
        "cloud-sql" => remedy(
            RemedyKind::Shell,
            "Set the flag",
            "gcloud sql instances patch INSTANCE --database-flags=cloudsql.enable_pg_stat_statements=on",
            "Replaces all flags of the instance: name the ones it has in the same list. It may restart.",
            "Patch the instance with the flags it had.",
        ),
        "azure" => remedy(
            RemedyKind::Shell,
            "Set the server parameters",
            "az postgres flexible-server parameter set --name azure.extensions --value pg_stat_statements --server-name SERVER --resource-group GROUP\naz postgres flexible-server parameter set --name shared_preload_libraries --value pg_stat_statements --server-name SERVER --resource-group GROUP\naz postgres flexible-server restart --name SERVER --resource-group GROUP",
            RESTART,
            "Set the parameters back and restart.",
        ),
        _ => remedy(
            RemedyKind::Sql,
            "Load it with the server",
            "alter system set shared_preload_libraries = 'pg_stat_statements';",
            "Replaces the list: where show shared_preload_libraries; names others, put them into it. Then restart the server (sudo systemctl restart postgresql): connections are cut for some seconds.",
            "alter system reset shared_preload_libraries; and a restart",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;

    fn extension(installed: bool) -> Extension {
        Extension { name: NAME.into(), installed: installed.then(|| "1.10".into()), available: Some("1.10".into()) }
    }

    fn without(cause: Cause, installed: bool, platform: &str) -> Snapshot {
        store(|pg| {
            pg.statements = Err(Gap::new(Section::PgStatements, cause, "pg_stat_statements must be loaded via shared_preload_libraries."));
            pg.extensions = Ok(vec![extension(installed)]);
            if let Ok(server) = &mut pg.server {
                server.platform = platform.into();
            }
        })
    }

    fn absent() -> Cause {
        Cause::Absent { feature: NAME.into(), remedy: String::new() }
    }

    #[test]
    fn seen_statements_pass() {
        assert_passes(&CHECK, &store(|_| {}));
    }

    #[test]
    fn each_platform_has_its_step() {
        for (platform, word) in [
            ("plain", "alter system set shared_preload_libraries"),
            ("rds", "modify-db-parameter-group"),
            ("cloud-sql", "cloudsql.enable_pg_stat_statements"),
            ("azure", "azure.extensions"),
            ("supabase", "create extension"),
            ("neon", "create extension"),
        ] {
            let found = findings(&CHECK, &without(absent(), false, platform));
            assert!(found[0].remedies[0].text.contains(word), "{platform}");
            assert!(found[0].remedies.last().is_some_and(|r| r.text == "create extension if not exists pg_stat_statements;"));
        }
    }

    #[test]
    fn a_created_extension_that_does_not_answer_is_loaded() {
        let found = findings(&CHECK, &without(absent(), true, "plain"));
        assert_eq!(found[0].step, "Load pg_stat_statements");
        assert_eq!(found[0].remedies.len(), 1);
    }

    #[test]
    fn hidden_texts_are_reported_from_a_twentieth() {
        for (hidden, fails) in [(5, false), (6, true)] {
            let snapshot = store(|pg| {
                if let Ok(seen) = &mut pg.statements {
                    (seen.hidden, seen.rows_read) = (hidden, 100);
                }
            });
            assert_eq!(matches!(CHECK.run(&snapshot), crate::finding::Outcome::Failed(_)), fails);
        }
        let denied = findings(&CHECK, &without(Cause::Denied { grant: "x".into() }, true, "plain"));
        assert_eq!(denied[0].remedies[0].text, "grant pg_read_all_stats to advisor;");
    }

    #[test]
    fn a_time_out_is_unknown() {
        assert_unknown(&CHECK, &without(Cause::TimedOut { limit_ms: 1_000 }, true, "plain"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &without(absent(), false, "plain"));
    }
}
