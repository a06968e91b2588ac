//! A zone's answers as a mock server gives them.

use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub const ZONE: &str = "0da42c8d2132a9ddaf714f9e7c920711";
pub const TOKEN: &str = "sentinel-token-value";
pub const ENTRYPOINT: &str = "/zones/0da42c8d2132a9ddaf714f9e7c920711/rulesets/phases/http_request_cache_settings/entrypoint";

pub fn at(tail: &str) -> String {
    format!("/zones/{ZONE}{tail}")
}

pub fn ok(result: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "success": true, "errors": [], "messages": [], "result": result }))
}

pub fn refused(status: u16, code: i64, message: &str) -> ResponseTemplate {
    let body = json!({ "success": false, "errors": [{ "code": code, "message": message }], "messages": [], "result": null });
    ResponseTemplate::new(status).set_body_json(body)
}

pub async fn get(server: &MockServer, route: &str, answer: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(route))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .respond_with(answer)
        .mount(server)
        .await;
}

pub async fn graphql(server: &MockServer, query: &str, body: Value) {
    let answer = ResponseTemplate::new(200).set_body_json(body);
    Mock::given(method("POST")).and(path("/graphql")).and(body_string_contains(query)).respond_with(answer).mount(server).await;
}

pub fn groups(rows: Value) -> Value {
    aliased(json!({ "httpRequestsAdaptiveGroups": rows }))
}

pub fn aliased(aliases: Value) -> Value {
    json!({ "data": { "viewer": { "zones": [aliases] } }, "errors": null })
}

pub fn limits_answer(max_duration: u64) -> Value {
    let settings =
        json!({ "httpRequestsAdaptiveGroups": { "enabled": true, "maxDuration": max_duration, "maxPageSize": 50, "notOlderThan": 691200 } });
    json!({ "data": { "viewer": { "zones": [{ "settings": settings }] } }, "errors": null })
}

/// A zone that answers everything; mounted last, so that a test's own answers come first.
pub async fn healthy(server: &MockServer) {
    let zone =
        json!({ "id": ZONE, "name": "example.com", "status": "active", "paused": false, "development_mode": 0, "plan": { "legacy_id": "free" } });
    get(server, "/user/tokens/verify", ok(&json!({ "id": "t", "status": "active" }))).await;
    get(server, "/zones", ok(&json!([zone]))).await;
    get(server, &at(""), ok(&zone)).await;
    get(
        server,
        &at("/settings"),
        ok(&json!([{ "id": "brotli", "value": "on", "editable": true, "modified_on": null }, { "id": "polish", "value": "off", "editable": false }])),
    )
    .await;
    get(server, ENTRYPOINT, refused(404, 10003, "could not find entrypoint ruleset in the http_request_cache_settings phase")).await;
    get(server, &at("/pagerules"), ok(&json!([]))).await;
    get(server, &at("/argo/tiered_caching"), ok(&json!({ "id": "tiered_caching", "value": "on", "editable": true }))).await;
    get(server, &at("/cache/tiered_cache_smart_topology_enable"), refused(403, 1015, "not authorized")).await;
    get(server, &at("/cache/cache_reserve"), ok(&json!({ "id": "cache_reserve", "value": "off", "editable": true }))).await;
    get(server, &at("/argo/smart_routing"), refused(403, 1015, "not authorized")).await;
    get(server, &at("/cache/regional_tiered_cache"), ok(&json!({ "id": "tc_regional", "value": "off", "editable": false }))).await;
    get(server, &at("/cache/variants"), refused(404, 1142, "not found")).await;
    get(server, &at("/ssl/certificate_packs"), refused(403, 9109, "Unauthorized")).await;
    get(server, &at("/rulesets/phases/http_config_settings/entrypoint"), refused(404, 10003, "could not find entrypoint ruleset")).await;
    get(server, &at("/rulesets/phases/http_request_transform/entrypoint"), refused(403, 10000, "Authentication error")).await;
    let compress = json!({ "rules": [{ "expression": "true", "action_parameters": { "algorithms": [{ "name": "zstd" }] } }] });
    get(server, &at("/rulesets/phases/http_response_compression/entrypoint"), ok(&compress)).await;
    get(server, &at("/settings/ssl"), ok(&json!({ "id": "ssl", "value": "flexible", "editable": true }))).await;
    analytics(server).await;
}

async fn analytics(server: &MockServer) {
    graphql(server, "query Limits", limits_answer(86_400)).await;
    let row = |status: &str, n: u64| json!({ "count": n, "dimensions": { "cacheStatus": status }, "sum": { "edgeResponseBytes": n * 1000 }, "avg": { "sampleInterval": 1.0 } });
    graphql(server, "query Status", groups(json!([row("hit", 700), row("miss", 300), row("unknown", 50)]))).await;
    let hour =
        json!({ "count": 5, "dimensions": { "datetimeHour": "2026-11-23T08:00:00Z", "cacheStatus": "hit" }, "sum": { "edgeResponseBytes": 5 } });
    graphql(server, "query Hours", groups(json!([hour]))).await;
    let visit = |p: &str, n: u64| json!({ "count": n, "dimensions": { "clientRequestHTTPHost": "example.com", "clientRequestPath": p, "cacheStatus": "miss" }, "sum": { "edgeResponseBytes": n } });
    graphql(server, "query Paths", groups(json!([visit("/us/products/x", 200), visit("/order/order_01HX", 3), visit("/order/order_02HY", 4)]))).await;
    let reached = json!({ "count": 300, "quantiles": { "originResponseDurationMsP50": 88.0, "originResponseDurationMsP95": 412.0 } });
    let all = json!({ "count": 1000, "ratio": { "status5xx": 0.001 } });
    graphql(server, "query Origin", aliased(json!({ "reached": [reached], "all": [all] }))).await;
    let product = [row("hit", 80), row("miss", 20)];
    graphql(server, "query Classes", aliased(json!({ "product_pages": product, "personal": [] }))).await;
    let slow = json!({ "count": 20, "quantiles": { "originResponseDurationMsP50": 300.0, "originResponseDurationMsP95": 900.0 }, "ratio": { "status5xx": 0.05 } });
    graphql(server, "query ClassOrigins", aliased(json!({ "product_pages": [slow] }))).await;
    let clicked = [row("hit", 1), row("miss", 9)];
    let trackers =
        json!({ "tracked": clicked, "google": clicked, "utm": [row("miss", 4)], "meta": [], "microsoft": [], "other_ads": [], "mail": [] });
    graphql(server, "query Tracked", aliased(trackers)).await;
    let html =
        json!({ "count": 30, "dimensions": { "edgeResponseContentTypeName": "html", "cacheStatus": "dynamic" }, "sum": { "edgeResponseBytes": 9 } });
    graphql(server, "query Types", groups(json!([html]))).await;
}
