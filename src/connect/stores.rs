//! Saved stores on disk: one file a store under the user's configuration folder, no secret in any of them.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::profile::Profile;

/// Where the product keeps what is the user's: configuration and audits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    pub config: PathBuf,
    pub data: PathBuf,
}

impl Places {
    /// The system's folders, or `MEDUSA_ADVISOR_HOME` for portable use; `None` where the system names no home folder.
    pub fn of_user() -> Option<Self> {
        if let Some(home) = std::env::var_os("MEDUSA_ADVISOR_HOME") {
            let home = PathBuf::from(home);
            return Some(Self { config: home.join("config"), data: home.join("data") });
        }
        let dirs = directories::ProjectDirs::from("", "", "medusa-advisor")?;
        Some(Self { config: dirs.config_dir().to_owned(), data: dirs.data_dir().to_owned() })
    }

    pub fn stores(&self) -> PathBuf {
        self.config.join("stores")
    }

    pub fn settings(&self) -> PathBuf {
        self.config.join("settings.json")
    }

    /// Folder of one store's audits.
    pub fn audits(&self, store: &str) -> PathBuf {
        self.data.join("audits").join(store)
    }

    pub fn dismissals(&self, store: &str) -> PathBuf {
        self.config.join("dismissals").join(format!("{store}.json"))
    }
}

/// A file that could not be read is named with its reason; the others are still listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Sorted by name, then environment.
    pub profiles: Vec<Profile>,
    pub unreadable: Vec<String>,
}

/// Reads all saved stores.
///
/// # Errors
/// When the folder exists and cannot be read.
pub fn list(places: &Places) -> io::Result<Listing> {
    let mut listing = Listing { profiles: Vec::new(), unreadable: Vec::new() };
    let entries = match fs::read_dir(places.stores()) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(listing),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let read = fs::read(&path).map_err(|e| e.to_string()).and_then(|b| serde_json::from_slice::<Profile>(&b).map_err(|e| e.to_string()));
        match read {
            Ok(profile) => listing.profiles.push(profile),
            Err(e) => listing.unreadable.push(format!("{}: {e}", path.display())),
        }
    }
    listing.profiles.sort_by(|a, b| (&a.name, a.environment, &a.id).cmp(&(&b.name, b.environment, &b.id)));
    listing.unreadable.sort();
    Ok(listing)
}

/// Keeps a store, replacing the one with the same id.
pub fn save(places: &Places, profile: &Profile) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(profile).map_err(io::Error::other)?;
    write_whole(&places.stores().join(format!("{}.json", profile.id)), &json)
}

/// Forgets a store and its audits. What is already gone is no error.
pub fn delete(places: &Places, id: &str) -> io::Result<()> {
    let gone = |r: io::Result<()>| match r {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    gone(fs::remove_file(places.stores().join(format!("{id}.json"))))?;
    gone(fs::remove_file(places.dismissals(id)))?;
    gone(fs::remove_dir_all(places.audits(id)))
}

/// What a new file of the user's has: reports are handed on, and nothing written here is secret.
#[cfg(unix)]
fn with_usual_permissions<'b>(builder: &'b mut tempfile::Builder<'static, 'static>) -> &'b mut tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn with_usual_permissions<'b>(builder: &'b mut tempfile::Builder<'static, 'static>) -> &'b mut tempfile::Builder<'static, 'static> {
    builder
}

/// Writes a file so that it is either the old one or the new one, never half of either: a full disk or a crash loses nothing.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    stage(path, bytes)?.put()
}

/// The same for several: none takes its place before all are written.
///
/// # Errors
/// With the file that could not be written.
pub fn write_together(files: &[(PathBuf, Vec<u8>)]) -> Result<(), (PathBuf, io::Error)> {
    let of = |path: &Path| {
        let path = path.to_owned();
        move |e| (path, e)
    };
    let staged: Vec<Staged> = files.iter().map(|(path, bytes)| stage(path, bytes).map_err(of(path))).collect::<Result<_, _>>()?;
    for file in staged {
        let failed = of(&file.place);
        file.put().map_err(failed)?;
    }
    Ok(())
}

/// A file that lies whole beside its place.
struct Staged {
    file: tempfile::NamedTempFile,
    place: PathBuf,
}

fn stage(path: &Path, bytes: &[u8]) -> io::Result<Staged> {
    // What a link leads to is replaced, not the link.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = place.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = with_usual_permissions(&mut tempfile::Builder::new()).tempfile_in(folder)?;
    match fs::metadata(&place) {
        Ok(old) if old.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        // A file that only its owner may read stays so.
        Ok(old) => file.as_file().set_permissions(old.permissions())?,
        Err(_) => {}
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(Staged { file, place })
}

impl Staged {
    fn put(self) -> io::Result<()> {
        self.file.persist(&self.place).map(drop).map_err(|e| e.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::profile::{Environment, KeepSecrets, Limits};

    fn profile(id: &str) -> Profile {
        Profile {
            id: id.into(),
            name: "Example".into(),
            environment: Environment::Staging,
            postgres: None,
            redis: Vec::new(),
            cloudflare: None,
            cloudfront: None,
            shop: None,
            keep_secrets: KeepSecrets::AskEachTime,
            limits: Limits::default(),
        }
    }

    #[test]
    fn stores_are_kept_listed_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { config: dir.path().join("c"), data: dir.path().join("d") };
        assert_eq!(list(&places).unwrap().profiles, []);
        save(&places, &profile("a")).unwrap();
        fs::write(places.stores().join("broken.json"), "{").unwrap();
        let listing = list(&places).unwrap();
        assert_eq!(listing.profiles, [profile("a")]);
        assert_eq!(listing.unreadable.len(), 1);
        delete(&places, "a").unwrap();
        delete(&places, "a").unwrap();
        assert_eq!(list(&places).unwrap().profiles, []);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        write_whole(&path, b"old").unwrap();
        assert!(write_whole(&dir.path().join("x.json").join("y"), b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn files_are_written_together_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a.md"), "old").unwrap();
        fs::create_dir(at("b.md")).unwrap();
        let (path, e) = write_together(&[(at("a.md"), b"new".to_vec()), (at("b.md"), b"new".to_vec())]).unwrap_err();
        assert_eq!((path, e.kind()), (at("b.md"), io::ErrorKind::IsADirectory));
        assert_eq!(fs::read(at("a.md")).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing half-written lies about");
        write_together(&[(at("a.md"), b"new".to_vec()), (at("c.md"), b"new".to_vec())]).unwrap();
        assert_eq!(fs::read(at("a.md")).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_permissions_and_its_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("x.json"), dir.path().join("link.json"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&file, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
