//! Parts that several forms share: the heading, where secrets are kept, the card with the grants.

use eframe::egui::{Margin, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::Form;
use super::draft::Input;
use crate::app::message::WizardAction;
use crate::app::wizard::Field;
use crate::connect::profile::KeepSecrets;
use crate::secret::Secret;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, radius, space};
use crate::ui::widgets::{Kind, SegmentSize, copy_button, field_label, paint, segments, segments_blocked, small_button, title_row};

/// How the form is filled; what egui remembers of it is all that is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Url,
    Fields,
    EnvFile,
}

/// The step's heading with its ways to fill it; gives the chosen one.
pub fn heading(ui: &mut Ui, title: &str, ways: &[Way]) -> Way {
    let key = ui.make_persistent_id("way");
    let mut chosen = ui.data(|d| d.get_temp::<usize>(key)).unwrap_or(0).min(ways.len().saturating_sub(1));
    let words: Vec<&str> = ways.iter().map(|way| way.word()).collect();
    // The segments are taller than the title's row.
    ui.add_space(5.0);
    title_row(ui, title, "", |ui| {
        if ways.len() > 1 && segments(ui, "Fill in by", &words, &mut chosen, SegmentSize::Normal) {
            ui.data_mut(|d| d.insert_temp(key, chosen));
        }
    });
    ui.add_space(space::L + space::XS);
    ways.get(chosen).copied().unwrap_or(Way::Url)
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::Url => "URL",
            Way::Fields => "Fields",
            Way::EnvFile => ".env file",
        }
    }
}

/// A field that sets one value of the wizard.
pub fn set(ui: &mut Ui, form: &mut Form<'_>, field: Field, input: Input<'_>) {
    if let Some(text) = input.show(ui).text {
        form.push(WizardAction::Set(field, text));
    }
}

/// A masked field with an eye. A saved secret is not fetched to be shown.
pub fn secret(ui: &mut Ui, form: &mut Form<'_>, field: Field, label: &str, value: &Secret<String>) {
    let is_kept = form.wizard.editing.is_some() && form.wizard.keep != KeepSecrets::AskEachTime;
    let hint = if is_kept { "unchanged" } else { "" };
    set(ui, form, field, Input { label, hint, shown: value.expose(), is_secret: true, ..Input::default() });
}

/// Where secrets are kept; one choice for the whole store.
pub fn keep_secrets(ui: &mut Ui, form: &mut Form<'_>, label: &str) {
    const CHOICES: [KeepSecrets; 3] = [KeepSecrets::Keychain, KeepSecrets::AskEachTime, KeepSecrets::Environment];
    field_label(ui, label);
    let mut chosen = CHOICES.iter().position(|k| *k == form.wizard.keep).unwrap_or(1);
    let reason = "This system offers no keychain: no Secret Service is running.";
    let blocked = [(!form.model.has_keychain).then_some(reason), None, None];
    let width = SegmentSize::Width(ui.available_width());
    if segments_blocked(ui, label, &["Keychain", "Ask each time", "Environment"], &blocked, &mut chosen, width) {
        form.push(WizardAction::KeepSecrets(CHOICES[chosen]));
    }
    let words = match (form.wizard.keep, form.model.has_keychain) {
        (KeepSecrets::Environment, _) => {
            "Read from PGPASSWORD, MEDUSA_ADVISOR_REDIS_PASSWORD, MEDUSA_ADVISOR_SENTINEL_PASSWORD and CLOUDFLARE_API_TOKEN."
        }
        (KeepSecrets::AskEachTime, true) => "Asked for when an audit starts, kept in memory until it ends.",
        (KeepSecrets::AskEachTime, false) => "No keychain on this system. Asked for when an audit starts, kept in memory until it ends.",
        (KeepSecrets::Keychain, true) => return,
        (KeepSecrets::Keychain, false) => "No keychain on this system: choose another.",
    };
    ui.add_space(6.0);
    note(ui, words);
}

/// Small words under a control.
pub fn note(ui: &mut Ui, words: &str) {
    ui.label(Type::LABEL.text(words).color(Theme::get(ui).text_weak));
}

/// A rule between parts of a form.
pub fn rule(ui: &mut Ui) {
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 33.0));
    paint::rule(ui.painter(), rect.x_range(), rect.center().y, Theme::get(ui).line_subtle);
}

/// "No read-only role yet?" with the text that makes one.
pub fn grant_card(ui: &mut Ui, title: &str, words: &str, text: &'static str) {
    let theme = Theme::get(ui);
    let frame = eframe::egui::Frame::NONE
        .fill(theme.bg_card)
        .stroke((1.0, theme.line_subtle))
        .corner_radius(radius::CARD)
        .inner_margin(Margin::symmetric(13, 12));
    frame.show(ui, |ui| {
        let width = ui.available_width();
        let room = width - 32.0 - 84.0;
        let galley = paint::wrapped(ui.painter(), words, Type::LABEL, theme.text_weak, room);
        let (rect, response) = ui.allocate_exact_size(vec2(width, 20.0 + galley.size().y), Sense::hover());
        let name = format!("{title} {words}");
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
        let y = rect.center().y;
        paint::icon(ui.painter(), pos2(rect.left() + 9.0, y), icons::SHIELD_CHECK, Face::Regular, 20.0, theme.text_muted);
        let x = rect.left() + 32.0;
        paint::text_left(ui.painter(), pos2(x, rect.top() + 9.0), title, Type::NAME, theme.text, room);
        ui.painter().galley(pos2(x, rect.top() + 19.0), galley, theme.text_weak);
        let layout = eframe::egui::Layout::right_to_left(eframe::egui::Align::Center);
        let builder = eframe::egui::UiBuilder::new().id_salt("grant").max_rect(rect).layout(layout);
        let mut child = ui.new_child(builder);
        copy_button(&mut child, "Copy", || text.to_owned());
    });
}

/// The `.env` way: choose a file or paste its lines; what was found in them.
pub fn env_file(ui: &mut Ui, form: &mut Form<'_>) {
    let theme = Theme::get(ui);
    ui.label(Type::BODY.text("Paste the lines of a .env file anywhere on this page, or choose the file.").color(theme.text_muted));
    ui.add_space(space::M);
    if small_button(ui, Kind::Secondary, icons::FOLDER_OPEN, "Choose .env file").clicked() {
        form.push(WizardAction::ChooseEnvFile);
    }
    ui.add_space(space::M);
    if form.wizard.found.is_empty() {
        note(
            ui,
            "DATABASE_URL, REDIS_URL, MEDUSA_BACKEND_URL, STOREFRONT_URL, the publishable key and CLOUDFLARE_API_TOKEN are looked for. Other lines are not kept.",
        );
        ui.add_space(space::L);
        return;
    }
    field_label(ui, "Found");
    for line in &form.wizard.found {
        found_line(ui, line);
    }
    ui.add_space(space::L);
}

fn found_line(ui: &mut Ui, line: &str) {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, line));
    let y = rect.center().y;
    paint::icon(ui.painter(), pos2(rect.left() + 7.0, y), icons::CHECK, Face::Regular, 14.0, theme.good.fg);
    paint::text_left(ui.painter(), pos2(rect.left() + 22.0, y), line, Type::Mono, theme.text, rect.width() - 22.0);
}

/// What a `.env` file filled in elsewhere is told where the fields are.
pub fn found_note(ui: &mut Ui, form: &Form<'_>) {
    if !form.wizard.found.is_empty() {
        note(ui, &format!("Filled from what was pasted: {}.", form.wizard.found.join(", ")));
        ui.add_space(space::M);
    }
}

/// A line that opens what is under it; `summary` stands at its right. True while open.
pub fn folded(ui: &mut Ui, title: &str, summary: &str) -> bool {
    let theme = Theme::get(ui);
    let key = ui.make_persistent_id(("folded", title));
    let mut is_open = ui.data(|d| d.get_temp::<bool>(key)).unwrap_or(false);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 32.0), Sense::click());
    if response.clicked() {
        is_open = !is_open;
        ui.data_mut(|d| d.insert_temp(key, is_open));
    }
    let name = format!("{title}, {summary}");
    response.widget_info(|| WidgetInfo::selected(Role::DisclosureTriangle, true, is_open, &name));
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    let y = rect.center().y;
    let icon = if is_open { icons::CARET_DOWN } else { icons::CARET_RIGHT };
    let color = if response.hovered() { theme.text } else { theme.text_muted };
    paint::icon(ui.painter(), pos2(rect.left() + 7.0, y), icon, Face::Regular, 14.0, color);
    let end = paint::text_right(ui.painter(), pos2(rect.right(), y), summary, Type::LABEL, theme.text_weak);
    let at = pos2(rect.left() + 22.0, y);
    paint::text_left(ui.painter(), at, title, Type::BODY, color, end - at.x - space::S);
    response.on_hover_cursor(eframe::egui::CursorIcon::PointingHand);
    is_open
}
