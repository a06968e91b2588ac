//! Files that the user names: where the system offers no dialog for it, and before one that is there is replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::message::{Action, ComparisonFormat, Effect, Event, ReportChoice, ReportFormat};
use super::{Audit, Dialog, Model};
use crate::history::compare::Comparison;

/// What is written to a place of the user's choice.
#[derive(Debug, Clone)]
pub enum Document {
    Report { audit: Arc<Audit>, choice: ReportChoice, formats: Vec<ReportFormat> },
    Comparison { comparison: Arc<Comparison>, store: String, format: ComparisonFormat },
}

/// Equal when it is the same audit or comparison in memory, written in the same way.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Document::Report { audit: a, choice: c, formats: f }, Document::Report { audit, choice, formats }) => {
                Arc::ptr_eq(a, audit) && c == choice && f == formats
            }
            (Document::Comparison { comparison: a, format: f, .. }, Document::Comparison { comparison, format, .. }) => {
                Arc::ptr_eq(a, comparison) && f == format
            }
            _ => false,
        }
    }
}

/// What a path is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum FileFor {
    Snapshot,
    EnvFile,
    CaFile,
    Document(Document),
}

impl Model {
    /// The system offers no file dialog: the path is typed.
    pub(super) fn path_wanted(&mut self, wanted: FileFor, proposed: &Path) {
        self.document_waits(&wanted);
        self.dialog = Some(Dialog::TypePath { wanted, path: proposed.display().to_string(), error: None });
    }

    /// Files are there already that the user has not said may go.
    pub(super) fn replace_wanted(&mut self, document: Document, path: PathBuf, existing: Vec<PathBuf>) {
        let wanted = FileFor::Document(document.clone());
        self.document_waits(&wanted);
        self.dialog = Some(Dialog::Replace { document, path, existing });
    }

    /// Nothing is being written while a question is open.
    fn document_waits(&mut self, wanted: &FileFor) {
        if matches!(wanted, FileFor::Document(Document::Report { .. })) {
            self.export.saving = super::Remote::Idle;
        }
    }

    pub(super) fn act_files(&mut self, action: Action) -> Result<Vec<Effect>, Action> {
        match action {
            Action::EditPath(text) => {
                if let Some(Dialog::TypePath { path, error, .. }) = &mut self.dialog {
                    (*path, *error) = (text, None);
                }
                Ok(Vec::new())
            }
            Action::TakePath => Ok(self.take_path()),
            Action::ReplaceFiles => match self.dialog.take() {
                Some(Dialog::Replace { document, path, mut existing }) => {
                    // Where it is there too, it was asked about before.
                    existing.push(path.clone());
                    Ok(self.write(document, path, existing))
                }
                other => {
                    self.dialog = other;
                    Ok(Vec::new())
                }
            },
            other => Err(other),
        }
    }

    fn take_path(&mut self) -> Vec<Effect> {
        let Some(Dialog::TypePath { wanted, path, error }) = &mut self.dialog else { return Vec::new() };
        let typed = PathBuf::from(path.trim());
        if !typed.is_absolute() || typed.file_name().is_none() || path.trim().ends_with(['/', '\\']) {
            *error = Some("The whole path of a file is needed, from / on.".to_owned());
            return Vec::new();
        }
        let wanted = wanted.clone();
        self.dialog = None;
        match wanted {
            FileFor::Snapshot => self.receive(Event::SnapshotChosen(typed)),
            FileFor::CaFile => self.receive(Event::CaFileChosen(typed)),
            FileFor::EnvFile => vec![Effect::ReadEnvFile(typed)],
            FileFor::Document(document) => self.write(document, typed, Vec::new()),
        }
    }

    fn write(&mut self, document: Document, path: PathBuf, replaces: Vec<PathBuf>) -> Vec<Effect> {
        if matches!(document, Document::Report { .. }) {
            self.export.saving.begin();
        }
        vec![Effect::Write { document, path, replaces }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::message::WizardAction;
    use crate::app::wizard::Field;
    use crate::app::{Page, Remote, Settings};
    use crate::{demo, plan};

    fn model() -> (Model, Document) {
        let mut model = Model::new(Settings::default(), true, String::new());
        let snapshot = demo::snapshot();
        let plan = plan::build(&snapshot, &[], |_| true);
        let audit = Arc::new(Audit { store: None, snapshot, plan, path: None, previous: None });
        model.audit = Remote::Ready(Arc::clone(&audit));
        model.page = Page::Export;
        (model, Document::Report { audit, choice: ReportChoice::default(), formats: vec![ReportFormat::Pdf] })
    }

    fn act(model: &mut Model, action: Action) -> Vec<Effect> {
        model.act(action, time::OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_report_is_saved_by_a_typed_path() {
        let (mut model, document) = model();
        assert!(matches!(act(&mut model, Action::SaveReport).as_slice(), [Effect::Save(d)] if *d == document));
        assert!(model.export.saving.is_pending());
        model.receive(Event::PathWanted { wanted: FileFor::Document(document.clone()), proposed: "/d/audit.pdf".into() });
        assert!(!model.export.saving.is_pending(), "closing the dialog must leave a page that can save");
        act(&mut model, Action::EditPath("audit.pdf".into()));
        assert!(act(&mut model, Action::TakePath).is_empty());
        assert!(matches!(&model.dialog, Some(Dialog::TypePath { error: Some(e), .. }) if e.contains("from / on")));
        act(&mut model, Action::EditPath(" /e/audit.pdf ".into()));
        let effects = act(&mut model, Action::TakePath);
        assert!(matches!(effects.as_slice(), [Effect::Write { path, replaces, .. }] if path == Path::new("/e/audit.pdf") && replaces.is_empty()));
        assert!(model.dialog.is_none() && model.export.saving.is_pending());
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_when_told_to() {
        let (mut model, document) = model();
        act(&mut model, Action::SaveReport);
        let existing = vec![PathBuf::from("/d/a.html")];
        let asks = || Event::ReplaceWanted { document: document.clone(), path: "/d/a.pdf".into(), existing: existing.clone() };
        model.receive(asks());
        assert!(!model.export.saving.is_pending());
        act(&mut model, Action::CloseDialog);
        assert!(act(&mut model, Action::ReplaceFiles).is_empty(), "closed is closed");
        model.receive(asks());
        let effects = act(&mut model, Action::ReplaceFiles);
        assert!(matches!(effects.as_slice(), [Effect::Write { replaces, .. }] if *replaces == [existing[0].clone(), "/d/a.pdf".into()]));
    }

    #[test]
    fn typed_paths_lead_where_chosen_files_do() {
        let (mut model, _) = model();
        for (wanted, is_right) in [
            (FileFor::Snapshot, (|e| matches!(e, Effect::OpenSnapshot { store: None, .. })) as fn(&Effect) -> bool),
            (FileFor::EnvFile, |e| matches!(e, Effect::ReadEnvFile(_))),
        ] {
            model.receive(Event::PathWanted { wanted, proposed: "/x/".into() });
            assert!(act(&mut model, Action::TakePath).is_empty(), "a folder is no file");
            act(&mut model, Action::EditPath("/x/y".into()));
            assert!(act(&mut model, Action::TakePath).iter().all(is_right));
        }
        act(&mut model, Action::NewStore);
        // A chosen file goes into the field that it was chosen for.
        for (field, path) in [(Field::PgCaFile, "/ca.pem"), (Field::RedisKeyFile(0), "/client.key")] {
            act(&mut model, Action::Wizard(WizardAction::ChooseFile(field)));
            model.receive(Event::PathWanted { wanted: FileFor::CaFile, proposed: path.into() });
            act(&mut model, Action::TakePath);
        }
        let wizard = model.wizard.as_ref().unwrap();
        assert_eq!((wizard.postgres.ca_file.as_str(), wizard.redis[0].key_file.as_str()), ("/ca.pem", "/client.key"));
    }
}
