//! One self-contained HTML file: no network, no script, both themes, a style for print.

use std::fmt::Write as _;

use super::svg::{self, Palette, escape};
use super::{Entry, Part, ROWS_MAX, Report, STEPS_FIRST, Step, is_prose};
use crate::evidence::Layer;
use crate::finding::{Basis, Cell, Evidence, Remedy, Severity};
use crate::text;

const STYLE: &str = include_str!("../../assets/report/report.css");

/// The whole report as an HTML document.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&report.title)
    );
    head(&mut out, report);
    if report.has(Part::Summary) {
        summary(&mut out, report);
    }
    if report.has(Part::Plan) {
        out.push_str("<h2 id=\"plan\">Ranked plan</h2>\n");
        out.push_str(&if report.steps.is_empty() { "<p>No step: no open finding above a note.</p>\n".into() } else { steps(report, usize::MAX) });
    }
    findings(&mut out, report);
    if report.has(Part::Charts) {
        charts(&mut out, report);
    }
    if report.has(Part::Passed) && !report.passed.is_empty() {
        let rows = report.passed.iter().map(|p| vec![layer(p.layer), code(&p.check), escape(&p.observed)]);
        let _ = write!(out, "<h2 id=\"passed\">Passed</h2>\n{}", table(&["Layer", "Check", "What was seen"], &[], rows));
    }
    not_checked(&mut out, report);
    if report.has(Part::NotApplicable) && !report.not_applicable.is_empty() {
        let rows = report.not_applicable.iter().map(|n| vec![layer(n.layer), code(&n.check), escape(&n.reason)]);
        let _ = write!(out, "<h2 id=\"not-applicable\">Does not apply</h2>\n{}", table(&["Layer", "Check", "Reason"], &[], rows));
    }
    if !report.dismissed.is_empty() {
        let rows = report.dismissed.iter().map(|d| vec![code(&d.key), escape(&d.reason), escape(&d.by), escape(&d.until)]);
        let _ = write!(out, "<h2 id=\"dismissed\">Dismissed</h2>\n{}", table(&["Finding", "Reason", "By", "Until"], &[], rows));
    }
    if report.has(Part::Method) {
        method(&mut out, report);
    }
    let _ = write!(out, "<p class=\"quiet\">Medusa Advisor {}</p>\n</main>\n</body>\n</html>\n", escape(&report.tool_version));
    out
}

fn head(out: &mut String, report: &Report) {
    let about: Vec<String> =
        [&report.date_time, &report.store.environment, &report.store.scale].iter().filter(|s| !s.is_empty()).map(|s| escape(s)).collect();
    let _ = write!(out, "<h1>{}</h1>\n<p class=\"quiet\">{}</p>\n<div class=\"scores\">\n", escape(&report.title), about.join(" · "));
    for l in &report.layers {
        let id = l.layer.id();
        let (figure, bar) = match l.score {
            Some(s) => (format!("<b>{s}</b> <span class=\"quiet\">{}</span>", l.words), bar(f64::from(s) / 100.0, id, None)),
            None => (format!("<span class=\"quiet\">{}</span>", l.words), "<div class=\"bar none\"></div>".to_owned()),
        };
        let _ = writeln!(out, "<div>{}<br>{figure}{bar}</div>", layer(l.layer));
    }
    for b in &report.cover {
        let _ = writeln!(out, "<div><strong>{}</strong> {}<br><span class=\"quiet\">{}</span></div>", escape(&b.figure), b.label, escape(&b.context));
    }
    out.push_str("</div>\n<nav aria-label=\"Sections\">");
    let sections = [
        ("summary", "Summary", report.has(Part::Summary)),
        ("plan", "Ranked plan", report.has(Part::Plan)),
        ("findings", "Findings", !report.in_full().is_empty()),
        ("charts", "Charts", report.has(Part::Charts) && !report.charts.is_empty()),
        ("passed", "Passed", report.has(Part::Passed) && !report.passed.is_empty()),
        ("not-checked", "Not checked", true),
        ("method", "Method and limits", report.has(Part::Method)),
    ];
    for (id, name, _) in sections.iter().filter(|s| s.2) {
        let _ = write!(out, "<a href=\"#{id}\">{name}</a>");
    }
    out.push_str("</nav>\n");
}

fn summary(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"summary\">Summary</h2>\n<p class=\"lead\">");
    for s in &report.summary {
        let strong = if s.strong.is_empty() { String::new() } else { format!("<strong>{}</strong>", escape(&s.strong)) };
        let _ = write!(out, "{}{strong}{} ", escape(&s.before), escape(&s.after));
    }
    out.push_str("</p>\n<h3>Targets</h3>\n");
    let rows = report.targets.iter().map(|t| {
        let (bar, verdict) = match (t.at, t.is_met) {
            (Some(at), Some(true)) => (bar(at, "good", Some(t.target_at)), " met"),
            (Some(at), _) => (bar(at, "high", Some(t.target_at)), " missed"),
            (None, _) => ("<div class=\"bar none\"></div>".to_owned(), ""),
        };
        let name = format!("{}<br><span class=\"quiet\">{}</span>", escape(&t.name), escape(&t.source));
        vec![name, bar, format!("<strong>{}</strong>{verdict}", escape(&t.shown)), escape(&t.target)]
    });
    out.push_str(&table(&["Measure", "", "Measured", "Target"], &[2, 3], rows));
    out.push_str("<h3>Where 100 cacheable requests are answered</h3>\n<div class=\"path\">");
    for s in &report.path.segments {
        let width = s.of_100.unwrap_or(33.0).max(9.0);
        let block = match s.of_100 {
            Some(_) => format!("<span style=\"background:var(--{})\">{}</span>", s.layer.id(), escape(&s.shown)),
            None => format!("<span class=\"none\">{}</span>", escape(&s.shown)),
        };
        let _ = write!(out, "<div style=\"flex:{width:.1}\">{block}<strong>{}</strong><small>{}</small></div>", escape(&s.name), escape(&s.context));
    }
    let _ = write!(out, "</div>\n<p>{}</p>\n", escape(&report.path.sentence));
    if !report.steps.is_empty() {
        let _ = write!(out, "<h3>Do these first</h3>\n{}", steps(report, STEPS_FIRST));
    }
    if let Some(line) = &report.not_checked_line {
        let _ = write!(out, "<p class=\"note\"><strong>Not checked:</strong> {} <a href=\"#not-checked\">Reasons and grants</a></p>\n", escape(line));
    }
}

fn bar(at: f64, color: &str, target: Option<f64>) -> String {
    let tick = target.map_or_else(String::new, |t| format!("<u style=\"left:{:.1}%\"></u>", t * 100.0));
    format!("<div class=\"bar\"><i style=\"width:{:.1}%;background:var(--{color})\"></i>{tick}</div>", at.clamp(0.0, 1.0) * 100.0)
}

fn steps(report: &Report, most: usize) -> String {
    let shown: Vec<&str> = report.in_full().iter().map(|e| e.key.as_str()).collect();
    let row = |s: &Step| {
        let title = match shown.iter().position(|key| *key == s.key) {
            Some(i) => format!("<a href=\"#finding-{}\">{}</a>", i + 1, escape(&s.step)),
            None => escape(&s.step),
        };
        let step = format!("<strong>{title}</strong><br><span class=\"quiet\">{}</span>", escape(&s.observed));
        let gain = format!("{}<br><span class=\"quiet\">{}</span>", escape(&s.gain), escape(&s.basis));
        vec![s.rank.to_string(), severity(s.severity), step, layer(s.layer), gain, escape(&s.effort)]
    };
    table(&["Rank", "Severity", "Step", "Layer", "Gain", "Effort"], &[4, 5], report.steps.iter().take(most).map(row))
}

fn findings(out: &mut String, report: &Report) {
    let entries = report.in_full();
    if !entries.is_empty() {
        out.push_str("<h2 id=\"findings\">Findings</h2>\n");
    }
    for (i, entry) in entries.into_iter().enumerate() {
        finding(out, entry, i + 1);
    }
    for (check, n) in report.cut_findings() {
        let _ = writeln!(out, "<p>And {} more of {}: all are in the JSON report.</p>", text::count(n as u64), code(&check));
    }
}

fn finding(out: &mut String, entry: &Entry, n: usize) {
    let f = &entry.finding;
    let _ = write!(
        out,
        "<article id=\"finding-{n}\">\n<p class=\"quiet\">{} {}</p>\n<h3>{}</h3>\n<p>{}</p>\n<p class=\"lead\">{}</p>\n",
        entry.rank,
        code(&entry.check),
        escape(&entry.title),
        code(&f.subject.name),
        escape(&f.observed)
    );
    let gain = match (&f.gain, &f.averts) {
        (Some(g), _) => format!("{} <span class=\"quiet\">{}</span>", escape(&g.words), g.basis.name()),
        (None, Some(a)) => format!("no {} <span class=\"quiet\">risk</span>", escape(a)),
        (None, None) => "–".into(),
    };
    let confidence = format!("{} <span class=\"quiet\">{}</span>", f.confidence.id(), escape(&f.confidence_because));
    let facts = [
        ("Severity", severity(f.severity)),
        ("Layer", layer(entry.layer)),
        ("Gain", gain),
        ("Confidence", confidence),
        ("Effort", f.effort.id().into()),
    ];
    out.push_str("<dl class=\"facts\">");
    for (label, value) in facts {
        let _ = write!(out, "<div><dt>{label}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n");
    if !entry.why.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", escape(&entry.why));
    }
    if !entry.why_here.is_empty() {
        let _ = writeln!(out, "<p><strong>Why here.</strong> {}</p>", escape(&entry.why_here));
    }
    if !f.evidence.is_empty() {
        out.push_str("<h4>Evidence</h4>\n");
        evidence(out, &f.evidence);
    }
    if !f.remedies.is_empty() {
        out.push_str("<h4>Fix</h4>\n");
        f.remedies.iter().for_each(|r| remedy(out, r));
    }
    closing(out, entry);
    out.push_str("</article>\n");
}

fn closing(out: &mut String, entry: &Entry) {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if !entry.finding.verify.is_empty() {
        rows.push(("Verify", escape(&entry.finding.verify)));
    }
    if !entry.along.is_empty() {
        rows.push(("Same path", entry.along.iter().map(|a| escape(a)).collect::<Vec<_>>().join("<br>")));
    }
    if !entry.references.is_empty() {
        let links: Vec<String> = entry.references.iter().map(|r| format!("<a href=\"{0}\">{0}</a>", escape(r))).collect();
        rows.push(("Read", links.join("<br>")));
    }
    definitions(out, rows);
}

fn definitions(out: &mut String, rows: Vec<(&str, String)>) {
    if rows.is_empty() {
        return;
    }
    out.push_str("<dl>");
    for (label, value) in rows {
        let _ = write!(out, "<dt>{}</dt><dd>{value}</dd>", escape(label));
    }
    out.push_str("</dl>\n");
}

fn evidence(out: &mut String, pieces: &[Evidence]) {
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut rest = String::new();
    for piece in pieces {
        match piece {
            Evidence::Figure { label, shown, .. } => facts.push((label, escape(shown))),
            Evidence::Text { label, text } => facts.push((label, escape(text))),
            Evidence::Code { label, text, .. } => {
                let _ =
                    write!(rest, "<p class=\"quiet\">{}</p>\n<pre><code>{}</code></pre>\n", escape(label), pre(&text::cut(text, super::CODE_MAX)));
            }
            Evidence::Table { label, columns, rows } => rows_block(&mut rest, label, columns, rows),
            Evidence::BeforeAfter { label, unit, before, after, basis } => {
                let name = format!("{label}: {} now, {} {unit} with the fix, {}", text::number(*before), text::number(*after), basis.name());
                let drawing = svg::before_after(*before, *after, *basis != Basis::Measured, basis.name(), Palette::Css, &name);
                let _ = write!(
                    rest,
                    "<figure class=\"pair\"><figcaption>{} <span class=\"quiet\">{}</span></figcaption>{drawing}</figure>\n",
                    escape(label),
                    escape(unit)
                );
            }
        }
    }
    definitions(out, facts);
    out.push_str(&rest);
}

fn rows_block(out: &mut String, label: &str, columns: &[String], rows: &[Vec<Cell>]) {
    let heads: Vec<&str> = columns.iter().map(String::as_str).collect();
    let right: Vec<usize> = (0..columns.len()).filter(|i| rows.first().is_some_and(|r| matches!(r.get(*i), Some(Cell::Number { .. })))).collect();
    let cells = |row: &Vec<Cell>| row.iter().map(|c| escape(c.shown())).collect::<Vec<_>>();
    let _ = write!(out, "<p class=\"quiet\">{}</p>\n{}", escape(label), table(&heads, &right, rows.iter().take(ROWS_MAX).map(cells)));
    if rows.len() > ROWS_MAX {
        let more = table(&heads, &right, rows.iter().skip(ROWS_MAX).map(cells));
        let _ = write!(out, "<details><summary>and {} more</summary>\n{more}</details>\n", rows.len() - ROWS_MAX);
    }
}

fn remedy(out: &mut String, r: &Remedy) {
    let _ = write!(out, "<p>{} <span class=\"quiet\">{}</span></p>\n<pre><code>{}</code></pre>\n", escape(&r.label), r.kind.name(), pre(&r.text));
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(lock) = r.lock.as_deref().filter(|l| !l.is_empty()) {
        rows.push(("Lock", escape(lock)));
    }
    if !r.risk.is_empty() {
        rows.push(("Risk", escape(&r.risk)));
    }
    if let Some(undo) = &r.undo {
        rows.push(("Undo", if is_prose(undo) { escape(undo) } else { format!("<code>{}</code>", pre(undo).replace('\n', "<br>")) }));
    }
    definitions(out, rows);
}

fn charts(out: &mut String, report: &Report) {
    if report.charts.is_empty() {
        return;
    }
    out.push_str("<h2 id=\"charts\">Charts</h2>\n");
    for chart in &report.charts {
        let _ = write!(
            out,
            "<figure><figcaption><strong>{}</strong> <span class=\"quiet\">{}</span></figcaption>{}</figure>\n",
            escape(&chart.title),
            escape(&chart.caption),
            svg::chart(chart, Palette::Css)
        );
    }
}

fn not_checked(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"not-checked\">Not checked</h2>\n");
    out.push_str(if report.not_checked.is_empty() {
        "<p>Every check had the evidence it needs.</p>\n"
    } else {
        "<p>These are open questions, not passes.</p>\n"
    });
    for group in &report.not_checked {
        let _ = write!(out, "<article>\n<h3>{}</h3>\n<p>{}</p>\n", escape(&group.what), escape(&group.detail));
        if let Some(remedy) = &group.remedy {
            let _ = write!(out, "<p class=\"quiet\">What would allow it</p>\n<pre><code>{}</code></pre>\n", pre(remedy));
        }
        let waits: Vec<String> = group.checks.iter().map(|(id, _)| code(id)).collect();
        let _ = write!(out, "<p class=\"quiet\">Waiting: {}</p>\n</article>\n", waits.join(", "));
    }
}

fn method(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"method\">Method and limits</h2>\n");
    let mut rows: Vec<(&str, String)> = report.method.iter().map(|f| (f.label.as_str(), escape(&f.text))).collect();
    if report.is_masked {
        rows.push(("Host names", "Masked in every text of this report.".into()));
    }
    definitions(out, rows);
    if !report.costs.is_empty() {
        let rows = report.costs.iter().map(|c| vec![layer(c.layer), escape(&c.calls), escape(&c.busy), escape(&c.wall), escape(&c.bytes)]);
        let heads = ["Layer", "Sent", "Inside the service", "Outside the window", "Read"];
        let _ = write!(out, "<h3>What the audit cost the store</h3>\n{}", table(&heads, &[1, 2, 3, 4], rows));
    }
}

fn severity(severity: Severity) -> String {
    format!("<span class=\"nowrap\">{} {}</span>", icon(severity.id()), severity.name())
}

fn layer(layer: Layer) -> String {
    format!("<span class=\"nowrap\">{} {}</span>", icon(layer.id()), layer.name())
}

/// An inline icon that says nothing more than the word beside it.
fn icon(id: &str) -> String {
    let svg = match id {
        "critical" => include_str!("../../assets/report/icons/critical.svg"),
        "high" => include_str!("../../assets/report/icons/high.svg"),
        "medium" => include_str!("../../assets/report/icons/medium.svg"),
        "low" => include_str!("../../assets/report/icons/low.svg"),
        "cdn" => include_str!("../../assets/report/icons/cdn.svg"),
        "redis" => include_str!("../../assets/report/icons/redis.svg"),
        "postgres" => include_str!("../../assets/report/icons/postgres.svg"),
        "app" => include_str!("../../assets/report/icons/app.svg"),
        _ => include_str!("../../assets/report/icons/info.svg"),
    };
    format!("<span class=\"icon {id}\" aria-hidden=\"true\">{}</span>", svg.trim_end().replace("#fff", "var(--bg-card)"))
}

/// Cells are markup already; `right` are the columns of numbers.
fn table(heads: &[&str], right: &[usize], rows: impl Iterator<Item = Vec<String>>) -> String {
    let class = |i: usize| if right.contains(&i) { " class=\"num\"" } else { "" };
    let mut out = String::from("<div class=\"scroll\"><table><thead><tr>");
    for (i, head) in heads.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(i), escape(head));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{cell}</td>", class(i));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// Escaped with its line breaks kept.
fn pre(text: &str) -> String {
    text.trim_end().split('\n').map(escape).collect::<Vec<_>>().join("\n")
}
