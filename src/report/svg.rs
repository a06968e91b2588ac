//! Charts as vectors, labels as text: one drawing for the PDF and for HTML, which differ only in where colours come from.

use std::fmt::Write as _;

use time::OffsetDateTime;

use super::canvas::Canvas;
pub use super::canvas::Palette;
use crate::charts::{ChartKind, ChartSpec, Series, SeriesRole, Unit, XAxis};
use crate::text;

/// Points of the drawing; the page scales it.
const WIDTH: f64 = 470.0;
const TIME_HEIGHT: f64 = 132.0;
const ROW: f64 = 17.0;
const TREEMAP_HEIGHT: f64 = 150.0;
const LEGEND: f64 = 16.0;
/// Width of one character of the mono face at the size of the axes.
const MONO: f64 = 5.12;

/// The drawing of a chart without its title, as a complete `<svg>` element.
pub fn chart(spec: &ChartSpec, palette: Palette) -> String {
    let mut c = Canvas { out: String::new(), palette, height: 0.0 };
    let top = if spec.series.len() > 1 { LEGEND } else { 4.0 };
    match spec.kind {
        ChartKind::Line | ChartKind::Stacked => over_time(&mut c, spec, top),
        ChartKind::Bars | ChartKind::HorizontalBars => bars(&mut c, spec, top),
        ChartKind::Treemap => treemap(&mut c, spec, top),
    }
    if spec.series.len() > 1 {
        legend(&mut c, spec);
    }
    c.finish(WIDTH, &spec.conclusion)
}

/// Two bars, now and with the fix; the second dashed unless it was measured.
pub fn before_after(before: f64, after: f64, is_modelled: bool, word: &str, palette: Palette, label: &str) -> String {
    const W: f64 = 176.0;
    const H: f64 = 120.0;
    // Long numbers are wider than what stands beside the axis.
    let short = |v: f64| if v >= 10_000.0 { text::count_short(v.round() as u64) } else { text::number(v) };
    let mut c = Canvas { out: String::new(), palette, height: H };
    let ticks = ticks(before.max(after), 2);
    let top = ticks.last().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
    let (left, right, floor, ceiling) = (34.0, W, H - 26.0, 14.0);
    let y = |v: f64| floor - (v / top) * (floor - ceiling);
    for tick in &ticks {
        let color = if *tick == 0.0 { palette.zero() } else { palette.grid() };
        c.line(left, y(*tick), right, y(*tick), color, "");
        c.text(left - 5.0, y(*tick) + 3.0, &short(*tick), "end", palette.axis_text(), "");
    }
    let fill = palette.series(SeriesRole::Postgres);
    let bar = 44.0;
    let columns = [(before, "now", ""), (after, "with the fix", word)];
    for (i, (value, name, basis)) in columns.iter().enumerate() {
        let x = left + 14.0 + i as f64 * 72.0;
        let height = (floor - y(*value)).max(0.5);
        if i == 1 && is_modelled {
            let _ = write!(
                c.out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{bar}\" height=\"{height:.1}\" fill=\"none\" stroke=\"{fill}\" stroke-width=\"1\" stroke-dasharray=\"3 2\"/>",
                floor - height
            );
        } else {
            c.rect(x, floor - height, bar, height, fill, 1.0);
        }
        c.text(x + bar / 2.0, floor - height - 4.0, &short(*value), "middle", palette.text(), "");
        c.text(x + bar / 2.0, floor + 11.0, name, "middle", palette.axis_text(), "");
        c.text(x + bar / 2.0, floor + 21.0, basis, "middle", palette.axis_text(), "");
    }
    c.finish(W, label)
}

/// The plot of a chart over time.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    floor: f64,
    x_min: f64,
    x_max: f64,
    y_max: f64,
}

impl Frame {
    fn x(&self, x: f64) -> f64 {
        self.left + (x - self.x_min) / (self.x_max - self.x_min).max(f64::MIN_POSITIVE) * (self.right - self.left)
    }

    fn y(&self, y: f64) -> f64 {
        self.floor - (y / self.y_max).clamp(0.0, 1.0) * (self.floor - self.top)
    }
}

fn over_time(c: &mut Canvas, spec: &ChartSpec, top: f64) {
    c.height = top + TIME_HEIGHT;
    let stacks = stacked(&spec.series, spec.kind == ChartKind::Stacked);
    let xs = || spec.series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
    let (x_min, x_max) = xs().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
    let greatest = stacks.iter().flatten().filter_map(|p| p.2).fold(spec.target.unwrap_or(0.0), f64::max);
    let marks = if spec.unit == Unit::Ratio { vec![0.0, 0.5, 1.0] } else { ticks(greatest, 4) };
    let y_max = marks.last().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
    let is_bars = spec.kind == ChartKind::Stacked && spec.x_axis == XAxis::Hours;
    // Bars are as wide as an hour, so the last one needs its hour too.
    let x_max = if is_bars { x_max + 3_600.0 } else { x_max };
    let frame = Frame { left: 44.0, right: WIDTH - 12.0, top: top + 6.0, floor: c.height - 16.0, x_min, x_max, y_max };
    y_axis(c, spec, &frame, &marks);
    x_axis(c, spec, &frame);
    for (series, points) in spec.series.iter().zip(&stacks) {
        if is_bars {
            hour_bars(c, series, points, &frame);
        } else {
            area(c, series, points, &frame, spec.series.len() > 1);
        }
    }
    if let Some(target) = spec.target {
        let y = frame.y(target);
        let color = c.palette.target();
        c.line(frame.left, y, frame.right, y, color, " stroke-dasharray=\"4 3\"");
        c.text(frame.right, y - 3.0, &format!("target {}", spec.unit.format(target)), "end", color, "");
    }
}

/// Per series: x, lower edge, upper edge; `None` where any part is missing.
fn stacked(series: &[Series], is_stacked: bool) -> Vec<Vec<(f64, f64, Option<f64>)>> {
    let mut below: Vec<f64> = Vec::new();
    series
        .iter()
        .map(|s| {
            let edge = |(i, (x, v)): (usize, &(f64, Option<f64>))| {
                let base = below.get(i).copied().filter(|_| is_stacked).unwrap_or(0.0);
                (*x, base, v.map(|v| base + v))
            };
            let edges: Vec<_> = s.points.iter().enumerate().map(edge).collect();
            below = edges.iter().map(|(_, base, upper)| upper.unwrap_or(*base)).collect();
            edges
        })
        .collect()
}

fn y_axis(c: &mut Canvas, spec: &ChartSpec, frame: &Frame, marks: &[f64]) {
    for (i, mark) in marks.iter().enumerate() {
        let y = frame.y(*mark);
        let color = if i == 0 { c.palette.zero() } else { c.palette.grid() };
        c.line(frame.left, y, frame.right, y, color, "");
        let is_top = i + 1 == marks.len();
        let label = match spec.unit {
            Unit::Count => text::count_short(mark.max(0.0) as u64),
            Unit::PerSecond if !is_top => text::number(*mark),
            unit => unit.format(*mark),
        };
        let axis_text = c.palette.axis_text();
        c.text(frame.left - 6.0, y + 3.0, &label, "end", axis_text, "");
    }
}

fn x_axis(c: &mut Canvas, spec: &ChartSpec, frame: &Frame) {
    let (step, offset) = match spec.x_axis {
        XAxis::Hours => (21_600.0, 0.0),
        _ => (ticks(frame.x_max - frame.x_min, 6).get(1).copied().unwrap_or(1.0).max(1e-6), frame.x_min),
    };
    let mut at = if spec.x_axis == XAxis::Hours { (frame.x_min / step).ceil() * step } else { offset };
    let color = c.palette.axis_text();
    while at <= frame.x_max + step * 1e-6 {
        let is_end = at == offset || at + step > frame.x_max;
        let label = match spec.x_axis {
            XAxis::Hours => OffsetDateTime::from_unix_timestamp(at as i64).map_or_else(|_| String::new(), |t| format!("{:02}:00", t.hour())),
            _ if is_end => format!("{}\u{a0}s", text::number(at)),
            _ => text::number(at),
        };
        c.text(frame.x(at), frame.floor + 12.0, &label, "middle", color, "");
        at += step;
    }
}

fn hour_bars(c: &mut Canvas, series: &Series, points: &[(f64, f64, Option<f64>)], frame: &Frame) {
    let color = c.palette.series(series.role);
    for (x, base, upper) in points {
        let Some(upper) = upper else { continue };
        let (left, right) = (frame.x(*x), frame.x(x + 3_600.0));
        let gap = (right - left) * 0.18;
        c.rect(left + gap / 2.0, frame.y(*upper), right - left - gap, frame.y(*base) - frame.y(*upper), color, 1.0);
    }
}

/// Lines and filled areas; missing time breaks both.
fn area(c: &mut Canvas, series: &Series, points: &[(f64, f64, Option<f64>)], frame: &Frame, is_part: bool) {
    let color = c.palette.series(series.role);
    let dash = if series.is_modelled { " stroke-dasharray=\"4 3\"" } else { "" };
    for run in points.split(|p| p.2.is_none()).filter(|run| !run.is_empty()) {
        let upper: Vec<String> = run.iter().filter_map(|p| p.2.map(|y| format!("{:.1} {:.1}", frame.x(p.0), frame.y(y)))).collect();
        let lower: Vec<String> = run.iter().rev().map(|p| format!("{:.1} {:.1}", frame.x(p.0), frame.y(p.1))).collect();
        let opacity = if is_part { 0.22 } else { 0.14 };
        c.path(&format!("M{} L{} Z", upper.join(" L"), lower.join(" L")), &format!("fill=\"{color}\" fill-opacity=\"{opacity}\" stroke=\"none\""));
        c.path(&format!("M{}", upper.join(" L")), &format!("fill=\"none\" stroke=\"{color}\" stroke-width=\"1.2\"{dash}"));
    }
}

fn bars(c: &mut Canvas, spec: &ChartSpec, top: f64) {
    c.height = top + 8.0 + ROW * spec.categories.len() as f64 + if spec.target.is_some() { 8.0 } else { 0.0 };
    let value = |s: &Series, i: usize| s.points.get(i).and_then(|p| p.1).unwrap_or(0.0).max(0.0);
    let sum = |i: usize| spec.series.iter().map(|s| value(s, i)).sum::<f64>();
    let greatest = (0..spec.categories.len()).map(sum).fold(spec.target.unwrap_or(0.0), f64::max).max(f64::MIN_POSITIVE);
    let longest = spec.categories.iter().map(|n| n.chars().count()).max().unwrap_or(0) as f64;
    let left = (longest * MONO + 10.0).clamp(60.0, 214.0);
    let right = WIDTH - 70.0;
    let fits = ((left - 8.0) / MONO) as usize;
    let first = top + 4.0 + if spec.target.is_some() { 8.0 } else { 0.0 };
    for (i, name) in spec.categories.iter().enumerate() {
        let y = first + ROW * i as f64;
        let (text_color, axis_color) = (c.palette.text(), c.palette.axis_text());
        c.text(0.0, y + 11.0, &fit(name, fits), "start", text_color, " font-family=\"JetBrains Mono, monospace\"");
        let mut x = left;
        for series in &spec.series {
            let w = value(series, i) / greatest * (right - left);
            let color = c.palette.series(series.role);
            c.rect(x, y + 3.5, w, 9.0, color, 1.0);
            x += w;
        }
        c.text(WIDTH, y + 11.0, &spec.unit.format(sum(i)), "end", axis_color, "");
    }
    if let Some(target) = spec.target {
        let x = left + target / greatest * (right - left);
        let color = c.palette.target();
        c.line(x, first, x, first + ROW * spec.categories.len() as f64, color, " stroke-dasharray=\"4 3\"");
        c.text(x, first - 2.0, &format!("target {}", spec.unit.format(target)), "middle", color, "");
    }
}

fn treemap(c: &mut Canvas, spec: &ChartSpec, top: f64) {
    c.height = top + TREEMAP_HEIGHT;
    let tiles: Vec<(&String, f64, SeriesRole)> = spec
        .categories
        .iter()
        .enumerate()
        .filter_map(|(i, name)| {
            let (series, v) = spec.series.iter().find_map(|s| s.points.get(i).and_then(|p| p.1).map(|v| (s, v)))?;
            (v > 0.0).then_some((name, v, series.role))
        })
        .collect();
    let sizes: Vec<f64> = tiles.iter().map(|t| t.1).collect();
    let places = split(&sizes, [0.0, top + 2.0, WIDTH, TREEMAP_HEIGHT - 4.0]);
    for ((name, value, role), [x, y, w, h]) in tiles.into_iter().zip(places) {
        let (color, ground) = (c.palette.series(role), c.palette.ground());
        let _ = write!(
            c.out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{color}\" fill-opacity=\"0.18\" stroke=\"{ground}\" stroke-width=\"1.5\"/>"
        );
        let fits = ((w - 8.0) / MONO).max(0.0) as usize;
        let (text_color, axis_color) = (c.palette.text(), c.palette.axis_text());
        if (fits >= 8 || fits >= name.chars().count()) && h >= 13.0 {
            c.text(x + 5.0, y + 11.0, &fit(name, fits), "start", text_color, " font-family=\"JetBrains Mono, monospace\"");
        }
        if fits >= 9 && h >= 26.0 {
            c.text(x + 5.0, y + 22.0, &spec.unit.format(value), "start", axis_color, "");
        }
    }
}

/// A name in at most `chars` characters.
fn fit(name: &str, chars: usize) -> String {
    if name.chars().count() <= chars { name.to_owned() } else { text::cut(name, chars.saturating_sub(1)) }
}

/// Rectangles for sizes that fall: the longer side is cut where the halves are most even.
fn split(sizes: &[f64], [x, y, w, h]: [f64; 4]) -> Vec<[f64; 4]> {
    let total: f64 = sizes.iter().sum();
    if sizes.len() <= 1 || total <= 0.0 {
        return sizes.iter().map(|_| [x, y, w, h]).collect();
    }
    let (mut at, mut head) = (1, sizes[0]);
    while at + 1 < sizes.len() && (head + sizes[at] - total / 2.0).abs() < (head - total / 2.0).abs() {
        head += sizes[at];
        at += 1;
    }
    let share = head / total;
    let (first, second) = if w >= h {
        ([x, y, w * share, h], [x + w * share, y, w * (1.0 - share), h])
    } else {
        ([x, y, w, h * share], [x, y + h * share, w, h * (1.0 - share)])
    };
    let mut places = split(&sizes[..at], first);
    places.extend(split(&sizes[at..], second));
    places
}

fn legend(c: &mut Canvas, spec: &ChartSpec) {
    let mut x = 0.0;
    for series in &spec.series {
        let (fill, color) = (c.palette.series(series.role), c.palette.target());
        c.rect(x, 2.0, 7.0, 7.0, fill, 1.0);
        c.text(x + 11.0, 8.8, &series.name, "start", color, "");
        x += 11.0 + series.name.chars().count() as f64 * 4.7 + 16.0;
    }
}

/// Round marks from 0 past `max`: three to `most` + 1 of them.
fn ticks(max: f64, most: usize) -> Vec<f64> {
    if !(max.is_finite() && max > 0.0) {
        return vec![0.0, 1.0];
    }
    let rough = max / most as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|m| m * power).find(|s| *s >= rough * 0.999_999).unwrap_or(power * 10.0);
    let n = (max / step - 1e-9).ceil().max(1.0) as usize;
    (0..=n).map(|i| i as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_pass_the_maximum() {
        assert_eq!(ticks(0.92, 4), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(8.0, 4), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(0.0, 4), [0.0, 1.0]);
        assert_eq!(ticks(30.0, 6), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
    }

    #[test]
    fn tiles_fill_the_whole_and_keep_their_share() {
        let sizes = [6.0, 3.0, 2.0, 1.0];
        let places = split(&sizes, [0.0, 0.0, 120.0, 10.0]);
        for (size, [_, _, w, h]) in sizes.iter().zip(&places) {
            assert!((w * h - size * 100.0).abs() < 1e-6);
        }
    }
}
