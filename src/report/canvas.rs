//! The pieces drawings are made of: colours by role, lines, bars and text as SVG.

use std::fmt::Write as _;

use crate::charts::SeriesRole;

/// Size of the labels, in points of the drawing.
const AXIS: f64 = 8.5;

/// Where colours come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// The light tokens as hexadecimal values, for paper.
    Paper,
    /// `var(--…)` of the page's style sheet, which has both themes.
    Css,
}

impl Palette {
    pub(super) fn series(self, role: SeriesRole) -> &'static str {
        let (paper, css) = match role {
            SeriesRole::Cdn => ("#0B4650", "var(--cdn)"),
            SeriesRole::Redis => ("#A8307C", "var(--redis)"),
            SeriesRole::Postgres => ("#1F61B5", "var(--postgres)"),
            SeriesRole::App => ("#586410", "var(--app)"),
            SeriesRole::Hit => ("#0B4650", "var(--hit)"),
            SeriesRole::Revalidated => ("#32A2AE", "var(--revalidated)"),
            SeriesRole::Expired => ("#A98545", "var(--expired)"),
            SeriesRole::Miss => ("#B8641A", "var(--miss)"),
            SeriesRole::Rest => ("#6B7380", "var(--rest)"),
        };
        self.pick(paper, css)
    }

    pub(super) fn text(self) -> &'static str {
        self.pick("#15171C", "var(--text-1)")
    }

    pub(super) fn target(self) -> &'static str {
        self.pick("#454C59", "var(--text-2)")
    }

    pub(super) fn axis_text(self) -> &'static str {
        self.pick("#5F6775", "var(--text-3)")
    }

    pub(super) fn grid(self) -> &'static str {
        self.pick("#ECEEF1", "var(--grid)")
    }

    pub(super) fn zero(self) -> &'static str {
        self.pick("#C9CED6", "var(--axis)")
    }

    pub(super) fn ground(self) -> &'static str {
        self.pick("#FFFFFF", "var(--bg-card)")
    }

    fn pick(self, paper: &'static str, css: &'static str) -> &'static str {
        if self == Palette::Paper { paper } else { css }
    }
}

/// A growing `<svg>`.
pub(super) struct Canvas {
    pub(super) out: String,
    pub(super) palette: Palette,
    pub(super) height: f64,
}

impl Canvas {
    pub(super) fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, color: &str, more: &str) {
        let _ =
            write!(self.out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\" stroke-width=\"0.75\"{more}/>");
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, w: f64, h: f64, fill: &str, opacity: f64) {
        if w > 0.0 && h > 0.0 {
            let _ = write!(
                self.out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.2}\" height=\"{h:.2}\" fill=\"{fill}\" fill-opacity=\"{opacity:.2}\"/>"
            );
        }
    }

    pub(super) fn text(&mut self, x: f64, y: f64, text: &str, anchor: &str, color: &str, more: &str) {
        let _ = write!(
            self.out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{AXIS}\" text-anchor=\"{anchor}\" fill=\"{color}\"{more}>{}</text>",
            escape(text)
        );
    }

    pub(super) fn path(&mut self, d: &str, style: &str) {
        let _ = write!(self.out, "<path d=\"{d}\" {style}/>");
    }

    pub(super) fn finish(self, width: f64, name: &str) -> String {
        let height = self.height;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.1}\" width=\"{width}\" height=\"{height:.1}\" role=\"img\" \
             font-family=\"Inter, sans-serif\"><title>{}</title>{}</svg>",
            escape(name),
            self.out
        )
    }
}

/// Text inside XML and HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML 1.0 knows no control characters.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
