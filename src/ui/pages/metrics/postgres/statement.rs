//! One statement in full: its text, what it cost, its plan, and the findings that speak of it.

use eframe::egui::{ScrollArea, Ui, vec2};

use crate::app::{Action, Audit};
use crate::charts::postgres::{BLOCK_BYTES, Base};
use crate::evidence::Gap;
use crate::evidence::postgres::{Proof, Statement, StatementCounters, StatementPlan};
use crate::plan::Ranked;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::look;
use crate::ui::pages::metrics::{GAP, chart_height};
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Language, Width, code_box, columns, copy_button, hint, icon_button, small_link, sql_lines, titled_card};

/// Findings of one statement that are linked; the rest are in the list of findings.
const LINKS_MAX: usize = 3;

/// Draws both cards in the place of the page's charts.
pub fn show(ui: &mut Ui, audit: &Audit, statement: &Statement, base: Base, actions: &mut Vec<Action>) {
    let height = chart_height(ui);
    columns(ui, &[Width::Share(1.0), Width::Share(1.0)], height, GAP, |ui, index| match index {
        0 => text_card(ui, audit, statement, base, height, actions),
        _ => plan_card(ui, audit, statement, height),
    });
    ui.add_space(GAP);
}

fn text_card(ui: &mut Ui, audit: &Audit, statement: &Statement, base: Base, height: f32, actions: &mut Vec<Action>) {
    let touches = format!("statement:{}", statement.id);
    let mut found: Vec<&Ranked> = audit.plan.findings.iter().filter(|r| r.finding.touches.contains(&touches)).collect();
    // A symptom carries the rank of its cause, which stands before it.
    found.dedup_by_key(|r| r.rank);
    let links = |ui: &mut Ui| {
        if icon_button(ui, icons::X, 24.0, "Close the statement").clicked() {
            actions.push(Action::SelectStatement(None));
        }
        copy_button(ui, "Copy statement", || statement.text.clone());
        for ranked in found.iter().take(LINKS_MAX).rev() {
            let level = look::level(ranked.finding.severity);
            let link = small_link(ui, &format!("Finding {}", ranked.rank));
            let (icon, face) = level.icon();
            ui.label(icon.face(face, 14.0, level.colors(Theme::get(ui)).fg));
            if hint(link, &format!("{}: {}", level.word(), ranked.check.title)).clicked() {
                actions.push(Action::OpenFinding(ranked.key.clone()));
            }
        }
    };
    titled_card(ui, "Statement", "", Some(height), links, |ui| {
        ui.label(Type::LABEL.text(facts(statement, base)).color(Theme::get(ui).text_weak));
        ui.add_space(6.0);
        scrolled(ui, ("statement", &statement.id), |ui| {
            code_box(ui, &sql_lines(&statement.text), Language::Sql);
            let kept = statement.text.chars().count() as u64;
            if statement.text_chars > kept {
                ui.add_space(space::XS);
                let words = format!("The longest text has {} characters; {} are kept.", text::count(statement.text_chars), text::count(kept));
                ui.label(Type::LABEL.text(words).color(Theme::get(ui).text_weak));
            }
        });
    });
}

/// What is left of the card, scrolling down.
fn scrolled(ui: &mut Ui, salt: impl std::hash::Hash + std::fmt::Debug, content: impl FnOnce(&mut Ui)) {
    ScrollArea::vertical().id_salt(salt).auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(space::S, 0.0);
        content(ui);
    });
}

/// "241 calls of 86.1 ms, longest 241 ms, rows a call 1, blocks 1,204, 99 % from memory".
fn facts(statement: &Statement, base: Base) -> String {
    let counters = match base {
        Base::Window => statement.counters.window,
        Base::SinceReset => Some(statement.counters.total),
    };
    let mut parts = match counters.filter(|c| c.calls > 0) {
        Some(c) => costs(&c),
        None => vec!["not called in the window".to_owned()],
    };
    if statement.folded > 1 {
        parts.push(format!("{} folded", text::plural(u64::from(statement.folded), "entry", "entries")));
    }
    parts.extend(statement.role.as_ref().map(|role| format!("by {role}")));
    parts.join(", ")
}

fn costs(c: &StatementCounters) -> Vec<String> {
    let blocks = c.blocks_hit + c.blocks_read;
    let mut parts = vec![
        format!("{} of {}", text::plural(c.calls, "call", "calls"), text::millis(c.mean_ms())),
        format!("longest {}", text::millis(c.max_ms)),
        format!("rows a call {}, blocks {}", text::number(c.rows_a_call()), text::number(blocks as f64 / c.calls as f64)),
    ];
    if blocks > 0 {
        parts.push(format!("{} from memory", text::percent(c.blocks_hit as f64 / blocks as f64)));
    }
    if c.temp_blocks_written > 0 {
        parts.push(format!("{} to temporary files", text::bytes_disk(c.temp_blocks_written * BLOCK_BYTES)));
    }
    if c.jit_ms > 0.0 {
        parts.push(format!("{} compiling", text::millis(c.jit_ms)));
    }
    parts
}

/// The plan as it is now, or why there is none.
fn plan_card(ui: &mut Ui, audit: &Audit, statement: &Statement, height: f32) {
    let plans = audit.snapshot.pg().and_then(|pg| pg.plans());
    let plan = plans.as_ref().ok().and_then(|plans| plans.iter().find(|p| p.statement_id == statement.id));
    let proof = audit.snapshot.pg().and_then(|pg| pg.proofs()).ok().and_then(|p| p.iter().find(|p| p.statement_id == statement.id));
    let caption = plan.map_or_else(String::new, |p| format!("for any parameters, cost {}", text::number(p.cost)));
    let lines = plan.map(|p| p.lines.join("\n"));
    let copy = |ui: &mut Ui| {
        if let Some(lines) = &lines {
            copy_button(ui, "Copy plan", || lines.clone());
        }
    };
    titled_card(ui, "Plan", &caption, Some(height), copy, |ui| {
        scrolled(ui, ("plan", &statement.id), |ui| {
            match (&lines, &plans) {
                (Some(lines), _) => code_box(ui, lines, Language::Plain),
                (None, Ok(plans)) => not_checked(ui, &not_asked(plans), None),
                (None, Err(gap)) => not_checked(ui, &gap.detail, Some(gap)),
            }
            if let Some(proof) = proof {
                ui.add_space(space::S);
                ui.label(Type::LABEL.text(proved(proof)).color(Theme::get(ui).text_muted));
            }
        });
    });
}

fn not_asked(plans: &[StatementPlan]) -> String {
    match plans.len() {
        0 => "the planner was asked for no statement in this audit.".to_owned(),
        n => format!(
            "the planner was asked for the {}, and this is none of them.",
            text::plural(n as u64, "costliest statement", "costliest statements")
        ),
    }
}

fn not_checked(ui: &mut Ui, why: &str, gap: Option<&Gap>) {
    let theme = Theme::get(ui);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        ui.label(icons::CIRCLE_DASHED.text(14.0, theme.text_weak));
        // In a column of its own the sentence wraps.
        ui.vertical(|ui| ui.label(Type::LABEL.text(format!("Not checked: {why}")).color(theme.text_muted)));
    });
    if let Some(remedy) = gap.and_then(|g| g.cause.remedy()) {
        ui.add_space(space::S);
        code_box(ui, remedy, Language::Sql);
        ui.add_space(space::S);
        copy_button(ui, "Copy grant", || remedy.to_owned());
    }
}

/// What the planner said of a hypothetical index.
fn proved(proof: &Proof) -> String {
    let now = format!("{} at cost {} now", proof.node_before, text::number(proof.cost_before));
    match (&proof.node_after, proof.cost_after) {
        (Some(node), Some(cost)) => {
            // The name that the extension gives a hypothetical index is nobody's.
            let node = node.split(" using <").next().unwrap_or(node);
            format!("{now}; {node} at cost {} with an index on {} ({}).", text::number(cost), proof.columns.join(", "), proof.method)
        }
        _ => format!("{now} ({}).", proof.method),
    }
}
