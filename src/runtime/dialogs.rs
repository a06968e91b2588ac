//! File dialogs and the system's opener.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Shared;
use crate::app::Event;

/// A `.env` file larger than this is not one.
const ENV_BYTES_MAX: u64 = 256 * 1024;

pub async fn choose_snapshot(shared: Arc<Shared>) {
    let dialog = rfd::AsyncFileDialog::new().set_title("Open a snapshot").add_filter("Medusa Advisor snapshot", &["snapshot"]);
    if let Some(file) = dialog.pick_file().await {
        shared.send(Event::SnapshotChosen(file.path().to_owned()));
    }
}

pub async fn choose_env_file(shared: Arc<Shared>) {
    if let Some(file) = rfd::AsyncFileDialog::new().set_title("Import a .env file").pick_file().await {
        shared.send(Event::EnvFileRead(read_small(file.path())));
    }
}

fn read_small(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|e| format!("{} could not be read: {e}.", path.display()))?.len();
    if size > ENV_BYTES_MAX {
        return Err(format!("{} is too large for a .env file.", path.display()));
    }
    std::fs::read_to_string(path).map_err(|e| format!("{} could not be read: {e}.", path.display()))
}

pub async fn choose_ca_file(shared: Arc<Shared>) {
    let dialog = rfd::AsyncFileDialog::new().set_title("Certificate of the authority").add_filter("PEM certificate", &["pem", "crt", "cer"]);
    if let Some(file) = dialog.pick_file().await {
        shared.send(Event::CaFileChosen(file.path().to_owned()));
    }
}

/// Where a report goes; `None` when the dialog was closed.
pub async fn choose_report(name: &str, ending: &str) -> Option<PathBuf> {
    let dialog = rfd::AsyncFileDialog::new().set_title("Save the report").set_file_name(name).add_filter(ending.to_uppercase(), &[ending]);
    dialog.save_file().await.map(|f| f.path().to_owned())
}

/// Opens a file or folder with the system's own program.
pub fn open_with_system(shared: &Shared, path: &Path) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(target_os = "windows") {
        "explorer"
    } else {
        "xdg-open"
    };
    let started = std::process::Command::new(program).arg(path).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
    match started {
        // Reaped on its own thread: the viewer may stay open for hours.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(e) => shared.problem(format!("{} could not be opened: {program}: {e}.", path.display())),
    }
}
