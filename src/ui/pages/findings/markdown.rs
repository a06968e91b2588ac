//! A finding as Markdown, for an issue or a chat.

use std::fmt::Write;

use crate::finding::Evidence;
use crate::plan::Ranked;
use crate::text;

/// The whole finding in the order of the page.
pub fn finding(ranked: &Ranked) -> String {
    let f = &ranked.finding;
    let mut out = format!("## {}\n\n", ranked.check.title);
    let _ = writeln!(out, "{} · {} · `{}` · `{}`\n", f.severity.name(), ranked.check.layer.name(), ranked.check.id, f.subject.name);
    let _ = writeln!(out, "{}\n", f.observed);
    if let Some(gain) = &f.gain {
        let _ = writeln!(out, "- Gain: {} ({})", gain.words, gain.basis.name());
    }
    if let Some(averts) = &f.averts {
        let _ = writeln!(out, "- Averts: {averts}");
    }
    let _ = writeln!(out, "- Confidence: {}, {}\n- Effort: {}\n- {}\n", f.confidence.id(), f.confidence_because, f.effort.id(), ranked.why_here);
    f.evidence.iter().for_each(|e| evidence(&mut out, e));
    for remedy in &f.remedies {
        let _ = writeln!(out, "\n### Fix: {}\n\n{}", remedy.kind.name(), fenced(remedy.kind.language(), &remedy.text));
        let parts = [("Lock", remedy.lock.as_deref()), ("Risk", Some(remedy.risk.as_str())), ("Undo", remedy.undo.as_deref())];
        for (name, words) in parts {
            if let Some(words) = words.filter(|w| !w.is_empty()) {
                let _ = writeln!(out, "- {name}: {words}");
            }
        }
    }
    if !f.verify.is_empty() {
        let _ = writeln!(out, "\nVerify: {}", f.verify);
    }
    ranked.check.references.iter().for_each(|r| {
        let _ = writeln!(out, "\nRead: {r}");
    });
    out
}

fn evidence(out: &mut String, evidence: &Evidence) {
    let _ = match evidence {
        Evidence::Figure { label, shown, .. } => writeln!(out, "- {label}: {shown}"),
        Evidence::Text { label, text } => writeln!(out, "- {label}: {}", text::one_line(text)),
        Evidence::BeforeAfter { label, unit, before, after, basis } => {
            writeln!(out, "- {label}, {unit}: {} now, {} with the fix ({})", text::number(*before), text::number(*after), basis.name())
        }
        Evidence::Code { label, language, text } => writeln!(out, "\n{label}\n\n{}", fenced(language, text)),
        Evidence::Table { label, columns, rows } => {
            let _ = writeln!(out, "\n{label}\n\n| {} |\n|{}", columns.join(" | "), " --- |".repeat(columns.len()));
            for row in rows {
                let cells: Vec<String> = row.iter().map(|c| text::one_line(c.shown()).replace('|', "\\|")).collect();
                let _ = writeln!(out, "| {} |", cells.join(" | "));
            }
            writeln!(out)
        }
    };
}

/// A fence longer than any run of backticks inside.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}", text.trim_end())
}
