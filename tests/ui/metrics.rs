//! The metrics pages and the comparison by what screen readers get, through AccessKit.

use crate::sample::Kind;
use eframe::egui::{Key, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use medusa_advisor::app::message::ComparisonFormat;
use medusa_advisor::app::{Action, Model, Page};
use medusa_advisor::evidence::postgres::StatementPlan;
use medusa_advisor::evidence::{Cause, Gap, Layer, Section, Snapshot};
use medusa_advisor::ui::theme::{self, ThemeChoice};
use medusa_advisor::ui::{fonts, pages};

struct State {
    model: Model,
    pushed: Vec<Action>,
}

fn harness(model: Model) -> Harness<'static, State> {
    let mut harness = Harness::builder()
        .with_size([1064.0, 800.0])
        .with_context_setup(|ctx| {
            fonts::install(ctx);
            theme::apply(ctx, ThemeChoice::Light);
        })
        .build_ui_state(
            |ui, state: &mut State| {
                let mut actions = Vec::new();
                if state.model.page == Page::Compare {
                    pages::compare::show(ui, &state.model, &mut actions);
                } else {
                    pages::metrics::show(ui, &state.model, &mut actions);
                }
                for action in actions {
                    state.pushed.push(action.clone());
                    state.model.act(action, crate::sample::TAKEN_AT);
                }
            },
            State { model, pushed: Vec::new() },
        );
    harness.run_steps(3);
    harness
}

fn at(layer: Layer) -> Model {
    let mut model = crate::sample::model(Kind::Sample);
    model.page = Page::Metrics(layer);
    model
}

/// Without one section of the evidence.
fn without(layer: Layer, section: Section, gap: Gap) -> Model {
    with(layer, |snapshot| snapshot.withhold(section, gap))
}

/// With other evidence.
fn with(layer: Layer, edit: impl FnOnce(&mut Snapshot)) -> Model {
    let mut model = at(layer);
    crate::sample::open_changed(&mut model, edit);
    model.page = Page::Metrics(layer);
    model
}

#[test]
fn every_segment_of_every_layer_draws() {
    for (layer, tabs) in [(Layer::Postgres, 5), (Layer::Redis, 4), (Layer::Cdn, 5), (Layer::App, 2)] {
        for tab in 0..tabs {
            let mut model = at(layer);
            model.act(Action::MetricsTab(layer, tab), crate::sample::TAKEN_AT);
            let harness = harness(model);
            let tables = harness.get_all_by_label_contains("Copy table").count();
            assert!(tables > 0, "{} {tab} has no table", layer.name());
        }
    }
}

#[test]
fn a_chart_tells_its_conclusion_and_shows_its_table() {
    let mut harness = harness(at(Layer::Cdn));
    harness.get_by_label_contains("Hit ratio by hour");
    harness.get_by_label("Show as table: Hit ratio").click();
    harness.run_steps(3);
    assert!(harness.query_by_label_contains("Hit ratio by hour").is_none());
    harness.get_by_label("Show as chart: Hit ratio").click();
    harness.run_steps(3);
    harness.get_by_label_contains("Hit ratio by hour");
}

#[test]
fn a_missing_grant_stands_in_place_of_the_table() {
    const GRANT: &str = "grant pg_read_all_stats to medusa_advisor;";
    let gap = Gap::new(Section::PgStatements, Cause::Denied { grant: GRANT.into() }, "pg_stat_statements is not readable by this role.");
    let harness = harness(without(Layer::Postgres, Section::PgStatements, gap));
    assert!(harness.query_all(egui_kittest::kittest::by().value(GRANT)).count() > 0, "the exact grant stands there");
    harness.get_by_label_contains("Database time – not measured");
    assert!(harness.query_by_label_contains("Database time 0").is_none(), "unknown is not zero");
}

#[test]
fn a_row_opens_its_finding() {
    let mut harness = harness(at(Layer::Redis));
    let link = harness.get_all_by_label_contains("Open finding").next().expect("a command has a finding");
    link.click();
    harness.run_steps(3);
    assert!(harness.state().pushed.iter().any(|a| matches!(a, Action::OpenFinding(_))));
    assert_eq!(harness.state().model.page, Page::Findings);
}

#[test]
fn a_header_sorts_the_table() {
    let mut harness = harness(at(Layer::Postgres));
    harness.get_by_label("Calls").click();
    harness.run_steps(3);
    harness.get_by_label("Calls, sorted descending").click();
    harness.run_steps(3);
    harness.get_by_label("Calls, sorted ascending");
}

#[test]
fn the_base_switches_between_window_and_reset() {
    let mut harness = harness(at(Layer::Postgres));
    harness.get_by_label_contains("Since ").click();
    harness.run_steps(3);
    assert!(harness.state().model.metrics.since_reset);
}

#[test]
fn the_comparison_lists_what_became_of_each_finding() {
    let mut model = crate::sample::model(Kind::Sample);
    crate::sample::pages::open(&mut model, "compare");
    let harness = harness(model);
    for group in ["Resolved, ", "New, ", "Worse, ", "Still open, "] {
        harness.get_by_label_contains(group);
    }
    harness.get_by_label_contains("Postgres score ");
}

const STATEMENT: &str = "4611686018427387905";

/// The row of the table whose name holds `words`, clicked.
fn pick(harness: &mut Harness<'_, State>, words: &str) {
    harness.get_by(|node| node.role() == Role::ListBoxOption && node.label().is_some_and(|l| l.contains(words))).click();
    harness.run_steps(3);
}

fn has_value(harness: &Harness<'_, State>, value: &str) -> bool {
    harness.query_all(egui_kittest::kittest::by().value(value)).count() > 0
}

#[test]
fn a_selected_statement_shows_its_text_its_plan_and_its_finding() {
    let mut model = with(Layer::Postgres, |s| {
        let pg = s.postgres.as_mut().unwrap();
        let lines = vec!["Seq Scan on image (cost 4,211, rows 3)".to_owned()];
        pg.plans = Ok(vec![StatementPlan { statement_id: STATEMENT.to_owned(), cost: 4_211.0, lines }]);
    });
    model.page = Page::Metrics(Layer::Postgres);
    let mut harness = harness(model);
    pick(&mut harness, "from \"image\"");
    assert_eq!(harness.state().model.metrics.statement.as_deref(), Some(STATEMENT));
    harness.get_by(|n| n.role() == Role::Heading && n.label().is_some_and(|l| l == "Statement"));
    assert!(has_value(&harness, "Seq Scan on image (cost 4,211, rows 3)"));
    harness.get_by_label("Copy plan");
    harness.get_by_label("Close the statement").click();
    harness.run_steps(3);
    assert_eq!(harness.state().model.metrics.statement, None);
    harness.get_by_label("Show as table: Database time");
}

#[test]
fn a_probed_address_shows_what_was_sent_and_received() {
    let mut model = at(Layer::Cdn);
    model.metrics.tabs[Layer::Cdn as usize] = 3;
    let mut harness = harness(model);
    pick(&mut harness, "/categories/shirts");
    assert!(harness.state().model.metrics.target.as_deref().is_some_and(|url| url.ends_with("/categories/shirts")));
    harness.get_by(|n| n.role() == Role::Heading && n.label().is_some_and(|l| l == "Sent and received"));
    assert!(
        harness.query_all(egui_kittest::kittest::by().predicate(|n| n.value().is_some_and(|v| v.contains("< cf-cache-status: EXPIRED")))).count() > 0
    );
    harness.get_by_label("Close the address").click();
    harness.run_steps(3);
    assert_eq!(harness.state().model.metrics.target, None);
}

#[test]
fn a_path_is_followed_through_the_zone() {
    let mut model = at(Layer::Cdn);
    model.metrics.tabs[Layer::Cdn as usize] = 2;
    model.metrics.zone.path = "/store/products".into();
    let mut harness = harness(model);
    harness.get_by_label_contains("Eligible by a rule, by Store API");
    harness.state_mut().model.metrics.zone.path = "/cart".into();
    harness.run_steps(2);
    harness.get_by_label_contains("Bypassed, by Never cache the cart");
    harness.get_by_label("With a cart").click();
    harness.run_steps(3);
    assert_eq!(harness.state().model.metrics.zone.shopper, 1);
}

#[test]
fn a_statement_without_a_plan_says_why() {
    let gap = Gap::new(Section::PgPlans, Cause::Unreadable, "EXPLAIN was refused.");
    let mut harness = harness(without(Layer::Postgres, Section::PgPlans, gap));
    pick(&mut harness, "from \"image\"");
    assert!(has_value(&harness, "Not checked: EXPLAIN was refused."));
    // Arrow keys move the selection and the detail with it.
    harness.get_by(|n| n.role() == Role::ListBoxOption && n.toggled() == Some(eframe::egui::accesskit::Toggled::True)).focus();
    harness.run_steps(2);
    harness.key_press(Key::ArrowDown);
    harness.run_steps(3);
    assert_ne!(harness.state().model.metrics.statement.as_deref(), Some(STATEMENT));
}

#[test]
fn a_statement_of_150_kb_is_cut_until_asked_for() {
    let mut harness = harness(with(Layer::Postgres, |s| {
        let statements = s.postgres.as_mut().unwrap().statements.as_mut().unwrap();
        let list: Vec<String> = (0..12_000).map(|i| format!("${i}")).collect();
        statements.rows.rows[0].text = format!("select \"i0\".* from \"image\" where id in ({})", list.join(", "));
    }));
    pick(&mut harness, "from \"image\"");
    assert!(harness.query_all_by(|n| n.value().is_some_and(|v| v.len() > 10_000)).count() == 0);
    harness.get_by_label("Show all").click_accesskit();
    harness.run_steps(3);
    assert!(harness.query_all_by(|n| n.value().is_some_and(|v| v.len() > 60_000)).count() > 0);
}

#[test]
fn long_lists_draw_only_the_rows_in_sight() {
    let mut model = with(Layer::Postgres, |s| {
        let pg = s.postgres.as_mut().unwrap();
        let statements = pg.statements.as_mut().unwrap();
        let first = statements.rows.rows[0].clone();
        statements.rows.rows = (0..5_000).map(|i| medusa_advisor::evidence::postgres::Statement { id: i.to_string(), ..first.clone() }).collect();
        let indexes = pg.indexes.as_mut().unwrap();
        let first = indexes.rows[0].clone();
        indexes.rows = (0..10_000).map(|i| medusa_advisor::evidence::postgres::Index { name: format!("index_{i}"), ..first.clone() }).collect();
    });
    for (tab, words) in [(0, "5,000 after folding"), (2, "10,000\u{a0}indexes")] {
        model.act(Action::MetricsTab(Layer::Postgres, tab), crate::sample::TAKEN_AT);
        model.page = Page::Metrics(Layer::Postgres);
        let mut harness = harness(model);
        let began = std::time::Instant::now();
        harness.run_steps(20);
        println!("{words}: {:?} a frame", began.elapsed() / 20);
        let rows = harness.query_all_by(|n| n.role() == Role::ListBoxOption).count();
        assert!((3..40).contains(&rows), "{rows} rows drawn");
        model = std::mem::replace(&mut harness.state_mut().model, crate::sample::model(Kind::Empty));
    }
}

#[test]
fn a_session_leads_to_its_statement() {
    let mut model = at(Layer::Postgres);
    model.act(Action::MetricsTab(Layer::Postgres, 3), crate::sample::TAKEN_AT);
    let mut harness = harness(model);
    harness.get_by_label("Show the statement of process 4120").click();
    harness.run_steps(3);
    assert_eq!(harness.state().model.metrics.statement.as_deref(), Some("4611686018427387909"));
    assert_eq!(harness.state().model.metrics.tabs[Layer::Postgres as usize], 0);
    harness.get_by_label("Close the statement");
}

#[test]
fn settings_stand_in_words_with_the_changed_ones_first() {
    let mut model = at(Layer::Postgres);
    model.act(Action::MetricsTab(Layer::Postgres, 4), crate::sample::TAKEN_AT);
    let mut harness = harness(model);
    harness.get_by_label("128\u{a0}MiB");
    let names: Vec<String> = harness.query_all_by(|n| n.role() == Role::ListBoxOption).filter_map(|n| n.accesskit_node().label()).collect();
    let place = |name: &str| names.iter().position(|n| n.starts_with(name)).unwrap();
    assert!(place("shared_buffers") < place("random_page_cost"), "{names:?}");
    harness.state_mut().model.act(Action::FilterMetrics("shared".into()), crate::sample::TAKEN_AT);
    harness.run_steps(3);
    assert_eq!(harness.query_all_by(|n| n.role() == Role::ListBoxOption).count(), 1);
}

#[test]
fn a_selection_stays_with_its_row_when_the_table_is_sorted() {
    let mut harness = harness(at(Layer::Redis));
    harness.state_mut().model.act(Action::MetricsTab(Layer::Redis, 1), crate::sample::TAKEN_AT);
    harness.run_steps(3);
    let chosen = |h: &Harness<'_, State>| {
        let row = h.query_all_by(|n| n.role() == Role::ListBoxOption && n.toggled() == Some(eframe::egui::accesskit::Toggled::True)).next();
        row.and_then(|n| n.accesskit_node().label())
    };
    harness.query_all_by(|n| n.role() == Role::ListBoxOption).nth(1).unwrap().click();
    harness.run_steps(3);
    let before = chosen(&harness).expect("a row is chosen");
    // Twice: the least called first, so that the row is in sight.
    harness.get_all_by_label("Calls per s").next().unwrap().click();
    harness.run_steps(3);
    harness.get_all_by_label("Calls per s, sorted descending").next().unwrap().click();
    harness.run_steps(3);
    assert_eq!(chosen(&harness), Some(before));
}

#[test]
fn a_comparison_is_exported() {
    let mut model = crate::sample::model(Kind::Sample);
    crate::sample::pages::open(&mut model, "compare");
    let mut harness = harness(model);
    harness.get_by_label("Export comparison").click();
    harness.run_steps(3);
    harness.get_by_label("Save as Markdown").click();
    harness.run_steps(3);
    assert!(harness.state().pushed.contains(&Action::SaveComparison(ComparisonFormat::Markdown)));
}

/// The sample store behind CloudFront, at segment `tab`.
fn cloudfront(tab: usize, edit: impl FnOnce(&mut Snapshot)) -> Harness<'static, State> {
    let mut model = with(Layer::Cdn, |s| {
        crate::sample::cloudfront::behind(s);
        edit(s);
    });
    model.metrics.tabs[Layer::Cdn as usize] = tab;
    harness(model)
}

fn shows(harness: &Harness<'_, State>, words: &[&str]) {
    for shown in words {
        assert!(harness.get_all_by_label_contains(shown).count() > 0, "{shown}");
    }
}

#[test]
fn cloudfront_alone_shows_its_behaviours() {
    let harness = cloudfront(2, |_| ());
    shows(&harness, &["Managed-CachingOptimized", "_medusa_jwt", "origin.northwind-outfitters.com", "allButPersonal"]);
    // The limit on buckets is told where they stand.
    let buckets = harness.get_by(|n| n.role() == Role::Heading && n.label().is_some_and(|l| l == "Buckets"));
    assert_eq!(buckets.accesskit_node().description().as_deref(), Some("2\u{a0}buckets, 3 more were not read"));
}

#[test]
fn cloudfront_draws_its_day_with_units_and_target() {
    let mut harness = cloudfront(0, |_| ());
    shows(
        &harness,
        &["Hit ratio by hour: 50\u{a0}% to 66\u{a0}%, below the target all the time", "Requests by hour: ", "Bytes downloaded by hour: "],
    );
    shows(
        &harness,
        &["Hit ratio, GET and HEAD 61\u{a0}%", "target 80\u{a0}%", crate::sample::cloudfront::SHOP, crate::sample::cloudfront::MEDIA, "metrics off"],
    );
    harness.get_by_label("Show as table: Bytes").click();
    harness.run_steps(3);
    shows(&harness, &["MB"]);
}

#[test]
fn cloudfront_beside_cloudflare_has_segments_of_its_own() {
    let at = |tab: usize| {
        let mut model = with(Layer::Cdn, crate::sample::cloudfront::beside);
        model.metrics.tabs[Layer::Cdn as usize] = tab;
        harness(model)
    };
    let own = at(0);
    shows(&own, &["Hit ratio, cacheable requests", "Behaviours"]);
    assert!(own.query_by_label_contains(crate::sample::cloudfront::SHOP).is_none(), "Cloudflare's page tells of Cloudflare");
    let beside = at(5);
    let title = beside.get_by(|n| n.role() == Role::Heading && n.label().is_some_and(|l| l == "CDN"));
    assert_eq!(title.accesskit_node().description().as_deref(), Some("CloudFront, 2\u{a0}distributions, last 24\u{a0}h, UTC"));
    shows(&beside, &["Hit ratio, GET and HEAD 61\u{a0}%", crate::sample::cloudfront::SHOP, "At CloudFront: Bytes downloaded by hour"]);
    shows(&at(6), &["Managed-CachingOptimized", "allButPersonal"]);
    // A store with one CDN has five segments, whatever another store was left at.
    let mut model = crate::sample::model(Kind::Sample);
    crate::sample::pages::open(&mut model, "metrics-cdn");
    model.metrics.tabs[Layer::Cdn as usize] = 6;
    assert!(harness(model).query_by_label_contains("Behaviours").is_none());
}

#[test]
fn cloudfronts_missing_hours_are_no_zeros() {
    // Seven hours are too few for a chart: the reason stands there.
    let few = cloudfront(0, |s| s.cloudfront.as_mut().unwrap().metrics.as_mut().unwrap().iter_mut().for_each(|m| m.hours.truncate(7)));
    shows(&few, &["7\u{a0}points in time, 8 are needed"]);
    let off = cloudfront(0, |s| {
        let metrics = s.cloudfront.as_mut().unwrap().metrics.as_mut().unwrap();
        metrics.remove(0);
    });
    shows(&off, &["additional metrics are off", "Origin latency – not measured", "Requests by hour: "]);
    assert!(off.query_by_label_contains("Hit ratio by hour").is_none());
    let denied = Gap::new(Section::CloudFrontMetrics, Cause::Denied { grant: "Allow cloudwatch:GetMetricData.".into() }, "AWS refuses the metrics.");
    let refused = cloudfront(0, |s| s.withhold(Section::CloudFrontMetrics, denied));
    assert!(has_value(&refused, "Allow cloudwatch:GetMetricData."), "the grant stands there");
}

#[test]
fn cloudfront_tells_no_classes_and_every_segment_draws() {
    shows(&cloudfront(1, |_| ()), &["no classes of paths"]);
    for tab in [3, 4] {
        shows(&cloudfront(tab, |_| ()), &["Copy table", "Server errors"]);
    }
}
