//! The Cloudflare collector against recorded answers of the real API and hand-written refusals.

#[path = "cloudflare_live/answers.rs"]
mod answers;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use medusa_advisor::checks::{self};
use medusa_advisor::collect::cloudflare;
use medusa_advisor::collect::run::Run;
use medusa_advisor::connect::cloudflare as connect;
use medusa_advisor::connect::profile::{CloudflareProfile, Limits};
use medusa_advisor::connect::steps::{CapabilityState, StepState};
use medusa_advisor::evidence::cdn::{AddOn, Cloudflare, Tracker, TrafficClass};
use medusa_advisor::evidence::{Cause, Layer, Meta, Seen, Snapshot, Targets};
use medusa_advisor::finding::Outcome;
use medusa_advisor::secret::Secret;
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use answers::{ENTRYPOINT, TOKEN, ZONE, at, get, graphql, healthy, limits_answer, ok, refused};

fn profile(server: &MockServer, zone: &str) -> CloudflareProfile {
    CloudflareProfile { zone: zone.into(), base_url: Some(server.uri()) }
}

async fn collect(server: &MockServer) -> (Seen<Cloudflare>, Duration) {
    collect_zone(server, "Example.com").await
}

async fn collect_zone(server: &MockServer, zone: &str) -> (Seen<Cloudflare>, Duration) {
    let run = Run::new(Duration::from_secs(5), |_| {});
    for layer in [Layer::Postgres, Layer::Redis, Layer::App] {
        drop(run.lane(layer));
    }
    let limits = Limits { probe_timeout_s: 2, ..Limits::default() };
    let token = Secret::new(TOKEN.to_owned());
    let start = Instant::now();
    let collected = cloudflare::collect(&profile(server, zone), Some(&token), &limits, &run.lane(Layer::Cdn)).await;
    assert!(!format!("{:?}", collected.seen).contains(TOKEN), "the token entered the evidence");
    (collected.seen, start.elapsed())
}

#[tokio::test]
async fn a_zone_is_read_whole() {
    let server = MockServer::start().await;
    healthy(&server).await;
    let (seen, _) = collect(&server).await;
    let cloudflare = seen.unwrap();
    assert_eq!(cloudflare.gaps(), vec![]);
    let zone = cloudflare.zone().unwrap();
    assert_eq!((zone.plan.as_str(), zone.token_status.as_deref()), ("free", Some("active")));
    assert!(cloudflare.cache_rules().unwrap().is_empty());
    assert_eq!(cloudflare.tiered_cache().unwrap().is_smart, None);
    let polish = cloudflare.settings().unwrap().iter().find(|s| s.id == "polish").unwrap();
    assert_eq!((polish.is_editable, polish.value.as_str()), (false, "\"off\""));
    let analytics = cloudflare.analytics().unwrap();
    assert_eq!((analytics.to - analytics.from).whole_hours(), 24);
    assert_eq!(analytics.origin_p95_ms, Some(412.0));
    assert!(analytics.by_status.iter().any(|s| s.status == "none"));
    let order = analytics.by_path.rows.iter().find(|r| r.path.contains("order")).unwrap();
    assert_eq!((order.path.as_str(), order.requests), ("/order/<id>", 7));
    assert!(matches!(low_hit_ratio(Ok(cloudflare)), Outcome::Failed(_)));
}

fn low_hit_ratio(cdn: Seen<Cloudflare>) -> Outcome {
    let taken_at = time::OffsetDateTime::UNIX_EPOCH;
    let meta = Meta {
        tool_version: "0".into(),
        store: "t".into(),
        environment: "production".into(),
        taken_at,
        window_s: 0.0,
        window_asked_s: 5.0,
        cancelled: false,
        targets: Targets::default(),
    };
    let mut snapshot = Snapshot::empty(meta);
    snapshot.cdn = cdn;
    checks::find("cdn-low-hit-ratio").unwrap().run(&snapshot)
}

#[tokio::test]
async fn every_recorded_body_is_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/cdn/cloudflare-recorded-cassettes.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("skipped: the recorded answers are not here");
        return;
    };
    let recorded: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut routes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in &recorded {
        let url = entry["url"].as_str().unwrap();
        let route = url.split_once("/client/v4").unwrap().1.split('?').next().unwrap();
        let body = entry["response"].clone();
        assert!(body["success"].as_bool().unwrap(), "{url}");
        let is_cache_ruleset = body["result"]["phase"] == "http_request_cache_settings" && body["result"]["rules"].is_array();
        let wanted =
            ["/zones", &at(""), &at("/settings"), &at("/pagerules"), &at("/argo/tiered_caching"), &at("/cache/tiered_cache_smart_topology_enable")];
        if wanted.contains(&route) {
            routes.entry(route.to_owned()).or_default().push(body);
        } else if is_cache_ruleset || route.contains("/rulesets/") {
            routes.entry(ENTRYPOINT.to_owned()).or_default().push(body);
        }
    }
    assert!(routes.len() >= 7 && routes[ENTRYPOINT].len() >= 4, "{:?}", routes.keys());
    let mut rules = 0;
    for (route, bodies) in routes {
        for body in bodies {
            let server = MockServer::start().await;
            get(&server, &route, ResponseTemplate::new(200).set_body_json(&body)).await;
            healthy(&server).await;
            if route == "/zones" {
                let name = body["result"][0]["name"].as_str().unwrap();
                let cloudflare = collect_zone(&server, name).await.0.unwrap_or_else(|gap| panic!("{route}: {gap:?}"));
                assert_eq!(cloudflare.zone().unwrap().name, name);
                continue;
            }
            let cloudflare = collect(&server).await.0.unwrap_or_else(|gap| panic!("{route}: {gap:?}"));
            assert_eq!(cloudflare.gaps(), vec![], "{route}: {body}");
            rules += cloudflare.cache_rules().unwrap().iter().filter(|r| r.cache.is_some()).count();
            assert!(!route.ends_with("/settings") || cloudflare.settings().unwrap().len() > 40);
        }
    }
    assert!(rules >= 2, "the recorded cache rules say whether they cache");
}

#[tokio::test]
async fn missing_permissions_name_the_grant() {
    let server = MockServer::start().await;
    get(&server, &at("/settings"), refused(403, 9109, "Unauthorized to access requested resource")).await;
    get(&server, ENTRYPOINT, refused(403, 10000, "Authentication error")).await;
    graphql(&server, "query Limits", json!({ "data": { "viewer": { "zones": [] } }, "errors": null })).await;
    healthy(&server).await;
    let cloudflare = collect(&server).await.0.unwrap();
    let grant = |cause: &Cause| match cause {
        Cause::Denied { grant } => grant.clone(),
        other => panic!("{other:?}"),
    };
    assert!(grant(&cloudflare.settings().unwrap_err().cause).contains("Zone Settings · Read"));
    assert!(grant(&cloudflare.cache_rules().unwrap_err().cause).contains("Cache Rules · Read"));
    assert!(grant(&cloudflare.analytics().unwrap_err().cause).contains("Analytics · Read"));
    assert!(cloudflare.page_rules().is_ok());
}

#[tokio::test]
async fn graphql_errors_under_200_are_gaps() {
    for (error, wanted) in [
        (json!({ "message": "zone 'x' cannot request a time range wider than 1d", "extensions": { "code": "quota" } }), "wider than 1d"),
        (json!({ "message": "not authorized for that zone", "extensions": { "code": "authz" } }), "not authorized"),
    ] {
        let server = MockServer::start().await;
        graphql(&server, "query Status", json!({ "data": null, "errors": [error] })).await;
        healthy(&server).await;
        let cloudflare = collect(&server).await.0.unwrap();
        assert!(cloudflare.analytics().unwrap_err().detail.contains(wanted));
    }
}

#[tokio::test]
async fn a_short_plan_shortens_the_span() {
    let server = MockServer::start().await;
    graphql(&server, "query Limits", limits_answer(6 * 3_600)).await;
    healthy(&server).await;
    let cloudflare = collect(&server).await.0.unwrap();
    let analytics = cloudflare.analytics().unwrap();
    assert_eq!((analytics.to - analytics.from).whole_hours(), 6);
    assert!(analytics.source.contains("6 h"));
}

#[tokio::test]
async fn rate_limits_are_waited_for_briefly_or_told() {
    let server = MockServer::start().await;
    let soon = ResponseTemplate::new(429).insert_header("retry-after", "1");
    Mock::given(path(at("/settings"))).respond_with(soon).up_to_n_times(1).mount(&server).await;
    get(&server, &at("/pagerules"), ResponseTemplate::new(429).insert_header("retry-after", "300")).await;
    healthy(&server).await;
    let (seen, took) = collect(&server).await;
    let cloudflare = seen.unwrap();
    assert!(cloudflare.settings().is_ok(), "a second try succeeds");
    assert!(cloudflare.page_rules().unwrap_err().detail.contains("300 s"));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn wrong_tokens_zones_and_answers_end_in_a_sentence() {
    let server = MockServer::start().await;
    get(&server, "/zones", refused(403, 10000, "Authentication error")).await;
    healthy(&server).await;
    assert!(matches!(collect(&server).await.0.unwrap_err().cause, Cause::Denied { .. }));

    let server = MockServer::start().await;
    get(&server, "/zones", ok(&json!([]))).await;
    healthy(&server).await;
    assert!(collect(&server).await.0.unwrap_err().detail.contains("sees no zone named example.com"));

    let server = MockServer::start().await;
    get(&server, "/zones", ResponseTemplate::new(200).set_body_string("<html>proxy login</html>")).await;
    healthy(&server).await;
    assert!(matches!(collect(&server).await.0.unwrap_err().cause, Cause::Unreadable));

    let server = MockServer::start().await;
    get(&server, "/zones", ok(&json!([])).set_delay(Duration::from_secs(30))).await;
    healthy(&server).await;
    let (seen, took) = collect(&server).await;
    assert!(matches!(seen.unwrap_err().cause, Cause::TimedOut { .. }));
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn add_ons_are_read_one_by_one() {
    let server = MockServer::start().await;
    healthy(&server).await;
    let cloudflare = collect(&server).await.0.unwrap();
    let add_ons = cloudflare.add_ons().unwrap();
    assert_eq!(add_ons.cache_reserve, Ok(AddOn::Off));
    // 1015 is how a zone without the paid add-on answers; off and not editable is not on the plan.
    assert_eq!((&add_ons.argo_smart_routing, &add_ons.regional_tiered_cache), (&Ok(AddOn::NotBought), &Ok(AddOn::NotBought)));
    assert_eq!((&add_ons.variants, &add_ons.config_rules), (&Ok(None), &Ok(vec![])));
    assert!(matches!(&add_ons.certificates, Err(gap) if matches!(&gap.cause, Cause::Denied { grant } if grant.contains("Certificates"))));
    assert!(matches!(&add_ons.url_rewrites, Err(gap) if matches!(&gap.cause, Cause::Denied { grant } if grant.contains("Transform Rules"))));
    assert!(add_ons.compression_rules.as_ref().unwrap()[0].parameters.contains("zstd"));
    // A setting that the whole list lacks is asked for by itself.
    assert!(cloudflare.settings().unwrap().iter().any(|s| s.id == "ssl" && s.value == "\"flexible\""));
}

#[tokio::test]
async fn classes_types_and_origin_times_are_read() {
    let server = MockServer::start().await;
    healthy(&server).await;
    let cloudflare = collect(&server).await.0.unwrap();
    let analytics = cloudflare.analytics().unwrap();
    assert_eq!((analytics.origin_p50_ms, analytics.origin_p95_ms, analytics.share_5xx), (Some(88.0), Some(412.0), Some(0.001)));
    let classes: Vec<TrafficClass> = analytics.by_class.iter().map(|c| c.class).collect();
    assert_eq!(classes, [TrafficClass::ProductPages, TrafficClass::Personal]);
    let products = &analytics.by_class[0];
    assert_eq!((products.by_status[0].requests, products.origin_p95_ms, products.share_5xx), (80, Some(900.0), Some(0.05)));
    assert_eq!((analytics.by_content_type[0].content_type.as_str(), analytics.by_content_type[0].requests), ("html", 30));
    assert_eq!(analytics.source, "httpRequestsAdaptiveGroups");
    let tracked = analytics.tracked.as_ref().unwrap();
    assert_eq!(tracked.by_status.iter().map(|s| s.requests).sum::<u64>(), 10);
    assert_eq!(tracked.by_tracker.iter().map(|t| t.tracker).collect::<Vec<_>>(), [Tracker::Utm, Tracker::Google]);
}

/// Queries of this name that were asked.
async fn asked(server: &MockServer, name: &str) -> Vec<String> {
    let all = server.received_requests().await.unwrap();
    let bodies = all.iter().filter(|r| r.url.path() == "/graphql").map(|r| serde_json::from_slice::<Value>(&r.body).unwrap());
    bodies.map(|b| b["query"].as_str().unwrap().to_owned()).filter(|q| q.contains(&format!("query {name}("))).collect()
}

#[tokio::test]
async fn queries_are_divided_by_the_fields_that_the_plan_allows() {
    for (is_told, status) in [(true, 200), (false, 200), (false, 400)] {
        let server = MockServer::start().await;
        if is_told {
            let mut limits = limits_answer(86_400);
            limits["data"]["viewer"]["zones"][0]["settings"]["httpRequestsAdaptiveGroups"]["maxNumberOfFields"] = json!(7);
            graphql(&server, "query Limits", limits).await;
        }
        // Whole queries are refused, as Cloudflare words it.
        for (query, last) in [("query Classes", "personal:"), ("query ClassOrigins", "personal:"), ("query Tracked", "mail:")] {
            let error =
                json!({ "data": null, "errors": [{ "message": "number of fields can't be more than 7", "extensions": { "code": "quota" } }] });
            Mock::given(method("POST"))
                .and(body_string_contains(query))
                .and(body_string_contains(last))
                .and(body_string_contains(if query == "query Tracked" { "tracked:" } else { "static_files:" }))
                .respond_with(ResponseTemplate::new(status).set_body_json(error))
                .mount(&server)
                .await;
        }
        healthy(&server).await;
        let cloudflare = collect(&server).await.0.unwrap();
        let analytics = cloudflare.analytics().unwrap();
        assert_eq!(analytics.source, "httpRequestsAdaptiveGroups", "nothing is left out");
        assert!(!analytics.by_class.is_empty() && analytics.tracked.is_some());
        // Three fields of each class: two classes a query, and one query that was refused where the limit was not told.
        let classes = asked(&server, "Classes").await;
        assert_eq!(classes.len(), if is_told { 4 } else { 5 }, "{classes:#?}");
        assert_eq!(asked(&server, "ClassOrigins").await.len(), 7, "four fields each: one class a query");
        assert_eq!(asked(&server, "Tracked").await.len(), 4);
    }
}

#[tokio::test]
async fn with_very_few_fields_what_is_left_out_is_told() {
    let server = MockServer::start().await;
    let mut limits = limits_answer(86_400);
    limits["data"]["viewer"]["zones"][0]["settings"]["httpRequestsAdaptiveGroups"]["maxNumberOfFields"] = json!(4);
    graphql(&server, "query Limits", limits).await;
    healthy(&server).await;
    let analytics = collect(&server).await.0.unwrap().analytics;
    // The paths need five: without them there is no verdict, and it is said why.
    assert!(analytics.unwrap_err().detail.contains("4 fields"));
    let status = asked(&server, "Status").await;
    assert!(status[0].contains("sampleInterval"), "four are allowed: {status:?}");
}

#[tokio::test]
async fn query_strings_that_the_plan_does_not_tell_are_noted() {
    let server = MockServer::start().await;
    let mut limits = limits_answer(86_400);
    limits["data"]["viewer"]["zones"][0]["settings"]["httpRequestsAdaptiveGroups"]["availableFields"] =
        json!(["count", "dimensions_cacheStatus", "dimensions_clientRequestPath"]);
    graphql(&server, "query Limits", limits).await;
    healthy(&server).await;
    let cloudflare = collect(&server).await.0.unwrap();
    let analytics = cloudflare.analytics().unwrap();
    assert!(analytics.tracked.is_none() && analytics.source.contains("clientRequestQuery"), "{}", analytics.source);
    assert_eq!(asked(&server, "Tracked").await, Vec::<String>::new());
    // A refusal that the settings did not announce.
    let server = MockServer::start().await;
    let error = json!({ "message": "zone 'x' does not have access to the field 'clientrequestquery'", "extensions": { "code": "authz" } });
    graphql(&server, "query Tracked", json!({ "data": null, "errors": [error] })).await;
    healthy(&server).await;
    let cloudflare = collect(&server).await.0.unwrap();
    let analytics = cloudflare.analytics().unwrap();
    assert!(analytics.tracked.is_none() && analytics.source.contains("tracking parameters were refused"), "{}", analytics.source);
}

/// The Free plan refuses fields, and with one the whole query: the field goes, the rest is asked again.
#[tokio::test]
async fn a_field_the_plan_refuses_is_dropped() {
    let server = MockServer::start().await;
    let refuse = |field: &str| json!({ "data": null, "errors": [{ "message": format!("zone 'x' does not have access to the field '{field}'"), "extensions": { "code": "authz" } }] });
    graphql(&server, "edgeResponseContentTypeName", refuse("edgeresponsecontenttypename")).await;
    graphql(&server, "originResponseDurationMsP50", refuse("originresponsedurationmsp50")).await;
    graphql(&server, "originResponseDurationMsP95", refuse("originresponsedurationmsp95")).await;
    healthy(&server).await;
    let cloudflare = collect(&server).await.0.unwrap();
    let analytics = cloudflare.analytics().unwrap();
    assert_eq!(analytics.share_5xx, Some(0.001), "what is allowed is still read");
    assert!(analytics.by_content_type.is_empty() && !analytics.by_class.is_empty());
    for field in ["edgeresponsecontenttypename", "originresponsedurationmsp50", "originresponsedurationmsp95"] {
        assert!(analytics.source.contains(field), "{}", analytics.source);
    }
}

#[tokio::test]
async fn a_zone_on_a_later_page_is_found() {
    let server = MockServer::start().await;
    let page = |n: u64, name: &str| {
        let zone = json!({ "id": ZONE, "name": name, "status": "active", "account": { "id": "acc" } });
        let body =
            json!({ "success": true, "errors": [], "result": [zone], "result_info": { "page": n, "per_page": 1, "count": 1, "total_count": 3 } });
        Mock::given(method("GET"))
            .and(path("/zones"))
            .and(query_param("page", n.to_string()))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
    };
    for (n, name) in [(1, "a.example.com"), (2, "b.example.com"), (3, "example.com")] {
        page(n, name).mount(&server).await;
    }
    // The account's own token: the user's endpoint refuses it, the account's verifies it.
    get(&server, "/user/tokens/verify", refused(401, 1000, "Invalid API Token")).await;
    get(&server, "/accounts/acc/tokens/verify", ok(&json!({ "id": "t", "status": "active" }))).await;
    healthy(&server).await;
    let cloudflare = collect(&server).await.0.unwrap();
    assert_eq!(cloudflare.zone().unwrap().token_status.as_deref(), Some("active"));
    assert!(collect_zone(&server, "nowhere.org").await.0.is_err());
}

#[tokio::test]
async fn both_kinds_of_rate_limit_headers_are_read() {
    for (name, value) in [("retry-after", "1"), ("x-ratelimit-reset", "1"), ("ratelimit-reset", "1"), ("ratelimit", "\"default\";r=0;t=1")] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path(at("/settings")))
            .respond_with(ResponseTemplate::new(429).insert_header(name, value))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        healthy(&server).await;
        assert!(collect(&server).await.0.unwrap().settings().is_ok(), "{name}: a second try succeeds");
    }
}

#[tokio::test]
async fn the_connection_test_goes_step_by_step() {
    let server = MockServer::start().await;
    // An account's own token cannot be verified at the user's endpoint, yet it works.
    get(&server, "/user/tokens/verify", refused(401, 1000, "Invalid API Token")).await;
    get(&server, &at("/pagerules"), refused(403, 9109, "Unauthorized")).await;
    healthy(&server).await;
    let token = Secret::new(TOKEN.to_owned());
    let report = connect::test(&profile(&server, ZONE), Some(&token), &Limits::default()).await;
    assert!(report.is_connected(), "{:?}", report.steps);
    let missing: Vec<&str> =
        report.capabilities.iter().filter(|c| matches!(c.state, CapabilityState::Missing { .. })).map(|c| c.name.as_str()).collect();
    assert_eq!(missing, ["Page rules", "Analytics"]);

    let none = connect::test(&profile(&server, ZONE), None, &Limits::default()).await;
    assert!(matches!(none.steps[0].state, StepState::Failed(_)));
    assert!(none.steps[1..].iter().all(|s| s.state == StepState::NotRun));
}
