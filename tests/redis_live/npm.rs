//! What npm installs once into a cache folder (`ADVISOR_NODE_CACHE`, else `/var/tmp/advisor-node`), and programs of Node run from there.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use super::harness::Server;

pub const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis_live");
const INSTALL: [&str; 7] =
    ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=20000"];

/// Ended with the test, by its own handle.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder `name` of the cache with these files of `sources`, and what the first of them, a package.json, asks for; says "skipped" where
/// that cannot be had.
pub fn installed(name: &str, sources: &str, files: &[&str], more: &[&str]) -> Option<PathBuf> {
    let cache = std::env::var("ADVISOR_NODE_CACHE").unwrap_or_else(|_| "/var/tmp/advisor-node".into());
    let folder = Path::new(&cache).join(name);
    let install = || {
        std::fs::create_dir_all(&folder).ok()?;
        for file in files {
            std::fs::copy(Path::new(SOURCES).join(sources).join(file), folder.join(file)).ok()?;
        }
        // npm writes it at the end: an installation that was broken off has none.
        if folder.join("node_modules/.package-lock.json").exists() {
            return Some(());
        }
        if std::env::var_os("ADVISOR_NO_INSTALL").is_some() {
            return None;
        }
        let ran = Command::new("npm").args(INSTALL).args(more).current_dir(&folder).output().ok()?;
        ran.status.success().then_some(())
    };
    if install().is_none() {
        println!("skipped: {name} is not installed in {} and cannot be: node, npm or a network is missing", folder.display());
        return None;
    }
    Some(folder)
}

pub fn node(folder: &Path, server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.args(arguments).current_dir(folder).env("REDIS_URL", server.url());
    command
}

pub fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
