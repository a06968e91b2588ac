//! File dialogs and the system's opener.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Shared;
use crate::app::Event;
use crate::app::files::FileFor;

/// A `.env` file larger than this is not one.
const ENV_BYTES_MAX: u64 = 256 * 1024;

/// How a file dialog ended.
pub enum Choice {
    File(PathBuf),
    Closed,
    /// The system offers none, so none was shown.
    NoDialog,
}

pub async fn choose_snapshot(shared: Arc<Shared>) {
    let dialog = rfd::AsyncFileDialog::new().set_title("Open a snapshot").add_filter("Medusa Advisor snapshot", &["snapshot"]);
    if let Some(path) = picked(&shared, dialog, FileFor::Snapshot).await {
        shared.send(Event::SnapshotChosen(path));
    }
}

pub async fn choose_env_file(shared: Arc<Shared>) {
    let dialog = rfd::AsyncFileDialog::new().set_title("Import a .env file");
    if let Some(path) = picked(&shared, dialog, FileFor::EnvFile).await {
        read_env_file(&shared, &path);
    }
}

pub fn read_env_file(shared: &Shared, path: &Path) {
    shared.send(Event::EnvFileRead(read_small(path)));
}

fn read_small(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|e| format!("{} could not be read: {e}.", path.display()))?.len();
    if size > ENV_BYTES_MAX {
        return Err(format!("{} is too large for a .env file.", path.display()));
    }
    std::fs::read_to_string(path).map_err(|e| format!("{} could not be read: {e}.", path.display()))
}

pub async fn choose_ca_file(shared: Arc<Shared>) {
    let dialog = rfd::AsyncFileDialog::new().set_title("Certificate or key").add_filter("PEM file", &["pem", "crt", "cer", "key"]);
    if let Some(path) = picked(&shared, dialog, FileFor::CaFile).await {
        shared.send(Event::CaFileChosen(path));
    }
}

async fn picked(shared: &Shared, dialog: rfd::AsyncFileDialog, wanted: FileFor) -> Option<PathBuf> {
    match shown(dialog.pick_file()).await {
        Choice::File(path) => Some(path),
        Choice::Closed => None,
        Choice::NoDialog => {
            shared.send(Event::PathWanted { wanted, proposed: usual_folder().join("") });
            None
        }
    }
}

/// Where a file of this name goes.
pub async fn choose_place(title: &str, name: &str, ending: &str) -> Choice {
    let dialog = rfd::AsyncFileDialog::new().set_title(title).set_file_name(name).add_filter(ending.to_uppercase(), &[ending]);
    shown(dialog.save_file()).await
}

/// The user's documents, or the home folder; where a typed path starts.
pub fn usual_folder() -> PathBuf {
    let user = directories::UserDirs::new();
    let folder = user.and_then(|u| u.document_dir().filter(|d| d.is_dir()).map(Path::to_owned).or_else(|| Some(u.home_dir().to_owned())));
    folder.unwrap_or_else(std::env::temp_dir)
}

/// The library gives nothing both for a dialog that was closed and for one that it could not show, and waits for ever for a portal that
/// ended with its dialog open.
async fn shown(dialog: impl Future<Output = Option<rfd::FileHandle>>) -> Choice {
    let file = tokio::select! {
        file = dialog => file,
        () = system::portal_ended() => return Choice::NoDialog,
    };
    match file {
        Some(file) => Choice::File(file.path().to_owned()),
        None if system::has_dialogs().await => Choice::Closed,
        None => Choice::NoDialog,
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
mod system {
    pub async fn has_dialogs() -> bool {
        true
    }

    pub async fn portal_ended() {
        std::future::pending().await
    }
}

/// The desktop portal, reached through libdbus, shows the dialogs; without it zenity does.
#[cfg(all(unix, not(target_os = "macos")))]
mod system {
    use std::time::Duration;

    /// A portal that has just been asked for a dialog is up, or will not be.
    const PORTAL_MAX: Duration = Duration::from_secs(5);
    /// How often a portal with an open dialog is looked after.
    const LOOK_EVERY: Duration = Duration::from_secs(2);
    const PORTAL: &str = "org.freedesktop.portal.Desktop";

    pub async fn has_dialogs() -> bool {
        is_on_path("zenity") || has_loaded_libdbus() && portal_answers().await
    }

    fn is_on_path(program: &str) -> bool {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
    }

    /// The library is loaded when a dialog is asked for; a system that does not list it is taken at its best.
    fn has_loaded_libdbus() -> bool {
        std::fs::read_to_string("/proc/self/maps").map_or(true, |maps| maps.contains("libdbus-1."))
    }

    /// A portal without a file chooser behind it does not offer the interface.
    async fn portal_answers() -> bool {
        let asked = async {
            let bus = zbus::Connection::session().await?;
            let property = ("org.freedesktop.portal.FileChooser", "version");
            let properties = Some("org.freedesktop.DBus.Properties");
            bus.call_method(Some(PORTAL), "/org/freedesktop/portal/desktop", properties, "Get", &property).await
        };
        matches!(tokio::time::timeout(PORTAL_MAX, asked).await, Ok(Ok(_)))
    }

    /// Completes when a portal that was there is gone, or another has taken its place.
    pub async fn portal_ended() {
        let Ok(bus) = zbus::Connection::session().await else { return std::future::pending().await };
        let mut first = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = owner(&bus).await;
            if first.is_some() && first != now {
                return;
            }
            first = now;
        }
    }

    /// The portal's name on the bus, which is another one each time it is started.
    async fn owner(bus: &zbus::Connection) -> Option<String> {
        let name = Some("org.freedesktop.DBus");
        let answer = bus.call_method(name, "/org/freedesktop/DBus", name, "GetNameOwner", &PORTAL).await.ok()?;
        answer.body().deserialize::<String>().ok()
    }
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
