//! Markdown that reads well on GitHub. Every text from the store is escaped: it may hold pipes, backticks and tags.

use std::fmt::Write as _;

use super::{Entry, NotChecked, Part, ROWS_MAX, Report, STEPS_FIRST, Step, is_prose};
use crate::charts::{ChartKind, ChartSpec};
use crate::finding::{Cell, Evidence, Remedy, Severity};
use crate::text;

/// Lines of code above which it is folded away.
const LINES_OPEN_MAX: usize = 12;

/// The whole report as GitHub-flavoured Markdown.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    head(&mut out, report);
    if report.has(Part::Summary) {
        summary(&mut out, report);
    }
    if report.has(Part::Plan) {
        plan(&mut out, report);
    }
    findings(&mut out, report);
    if report.has(Part::Charts) {
        charts(&mut out, &report.charts);
    }
    if report.has(Part::Passed) && !report.passed.is_empty() {
        let rows = report.passed.iter().map(|p| vec![p.layer.name().into(), code_cell(&p.check), escape(&p.observed)]).collect();
        let _ = write!(out, "## Passed\n\n{}", table(&["Layer", "Check", "What was seen"], rows));
    }
    not_checked(&mut out, report);
    if report.has(Part::NotApplicable) && !report.not_applicable.is_empty() {
        let rows = report.not_applicable.iter().map(|n| vec![n.layer.name().into(), code_cell(&n.check), escape(&n.reason)]).collect();
        let _ = write!(out, "## Does not apply\n\n{}", table(&["Layer", "Check", "Reason"], rows));
    }
    if !report.dismissed.is_empty() {
        let rows =
            report.dismissed.iter().map(|d| vec![code_cell(&d.key), escape(&d.title), escape(&d.reason), escape(&d.by), escape(&d.until)]).collect();
        let _ = write!(out, "## Dismissed\n\n{}", table(&["Finding", "Condition", "Reason", "By", "Until"], rows));
    }
    if report.has(Part::Method) {
        method(&mut out, report);
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

/// One finding as it is copied from the window.
pub fn finding(entry: &Entry) -> String {
    let mut out = String::new();
    one_finding(&mut out, entry);
    out
}

fn head(out: &mut String, report: &Report) {
    let _ = write!(out, "# {}\n\n{}", escape(&report.title), escape(&report.date_time));
    for part in [&report.store.environment, &report.store.scale] {
        if !part.is_empty() {
            let _ = write!(out, " · {}", escape(part));
        }
    }
    out.push_str("\n\n");
    let score = |l: &super::LayerEntry| l.score.map_or_else(|| l.words.clone(), |s| format!("**{s}** of 100"));
    let counts = |l: &super::LayerEntry| {
        let some: Vec<String> = l.counts.iter().filter(|c| c.1 > 0).map(|(s, n)| format!("{n} {}", s.id())).collect();
        if some.is_empty() { "–".to_owned() } else { some.join(", ") }
    };
    let rows = report.layers.iter().map(|l| vec![l.name.clone(), score(l), counts(l)]).collect();
    out.push_str(&table(&["Layer", "Score", "Open findings"], rows));
    let blocks: Vec<String> = report.cover.iter().map(|b| format!("**{}** {} ({})", escape(&b.figure), b.label, b.context)).collect();
    let _ = write!(out, "{}\n\n", blocks.join(" · "));
}

fn summary(out: &mut String, report: &Report) {
    out.push_str("## Summary\n\n");
    for sentence in &report.summary {
        let strong = if sentence.strong.is_empty() { String::new() } else { format!("**{}**", escape(&sentence.strong)) };
        let _ = write!(out, "{}{strong}{} ", escape(&sentence.before), escape(&sentence.after));
    }
    out.push_str("\n\n### Targets\n\n");
    let verdict = |met: Option<bool>| match met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "not measured",
    };
    let rows = report
        .targets
        .iter()
        .map(|t| vec![escape(&t.name), format!("**{}**", escape(&t.shown)), escape(&t.target), verdict(t.is_met).into(), escape(&t.source)])
        .collect();
    out.push_str(&table(&["Measure", "Measured", "Target", "Verdict", "Source"], rows));
    out.push_str("### Where 100 cacheable requests are answered\n\n");
    let rows = report.path.segments.iter().map(|s| vec![s.name.clone(), s.shown.clone(), s.context.clone()]).collect();
    let _ = write!(out, "{}{}\n\n", table(&["Layer", "Of 100", "Context"], rows), escape(&report.path.sentence));
    if !report.steps.is_empty() {
        let _ = write!(out, "### Do these first\n\n{}", steps(report, report.steps.iter().take(STEPS_FIRST)));
    }
    if let Some(line) = &report.not_checked_line {
        let _ = write!(out, "> **Not checked:** {}\n\n", escape(line));
    }
}

fn plan(out: &mut String, report: &Report) {
    out.push_str("## Ranked plan\n\n");
    if report.steps.is_empty() {
        out.push_str("No step: no open finding above a note.\n\n");
    } else {
        out.push_str(&steps(report, report.steps.iter()));
    }
}

fn steps<'a>(report: &Report, steps: impl Iterator<Item = &'a Step>) -> String {
    let shown: Vec<&str> = report.in_full().iter().map(|e| e.key.as_str()).collect();
    let row = |s: &Step| {
        let title = match shown.iter().position(|key| *key == s.key) {
            Some(i) => format!("[{}](#finding-{})", escape(&s.step), i + 1),
            None => escape(&s.step),
        };
        let basis = if s.basis.is_empty() { String::new() } else { format!(" ({})", s.basis) };
        vec![s.rank.to_string(), severity(s.severity), title, s.layer.name().into(), format!("{}{basis}", escape(&s.gain)), s.effort.clone()]
    };
    table(&["Rank", "Severity", "Step", "Layer", "Gain", "Effort"], steps.map(row).collect())
}

fn findings(out: &mut String, report: &Report) {
    let entries = report.in_full();
    if entries.is_empty() {
        return;
    }
    out.push_str("## Findings\n\n");
    for (i, entry) in entries.into_iter().enumerate() {
        let _ = write!(out, "<a id=\"finding-{}\"></a>\n\n", i + 1);
        one_finding(out, entry);
    }
    for (check, n) in report.cut_findings() {
        let _ = write!(out, "And {} more of {}: all are in the JSON report.\n\n", text::count(n as u64), code(&check));
    }
}

fn one_finding(out: &mut String, entry: &Entry) {
    let f = &entry.finding;
    let _ = write!(out, "### {}. {}\n\n{}\n\n{}\n\n", entry.rank, escape(&entry.title), code(&f.subject.name), paragraph(&f.observed));
    let (gain, basis) = match (&f.gain, &f.averts) {
        (Some(g), _) => (escape(&g.words), g.basis.name()),
        (None, Some(a)) => (format!("no {}", escape(a)), "risk"),
        (None, None) => ("–".into(), "–"),
    };
    let confidence = format!("{}, {}", f.confidence.id(), escape(&f.confidence_because));
    let row = vec![severity(f.severity), entry.layer.name().into(), gain, basis.into(), confidence, f.effort.id().into()];
    out.push_str(&table(&["Severity", "Layer", "Gain", "Basis", "Confidence", "Effort"], vec![row]));
    if !entry.why.is_empty() {
        let _ = write!(out, "{}\n\n", paragraph(&entry.why));
    }
    if !entry.why_here.is_empty() {
        let _ = write!(out, "**Why here.** {}\n\n", escape(&entry.why_here));
    }
    if !f.evidence.is_empty() {
        out.push_str("**Evidence**\n\n");
        evidence(out, &f.evidence);
    }
    if !f.remedies.is_empty() {
        out.push_str("**Fix**\n\n");
        f.remedies.iter().for_each(|r| remedy(out, r));
    }
    if !f.verify.is_empty() {
        let _ = write!(out, "**Verify.** {}\n\n", escape(&f.verify));
    }
    if !entry.along.is_empty() {
        out.push_str("Along the same request:\n\n");
        entry.along.iter().for_each(|line| {
            let _ = writeln!(out, "- {}", escape(line));
        });
        out.push('\n');
    }
    if !entry.references.is_empty() {
        let links: Vec<String> = entry.references.iter().map(|r| format!("<{r}>")).collect();
        let _ = write!(out, "**Read.** {}\n\n", links.join(" · "));
    }
    let _ = write!(out, "<sub>{}</sub>\n\n", code(&entry.key));
}

fn evidence(out: &mut String, pieces: &[Evidence]) {
    let mut facts: Vec<Vec<String>> = Vec::new();
    let mut long = String::new();
    for piece in pieces {
        match piece {
            Evidence::Figure { label, shown, .. } => facts.push(vec![escape(label), escape(shown)]),
            Evidence::Text { label, text } => facts.push(vec![escape(label), escape(text)]),
            Evidence::BeforeAfter { label, unit, before, after, basis } => {
                let shown = format!("{} → {} {unit} ({})", text::number(*before), text::number(*after), basis.name());
                facts.push(vec![escape(label), escape(&shown)]);
            }
            Evidence::Code { label, language, text } => code_block(&mut long, label, language, text),
            Evidence::Table { label, columns, rows } => rows_block(&mut long, label, columns, rows),
        }
    }
    if !facts.is_empty() {
        out.push_str(&table(&["Measure", "Value"], facts));
    }
    out.push_str(&long);
}

fn code_block(out: &mut String, label: &str, language: &str, text: &str) {
    let body = fence(language, &text::cut(text, super::CODE_MAX));
    if text.lines().count() > LINES_OPEN_MAX {
        let _ = write!(out, "<details><summary>{}</summary>\n\n{body}\n</details>\n\n", tag_text(label));
    } else {
        let _ = write!(out, "{}\n\n{body}\n", escape(label));
    }
}

fn rows_block(out: &mut String, label: &str, columns: &[String], rows: &[Vec<Cell>]) {
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let cells = |rows: &[Vec<Cell>]| rows.iter().map(|row| row.iter().map(|c| escape(c.shown())).collect()).collect();
    let right: Vec<bool> = (0..columns.len()).map(|i| rows.first().is_some_and(|r| matches!(r.get(i), Some(Cell::Number { .. })))).collect();
    let _ = write!(out, "{}\n\n{}", escape(label), aligned_table(&columns, &right, cells(&rows[..rows.len().min(ROWS_MAX)])));
    if rows.len() > ROWS_MAX {
        let more = rows.len() - ROWS_MAX;
        let _ =
            write!(out, "<details><summary>and {more} more</summary>\n\n{}</details>\n\n", aligned_table(&columns, &right, cells(&rows[ROWS_MAX..])));
    }
}

fn remedy(out: &mut String, r: &Remedy) {
    let _ = write!(out, "{} ({}):\n\n{}\n", escape(&r.label), r.kind.name(), fence(r.kind.language(), &r.text));
    if let Some(lock) = r.lock.as_deref().filter(|l| !l.is_empty()) {
        let _ = writeln!(out, "- Lock: {}", escape(lock));
    }
    if !r.risk.is_empty() {
        let _ = writeln!(out, "- Risk: {}", escape(&r.risk));
    }
    match r.undo.as_deref() {
        Some(undo) if undo.contains('\n') => {
            let _ = write!(out, "\nUndo:\n\n{}", fence(r.kind.language(), undo));
        }
        Some(undo) => {
            let undo = if is_prose(undo) { escape(undo) } else { code(undo) };
            let _ = writeln!(out, "- Undo: {undo}");
        }
        None => {}
    }
    out.push('\n');
}

fn charts(out: &mut String, charts: &[ChartSpec]) {
    if charts.is_empty() {
        return;
    }
    out.push_str("## Charts\n\n");
    for chart in charts {
        let _ = write!(out, "### {}\n\n{} ({}).\n\n", escape(&chart.title), escape(chart.conclusion.trim_end_matches('.')), escape(&chart.caption));
        if !matches!(chart.kind, ChartKind::Line | ChartKind::Stacked) {
            let mut columns = vec![""];
            columns.extend(chart.series.iter().map(|s| s.name.as_str()));
            let shown = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| chart.unit.format(v));
            let row = |(i, name): (usize, &String)| {
                let values = chart.series.iter().map(|s| shown(s.points.get(i).and_then(|p| p.1)));
                std::iter::once(code_cell(&text::cut(&text::one_line(name), 80))).chain(values).collect()
            };
            let right: Vec<bool> = (0..columns.len()).map(|i| i > 0).collect();
            out.push_str(&aligned_table(&columns, &right, chart.categories.iter().enumerate().map(row).collect()));
        }
    }
}

fn not_checked(out: &mut String, report: &Report) {
    out.push_str("## Not checked\n\n");
    if report.not_checked.is_empty() {
        out.push_str("Every check had the evidence it needs.\n\n");
        return;
    }
    out.push_str("These are open questions, not passes.\n\n");
    report.not_checked.iter().for_each(|group| gap(out, group));
}

fn gap(out: &mut String, group: &NotChecked) {
    let _ = write!(out, "### {}\n\n{}\n\n", escape(&group.what), paragraph(&group.detail));
    if let Some(remedy) = &group.remedy {
        let language = if group.layer == crate::evidence::Layer::Postgres { "sql" } else { "text" };
        let _ = write!(out, "What would allow it:\n\n{}\n", fence(language, remedy));
    }
    let waits: Vec<String> = group.checks.iter().map(|(id, _)| code(id)).collect();
    let _ = write!(out, "Waiting: {}\n\n", waits.join(", "));
}

fn method(out: &mut String, report: &Report) {
    out.push_str("## Method and limits\n\n");
    let mut rows: Vec<Vec<String>> = report.method.iter().map(|f| vec![format!("**{}**", escape(&f.label)), escape(&f.text)]).collect();
    if report.is_masked {
        rows.push(vec!["**Host names**".into(), "Masked in every text of this report.".into()]);
    }
    out.push_str(&table(&["", ""], rows));
    if !report.costs.is_empty() {
        out.push_str("What the audit cost the store:\n\n");
        let rows =
            report.costs.iter().map(|c| vec![c.layer.name().into(), escape(&c.calls), escape(&c.busy), escape(&c.wall), escape(&c.bytes)]).collect();
        out.push_str(&table(&["Layer", "Sent", "Time inside the service", "Time outside the window", "Read"], rows));
    }
    let _ = write!(out, "Medusa Advisor {}\n", escape(&report.tool_version));
}

fn severity(severity: Severity) -> String {
    // Shapes tell severities apart where colour does not print.
    let mark = match severity {
        Severity::Critical => "⯃",
        Severity::High => "▲",
        Severity::Medium => "◆",
        Severity::Low => "○",
        Severity::Info => "ⓘ",
    };
    format!("{mark} {}", severity.name())
}

fn table(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    aligned_table(columns, &vec![false; columns.len()], rows)
}

/// Cells are escaped already; a pipe or line break in them would end the cell.
fn aligned_table(columns: &[&str], right: &[bool], rows: Vec<Vec<String>>) -> String {
    let mut out = String::new();
    let heads: Vec<String> = columns.iter().map(|c| escape(c)).collect();
    let _ = writeln!(out, "| {} |", heads.join(" | "));
    let rule: Vec<&str> = right.iter().map(|r| if *r { "---:" } else { "---" }).collect();
    let _ = writeln!(out, "| {} |", rule.join(" | "));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
    out
}

/// Text that means itself wherever it stands on a line.
fn escape(text: &str) -> String {
    let line = text.split(['\n', '\r']).collect::<Vec<_>>().join(" ");
    let chars: Vec<char> = line.chars().collect();
    let mut out = String::with_capacity(line.len() + 8);
    for (i, c) in chars.iter().enumerate() {
        let is_inside_word = |j: Option<usize>| j.and_then(|j| chars.get(j)).is_some_and(|c| c.is_alphanumeric());
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // GitHub turns these into mentions and issue links.
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '_' if is_inside_word(i.checked_sub(1)) && is_inside_word(Some(i + 1)) => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(*c);
            }
            _ => out.push(*c),
        }
    }
    out
}

/// Escaped, and safe at the start of a line too.
fn paragraph(text: &str) -> String {
    let escaped = escape(text.trim_start());
    let digits = escaped.chars().take_while(char::is_ascii_digit).count();
    let is_list = escaped.starts_with(['-', '+', '=']) || (digits > 0 && escaped[digits..].starts_with(['.', ')']));
    match (is_list, digits) {
        (false, _) => escaped,
        (true, 0) => format!("\\{escaped}"),
        (true, n) => format!("{}\\{}", &escaped[..n], &escaped[n..]),
    }
}

/// Text inside an HTML tag that Markdown passes through.
fn tag_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Inline code inside a table, where a pipe ends the cell even between backticks.
fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Inline code.
fn code(text: &str) -> String {
    let line = text::one_line(text);
    let ticks = "`".repeat(longest_run(&line) + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') || line.is_empty() { " " } else { "" };
    format!("{ticks}{pad}{line}{pad}{ticks}")
}

/// A fenced block whose fence is longer than any run of backticks inside.
fn fence(language: &str, text: &str) -> String {
    let ticks = "`".repeat(longest_run(text).max(2) + 1);
    let language: String = language.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{ticks}{language}\n{}\n{ticks}\n", text.trim_end_matches('\n'))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_means_itself() {
        assert_eq!(escape("a|b <script> *x* `y` @me #1"), "a\\|b &lt;script&gt; \\*x\\* \\`y\\` &#64;me &#35;1");
        assert_eq!(escape("product_id _x_"), "product_id \\_x\\_");
        assert_eq!(paragraph("1. no list"), "1\\. no list");
        assert_eq!(paragraph("606 calls"), "606 calls");
        assert_eq!(paragraph("- no list"), "\\- no list");
    }

    #[test]
    fn code_cannot_end_its_own_fence() {
        assert_eq!(fence("sql", "a\n```\nb"), "````sql\na\n```\nb\n````\n");
        assert_eq!(code("a`b|c"), "``a`b|c``");
        assert_eq!(code_cell("a`b|c"), "``a`b\\|c``");
    }
}
