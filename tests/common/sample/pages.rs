//! The sample model turned to a page, with what that page needs.

use std::path::PathBuf;
use std::sync::Arc;

use medusa_advisor::app::message::WizardAction;
use medusa_advisor::app::wizard::WizardStep;
use medusa_advisor::app::{Action, Activity, Event, LaneState, Model, Page, Phase, Remote, Running};
use medusa_advisor::connect::profile::{Environment, KeepSecrets};
use medusa_advisor::connect::steps::{Capability, CapabilityState, StepState, TestReport, TestStep};
use medusa_advisor::evidence::Layer;
use medusa_advisor::history::compare;
use time::{Duration, OffsetDateTime};

use super::{STORE, TAKEN_AT, findings, snapshot};

/// Names of the pages, as on the command line of `examples/look.rs`.
pub const NAMES: [&str; 28] = [
    "stores",
    "overview",
    "findings",
    "check-again",
    "metrics-postgres",
    "metrics-redis",
    "metrics-cdn",
    "metrics-both",
    "metrics-both-rules",
    "metrics-cloudfront",
    "metrics-cloudfront-rules",
    "metrics-app",
    "audits",
    "compare",
    "export",
    "audit",
    "connect",
    "connect-sentinels",
    "settings",
    "checks",
    "first-run",
    "many-stores",
    "dialog-delete",
    "dialog-cancel",
    "dialog-dismiss",
    "dialog-secrets",
    "dialog-keys",
    "dialog-go-to",
];

/// Turns the model to the page called `name`; `false` when there is no such page.
pub fn open(model: &mut Model, name: &str) -> bool {
    if let Some(dialog) = name.strip_prefix("dialog-") {
        return open_dialog(model, dialog);
    }
    let page = match name {
        "many-stores" => {
            many_stores(model);
            Page::Stores
        }
        "stores" | "first-run" => Page::Stores,
        "overview" => Page::Overview,
        "findings" => Page::Findings,
        "check-again" => {
            check_again(model);
            Page::Findings
        }
        "metrics-postgres" => Page::Metrics(Layer::Postgres),
        "metrics-redis" => Page::Metrics(Layer::Redis),
        "metrics-cdn" => Page::Metrics(Layer::Cdn),
        "metrics-both" | "metrics-both-rules" => {
            super::open_changed(model, super::cloudfront::beside);
            model.metrics.tabs[Layer::Cdn as usize] = if name.ends_with("rules") { 6 } else { 5 };
            Page::Metrics(Layer::Cdn)
        }
        "metrics-cloudfront" | "metrics-cloudfront-rules" => {
            super::open_changed(model, super::cloudfront::behind);
            model.metrics.tabs[Layer::Cdn as usize] = if name.ends_with("rules") { 2 } else { 0 };
            Page::Metrics(Layer::Cdn)
        }
        "metrics-app" => Page::Metrics(Layer::App),
        "audits" => Page::Audits,
        "compare" => Page::Compare,
        "export" => Page::Export,
        "audit" => Page::Audit,
        "connect" => {
            connect(model, WizardStep::Postgres);
            Page::Connect
        }
        "connect-sentinels" => {
            connect(model, WizardStep::Redis);
            if let Some(redis) = model.wizard.as_mut().and_then(|w| w.redis.first_mut()) {
                (redis.master, redis.sentinel_user) = ("northwind".to_owned(), "watcher".to_owned());
                redis.sentinel_ca_file = "/etc/ssl/northwind-ca.pem".to_owned();
            }
            Page::Connect
        }
        "settings" => Page::Settings,
        "checks" => Page::Checks,
        _ => return false,
    };
    match page {
        Page::Compare => compare_two(model),
        Page::Audit => model.running = Some(running()),
        Page::Export => export(model),
        _ => {}
    }
    model.page = page;
    true
}

/// The dialog called so, over the page it is asked on.
fn open_dialog(model: &mut Model, name: &str) -> bool {
    let now = OffsetDateTime::now_utc();
    let action = match name {
        "delete" => Action::AskDeleteStore(STORE.to_owned()),
        "dismiss" => {
            model.page = Page::Findings;
            let Some(key) = model.listed_findings().first().map(|f| f.key.clone()) else { return false };
            Action::AskDismiss(key)
        }
        "cancel" => {
            open(model, "audit");
            if let Some(running) = &mut model.running {
                running.started_at -= Duration::minutes(5);
            }
            Action::AskCancelAudit
        }
        "secrets" => {
            let mut entry = super::store("asks", "Asks each time", Environment::Staging, &[], [0; 5]);
            entry.profile.keep_secrets = KeepSecrets::AskEachTime;
            model.receive(Event::Stores(Ok(vec![entry, super::demo_store()])));
            model.page = Page::Stores;
            Action::StartAudit("asks".to_owned())
        }
        "keys" => Action::ShowKeys,
        "go-to" => Action::ShowGoTo,
        _ => return false,
    };
    model.act(action, now);
    true
}

/// The first finding, checked again and still there at half its cost.
fn check_again(model: &mut Model) {
    use medusa_advisor::app::Effect;
    use medusa_advisor::app::recheck::{Rechecked, Verdict};
    let Some(first) = model.listed_findings().first().map(|r| (r.key.clone(), r.finding.clone())) else { return };
    let (key, mut now) = first;
    now.observed = "202 calls in 10 s read 180,000 rows each to return 3: 21 ms a call, 48 % of database time.".to_owned();
    if let Some(medusa_advisor::finding::Evidence::Figure { shown, .. }) = now.evidence.first_mut() {
        *shown = "202".to_owned();
    }
    let effects = model.act(Action::CheckAgain(key.clone()), TAKEN_AT);
    let Some(Effect::CheckAgain { run, .. }) = effects.into_iter().next() else { return };
    let verdict = Verdict::StillThere(Box::new(now));
    let caution = Some("The database ran 31/s statements now and 98/s then: check again under the same load.".to_owned());
    let result = Ok(Rechecked { at: TAKEN_AT + Duration::hours(2), window_s: 10.0, verdict, caution });
    model.receive(Event::CheckedAgain { run, key, result });
}

/// Thirty stores, one of them with a name that no column holds.
fn many_stores(model: &mut Model) {
    let mut stores = super::stores();
    let demo = stores.pop();
    for i in 0..24_u32 {
        let environment = if i % 3 == 0 { Environment::Staging } else { Environment::Production };
        let name = if i == 0 { "The Company of Outfitters to Northern and Southern Expeditions, Limited".to_owned() } else { format!("Store {i}") };
        let score = Some(40 + i * 2);
        stores.push(super::store(&format!("store-{i}"), &name, environment, &[[score, None, score, score], [score; 4]], [0, 1, 2, 3, 4]));
    }
    stores.extend(demo);
    model.receive(Event::Stores(Ok(stores)));
}

fn compare_two(model: &mut Model) {
    let mut judged = findings::judged();
    // Before: without the first finding, and with one that has gone since.
    judged.remove(0);
    let before = snapshot();
    let before_plan = medusa_advisor::plan::from_outcomes(&before, judged, &[]);
    let mut after = snapshot();
    after.meta.taken_at = TAKEN_AT + Duration::days(3);
    let mut judged = findings::judged();
    judged[7].outcome = medusa_advisor::finding::Outcome::Passed;
    let after_plan = medusa_advisor::plan::from_outcomes(&after, judged, &[]);
    model.compare = Remote::Ready(Arc::new(compare::compare((&before, &before_plan), (&after, &after_plan))));
    let path = |age: u32| PathBuf::from(format!("/audits/{STORE}/{age}.snapshot"));
    model.compare_pair = Some((path(1), path(0)));
}

fn running() -> Running {
    let started_at = OffsetDateTime::now_utc() - Duration::seconds(27);
    let lane = |layer: Layer, now: &str, done, of, calls, busy_ms| LaneState {
        layer,
        is_configured: true,
        now: now.to_owned(),
        done,
        of,
        calls,
        busy_ms,
        is_done: layer == Layer::Cdn,
        failed: None,
    };
    let activity =
        |seconds: i64, layer, text: &str, is_gap| Activity { at: started_at + Duration::seconds(seconds), layer, text: text.to_owned(), is_gap };
    let live = |value: fn(f64) -> f64| (0..20).map(f64::from).map(|s| (s, value(s))).collect::<Vec<_>>();
    Running {
        run: 1,
        store: STORE.to_owned(),
        started_at,
        phase: Phase::Observe,
        window_s: 30.0,
        lanes: vec![
            lane(Layer::Cdn, "Done", 6, 6, 11, None),
            lane(Layer::Redis, "Sampling keys, 10,000 of 33,510", 5, 7, 1_204, Some(38.0)),
            lane(Layer::Postgres, "Watching statements", 14, 17, 48, Some(212.0)),
            lane(Layer::App, "Timing GET /store/products", 3, 5, 58, None),
        ],
        activity: vec![
            activity(26, Layer::Redis, "KEYS catalog:* took 84 ms", false),
            activity(9, Layer::Postgres, "pg_stats is not readable by this role", true),
            activity(4, Layer::Cdn, "Analytics of 24 h read", false),
        ],
        live: vec![
            ("pg.database_time", live(|s| 0.8 + 0.1 * (s * 0.7).sin())),
            ("redis.hit_rate", live(|s| 0.58 + 0.05 * (s * 0.4).cos())),
            ("app.latency", live(|s| 720.0 + 300.0 * (s * 1.3).sin().abs())),
        ],
        window_opened_at: Some(started_at + Duration::seconds(7)),
        phase_began: vec![
            (Phase::Connect, started_at),
            (Phase::Read, started_at + Duration::seconds(1)),
            (Phase::Observe, started_at + Duration::seconds(7)),
        ],
        is_cancelling: false,
    }
}

/// The preview drawn from the report of the open audit.
fn export(model: &mut Model) {
    use medusa_advisor::app::{Preview, message::ReportFormat};
    use medusa_advisor::report::{Options, Report, pdf};
    let now = OffsetDateTime::now_utc();
    model.act(Action::ToggleFormat(ReportFormat::Markdown), now);
    let Some(audit) = model.current_audit() else { return };
    let report = Report::build(&audit.snapshot, &audit.plan, &Options::whole(&audit.snapshot.meta.store));
    let preview = pdf::pages(&report, 1.5).map_err(|e| e.to_string()).map(|pages| {
        let page = |(width, height, rgba): pdf::PageImage| medusa_advisor::app::PreviewPage { width: width as usize, height: height as usize, rgba };
        let pages: Vec<_> = pages.into_iter().map(page).collect();
        let pages_total = pages.len();
        Arc::new(Preview { pages, pages_total })
    });
    model.receive(Event::Previewed(preview));
}

fn connect(model: &mut Model, step: WizardStep) {
    let now = OffsetDateTime::now_utc();
    model.act(Action::EditStore(STORE.to_owned()), now);
    model.act(Action::Wizard(WizardAction::Step(step)), now);
    let report = report();
    if let Some(wizard) = &mut model.wizard {
        wizard.tests[WizardStep::Postgres as usize] =
            Some(medusa_advisor::app::wizard::Test { run: 1, steps: report.steps.clone(), report: Some(report) });
    }
}

fn report() -> TestReport {
    let step = |name: &str, detail: &str, ms| TestStep { name: name.to_owned(), detail: detail.to_owned(), ms: Some(ms), state: StepState::Done };
    let capability = |name: &str, detail: &str, state| Capability { name: name.to_owned(), detail: detail.to_owned(), state };
    let granted = || CapabilityState::Granted;
    TestReport {
        steps: vec![
            step("Name resolved", "10.20.4.17", 2.0),
            step("Port open", "5432", 3.0),
            step("TLS", "TLSv1.3, certificate valid until 4 Feb 2027", 21.0),
            step("Signed in", "medusa_advisor", 18.0),
            step("Server", "Postgres 16.4, primary", 9.0),
            step("Medusa", "2.21.2, 131 tables", 8.0),
        ],
        capabilities: vec![
            capability("Statements", "pg_stat_statements 1.10", granted()),
            capability("Settings and sessions", "pg_monitor", granted()),
            capability("Column statistics", "pg_stats", CapabilityState::Missing { grant: "grant pg_read_all_stats to medusa_advisor;".to_owned() }),
            capability("Rows of your tables", "never read", CapabilityState::Never),
        ],
    }
}
