//! Whole pages from the components, to compare with the design.

use super::*;
use egui::{Rect, Ui, UiBuilder, pos2, vec2};

pub fn show(ui: &mut Ui, page: &str, selected: &mut Option<usize>) {
    let theme = Theme::get(ui);
    let all = ui.max_rect();
    ui.painter().rect_filled(all, 0.0, theme.bg_page);
    let side = Rect::from_min_max(all.min, pos2(all.left() + 215.0, all.bottom()));
    ui.painter().rect_filled(side, 0.0, theme.bg_frame);
    let edge = side.right() + 0.5;
    ui.painter().vline(edge, side.y_range(), egui::Stroke::new(1.0, theme.line_subtle));
    area(ui, side.shrink2(vec2(8.0, 12.0)), |ui| sidebar(ui, page));
    let rest = Rect::from_min_max(pos2(all.left() + 216.0, all.top()), all.max);
    area(ui, rest, |ui| match page {
        "findings" => findings(ui, selected),
        "metrics" => metrics(ui, selected),
        _ => overview(ui, selected),
    });
}

fn area(ui: &mut Ui, rect: Rect, content: impl FnOnce(&mut Ui)) {
    let builder = UiBuilder::new().id_salt(("area", rect.left() as i32, rect.top() as i32));
    let layout = egui::Layout::top_down(egui::Align::Min);
    let mut child = ui.new_child(builder.max_rect(rect).layout(layout));
    child.spacing_mut().item_spacing.y = 0.0;
    content(&mut child);
}

fn sidebar(ui: &mut Ui, page: &str) {
    store_switcher(ui, Environment::Production, "Northwind Outfitters", "production");
    ui.add_space(12.0);
    let item = |icon, label, count, selected| NavItem { count, selected, ..NavItem::new(icon, label) };
    sidebar_item(ui, item(icons::GAUGE, "Overview", "", page == "overview"));
    sidebar_item(ui, item(icons::LIST_CHECKS, "Findings", "14", page == "findings"));
    sidebar_item(ui, item(icons::CHART_LINE_UP, "Metrics", "", false));
    for layer in LayerHue::ALL {
        let selected = page == "metrics" && layer == LayerHue::Postgres;
        sidebar_item(ui, NavItem { selected, ..NavItem::of_layer(layer) });
    }
    sidebar_item(ui, item(icons::CLOCK_COUNTER_CLOCKWISE, "Audits", "9", false));
    sidebar_item(ui, item(icons::FILE_ARROW_DOWN, "Export", "", false));
    ui.add_space(255.0);
    connections_head(ui);
    connection_row(ui, LayerHue::Cdn, "Cloudflare", "148 ms", true);
    connection_row(ui, LayerHue::Redis, "Redis", "3 ms", true);
    connection_row(ui, LayerHue::Postgres, "Postgres", "9 ms", true);
    connection_row(ui, LayerHue::Application, "Storefront", "not set up", false);
    ui.add_space(12.0);
    sidebar_item(ui, item(icons::STOREFRONT, "All stores", "", false));
    sidebar_item(ui, item(icons::GEAR_SIX, "Settings", "", false));
}

fn overview(ui: &mut Ui, selected: &mut Option<usize>) {
    top_bar(ui, "Overview", "Audited 23 Nov 2026, 09:30, over a 30 s window", |ui| {
        button(ui, Kind::Primary, icons::PLAY, "Run audit");
        button(ui, Kind::Secondary, icons::FILE_ARROW_DOWN, "Export");
        button(ui, Kind::Secondary, icons::ARROWS_LEFT_RIGHT, "Compare");
    });
    let page = ui.available_rect_before_wrap().shrink2(vec2(24.0, 16.0));
    area(ui, page, |ui| {
        let share = Width::Share(1.0);
        columns(ui, &[share; 4], 92.0, 12.0, |ui, index| {
            let scores = [52, 48, 41, 63];
            let deltas = [Delta::Better("+3"), Delta::Worse("−9"), Delta::Worse("−22"), Delta::None];
            let counts = ["2 high, 1 medium", "1 critical, 4 medium", "2 high, 2 low", "1 high"];
            let layer = LayerHue::ALL[index];
            score_card(ui, layer, Score::Of(scores[index]), deltas[index], counts[index]);
        });
        ui.add_space(12.0);
        columns(ui, &[share; 2], 256.0, 12.0, |ui, index| match index {
            0 => targets(ui),
            _ => path(ui),
        });
        ui.add_space(12.0);
        let height = ui.available_height();
        columns(ui, &[share, Width::Points(288.0)], height, 12.0, |ui, index| match index {
            0 => plan(ui, height, selected),
            _ => not_checked(ui, height),
        });
    });
}

fn targets(ui: &mut Ui) {
    titled_card(
        ui,
        "Targets",
        "",
        Some(256.0),
        |_| {},
        |ui| {
            let shown = |name, value, base, verdict, share, target, source, target_text| Gauge {
                name,
                value,
                base,
                verdict,
                share,
                target,
                source,
                target_text,
            };
            let cdn = "of cacheable requests";
            let source = "Cloudflare, 24 h, 3.61 M requests";
            gauge(ui, shown("CDN hit ratio", "46 %", cdn, Verdict::Missed, 0.46, 0.8, source, "target ≥ 80 %"));
            ui.add_space(18.0);
            let source = "30 s window, 18,940 lookups";
            gauge(ui, shown("Redis hit rate, product data", "78 %", "of lookups", Verdict::Met, 0.78, 0.7, source, "target ≥ 70 %"));
            ui.add_space(18.0);
            let none = Verdict::NotMeasured("12 probes, 20 needed");
            gauge(ui, shown("GET /store/products, P95", "", "", none, 0.0, 0.2, "", "target ≤ 300 ms"));
        },
    );
}

fn path(ui: &mut Ui) {
    let title = "Where 100 cacheable requests are answered";
    titled_card(
        ui,
        title,
        "",
        Some(256.0),
        |_| {},
        |ui| {
            let row = |layer, span, target, figure, words, detail| PathRow { layer, span, target, figure, words, detail };
            request_path(
                ui,
                &[
                    row(LayerHue::Cdn, Some((0.0, 46.0)), Some(80.0), "46", "at the edge", "target 80"),
                    row(LayerHue::Redis, Some((46.0, 31.0)), Some(94.0), "31", "of the other 54", "58 %, target 70 %"),
                    row(LayerHue::Postgres, Some((77.0, 23.0)), None, "23", "reach Postgres", "6 at both targets"),
                ],
            );
        },
    );
}

const TITLES: [&str; 5] = [
    "Index image(product_id)",
    "Stop Redis from evicting queued jobs",
    "Cache products and media at the edge",
    "Stop sending 20,052 ids in product lists",
    "Move media to object storage",
];

fn plan(ui: &mut Ui, height: f32, selected: &mut Option<usize>) {
    let all = |ui: &mut Ui| {
        small_link(ui, "All 14 findings →");
    };
    list_card(ui, "Do these first", Some(height), all, |ui| {
        row_list(ui, "plan", 5, 56.0, selected, |ui, index, response, on| {
            let level = if index == 1 { Level::Critical } else { Level::High };
            let row = PlanRow {
                rank: index + 1,
                level,
                title: TITLES[index],
                detail: "606 calls of 42 ms, 180,000 rows read for 3",
                layer: LayerHue::ALL[index % 4],
                gain: "−96 % database time",
                basis: "proved",
                effort: "minutes",
            };
            plan_row(ui, response, row, on);
        });
    });
}

fn not_checked(ui: &mut Ui, height: f32) {
    let count = |ui: &mut Ui| {
        ui.label(Type::LABEL.text("3 of 126").color(Theme::get(ui).text_weak));
    };
    list_card(ui, "Not checked", Some(height), count, |ui| {
        let inside = ui.available_rect_before_wrap().shrink(12.0);
        area(ui, inside, |ui| evidence_table(ui, &[("Table bloat", "pg_stats"), ("Unused indexes", "6 days")]));
    });
}

fn findings(ui: &mut Ui, selected: &mut Option<usize>) {
    let mut list = 0;
    top_bar(ui, "Findings", "14 in 126 checks, 3 not checked", |ui| {
        let words = ["Open 14", "Passed 71", "Not checked 3", "Dismissed 0"];
        segments(ui, "List", &words, &mut list, SegmentSize::Normal);
    });
    let page = ui.available_rect_before_wrap();
    let (left, right) = page.split_left_right_at_x(page.left() + 368.0);
    area(ui, left, |ui| {
        ui.add_space(12.0);
        row_list(ui, "findings", 14, 52.0, selected, |ui, index, response, on| {
            let row = FindingRow {
                rank: (index != 4).then_some(index + 1),
                level: Level::ALL[index % 5],
                layer: LayerHue::ALL[index % 4],
                title: "Statements scan a table for lack of an index",
                subject: "public.image(product_id)",
                gain: "−96 % database time",
            };
            finding_row(ui, response, row, on);
        });
    });
    area(ui, right.shrink2(vec2(24.0, 16.0)), detail);
}

const SQL: &str = "create index concurrently image_product_id\n  on public.image (product_id) where deleted_at is null;";

fn detail(ui: &mut Ui) {
    let theme = Theme::get(ui);
    ui.horizontal(|ui| {
        severity_tag(ui, Level::High);
        layer_tag(ui, LayerHue::Postgres);
        ui.label(fonts::mono("pg-missing-index").color(theme.text_weak));
    });
    ui.add_space(8.0);
    ui.label(fonts::title("Statements scan a table for lack of an index").color(theme.text));
    ui.label(fonts::mono("public.image(product_id)").color(theme.text_weak));
    ui.add_space(8.0);
    facts(ui, &[("Gain", "−96 % database time"), ("Basis", "proved, HypoPG"), ("Confidence", "high"), ("Effort", "minutes"), ("Rank", "1 of 13")]);
    ui.add_space(12.0);
    columns(ui, &[Width::Share(1.0), Width::Points(232.0)], 168.0, 16.0, |ui, index| match index {
        0 => evidence_table(
            ui,
            &[
                ("Calls in window", "606"),
                ("Mean, max", "42.0 ms, 118 ms"),
                ("Rows read per call, returned", "180,000, 3"),
                ("Table, statistics", "71 MB, analyzed 2 days ago"),
                ("Plan now", "Seq Scan, cost 6,412"),
            ],
        ),
        _ => {
            let hue = Hue::Layer(LayerHue::Postgres);
            before_after(ui, (0.87, "0.87", "now"), (0.03, "0.03 modelled", "with the index"), hue, |y, _| format!("{y:.1}"), 160.0);
        }
    });
    code_block(ui, "Fix", SQL, Language::Sql);
    ui.add_space(8.0);
    definition(ui, "Lock", "Share update exclusive: reads and writes go on, about 2 s, 6 MB", false);
    definition(ui, "Undo", "drop index concurrently image_product_id;", true);
    ui.add_space(12.0);
    ui.horizontal(|ui| {
        request_step(ui, LayerHue::Cdn, "/products/*, 31 % hits", Some((Level::High, "3")), false, 200.0);
        request_step(ui, LayerHue::Postgres, "606 calls, 42 ms", Some((Level::High, "1")), true, 200.0);
    });
    ui.add_space(12.0);
    gap_card(
        ui,
        GapCard {
            title: "One grant is missing",
            consequence: "Without it 2 of 58 checks are not run: table bloat and index bloat.",
            remedy: "grant pg_read_all_stats to medusa_advisor;",
            language: Language::Sql,
            shows: "Shows widths and null shares, no values. Run it as the owner.",
        },
        |_| {},
    );
}

fn metrics(ui: &mut Ui, selected: &mut Option<usize>) {
    top_bar(ui, "Postgres", "16.4, primary, 30 s window of 23 Nov 2026, 09:30", |_| {});
    let page = ui.available_rect_before_wrap().shrink2(vec2(24.0, 16.0));
    area(ui, page, |ui| {
        columns(ui, &[Width::Share(1.0); 4], 82.0, 12.0, |ui, index| {
            let context = ["97 % in one statement", "target 70 %", "44 idle", "10,000 sampled, ± 1 %"];
            stat(ui, Stat { caption: "Database time", figure: "0.87", unit: "s per s", context: context[index], off_target: index == 1 });
        });
        ui.add_space(12.0);
        columns(ui, &[Width::Share(1.0), Width::Points(360.0)], 218.0, 12.0, |ui, index| match index {
            0 => {
                let data = chart_data();
                titled_card(
                    ui,
                    &data.title,
                    &data.caption,
                    Some(218.0),
                    |ui| legend(ui, &data),
                    |ui| {
                        let height = ui.available_height();
                        chart(ui, &data, height);
                    },
                );
            }
            _ => titled_card(
                ui,
                "Largest tables",
                "",
                Some(218.0),
                |_| {},
                |ui| {
                    let hue = Hue::Layer(LayerHue::Postgres);
                    let row = |label: &str, a, b, value: &str| BarRow {
                        label: label.to_owned(),
                        parts: vec![(a, hue), (b, Hue::Rest)],
                        value: value.to_owned(),
                        mono: true,
                    };
                    horizontal_bars(
                        ui,
                        &[row("order", 80.0, 40.0, "1.18 GB"), row("order_line_item", 60.0, 30.0, "940 MB"), row("image", 6.0, 2.0, "71 MB")],
                        128.0,
                        26.0,
                    );
                },
            ),
        });
        ui.add_space(12.0);
        let height = ui.available_height();
        flush_card(ui, Some(height), |ui| statements(ui, selected));
    });
}

fn chart_data() -> ChartData {
    let points = |base: f64| (0..31).map(|x| (f64::from(x), (!(12..15).contains(&x)).then_some(base + 0.06 * f64::from(x * 7 % 5)))).collect();
    ChartData {
        title: "Database time".to_owned(),
        caption: "s per s, sampled each second".to_owned(),
        conclusion: "0.7 to 0.9 s per s".to_owned(),
        kind: ChartKind::Stacked,
        series: vec![
            Series { name: "all other".to_owned(), points: points(0.02), hue: Hue::Rest, modelled: false },
            Series { name: "image lookup".to_owned(), points: points(0.5), hue: Hue::Layer(LayerHue::Postgres), modelled: false },
        ],
        y_max: Some(1.2),
        target: Some((1.0, "target 1.0".to_owned())),
        x_ticks: (0..=6).map(|tick| (f64::from(tick * 5), format!("{}", tick * 5))).collect(),
        y_words: |y| format!("{y:.1}"),
        y_tick: |y, _| format!("{y:.1}"),
        x_words: |x| format!("{x} s"),
    }
}

fn statements(ui: &mut Ui, selected: &mut Option<usize>) {
    let theme = Theme::get(ui);
    let columns = [
        Column::left("Share", Width::Points(136.0)),
        Column::right("Total", Width::Points(70.0)).sortable(),
        Column::right("Calls", Width::Points(56.0)).sortable(),
        Column::left("Statement", Width::Share(1.0)),
        Column::right("Finding", Width::Points(56.0)),
    ];
    let shown = Table { id: "statements", columns: &columns, row_height: 32.0, rows: 311, sort: Some((1, false)) };
    table(
        ui,
        shown,
        selected,
        |row| format!("statement {row}"),
        |ui, row, column| match column {
            0 => {
                let share = 1.0 / (row as f32 + 1.0);
                share_cell(ui, share, &format!("{:.1} %", share * 100.0), theme.layer_postgres);
            }
            1 => {
                ui.label(fonts::body("25.45 s").color(theme.text));
            }
            2 => {
                ui.label(fonts::body(format!("{}", 606 - row)).color(theme.text));
            }
            3 => {
                let sql = "select \"i0\".* from \"image\" as \"i0\" where \"i0\".\"product_id\" = $1 and deleted_at is null order by created_at";
                cell_text(ui, sql, Type::Mono, theme.text_muted);
            }
            _ => {
                severity_count(ui, Level::High, "1");
            }
        },
    );
}
