//! What a role, user or token can see, and one card a missing grant.

use eframe::egui::{Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::parts::rule;
use crate::app::wizard::WizardStep;
use crate::connect::steps::{Capability, CapabilityState, TestReport};
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{GapCard, Language, gap_card, hint, paint};

const ROW: f32 = 26.0;

pub fn show(ui: &mut Ui, step: WizardStep, report: &TestReport) {
    rule(ui);
    title(ui, step, &report.capabilities);
    for capability in &report.capabilities {
        row(ui, capability);
    }
    for (index, (grant, names)) in missing(&report.capabilities).into_iter().enumerate() {
        ui.add_space(space::M);
        ui.push_id(("grant", index), |ui| card(ui, step, grant, &names));
    }
}

fn who(step: WizardStep) -> &'static str {
    match step {
        WizardStep::Redis => "user",
        WizardStep::Cdn => "token",
        WizardStep::Shop => "key",
        WizardStep::Store | WizardStep::Postgres => "role",
    }
}

fn title(ui: &mut Ui, step: WizardStep, capabilities: &[Capability]) {
    let theme = Theme::get(ui);
    let asked = capabilities.iter().filter(|c| c.state != CapabilityState::Never).count();
    let granted = capabilities.iter().filter(|c| c.state == CapabilityState::Granted).count();
    let words = format!("What this {} can see", who(step));
    let count = format!("{granted} of {asked}");
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    let name = format!("{words}, {count}");
    response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, &name));
    let y = rect.center().y;
    paint::text_left(ui.painter(), pos2(rect.left(), y), &words, Type::NAME, theme.text, rect.width() - 60.0);
    paint::text_right(ui.painter(), pos2(rect.right(), y), &count, Type::LABEL, theme.text_weak);
    ui.add_space(space::XS);
}

fn row(ui: &mut Ui, capability: &Capability) {
    let theme = Theme::get(ui);
    let (icon, face, color, word) = match capability.state {
        CapabilityState::Granted => (icons::CHECK, Face::Regular, theme.good.fg, "seen"),
        CapabilityState::Missing { .. } => (icons::WARNING_CIRCLE, Face::Fill, theme.medium.fg, "not seen"),
        CapabilityState::Never => (icons::LOCK_SIMPLE, Face::Regular, theme.text_weak, "never read"),
    };
    let detail = match (&capability.state, capability.detail.is_empty()) {
        (CapabilityState::Never, true) => "never read",
        (CapabilityState::Missing { .. }, true) => "not granted",
        _ => &capability.detail,
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let name = format!("{}, {word}, {detail}", capability.name);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    let y = rect.center().y;
    let painter = ui.painter();
    paint::icon(painter, pos2(rect.left() + 7.0, y), icon, face, 14.0, color);
    let middle = rect.left() + (rect.width() * 0.5).clamp(150.0, 206.0);
    let room = middle - rect.left() - 22.0 - space::S;
    paint::text_left(painter, pos2(rect.left() + 22.0, y), &capability.name, Type::BODY, theme.text, room);
    let color = if matches!(capability.state, CapabilityState::Missing { .. }) { theme.medium.fg } else { theme.text_weak };
    let galley = paint::line(painter, detail, Type::LABEL, color, rect.right() - middle);
    let is_cut = galley.elided;
    paint::left(painter, middle, y, galley);
    if is_cut {
        hint(response, detail);
    }
}

/// Each missing grant once, with everything that waits for it.
fn missing(capabilities: &[Capability]) -> Vec<(&str, Vec<&Capability>)> {
    let mut cards: Vec<(&str, Vec<&Capability>)> = Vec::new();
    for capability in capabilities {
        let CapabilityState::Missing { grant } = &capability.state else { continue };
        match cards.iter_mut().find(|(g, _)| *g == grant.as_str()) {
            Some((_, names)) => names.push(capability),
            None => cards.push((grant, vec![capability])),
        }
    }
    cards
}

fn card(ui: &mut Ui, step: WizardStep, grant: &str, waiting: &[&Capability]) {
    let names = waiting.iter().map(|c| c.name.to_lowercase()).collect::<Vec<_>>().join(", ");
    let consequence = format!("Without it not seen: {names}. Checks that need it are listed as not checked.");
    let (title, language, shows) = match step {
        WizardStep::Postgres => ("One grant is missing", Language::Sql, "Run it as the owner of the database. It shows no values of your rows."),
        WizardStep::Redis => ("A command is not allowed", Language::Shell, "Run it in redis-cli as an administrator. It reads no values."),
        WizardStep::Cdn => {
            ("A permission is missing", Language::Plain, "Add it to the token in the Cloudflare dashboard. The token's text stays the same.")
        }
        WizardStep::Store | WizardStep::Shop => ("The store API refuses", Language::Plain, "The key is public: every visitor's browser sends it."),
    };
    let card = GapCard { title, consequence: &consequence, remedy: grant, language, shows };
    gap_card(ui, card, |_| {});
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(name: &str, state: CapabilityState) -> Capability {
        Capability { name: name.into(), detail: String::new(), state }
    }

    #[test]
    fn one_card_a_grant_names_everything_that_waits_for_it() {
        let missing_one = |g: &str| CapabilityState::Missing { grant: g.into() };
        let all = [
            capability("A", CapabilityState::Granted),
            capability("B", missing_one("grant x")),
            capability("C", missing_one("grant y")),
            capability("D", missing_one("grant x")),
            capability("E", CapabilityState::Never),
        ];
        let cards = missing(&all);
        let names = |i: usize| cards[i].1.iter().map(|c| c.name.as_str()).collect::<Vec<_>>();
        assert_eq!(cards.len(), 2);
        assert_eq!((cards[0].0, names(0), names(1)), ("grant x", vec!["B", "D"], vec!["C"]));
    }
}
