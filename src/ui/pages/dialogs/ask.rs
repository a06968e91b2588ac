//! Dialogs with fields: setting a finding aside, and secrets that are kept nowhere.

use eframe::egui::{Id, Ui};

use crate::app::Action;
use crate::connect::profile::Secrets;
use crate::secret::Secret;
use crate::ui::theme::space;
use crate::ui::widgets::{Answer, Dialog, Field};

pub fn dismiss(ui: &mut Ui, title: &str, (reason, until): (&str, &str), error: Option<&str>, actions: &mut Vec<Action>) {
    let sentence = format!("\"{title}\" leaves the list until the day you give and comes back after it.");
    let blocked = reason.trim().is_empty().then_some("A reason is required");
    let dialog = Dialog { title: "Dismiss this finding", sentence: &sentence, confirm: "Dismiss", destructive: false, blocked, is_notice: false };
    let (mut new_reason, mut new_until) = (reason.to_owned(), until.to_owned());
    let answer = dialog.show(ui.ctx(), "dismiss", |ui| {
        Field::new("Reason", &mut new_reason).hint("Why it is right as it is").show(ui);
        ui.add_space(space::M);
        Field::new("Until, as 2027-02-28", &mut new_until).error(error).show(ui);
    });
    if new_reason != reason || new_until != until {
        actions.push(Action::EditDismiss { reason: new_reason, until: new_until });
    }
    match answer {
        Some(Answer::Confirmed) => actions.push(Action::Dismiss),
        Some(Answer::Cancelled) => actions.push(Action::CloseDialog),
        None => {}
    }
}

/// What has been typed so far; wiped when the dialog ends.
#[derive(Clone, Default)]
struct Typed {
    postgres: String,
    redis: Vec<String>,
    sentinels: Vec<String>,
    cloudflare: String,
}

/// `None` needs no secret, otherwise the words of its label.
pub struct Asked<'a> {
    pub postgres: Option<&'a str>,
    pub redis: &'a [Option<String>],
    /// Masters whose Sentinels may have a password of their own.
    pub sentinels: &'a [Option<String>],
    pub cloudflare: Option<&'a str>,
}

/// Who asks, and why.
pub struct Asks<'a> {
    pub store: &'a str,
    pub name: &'a str,
    /// For one check, not for a whole audit.
    pub is_check: bool,
    /// Why the keychain did not give them.
    pub reason: Option<&'a str>,
}

pub fn secrets(ui: &mut Ui, asks: &Asks<'_>, asked: &Asked<'_>, actions: &mut Vec<Action>) {
    let Asks { store, name, is_check, reason } = *asks;
    let id = Id::unique(("typed secrets", store));
    let mut typed = ui.data(|data| data.get_temp::<Typed>(id)).unwrap_or_default();
    typed.redis.resize(asked.redis.len(), String::new());
    typed.sentinels.resize(asked.sentinels.len(), String::new());
    let sentence = match reason {
        Some(reason) => format!("{reason} Type the secrets of {name}: they are held in memory for this run only."),
        None => format!("{name} asks for its secrets each time. They are held in memory for this run only."),
    };
    let (title, confirm) = if is_check { ("Secrets for this check", "Check again") } else { ("Secrets for this audit", "Run audit") };
    let dialog = Dialog { title, sentence: &sentence, confirm, destructive: false, blocked: None, is_notice: false };
    let answer = dialog.show(ui.ctx(), "secrets", |ui| {
        let mut field = |label: &str, value: &mut String| {
            Field::new(label, value).secret().show(ui);
            ui.add_space(space::M);
        };
        if let Some(words) = asked.postgres {
            field(&format!("Password of {words}"), &mut typed.postgres);
        }
        for (i, value) in typed.redis.iter_mut().enumerate() {
            if let Some(words) = &asked.redis[i] {
                field(&format!("Password of {words}"), value);
            }
            if let Some((master, value)) = asked.sentinels.get(i).and_then(Option::as_ref).zip(typed.sentinels.get_mut(i)) {
                field(&format!("Password of the Sentinels of {master}"), value);
            }
        }
        if let Some(words) = asked.cloudflare {
            field(&format!("Cloudflare token of {words}"), &mut typed.cloudflare);
        }
    });
    let Some(answer) = answer else {
        ui.data_mut(|data| data.insert_temp(id, typed));
        return;
    };
    ui.data_mut(|data| data.remove::<Typed>(id));
    let given = |text: String| (!text.is_empty()).then(|| Secret::new(text));
    actions.push(match answer {
        Answer::Cancelled => Action::CloseDialog,
        Answer::Confirmed => Action::GiveSecrets {
            store: store.to_owned(),
            secrets: Box::new(Secrets {
                postgres_password: given(typed.postgres),
                redis_passwords: typed.redis.into_iter().map(given).collect(),
                sentinel_passwords: typed.sentinels.into_iter().map(given).collect(),
                cloudflare_token: given(typed.cloudflare),
                ..Secrets::default()
            }),
        },
    });
}
