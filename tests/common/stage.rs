//! A test that starts itself again in a place of its own: on another bus, with other mounts, in an empty home.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use medusa_advisor::app::Event;
use medusa_advisor::runtime::Runtime;

/// Set where the test was started again: which part it plays.
const PART: &str = "ADVISOR_TEST_PART";

pub fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Starts `test` again as the last words of `command`, at home in `home` and without a display; panics with what it said when it fails.
pub fn run_again(mut command: Command, home: &Path, test: &str, part: &str) {
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture", "--test-threads", "1"]);
    command.env(PART, part).env("HOME", home).env("MEDUSA_ADVISOR_HOME", home.join("advisor"));
    for (name, folder) in [("RUNTIME_DIR", "run"), ("DATA_HOME", "data"), ("CONFIG_HOME", "config"), ("CACHE_HOME", "cache")] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
        command.env(format!("XDG_{name}"), home.join(folder));
    }
    only_for_its_owner(&home.join("run"));
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{part}:\n{said}\n{complained}");
    assert!(said.contains("1 passed"), "{part}: {test} is no test here:\n{said}");
}

fn only_for_its_owner(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Says "skipped" where one of them is not installed.
pub fn has(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|p| !is_on_path(p));
    if let Some(program) = missing {
        println!("skipped: {program} is not installed; tests/run.sh installs it");
    }
    missing.is_none()
}

fn is_on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// What the window does with effects and events.
pub fn started() -> Runtime {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Runtime::new(|| {}).unwrap()
}

/// The first event that `wanted` takes; problems told on the way are in the failure.
pub fn until<T>(runtime: &Runtime, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let mut others = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(90) {
        let Some(event) = runtime.poll() else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        if let Some(done) = wanted(&event) {
            return done;
        }
        if let Event::Problem(text) = event {
            others.push(text);
        }
    }
    panic!("no answer in 90 s; problems: {others:?}");
}

/// Until it holds, for work that goes on after its event.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}
