//! A field whose text stays as typed while it has the focus.
//!
//! The model keeps addresses in one form; putting that form under the cursor would move it in the middle of a word.

use eframe::egui::{Event, Ui};

use crate::ui::icons::Icon;
use crate::ui::widgets::Field;

/// One field of a form; `shown` is what the model holds.
#[derive(Clone, Copy, Default)]
pub struct Input<'a> {
    pub label: &'a str,
    pub hint: &'a str,
    pub shown: &'a str,
    pub error: Option<&'a str>,
    pub is_mono: bool,
    pub is_secret: bool,
    pub width: Option<f32>,
    pub trailing: Option<(Icon, &'a str)>,
}

/// What was done to a field.
pub struct Entered {
    pub text: Option<String>,
    pub trailing_clicked: bool,
}

impl Input<'_> {
    pub fn show(self, ui: &mut Ui) -> Entered {
        let key = ui.make_persistent_id(("draft", self.label));
        let draft = ui.data(|d| d.get_temp::<String>(key));
        let has_draft = draft.is_some();
        let mut text = draft.unwrap_or_else(|| self.shown.to_owned());
        // An address is judged once it is typed, not at its first letter.
        let error = if has_draft { None } else { self.error };
        let mut field = Field::new(self.label, &mut text).hint(self.hint).error(error);
        if self.is_mono {
            field = field.mono();
        }
        if self.is_secret {
            field = field.secret();
        }
        if let Some(width) = self.width {
            field = field.width(width);
        }
        if let Some((icon, name)) = self.trailing {
            field = field.trailing(icon, name);
        }
        let shown = field.show(ui);
        let changed = shown.response.changed();
        // A pasted address may hold a password: it is shown as the model keeps it, without.
        let was_pasted = changed && ui.input(|i| i.events.iter().any(|e| matches!(e, Event::Paste(_))));
        if !self.is_secret {
            let keeps = shown.response.has_focus() && !was_pasted && (changed || has_draft);
            if keeps {
                ui.data_mut(|d| d.insert_temp(key, text.clone()));
            } else if has_draft {
                ui.data_mut(|d| d.remove::<String>(key));
            }
        }
        Entered { text: changed.then_some(text), trailing_clicked: shown.trailing_clicked }
    }
}
