//! Why the planner was not asked about an index, and how it could be.

use super::scans::Scan;
use super::workload::{Unread, Workload, unread};
use crate::evidence::Snapshot;
use crate::evidence::postgres::Proof;
use crate::finding::Evidence;
use crate::text;

/// Texts shown of statements that were not understood.
const UNREAD_SHOWN: usize = 5;

/// What stands between the finding and a proof, and the step that removes it; `None` where it is proved.
pub fn how_to_prove(snapshot: &Snapshot, scan: &Scan) -> Option<Evidence> {
    if scan.is_proved() {
        return None;
    }
    let words = match scan.silence() {
        Some(proof) if proof.method == "not allowed" => not_allowed(snapshot, scan),
        Some(proof) => format!("Asked about the costliest statement, the planner did not answer: {}.", proof.node_before),
        None if is_hypopg_installed(snapshot) => match snapshot.pg().and_then(|pg| pg.proofs()) {
            Err(gap) => gap.detail,
            Ok(_) => return None,
        },
        None => install(snapshot),
    };
    Some(Evidence::text("For a proof", words))
}

fn not_allowed(snapshot: &Snapshot, scan: &Scan) -> String {
    let role = snapshot.pg().and_then(|pg| pg.server()).map_or_else(|_| "the audit's role".to_owned(), |s| s.role.clone());
    format!(
        "The planner answers only a role that may read all rows of the statement's tables, and {role} may not. It would open their rows too, so only \
         where that is no harm: grant select on {table} to {quoted}; where row level security is on, alter role {quoted} bypassrls; audit again, then \
         take it back.",
        table = scan.table.full_name(),
        quoted = crate::evidence::postgres::quote(&role)
    )
}

fn is_hypopg_installed(snapshot: &Snapshot) -> bool {
    snapshot.pg().is_ok_and(|pg| pg.extensions.as_ref().is_ok_and(|e| e.iter().any(|e| e.name == "hypopg" && e.installed.is_some())))
}

/// Where each platform keeps the extension.
fn install(snapshot: &Snapshot) -> String {
    let Ok(pg) = snapshot.pg() else { return String::new() };
    let is_offered = pg.extensions.as_ref().is_ok_and(|e| e.iter().any(|e| e.name == "hypopg"));
    let (platform, major) = pg.server.as_ref().map_or(("plain", 0), |s| (s.platform.as_str(), s.version_num / 10_000));
    let how = match platform {
        _ if is_offered => "This server offers it: create extension hypopg;".to_owned(),
        "rds" => "RDS offers it: create extension hypopg;".to_owned(),
        "cloud-sql" => "Cloud SQL offers it: create extension hypopg;".to_owned(),
        "supabase" => "Supabase offers it (Database → Extensions), or: create extension hypopg;".to_owned(),
        "neon" => "Neon offers it: create extension hypopg;".to_owned(),
        "azure" => "Azure offers it once azure.extensions lists it: create extension hypopg;".to_owned(),
        _ if major > 0 => format!("On Debian and Ubuntu: apt-get install postgresql-{major}-hypopg, then: create extension hypopg;"),
        _ => "Install the package hypopg of your distribution, then: create extension hypopg;".to_owned(),
    };
    format!("With the extension HypoPG the planner is asked about the index before it is built; nothing is written. {how}")
}

/// What the planner was asked in all, where a part of it has no answer.
pub fn questions(snapshot: &Snapshot) -> Option<Evidence> {
    let proofs = snapshot.pg().ok()?.proofs().ok()?;
    let silent: Vec<&Proof> = proofs.iter().filter(|p| !p.is_answer()).collect();
    if silent.is_empty() {
        return None;
    }
    let mut reasons: Vec<&str> = silent.iter().map(|p| reason(p)).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let words =
        format!("{} asked, {} without an answer: {}.", text::plural(proofs.len() as u64, "question", "questions"), silent.len(), reasons.join("; "));
    Some(Evidence::text("Questions to the planner", words))
}

/// Where the plan as it is was told, the question behind it has no answer: only the method says why.
fn reason(proof: &Proof) -> &str {
    if proof.cost_before > 0.0 { &proof.method } else { &proof.node_before }
}

/// Statements whose texts were understood in part or not at all; `None` where all were read whole.
pub fn unread_evidence(workload: &Workload) -> Option<Evidence> {
    let words = unread_words(&unread(workload))?;
    Some(Evidence::text("Statements not read whole", words))
}

/// One sentence; also for "Method and limits".
pub fn unread_words(unread: &Unread) -> Option<String> {
    if unread.partly == 0 && unread.not.is_empty() {
        return None;
    }
    let mut words = format!(
        "{} of the {} costliest statements were read whole, {} in part",
        text::count(unread.whole as u64),
        text::count((unread.whole + unread.partly + unread.not.len()) as u64),
        text::count(unread.partly as u64)
    );
    if unread.not.is_empty() {
        words.push_str(", none not at all.");
    } else {
        let shown: Vec<String> = unread.not.iter().take(UNREAD_SHOWN).map(|l| text::cut(&text::one_line(&l.statement.text), 100)).collect();
        words.push_str(&format!(
            ", {} not at all ({} of the database time), and none of the checks says anything about those: {}.",
            text::count(unread.not.len() as u64),
            text::percent(unread.share),
            shown.join(" · ")
        ));
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{statement, statements, store};
    use crate::checks::workload::workload;
    use crate::evidence::postgres::Extension;

    fn words(edit: impl FnOnce(&mut crate::evidence::postgres::Postgres)) -> String {
        install(&store(edit))
    }

    #[test]
    fn the_extension_is_named_by_platform() {
        assert!(words(|_| {}).contains("apt-get install postgresql-15-hypopg"));
        let on = |platform: &str| {
            words(|pg| {
                let Ok(server) = &mut pg.server else { unreachable!("the fixture has a server") };
                server.platform = platform.to_owned();
            })
        };
        assert!(
            on("rds").contains("RDS") && on("supabase").contains("Supabase") && on("neon").contains("Neon") && on("cloud-sql").contains("Cloud SQL")
        );
        let offered = words(|pg| pg.extensions = Ok(vec![Extension { name: "hypopg".into(), installed: None, available: Some("1.4".into()) }]));
        assert!(offered.ends_with("This server offers it: create extension hypopg;"));
    }

    #[test]
    fn statements_that_were_not_read_are_counted_and_shown() {
        let snapshot = store(|pg| {
            statements(pg, vec![statement("1", "select * from image where id = $1", 900, 900.0), statement("2", "selekt nonsense", 10, 100.0)]);
        });
        let found = unread_words(&unread(&workload(&snapshot).unwrap())).unwrap();
        assert!(found.starts_with("1 of the 2 costliest statements were read whole, 0 in part, 1 not at all (10\u{a0}%"), "{found}");
        assert!(found.ends_with("selekt nonsense."), "{found}");
        let snapshot = store(|pg| statements(pg, vec![statement("1", "select * from image where id = $1", 900, 900.0)]));
        assert!(unread_words(&unread(&workload(&snapshot).unwrap())).is_none());
    }
}
