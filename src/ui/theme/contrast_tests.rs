//! The claims of the design about contrast (WCAG 2.2) and colour blindness
//! (Machado 2009, severity 1; ΔE is the CIE 1976 distance in Lab).

use egui::Color32;

use super::{DARK, LIGHT, Theme};

/// The claims are given to one decimal.
const ROUNDING: f64 = 0.05;

type Linear = [f64; 3];

const DEUTERANOPIA: [Linear; 3] = [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]];
const PROTANOPIA: [Linear; 3] = [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]];
const TRITANOPIA: [Linear; 3] = [[1.255_528, -0.076_749, -0.178_779], [-0.078_411, 0.930_809, 0.147_602], [0.004_733, 0.691_367, 0.303_900]];

#[test]
fn text_severity_and_layer_colours_read_on_every_surface() {
    for theme in [&DARK, &LIGHT] {
        for (surface, background) in surfaces(theme) {
            for (role, color) in foregrounds(theme) {
                let ratio = contrast(color, background);
                assert!(ratio >= 4.6 - ROUNDING, "{role} on {surface}, dark {}: {ratio:.2}", theme.dark);
            }
        }
    }
}

#[test]
fn severities_read_on_their_own_tint() {
    for theme in [&DARK, &LIGHT] {
        for pair in [theme.critical, theme.high, theme.medium, theme.low, theme.info, theme.good] {
            let ratio = contrast(pair.fg, pair.tint);
            assert!(ratio >= 5.0, "{pair:?}: {ratio:.2}");
        }
    }
}

#[test]
fn filled_shapes_carry_their_text() {
    for theme in [&DARK, &LIGHT] {
        assert!(contrast(theme.on_accent, theme.accent_fill) >= 5.4 - ROUNDING);
        for layer in layers(theme) {
            let ratio = contrast(theme.bg_card, layer);
            assert!(ratio >= 6.1 - ROUNDING, "{layer:?}: {ratio:.2}");
        }
        for series in stack(theme) {
            let ratio = contrast(series, theme.bg_card);
            assert!(ratio >= 3.0 - ROUNDING, "{series:?}: {ratio:.2}");
        }
    }
}

#[test]
fn layers_and_series_differ_for_the_colour_blind() {
    for theme in [&DARK, &LIGHT] {
        for vision in [&DEUTERANOPIA, &PROTANOPIA, &TRITANOPIA] {
            assert!(closest(&layers(theme), vision) >= 18.0);
            assert!(closest(&stack(theme), vision) >= 14.0);
        }
    }
}

#[test]
fn black_on_white_is_twenty_one() {
    assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-9);
}

fn surfaces(theme: &Theme) -> [(&'static str, Color32); 6] {
    [
        ("frame", theme.bg_frame),
        ("page", theme.bg_page),
        ("card", theme.bg_card),
        ("hover", theme.bg_hover),
        ("active", theme.bg_active),
        ("code", theme.bg_code),
    ]
}

fn foregrounds(theme: &Theme) -> [(&'static str, Color32); 13] {
    [
        ("text", theme.text),
        ("text_muted", theme.text_muted),
        ("text_weak", theme.text_weak),
        ("critical", theme.critical.fg),
        ("high", theme.high.fg),
        ("medium", theme.medium.fg),
        ("low", theme.low.fg),
        ("info", theme.info.fg),
        ("good", theme.good.fg),
        ("cdn", theme.layer_cdn),
        ("redis", theme.layer_redis),
        ("postgres", theme.layer_postgres),
        ("application", theme.layer_application),
    ]
}

fn layers(theme: &Theme) -> [Color32; 4] {
    [theme.layer_cdn, theme.layer_redis, theme.layer_postgres, theme.layer_application]
}

fn stack(theme: &Theme) -> [Color32; 5] {
    [theme.series_hit, theme.series_revalidated, theme.series_expired, theme.series_miss, theme.series_rest]
}

fn contrast(a: Color32, b: Color32) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(color: Color32) -> f64 {
    let [r, g, b] = linear(color);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn linear(color: Color32) -> Linear {
    [color.r(), color.g(), color.b()].map(|byte| {
        let share = f64::from(byte) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    })
}

/// The smallest distance between two of `colors` as seen with `vision`.
fn closest(colors: &[Color32], vision: &[Linear; 3]) -> f64 {
    let seen: Vec<Linear> = colors.iter().map(|color| lab(apply(vision, linear(*color)))).collect();
    let mut smallest = f64::INFINITY;
    for (index, a) in seen.iter().enumerate() {
        for b in &seen[index + 1..] {
            let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
            smallest = smallest.min(squares.sqrt());
        }
    }
    smallest
}

fn apply(matrix: &[Linear; 3], color: Linear) -> Linear {
    matrix.map(|row| row.iter().zip(color).map(|(m, c)| m * c).sum::<f64>().clamp(0.0, 1.0))
}

/// Linear sRGB to CIE Lab, D65.
fn lab([r, g, b]: Linear) -> Linear {
    let x = (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47;
    let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175_0 * b;
    let z = (0.019_333_9 * r + 0.119_192_0 * g + 0.950_304_1 * b) / 1.088_83;
    let [x, y, z] = [x, y, z].map(|t| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}
