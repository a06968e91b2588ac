//! Files of the user's, through the runtime as the window uses it: with the dialog that zenity shows, without any dialog, onto files that
//! are there, onto a full disk and into a folder that cannot be written to.
//!
//! Each test starts itself again where it needs another search path, no bus, or mounts of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::stage::{part, started, until};
use medusa_advisor::app::files::{Document, FileFor};
use medusa_advisor::app::message::{ReportChoice, ReportFormat};
use medusa_advisor::app::{Audit, Effect, Event};
use medusa_advisor::runtime::Runtime;
use medusa_advisor::{demo, plan};

fn document(formats: &[ReportFormat]) -> Document {
    let snapshot = demo::snapshot();
    let plan = plan::build(&snapshot, &[], |_| true);
    let audit = Audit { store: None, snapshot, plan, path: None, previous: None };
    Document::Report { audit: Arc::new(audit), choice: ReportChoice::default(), formats: formats.to_vec() }
}

const BOTH: [ReportFormat; 2] = [ReportFormat::Markdown, ReportFormat::Json];

/// How saving ended, or what it asks.
#[derive(Debug, PartialEq)]
enum Told {
    Saved(Vec<PathBuf>),
    Failed(String),
    Closed,
    AsksPath(PathBuf),
    AsksToReplace(Vec<PathBuf>),
}

fn told(runtime: &Runtime, effect: Effect) -> Told {
    runtime.perform(effect);
    until(runtime, |e| match e {
        Event::ReportSaved(Some(Ok(paths))) => Some(Told::Saved(paths.clone())),
        Event::ReportSaved(Some(Err(problem))) => Some(Told::Failed(problem.clone())),
        Event::ReportSaved(None) => Some(Told::Closed),
        Event::PathWanted { proposed, .. } => Some(Told::AsksPath(proposed.clone())),
        Event::ReplaceWanted { existing, .. } => Some(Told::AsksToReplace(existing.clone())),
        _ => None,
    })
}

fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// No portal can be reached; programs are looked for in `programs` only.
fn without_portal(home: &Path, programs: &Path, test: &str, part: &str) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"exec "$0" "$@""#]).env("PATH", programs).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    crate::stage::run_again(command, home, test, part);
}

#[test]
fn without_a_dialog_the_path_is_asked_for() {
    const NAME: &str = "files::without_a_dialog_the_path_is_asked_for";
    if part().is_none() {
        let home = tempfile::tempdir().unwrap();
        return without_portal(home.path(), Path::new("/nonexistent"), NAME, "none");
    }
    let runtime = started();
    let Told::AsksPath(proposed) = told(&runtime, Effect::Save(document(&BOTH))) else { panic!("nobody said that there is no dialog") };
    assert_eq!((proposed.parent(), proposed.extension().and_then(|e| e.to_str())), (Some(home().as_path()), Some("md")));
    let written = Effect::Write { document: document(&BOTH), path: proposed.clone(), replaces: Vec::new() };
    assert_eq!(told(&runtime, written), Told::Saved(vec![proposed.clone(), proposed.with_extension("json")]));
    for (effect, wanted) in
        [(Effect::ChooseSnapshot, FileFor::Snapshot), (Effect::ChooseEnvFile, FileFor::EnvFile), (Effect::ChooseCaFile, FileFor::CaFile)]
    {
        runtime.perform(effect);
        until(&runtime, |e| matches!(e, Event::PathWanted { wanted: w, .. } if *w == wanted).then_some(()));
    }
    fs::write(home().join(".env"), "DATABASE_URL=postgres://u@h/d").unwrap();
    runtime.perform(Effect::ReadEnvFile(home().join(".env")));
    until(&runtime, |e| matches!(e, Event::EnvFileRead(Ok(text)) if text.contains("DATABASE_URL")).then_some(()));
}

/// A program in zenity's place: what it prints is what its dialog would give.
fn in_zenitys_place(folder: &Path, script: &str) {
    let zenity = folder.join("zenity");
    fs::write(&zenity, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(zenity, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn only_files_that_were_asked_about_are_replaced() {
    const NAME: &str = "files::only_files_that_were_asked_about_are_replaced";
    if part().is_none() {
        let home = tempfile::tempdir().unwrap();
        let programs = home.path().join("programs");
        fs::create_dir(&programs).unwrap();
        return without_portal(home.path(), &programs, NAME, "replace");
    }
    let (runtime, programs) = (started(), home().join("programs"));
    let at = |name: &str| home().join("out").join(name);
    fs::create_dir(home().join("out")).unwrap();

    in_zenitys_place(&programs, "exit 1");
    assert_eq!(told(&runtime, Effect::Save(document(&BOTH))), Told::Closed);

    // The dialog has asked about the file it gives, and about no other.
    in_zenitys_place(&programs, &format!("echo '{}'", at("a.md").display()));
    fs::write(at("a.md"), "old").unwrap();
    fs::write(at("a.json"), "old").unwrap();
    assert_eq!(told(&runtime, Effect::Save(document(&BOTH))), Told::AsksToReplace(vec![at("a.json")]));
    assert_eq!(fs::read_to_string(at("a.md")).unwrap(), "old");
    let agreed = Effect::Write { document: document(&BOTH), path: at("a.md"), replaces: vec![at("a.json"), at("a.md")] };
    assert_eq!(told(&runtime, agreed), Told::Saved(vec![at("a.md"), at("a.json")]));
    assert!(fs::read_to_string(at("a.json")).unwrap().contains("medusa-advisor.report/1"));

    runtime.perform(Effect::ChooseSnapshot);
    until(&runtime, |e| matches!(e, Event::SnapshotChosen(path) if *path == at("a.md")).then_some(()));

    // A name that gets its ending here is another file than the one asked about.
    in_zenitys_place(&programs, &format!("echo '{}'", at("b").display()));
    fs::write(at("b.json"), "old").unwrap();
    assert_eq!(told(&runtime, Effect::Save(document(&[ReportFormat::Json]))), Told::AsksToReplace(vec![at("b.json")]));
    assert_eq!(fs::read_to_string(at("b.json")).unwrap(), "old");
}

#[test]
fn a_full_disk_and_a_closed_folder_lose_nothing() {
    const NAME: &str = "files::a_full_disk_and_a_closed_folder_lose_nothing";
    const MOUNTS: &str = r#"mount -t tmpfs -o size=4m tmpfs "$HOME/full" && mount -t tmpfs -o ro tmpfs "$HOME/closed" && exec "$0" "$@""#;
    if part().is_none() {
        let can_mount = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        if !can_mount.is_ok_and(|o| o.status.success()) {
            println!("skipped: this system lets nobody mount a small disk of their own (unshare -rm)");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("full")).unwrap();
        fs::create_dir(home.path().join("closed")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", MOUNTS]);
        return crate::stage::run_again(command, home.path(), NAME, "full");
    }
    let (runtime, full) = (started(), home().join("full"));
    let both = vec![full.join("a.md"), full.join("a.json")];
    for path in &both {
        fs::write(path, "old").unwrap();
    }
    // The Markdown fits, the JSON no longer.
    let elsewhere = Effect::Write { document: document(&BOTH), path: home().join("a.md"), replaces: Vec::new() };
    assert!(matches!(told(&runtime, elsewhere), Told::Saved(_)));
    let size = |name: &str| fs::metadata(home().join(name)).unwrap().len() as usize;
    let room = size("a.md") + size("a.json") / 2 + 8_192;
    fs::write(full.join("ballast"), vec![0; 4 * 1_024 * 1_024 - room]).unwrap();
    let write = |path: PathBuf| Effect::Write { document: document(&BOTH), path, replaces: both.clone() };
    let Told::Failed(problem) = told(&runtime, write(full.join("a.md"))) else { panic!("the disk was not full") };
    assert!(problem.contains("is full") && problem.contains("Nothing that was there was changed"), "{problem}");
    assert!(both.iter().all(|path| fs::read(path).unwrap() == b"old"));
    assert_eq!(names(&full), ["a.json", "a.md", "ballast"]);

    let Told::Failed(problem) = told(&runtime, write(home().join("closed/a.md"))) else { panic!("the folder was not closed") };
    assert!(problem.contains("cannot be written to") && problem.contains("Choose another folder"), "{problem}");
}
