//! Ctrl K: pages, stores, findings and checks by name.

use eframe::egui::{self, CornerRadius, Frame, Id, Key, Margin, Modal, Modifiers, Role, Stroke, Ui, WidgetInfo, pos2};

use crate::app::{Action, Model, Page};
use crate::checks::registry;
use crate::evidence::Layer;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face, Icon};
use crate::ui::look;
use crate::ui::theme::{BACKDROP, Theme, height, radius, shadow, space};
use crate::ui::widgets::{Field, paint, row_list};

const WIDE: f32 = 520.0;
const SHOWN_MAX: usize = 40;

/// One place to go.
struct Place {
    icon: Icon,
    name: String,
    kind: &'static str,
    actions: Vec<Action>,
}

pub fn show(ui: &mut Ui, model: &Model, text: &str, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    let places = found(model, text);
    let at = Id::unique("place that is chosen");
    let mut chosen = ui.data(|data| data.get_temp::<usize>(at)).unwrap_or(0).min(places.len().saturating_sub(1));
    let frame = Frame::NONE
        .fill(theme.bg_card)
        .stroke(Stroke::new(1.0, theme.line))
        .shadow(shadow::DIALOG)
        .corner_radius(CornerRadius::same(radius::CARD))
        .inner_margin(Margin::same(12));
    let mut typed = text.to_owned();
    let mut opened = None;
    let modal = Modal::new(Id::unique("go to")).frame(frame).backdrop_color(BACKDROP).show(ui.ctx(), |ui| {
        ui.set_width(WIDE);
        ui.spacing_mut().item_spacing.y = 0.0;
        let (up, down) = ui.input_mut(|input| {
            let up = input.count_and_consume_key(Modifiers::NONE, Key::ArrowUp);
            (up, input.count_and_consume_key(Modifiers::NONE, Key::ArrowDown))
        });
        chosen = (chosen + down).saturating_sub(up).min(places.len().saturating_sub(1));
        let hint = "Page, store, finding or check";
        let field = Field::new("Go to", &mut typed).hide_label().hint(hint).leading(icons::MAGNIFYING_GLASS).show(ui);
        if !field.response.has_focus() && !field.response.lost_focus() {
            field.response.request_focus();
        }
        if ui.input(|input| input.key_pressed(Key::Enter)) {
            opened = Some(chosen);
        }
        ui.add_space(space::S);
        let mut selected = Some(chosen);
        ui.allocate_ui(egui::vec2(WIDE, 9.0 * height::TABLE_ROW), |ui| {
            row_list(ui, "places", places.len(), height::TABLE_ROW, &mut selected, |ui, index, response, is_selected| {
                row(ui, response, &places[index], is_selected);
                if response.clicked() {
                    opened = Some(index);
                }
            });
            if places.is_empty() {
                ui.label(Type::LABEL.text("Nothing is called so.").color(theme.text_weak));
            }
        });
    });
    if typed != text {
        chosen = 0;
        actions.push(Action::EditGoTo(typed));
    }
    ui.data_mut(|data| data.insert_temp(at, chosen));
    let goes = opened.and_then(|index| places.into_iter().nth(index));
    if goes.is_some() || modal.should_close() {
        ui.data_mut(|data| data.remove::<usize>(at));
        actions.push(Action::CloseDialog);
    }
    actions.extend(goes.map(|place| place.actions).unwrap_or_default());
}

fn row(ui: &Ui, response: &egui::Response, place: &Place, is_selected: bool) {
    let theme = Theme::get(ui);
    let name = format!("{}, {}", place.name, place.kind);
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, is_selected, &name));
    let rect = response.rect;
    let y = rect.center().y - 0.5;
    paint::icon(ui.painter(), pos2(rect.left() + 16.0, y), place.icon, Face::Regular, 14.0, theme.text_muted);
    let end = paint::text_right(ui.painter(), pos2(rect.right() - 10.0, y), place.kind, Type::LABEL, theme.text_weak);
    paint::text_left(ui.painter(), pos2(rect.left() + 32.0, y), &place.name, Type::BODY, theme.text, end - rect.left() - 44.0);
}

/// Every word that was typed is in the name, in any order.
fn found(model: &Model, text: &str) -> Vec<Place> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_meant = |place: &Place| {
        let name = format!("{} {}", place.name, place.kind).to_lowercase();
        words.iter().all(|word| name.contains(word))
    };
    let all = pages(model).into_iter().chain(stores(model)).chain(findings(model)).chain(checks());
    all.filter(is_meant).take(SHOWN_MAX).collect()
}

fn pages(model: &Model) -> Vec<Place> {
    let has_audit = model.current_audit().is_some();
    let page = |icon, name: &str, page| Place { icon, name: name.to_owned(), kind: "page", actions: vec![Action::Go(page)] };
    let mut places = vec![page(icons::STOREFRONT, "Stores", Page::Stores)];
    if has_audit {
        places.push(page(icons::GAUGE, "Overview", Page::Overview));
        places.push(page(icons::LIST_CHECKS, "Findings", Page::Findings));
        places.extend(Layer::ALL.map(|layer| page(look::hue(layer).icon(), &format!("Metrics of {}", layer.name()), Page::Metrics(layer))));
        places.push(page(icons::FILE_ARROW_DOWN, "Export", Page::Export));
    }
    if model.running.is_some() {
        places.push(page(icons::PULSE, "Audit in progress", Page::Audit));
    }
    places.push(page(icons::CLOCK_COUNTER_CLOCKWISE, "Audits", Page::Audits));
    places.push(page(icons::CLIPBOARD_TEXT, "Checks", Page::Checks));
    places.push(page(icons::GEAR_SIX, "Settings", Page::Settings));
    places
}

fn stores(model: &Model) -> Vec<Place> {
    let place = |store: &crate::app::StoreEntry| Place {
        icon: icons::STOREFRONT,
        name: format!("{}, {}", store.profile.name, store.profile.environment.id()),
        kind: "store",
        actions: vec![Action::OpenStore(store.profile.id.clone())],
    };
    model.store_list().iter().map(place).collect()
}

fn findings(model: &Model) -> Vec<Place> {
    let Some(audit) = model.current_audit() else { return Vec::new() };
    let place = |ranked: &crate::plan::Ranked| Place {
        icon: look::hue(ranked.check.layer).icon(),
        name: format!("{}, {}", ranked.check.title, ranked.finding.subject.name),
        kind: "finding",
        actions: vec![Action::OpenFinding(ranked.key.clone())],
    };
    audit.plan.findings.iter().map(place).collect()
}

fn checks() -> impl Iterator<Item = Place> {
    registry::ALL.iter().map(|check| Place {
        icon: icons::CLIPBOARD_TEXT,
        name: format!("{}, {}", check.title, check.id),
        kind: "check",
        actions: vec![Action::SelectCheck(Some(check.id.to_owned())), Action::Go(Page::Checks)],
    })
}
