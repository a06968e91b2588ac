//! "What does the zone do to this path, for a shopper with a cart?": the rules worked out for one request.

use eframe::egui::{ScrollArea, Ui};

use crate::app::{Action, Audit, Model};
use crate::checks::edge::{BrowserTtl, Decision, EdgeTtl, Request, decide};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::storefront::PathClass;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Field, SegmentSize, segments, titled_card};

const SHOPPERS: [&str; 4] = ["New visitor", "With a cart", "Signed in", "Next.js click"];

/// Draws the card: the request above, what becomes of it under it.
pub fn show(ui: &mut Ui, model: &Model, audit: &Audit, zone: &Cloudflare, height: f32, actions: &mut Vec<Action>) {
    let view = &model.metrics.zone;
    let known = known_path(audit);
    let path = if view.path.trim().is_empty() { known.as_str() } else { view.path.trim() };
    let request = request(audit, zone, path, view.shopper);
    let decision = decide(zone, &request);
    titled_card(
        ui,
        "What the zone does to a request",
        "worked out from its rules",
        Some(height),
        |_| {},
        |ui| {
            let mut typed = view.path.clone();
            let width = ui.available_width();
            let field = Field::new("Path", &mut typed).hide_label().hint(&known).small().width(width);
            if field.show(ui).response.changed() {
                actions.push(Action::ZonePath(typed));
            }
            ui.add_space(space::S);
            let mut shopper = view.shopper.min(SHOPPERS.len() - 1);
            ui.horizontal(|ui| {
                if segments(ui, "Shopper", &SHOPPERS, &mut shopper, SegmentSize::Normal) {
                    actions.push(Action::ZoneShopper(shopper));
                }
            });
            ui.add_space(space::S);
            ScrollArea::vertical().id_salt("decision").auto_shrink(false).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                ui.label(Type::STRONG.text(summary(&decision)).color(Theme::get(ui).text));
                for line in details(&decision) {
                    ui.label(Type::BODY.text(line).color(Theme::get(ui).text_muted));
                }
                for step in &decision.trace {
                    ui.label(Type::LABEL.text(format!("• {step}")).color(Theme::get(ui).text_weak));
                }
            });
        },
    );
}

/// A product page of the store where the probe saw one.
fn known_path(audit: &Audit) -> String {
    let pages = audit.snapshot.shop().ok().and_then(|s| s.pages().ok());
    let product = pages.into_iter().flatten().find(|t| t.class == PathClass::Product);
    product.map_or_else(|| "/us/products/shirt".to_owned(), |t| super::cdn_tables::path_of(&t.url).to_owned())
}

fn request(audit: &Audit, zone: &Cloudflare, path: &str, shopper: usize) -> Request {
    let shop = audit.snapshot.shop().ok().and_then(|s| s.storefront_url.as_deref()).and_then(|u| u.split_once("://")).map(|(_, h)| h);
    let host = shop.map(|h| h.split(['/', ':']).next().unwrap_or(h)).or_else(|| zone.zone().ok().map(|z| z.name.as_str())).unwrap_or("");
    let asked = Request::get(host, path).with_cookie("_medusa_cache_id", "1");
    match shopper {
        1 => asked.with_cookie("_medusa_cart_id", "1"),
        2 => asked.with_cookie("_medusa_jwt", "1").with_cookie("_medusa_cart_id", "1"),
        3 => asked.with_header("rsc", "1"),
        _ => Request::get(host, path),
    }
}

fn summary(decision: &Decision) -> String {
    let rule = decision.by().map_or_else(String::new, |r| format!(", by {}", r.name));
    let may_be = decision.may_be.iter().map(|f| f.name()).collect::<Vec<_>>().join(" or ");
    let either = if may_be.is_empty() { String::new() } else { format!(": {may_be}") };
    let words = format!("{}{either}{rule}.", decision.fate.name());
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn details(decision: &Decision) -> Vec<String> {
    if !decision.fate.is_eligible() {
        return Vec::new();
    }
    let edge = match decision.edge_ttl {
        Some(EdgeTtl::Override(s)) if s < 0 => "not kept".to_owned(),
        Some(EdgeTtl::Override(s)) => format!("{}, whatever the origin says", text::seconds(s as f64)),
        Some(EdgeTtl::RespectOrigin) => "as the origin says, else Cloudflare's default".to_owned(),
        Some(EdgeTtl::BypassByDefault) => "as the origin says, else not kept".to_owned(),
        None => "cannot be told".to_owned(),
    };
    let browser = match decision.browser_ttl {
        Some(BrowserTtl::Override(s)) => text::seconds(s as f64),
        Some(BrowserTtl::AtLeast(s)) => format!("at least {}", text::seconds(s as f64)),
        Some(BrowserTtl::RespectOrigin) => "as the origin says".to_owned(),
        Some(BrowserTtl::Bypass) => "not kept".to_owned(),
        None => "cannot be told".to_owned(),
    };
    let key = decision.key.as_ref().map_or_else(|| "cannot be told".to_owned(), |k| k.words());
    vec![format!("At the edge: {edge}."), format!("In the browser: {browser}."), format!("Cache key: {key}.")]
}
