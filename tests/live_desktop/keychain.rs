//! Secrets in a real GNOME Keyring, through the runtime as the window uses it: kept, read after a restart, changed, forgotten; and what is
//! said where the keyring is locked, silent or absent.
//!
//! Each test plays on a bus of its own: it starts itself again under `dbus-run-session`, in a temporary home.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::stage::{eventually, part, started, until};
use medusa_advisor::app::{Effect, Event, Service, Settings};
use medusa_advisor::connect::profile::{CloudflareProfile, Environment, KeepSecrets, Limits, Profile, Secrets, parse_postgres, parse_redis};
use medusa_advisor::evidence::Layer;
use medusa_advisor::plan::score::LayerStatus;
use medusa_advisor::runtime::Runtime;
use medusa_advisor::secret::Secret;

/// A keyring that is made, or opened, with a known password.
const UNLOCKED: &str = r#"printf correct-horse | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec "$0" "$@""#;
/// One that nobody has opened. There is no display, so nobody can be asked.
const LOCKED: &str = r#"gnome-keyring-daemon --start --components=secrets >/dev/null && exec "$0" "$@""#;
const NOTHING_STARTED: &str = r#"exec "$0" "$@""#;

/// Knows no service and starts none.
const EMPTY_BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#;

/// A home folder with its keyrings; it outlives a bus, as a disk outlives a session.
struct Stage {
    home: tempfile::TempDir,
}

impl Stage {
    fn new() -> Option<Self> {
        let is_set = crate::stage::has(&["dbus-run-session", "gnome-keyring-daemon", "secret-tool"]);
        is_set.then(|| Self { home: tempfile::tempdir().unwrap() })
    }

    /// Plays the part of `test` named `part` on a new bus.
    fn play(&self, test: &str, part: &str, starting: &str) {
        let mut bus = Command::new("dbus-run-session");
        bus.args(["--", "sh", "-c", starting]);
        self.run(bus, test, part);
    }

    fn play_on_empty_bus(&self, test: &str, part: &str) {
        let config = self.home.path().join("bus.conf");
        std::fs::write(&config, EMPTY_BUS).unwrap();
        let mut bus = Command::new("dbus-run-session");
        bus.arg("--config-file").arg(config).args(["--", "sh", "-c", NOTHING_STARTED]);
        self.run(bus, test, part);
    }

    fn play_without_bus(&self, test: &str, part: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-c", NOTHING_STARTED]).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
        self.run(shell, test, part);
    }

    fn run(&self, command: Command, test: &str, part: &str) {
        crate::stage::run_again(command, self.home.path(), test, part);
    }
}

fn saved(runtime: &Runtime, profile: &Profile, secrets: Secrets) {
    runtime.perform(Effect::SaveStore { profile: profile.clone(), secrets });
    until(runtime, |e| matches!(e, Event::StoreSaved { problem: None, .. }).then_some(()));
    settled(runtime);
}

/// Whatever the keychain is doing is done: who asks it next has had its turn.
fn settled(runtime: &Runtime) {
    let nothing = Profile { id: "nothing".into(), postgres: None, redis: Vec::new(), cloudflare: None, ..profile() };
    runtime.perform(Effect::Test { service: Service::Postgres, run: 99, profile: nothing, secrets: Secrets::default() });
    until(runtime, |e| matches!(e, Event::TestDone { run: 99, .. }).then_some(()));
}

fn is_keychain_found(runtime: &Runtime) -> bool {
    runtime.perform(Effect::LookForKeychain);
    until(runtime, |e| if let Event::KeychainFound(is_there) = e { Some(*is_there) } else { None })
}

/// What is said when a store with a secret is saved here.
fn problem_of_saving(runtime: &Runtime) -> String {
    runtime.perform(Effect::SaveStore { profile: profile(), secrets: secrets("hunter2") });
    problem(runtime)
}

/// What is said when a store whose secrets are said to be kept is audited here: a sentence, and the question for them.
fn problem_of_auditing(runtime: &Runtime) -> String {
    runtime.perform(Effect::StartAudit { run: 1, profile: profile(), secrets: None, settings: Settings::default() });
    until(runtime, |e| if let Event::NeedSecrets { run: 1, reason, .. } = e { Some(reason.clone()) } else { None })
}

fn problem(runtime: &Runtime) -> String {
    until(runtime, |e| if let Event::Problem(text) = e { Some(text.clone()) } else { None })
}

fn profile() -> Profile {
    Profile {
        id: "northwind".into(),
        name: "Northwind".into(),
        environment: Environment::Staging,
        postgres: Some(parse_postgres("postgres://advisor@127.0.0.1:1/medusa").unwrap().0),
        redis: vec![parse_redis("redis://127.0.0.1:2/0").unwrap().0],
        cloudflare: Some(CloudflareProfile { zone: "example.com".into(), base_url: None }),
        cloudfront: None,
        shop: None,
        keep_secrets: KeepSecrets::Keychain,
        limits: Limits { window_s: 5, ..Limits::default() },
    }
}

fn secrets(postgres: &str) -> Secrets {
    let secret = |text: &str| Some(Secret::new(text.to_owned()));
    Secrets {
        postgres_password: secret(postgres),
        redis_passwords: vec![secret("redis-käse")],
        cloudflare_token: secret("cf-token"),
        ..Secrets::default()
    }
}

/// As another program sees it.
fn in_keyring(account: &str) -> Option<String> {
    let output = Command::new("secret-tool").args(["lookup", "service", "medusa-advisor", "username", account]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn all_in_keyring() -> [Option<String>; 3] {
    ["northwind/postgres", "northwind/redis-127.0.0.1:2", "northwind/cloudflare"].map(in_keyring)
}

fn file_of_store() -> (PathBuf, String) {
    let home = PathBuf::from(std::env::var_os("MEDUSA_ADVISOR_HOME").unwrap());
    let file = home.join("config/stores/northwind.json");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    (home, text)
}

fn holds(folder: &Path, needle: &str) -> bool {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .any(|path| if path.is_dir() { holds(&path, needle) } else { String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(needle) })
}

#[test]
fn secrets_are_kept_changed_and_forgotten() {
    const NAME: &str = "keychain::secrets_are_kept_changed_and_forgotten";
    let texts = |all: [&str; 3]| all.map(|t| Some(t.to_owned()));
    match part().as_deref() {
        None => {
            let Some(stage) = Stage::new() else { return };
            stage.play(NAME, "save", UNLOCKED);
            // Another session of the same user: only the disk remembers.
            stage.play(NAME, "change", UNLOCKED);
            stage.play(NAME, "delete", UNLOCKED);
        }
        Some("save") => {
            let runtime = started();
            assert!(is_keychain_found(&runtime));
            saved(&runtime, &profile(), secrets("hunter2"));
            assert_eq!(all_in_keyring(), texts(["hunter2", "redis-käse", "cf-token"]));
            let (home, text) = file_of_store();
            assert!(text.contains("keychain"), "{text}");
            assert!(["hunter2", "käse", "cf-token"].iter().all(|s| !holds(&home, s)), "a secret lies on disk");
        }
        Some("change") => {
            let runtime = started();
            saved(&runtime, &profile(), Secrets { postgres_password: secrets("changed").postgres_password, ..Secrets::default() });
            assert_eq!(all_in_keyring(), texts(["changed", "redis-käse", "cf-token"]));
            // Another address in the same place keeps its password; a service that is gone loses it.
            let mut other = profile();
            other.redis[0].port = 3;
            other.cloudflare = None;
            saved(&runtime, &other, Secrets::default());
            assert_eq!(all_in_keyring(), [Some("changed".to_owned()), None, None]);
            assert_eq!(in_keyring("northwind/redis-127.0.0.1:3").as_deref(), Some("redis-käse"));
            // A copy has its own; the original's are asked for from now on.
            runtime.perform(Effect::DuplicateStore { from: "northwind".into(), profile: Profile { id: "copy".into(), ..other.clone() } });
            eventually("the copy has its secret", || in_keyring("copy/postgres").as_deref() == Some("changed"));
            saved(&runtime, &Profile { keep_secrets: KeepSecrets::AskEachTime, ..other }, Secrets::default());
            assert_eq!(all_in_keyring(), [None, None, None]);
            saved(&runtime, &profile(), secrets("again"));
        }
        Some(_) => {
            let runtime = started();
            assert_eq!(all_in_keyring(), texts(["again", "redis-käse", "cf-token"]));
            runtime.perform(Effect::DeleteStore("northwind".into()));
            eventually("the secrets are gone", || all_in_keyring() == [None, None, None]);
            assert_eq!(file_of_store().1, "", "the file of the store is gone");
        }
    }
}

#[test]
fn an_audit_signs_in_with_what_is_kept() {
    const NAME: &str = "keychain::an_audit_signs_in_with_what_is_kept";
    let Ok(url) = std::env::var("ADVISOR_TEST_POSTGRES") else {
        println!("skipped: ADVISOR_TEST_POSTGRES names no private Postgres server; tests/run.sh starts one");
        return;
    };
    let (postgres, password) = parse_postgres(&url).unwrap();
    let store = Profile { postgres: Some(postgres), redis: Vec::new(), cloudflare: None, ..profile() };
    match part().as_deref() {
        None => {
            let Some(stage) = Stage::new() else { return };
            stage.play(NAME, "save", UNLOCKED);
            stage.play(NAME, "audit", UNLOCKED);
        }
        Some("save") => saved(&started(), &store, Secrets { postgres_password: password, ..Secrets::default() }),
        Some(_) => {
            let runtime = started();
            runtime.perform(Effect::StartAudit { run: 1, profile: store, secrets: None, settings: Settings::default() });
            let audit = until(&runtime, |e| if let Event::AuditFinished { result, .. } = e { Some(result.clone()) } else { None }).unwrap();
            let layer = audit.plan.layers.iter().find(|l| l.layer == Layer::Postgres).unwrap();
            assert!(matches!(layer.status, LayerStatus::Audited | LayerStatus::Partial), "{:?}", layer.note);
        }
    }
}

#[test]
fn a_locked_keyring_is_told_and_the_secrets_are_asked_for() {
    const NAME: &str = "keychain::a_locked_keyring_is_told_and_the_secrets_are_asked_for";
    match part().as_deref() {
        None => {
            let Some(stage) = Stage::new() else { return };
            stage.play(NAME, "keep", UNLOCKED);
            stage.play(NAME, "locked", LOCKED);
            stage.play(NAME, "delete while locked", LOCKED);
            stage.play(NAME, "still there", UNLOCKED);
        }
        Some("keep") => saved(&started(), &profile(), secrets("hunter2")),
        Some("locked") => {
            let runtime = started();
            assert!(is_keychain_found(&runtime), "locked is not absent");
            let told = problem_of_auditing(&runtime);
            assert!(told.contains("is locked"), "{told}");
            let told = problem_of_saving(&runtime);
            assert!(told.contains("is locked") && told.contains("asked for when an audit starts"), "{told}");
            let (_, text) = file_of_store();
            assert!(text.contains("ask_each_time") && text.contains("\"medusa\""), "the store itself is saved: {text}");
            runtime.perform(Effect::SaveStore { profile: profile(), secrets: Secrets::default() });
            settled(&runtime);
        }
        Some("delete while locked") => {
            let runtime = started();
            runtime.perform(Effect::DeleteStore("northwind".into()));
            let told = problem(&runtime);
            assert!(told.contains("is deleted, but its secrets may still lie in the keychain"), "{told}");
        }
        Some(_) => {
            assert_eq!(in_keyring("northwind/postgres").as_deref(), Some("hunter2"), "what could not be reached was not lost");
        }
    }
}

#[test]
fn without_a_keyring_to_open_none_is_made_unasked() {
    const NAME: &str = "keychain::without_a_keyring_to_open_none_is_made_unasked";
    if part().is_none() {
        let Some(stage) = Stage::new() else { return };
        return stage.play(NAME, "save", LOCKED);
    }
    let told = problem_of_saving(&started());
    assert!(told.contains("asked for when an audit starts"), "{told}");
    assert!(file_of_store().1.contains("ask_each_time"));
}

#[test]
fn without_a_secret_service_or_a_bus_the_secrets_are_asked_for() {
    const NAME: &str = "keychain::without_a_secret_service_or_a_bus_the_secrets_are_asked_for";
    if part().is_none() {
        let Some(stage) = Stage::new() else { return };
        stage.play_on_empty_bus(NAME, "no service");
        return stage.play_without_bus(NAME, "no bus");
    }
    let runtime = started();
    assert!(!is_keychain_found(&runtime));
    let told = problem_of_saving(&runtime);
    assert!(told.contains("no Secret Service is running") && told.contains("asked for when an audit starts"), "{told}");
    assert!(file_of_store().1.contains("ask_each_time"));
    let told = problem_of_auditing(&runtime);
    assert!(told.contains("no Secret Service is running"), "{told}");
    runtime.perform(Effect::DeleteStore("northwind".into()));
    let is_deleted = |e: &Event| match e {
        Event::Problem(text) => Some(Err(text.clone())),
        Event::StoreDeleted { .. } => Some(Ok(())),
        _ => None,
    };
    assert_eq!(until(&runtime, is_deleted), Ok(()));
}

#[test]
fn a_keyring_started_later_is_found_and_a_silent_one_keeps_nobody_waiting() {
    const NAME: &str = "keychain::a_keyring_started_later_is_found_and_a_silent_one_keeps_nobody_waiting";
    if part().is_none() {
        let Some(stage) = Stage::new() else { return };
        return stage.play_on_empty_bus(NAME, "later");
    }
    let runtime = started();
    assert!(!is_keychain_found(&runtime));
    let daemon = keyring_daemon();
    assert!(is_keychain_found(&runtime));
    saved(&runtime, &profile(), secrets("hunter2"));
    assert_eq!(in_keyring("northwind/postgres").as_deref(), Some("hunter2"));

    // Started again, it knows nothing of the session before.
    signal(daemon, "TERM");
    eventually("the keyring is down", || !Path::new(&format!("/proc/{daemon}")).exists());
    let daemon = keyring_daemon();
    saved(&runtime, &profile(), secrets("changed"));
    assert_eq!(in_keyring("northwind/postgres").as_deref(), Some("changed"));

    signal(daemon, "STOP");
    let began = Instant::now();
    assert!(!is_keychain_found(&runtime));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    // Cancelling does not wait for it, and closing the window does not either.
    runtime.perform(Effect::StartAudit { run: 1, profile: profile(), secrets: None, settings: Settings::default() });
    std::thread::sleep(Duration::from_millis(300));
    runtime.perform(Effect::CancelAudit);
    let began = Instant::now();
    let ended = until(&runtime, |e| if let Event::AuditFinished { result, .. } = e { Some(result.clone()) } else { None });
    assert!(ended.unwrap_err().contains("cancelled before anything was read"));
    runtime.perform(Effect::SaveStore { profile: profile(), secrets: secrets("unheard") });
    until(&runtime, |e| matches!(e, Event::StoreSaved { problem: None, .. }).then_some(()));
    drop(runtime);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    signal(daemon, "KILL");
}

/// An unlocked keyring daemon on this bus, by its process id.
fn keyring_daemon() -> u32 {
    use std::io::Write;
    use std::process::Stdio;
    let mut daemon = Command::new("gnome-keyring-daemon")
        .args(["--unlock", "--foreground", "--components=secrets"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    daemon.stdin.take().unwrap().write_all(b"correct-horse").unwrap();
    let is_up = || Command::new("secret-tool").args(["search", "service", "nobody"]).output().unwrap().status.success();
    eventually("the keyring is up", is_up);
    let id = daemon.id();
    // Waited for aside, so that its end is seen.
    std::thread::spawn(move || daemon.wait());
    id
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap().success());
}
