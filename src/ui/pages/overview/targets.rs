//! The targets as gauges, and where 100 cacheable requests are answered.

use eframe::egui::Ui;

use crate::app::Audit;
use crate::plan::targets as plan;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Gauge, LayerHue, PathRow, Verdict, gauge, paint, request_path, titled_card};

pub fn gauges(ui: &mut Ui, audit: &Audit, tall: f32) {
    let no_actions = |_: &mut Ui| {};
    titled_card(ui, "Targets", "", Some(tall), no_actions, |ui| {
        for (index, target) in audit.plan.gauges.iter().enumerate() {
            if index > 0 {
                ui.add_space(18.0);
            }
            gauge(ui, shown(target));
        }
    });
}

fn shown(target: &plan::Gauge) -> Gauge<'_> {
    let empty = Gauge {
        name: &target.name,
        value: "",
        base: "",
        verdict: Verdict::NotMeasured(""),
        share: 0.0,
        target: target.target_at as f32,
        source: "",
        target_text: &target.target_words,
    };
    match &target.measured {
        Ok(m) => Gauge {
            value: &m.shown,
            base: &m.base,
            verdict: if m.is_met { Verdict::Met } else { Verdict::Missed },
            share: m.at as f32,
            source: &m.source,
            ..empty
        },
        Err(gap) => Gauge { verdict: Verdict::NotMeasured(&gap.detail), ..empty },
    }
}

pub fn path(ui: &mut Ui, audit: &Audit, tall: f32) {
    let path = &audit.plan.request_path;
    let no_actions = |_: &mut Ui| {};
    titled_card(ui, "Where 100 cacheable requests are answered", "", Some(tall), no_actions, |ui| {
        let rows = Rows::of(path);
        request_path(ui, &rows.shown(path));
        ui.add_space(10.0);
        let theme = Theme::get(ui);
        let (_, line) = ui.allocate_space(eframe::egui::vec2(ui.available_width(), 1.0));
        paint::rule(ui.painter(), line.x_range(), line.top(), theme.line_subtle);
        ui.add_space(space::S);
        ui.label(Type::LABEL.text(&path.sentence).color(theme.text_muted));
    });
}

/// The words of the rows, made once.
struct Rows {
    figures: [String; 3],
    words: [String; 3],
    details: [String; 3],
}

const NOT_MEASURED: &str = "not measured";

impl Rows {
    fn of(path: &plan::RequestPath) -> Self {
        let figure = |share: Option<f64>| share.map_or_else(String::new, whole);
        let rest = path.cdn.map(|c| 100.0 - c);
        let word = |is_measured: bool, words: String| if is_measured { words } else { NOT_MEASURED.to_owned() };
        let redis_target = text::percent(path.redis_target);
        let redis =
            path.redis_rate.map_or_else(|| format!("target {redis_target}"), |rate| format!("{}, target {redis_target}", text::percent(rate)));
        Self {
            figures: [figure(path.cdn), figure(path.redis), figure(path.postgres)],
            words: [
                word(path.cdn.is_some(), "at the edge".to_owned()),
                word(path.redis.is_some(), rest.map_or_else(String::new, |r| format!("of the other {}", whole(r)))),
                word(path.postgres.is_some(), "reach Postgres".to_owned()),
            ],
            details: [format!("target {}", whole(path.cdn_target * 100.0)), redis, format!("{} at both targets", whole(path.postgres_at_targets))],
        }
    }

    fn shown(&self, path: &plan::RequestPath) -> [PathRow<'_>; 3] {
        let span = |from: Option<f64>, share: Option<f64>| from.zip(share).map(|(f, s)| (f as f32, s as f32));
        let spans = [span(Some(0.0), path.cdn), span(path.cdn, path.redis), span(path.cdn.zip(path.redis).map(|(c, r)| c + r), path.postgres)];
        let redis_target = path.cdn_target + (1.0 - path.cdn_target) * path.redis_target;
        let targets = [Some(path.cdn_target as f32 * 100.0), Some(redis_target as f32 * 100.0), None];
        [LayerHue::Cdn, LayerHue::Redis, LayerHue::Postgres].map(|layer| {
            let i = layer as usize;
            PathRow { layer, span: spans[i], target: targets[i], figure: &self.figures[i], words: &self.words[i], detail: &self.details[i] }
        })
    }
}

/// Of 100 requests, as a whole number.
fn whole(share: f64) -> String {
    text::number(share.round())
}
