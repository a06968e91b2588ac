//! The sentences of the summary: what a board needs to know, from the first step, the targets and the gaps.

use super::Sentence;
use crate::finding::Severity;
use crate::plan::Plan;
use crate::text;

/// Three sentences: the first thing to do, the targets, what is left and what is open.
pub(super) fn summary(plan: &Plan) -> Vec<Sentence> {
    vec![first(plan), targets(plan), rest(plan)]
}

fn first(plan: &Plan) -> Sentence {
    if let Some(top) = plan.steps().next() {
        return Sentence {
            before: format!("{}: ", top.check.title),
            strong: top.because.first().cloned().unwrap_or_default(),
            after: format!("; the fix takes {}.", top.finding.effort.id()),
        };
    }
    let judged = plan.passed.len();
    if judged == 0 {
        return Sentence {
            before: String::new(),
            strong: "Nothing could be judged".into(),
            after: ": no check had the evidence it needs, so this report says neither good nor bad of the store.".into(),
        };
    }
    let notes = if plan.findings.is_empty() { String::new() } else { format!(" beside {}", plural(plan.findings.len(), "note", "notes")) };
    Sentence {
        before: String::new(),
        strong: "Nothing to do".into(),
        after: format!(": the {} that could be made passed{notes}.", plural(judged, "check", "checks")),
    }
}

fn targets(plan: &Plan) -> Sentence {
    let measured: Vec<_> = plan.gauges.iter().filter_map(|g| g.measured.as_ref().ok().map(|m| (g, m))).collect();
    let missed: Vec<String> = measured.iter().filter(|(_, m)| !m.is_met).map(|(g, m)| format!("{} {}", g.name, m.shown)).collect();
    let open = plan.gauges.len() - measured.len();
    let unmeasured = match open {
        0 => String::new(),
        1 => "; 1 was not measured".to_owned(),
        n => format!("; {n} were not measured"),
    };
    match (measured.len(), missed.len()) {
        (0, _) => Sentence::plain("None of the targets could be measured."),
        (n, 0) => Sentence::plain(format!("{} {} met{unmeasured}.", plural(n, "target", "targets"), if n == 1 { "is" } else { "are" })),
        (n, k) => Sentence {
            before: format!("{k} of {} {} missed: ", plural(n, "measured target", "measured targets"), if k == 1 { "is" } else { "are" }),
            strong: missed.join(" and "),
            after: format!("{unmeasured}."),
        },
    }
}

fn rest(plan: &Plan) -> Sentence {
    let steps = plan.steps().count();
    let more = match steps {
        0 | 1 => String::new(),
        n => {
            let heavy: Vec<String> = plan
                .counts()
                .iter()
                .filter(|(s, n)| *n > 0 && *s >= Severity::High)
                .map(|(s, n)| format!("{} {}", text::count(*n as u64), s.id()))
                .collect();
            let heavy = if heavy.is_empty() { String::new() } else { format!(" ({} in all)", heavy.join(", ")) };
            format!(
                "{} in order of measured cost{heavy}",
                if n == 2 { "1 more step follows".to_owned() } else { format!("{} more steps follow", n - 1) }
            )
        }
    };
    let open = match plan.unknown.len() {
        0 => "every check had the evidence it needs".to_owned(),
        n => format!(
            "{} could not be made: {}",
            plural(n, "check", "checks"),
            if n == 1 { "an open question, not a pass" } else { "open questions, not passes" }
        ),
    };
    let joined = if more.is_empty() { open } else { format!("{more}; {open}") };
    let mut chars = joined.chars();
    let capital: String = chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect());
    Sentence::plain(format!("{capital}."))
}

/// The gaps of the summary page: the two that a grant or setting would close, or the largest; the rest by number.
pub(super) fn not_checked_line(plan: &Plan) -> Option<String> {
    const NAMED: usize = 3;
    let groups = plan.unknown_by_cause();
    if groups.is_empty() {
        return None;
    }
    let named = |(gap, checks): &(crate::evidence::Gap, Vec<&'static crate::checks::Check>)| {
        let detail = text::cut(&text::one_line(gap.detail.trim_end_matches('.')), 110);
        format!("{detail} ({})", plural(checks.len(), "check", "checks"))
    };
    let mut line = groups.iter().take(NAMED).map(named).collect::<Vec<_>>().join("; ");
    if groups.len() > NAMED {
        line.push_str(&format!("; and {}", plural(groups.len() - NAMED, "more reason", "more reasons")));
    }
    line.push_str(". These are open questions, not passes.");
    Some(line)
}

fn plural(n: usize, one: &str, many: &str) -> String {
    text::plural(n as u64, one, many)
}
