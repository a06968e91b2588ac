//! Painting shared by the components: text on a centre line, rings, dashes.

use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{Align, Color32, CornerRadius, Galley, Painter, Pos2, Rect, Response, Shape, Stroke, StrokeKind, Ui, pos2};

use crate::ui::fonts::Type;
use crate::ui::icons::{Face, Icon};
use crate::ui::theme::Theme;

/// Dashes for targets and for what is modelled or absent: 4 on, 3 off.
pub const DASH: (f32, f32) = (4.0, 3.0);

/// One line of text, cut with … at `width` points.
pub fn line(painter: &Painter, text: &str, style: Type, color: Color32, width: f32) -> Arc<Galley> {
    let mut job = job(text, style, color);
    job.wrap = TextWrapping::truncate_at_width(width.max(1.0));
    painter.layout_job(job)
}

/// Text wrapped at `width` points.
pub fn wrapped(painter: &Painter, text: &str, style: Type, color: Color32, width: f32) -> Arc<Galley> {
    let mut job = job(text, style, color);
    job.wrap.max_width = width.max(1.0);
    painter.layout_job(job)
}

fn job(text: &str, style: Type, color: Color32) -> LayoutJob {
    LayoutJob::single_section(text.to_owned(), format(style, color))
}

/// The text format of `style` in `color`.
pub fn format(style: Type, color: Color32) -> TextFormat {
    TextFormat { font_id: style.font(), color, line_height: Some(style.line()), valign: Align::Center, ..TextFormat::default() }
}

/// A galley put down with its left edge at `x` and its middle at `y`; the x where it ends.
pub fn left(painter: &Painter, x: f32, y: f32, galley: Arc<Galley>) -> f32 {
    let size = galley.size();
    let at = snapped(painter, pos2(x, y - size.y / 2.0));
    painter.galley(at, galley, Color32::PLACEHOLDER);
    x + size.x
}

/// A galley put down with its right edge at `x` and its middle at `y`; the x where it begins.
pub fn right(painter: &Painter, x: f32, y: f32, galley: Arc<Galley>) -> f32 {
    let start = x - galley.size().x;
    left(painter, start, y, galley);
    start
}

/// Text at a left edge; the x where it ends.
pub fn text_left(painter: &Painter, at: Pos2, text: &str, style: Type, color: Color32, width: f32) -> f32 {
    left(painter, at.x, at.y, line(painter, text, style, color, width))
}

/// Text at a right edge; the x where it begins.
pub fn text_right(painter: &Painter, at: Pos2, text: &str, style: Type, color: Color32) -> f32 {
    right(painter, at.x, at.y, line(painter, text, style, color, f32::INFINITY))
}

/// An icon of `size` points whose middle is `center`.
pub fn icon(painter: &Painter, center: Pos2, icon: Icon, face: Face, size: f32, color: Color32) {
    let font = egui::FontId::new(size, face.family());
    let galley = painter.layout_no_wrap(icon.0.to_string(), font, color);
    let at = snapped(painter, center - galley.size() / 2.0);
    painter.galley(at, galley, color);
}

/// The middle of `rect` is the middle of `painter`'s pixels: text stays sharp.
fn snapped(painter: &Painter, at: Pos2) -> Pos2 {
    let scale = painter.pixels_per_point();
    pos2((at.x * scale).round() / scale, (at.y * scale).round() / scale)
}

/// A filled box with a stroke drawn inside it.
pub fn boxed(painter: &Painter, rect: Rect, radius: u8, fill: Color32, edge: Color32) {
    let stroke = Stroke::new(1.0, edge);
    painter.rect(rect, CornerRadius::same(radius), fill, stroke, StrokeKind::Inside);
}

/// The focus ring: 2 points of accent inside `rect`, while `response` has focus.
pub fn focus_ring(ui: &Ui, response: &Response, rect: Rect, radius: u8) {
    if response.has_focus() {
        ring(ui.painter(), rect, radius, Theme::get(ui).accent);
    }
}

/// Two points of `color` inside `rect`.
pub fn ring(painter: &Painter, rect: Rect, radius: u8, color: Color32) {
    let stroke = Stroke::new(2.0, color);
    painter.rect_stroke(rect, CornerRadius::same(radius), stroke, StrokeKind::Inside);
}

/// The dashed outline of a shape that is modelled or absent.
pub fn dashed_rect(painter: &Painter, rect: Rect, color: Color32) {
    let inside = rect.shrink(0.5);
    let path = [inside.left_top(), inside.right_top(), inside.right_bottom(), inside.left_bottom(), inside.left_top()];
    painter.extend(Shape::dashed_line(&path, Stroke::new(1.0, color), DASH.0, DASH.1));
}

/// A dashed straight line.
pub fn dashed_line(painter: &Painter, from: Pos2, to: Pos2, color: Color32) {
    painter.extend(Shape::dashed_line(&[from, to], Stroke::new(1.0, color), DASH.0, DASH.1));
}

/// A horizontal rule of one point whose top is `y`.
pub fn rule(painter: &Painter, x: impl Into<egui::Rangef>, y: f32, color: Color32) {
    let x = x.into();
    let rect = Rect::from_min_max(pos2(x.min, y), pos2(x.max, y + 1.0));
    painter.rect_filled(rect, CornerRadius::ZERO, color);
}

/// A bar of which `share` (0–1) is filled.
pub fn share_bar(painter: &Painter, rect: Rect, share: f32, fill: Color32, empty: Color32) {
    let corners = CornerRadius::same(super::super::theme::radius::BAR);
    painter.rect_filled(rect, corners, empty);
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    if share > 0.0 {
        let width = (rect.width() * share).max(1.0);
        let filled = Rect::from_min_size(rect.min, egui::vec2(width, rect.height()));
        painter.rect_filled(filled, corners, fill);
    }
}
