//! A field for a number that takes effect once it is left, and says what is wrong with one that cannot.

use eframe::egui::{Id, Rect, Ui, UiBuilder, pos2};

use crate::text;
use crate::ui::theme::space;
use crate::ui::widgets::Field;

/// The box; a sentence under it takes what the control has.
pub const WIDTH: f32 = 96.0;

/// A number at the right edge of a row.
pub struct Number<'a> {
    pub label: &'a str,
    pub shown: f64,
    pub min: f64,
    pub max: f64,
    pub is_whole: bool,
}

fn draft(label: &str) -> Id {
    Id::unique(("number", label))
}

/// Drops what was typed and not taken.
pub fn forget(ui: &Ui, label: &str) {
    ui.data_mut(|d| d.remove::<String>(draft(label)));
}

impl Number<'_> {
    /// The new value, once the field is left with one that fits.
    pub fn show(self, ui: &mut Ui) -> Option<f64> {
        let key = draft(self.label);
        let typed = ui.data(|d| d.get_temp::<String>(key));
        let mut words = typed.clone().unwrap_or_else(|| self.plain());
        let room = ui.max_rect();
        let at = Rect::from_min_max(pos2(room.right() - WIDTH, room.top()), room.max);
        let has_focus = ui
            .scope_builder(UiBuilder::new().id_salt(self.label).max_rect(at), |ui| {
                let wrong = typed.as_ref().is_some_and(|t| self.judge(t).is_err()) && !self.is_typing(ui);
                let field = Field::new(self.label, &mut words).hide_label().width(WIDTH).marked(wrong);
                field.show(ui).response.has_focus()
            })
            .inner;
        ui.data_mut(|d| d.insert_temp(key.with("focus"), has_focus));
        if has_focus {
            ui.data_mut(|d| d.insert_temp(key, words));
            return None;
        }
        match self.judge(&typed?) {
            Ok(value) => {
                forget(ui, self.label);
                (value != self.shown).then_some(value)
            }
            Err(sentence) => {
                ui.add_space(space::XS);
                crate::ui::widgets::error_sentence(ui, &sentence, room.width());
                None
            }
        }
    }

    /// A number is judged once it is left, not at its first digit.
    fn is_typing(&self, ui: &Ui) -> bool {
        ui.data(|d| d.get_temp::<bool>(draft(self.label).with("focus"))).unwrap_or(false)
    }

    /// As it is typed: no thousands separators.
    fn plain(&self) -> String {
        format!("{}", self.shown)
    }

    fn judge(&self, typed: &str) -> Result<f64, String> {
        let kept = text::number(self.shown);
        let digits: String = typed.chars().filter(|c| !c.is_whitespace() && *c != ',' && *c != '%').collect();
        let value = digits.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| format!("Not a number; {kept} stays."))?;
        if self.is_whole && value.fract() != 0.0 {
            return Err(format!("A whole number is needed; {kept} stays."));
        }
        if value < self.min || value > self.max {
            return Err(format!("From {} to {}; {kept} stays.", text::number(self.min), text::number(self.max)));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Number<'static> {
        Number { label: "Audit window", shown: 30.0, min: 5.0, max: 1_800.0, is_whole: true }
    }

    #[test]
    fn numbers_within_the_range_are_taken() {
        assert_eq!(window().judge(" 60 "), Ok(60.0));
        assert_eq!(window().judge("1,800"), Ok(1_800.0));
        assert_eq!(Number { is_whole: false, ..window() }.judge("82.5 %"), Ok(82.5));
    }

    #[test]
    fn what_cannot_be_taken_is_said_and_the_old_value_named() {
        assert_eq!(window().judge("4"), Err("From 5 to 1,800; 30 stays.".to_owned()));
        assert_eq!(window().judge("5.5"), Err("A whole number is needed; 30 stays.".to_owned()));
        for words in ["", "soon", "inf", "NaN"] {
            assert_eq!(window().judge(words), Err("Not a number; 30 stays.".to_owned()), "{words:?}");
        }
    }
}
