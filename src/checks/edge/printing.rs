//! Rules as they are printed: dashboard words with the API's JSON, and Terraform.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::remedy::Rule;
use crate::finding::{Remedy, RemedyKind};

/// A kind of rules: where they are made, and what the API and Terraform call them.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    name: &'static str,
    pub action: &'static str,
    dashboard: &'static str,
    resource: &'static str,
    holds: &'static str,
}

pub const CACHE_RULES: Phase = Phase {
    name: "http_request_cache_settings",
    action: "set_cache_settings",
    dashboard: "Caching → Cache Rules → Create rule → Edit expression. Keep this order, at the end of the list: the last matching rule wins.",
    resource: "cache_rules",
    holds: "cache rules",
};

pub const URL_REWRITES: Phase = Phase {
    name: "http_request_transform",
    action: "rewrite",
    dashboard: "Rules → Overview → Create rule → URL Rewrite Rule → Edit expression. On every plan.",
    resource: "url_rewrites",
    holds: "URL rewrites",
};

pub const RESPONSE_HEADERS: Phase = Phase {
    name: "http_response_headers_transform",
    action: "rewrite",
    dashboard: "Rules → Overview → Create rule → Response Header Transform Rule → Edit expression. On every plan.",
    resource: "response_headers",
    holds: "response header rules",
};

/// The rules in the order they must stand, all of one phase, as dashboard words with the API's JSON, and as Terraform.
pub fn remedies(label: &str, rules: &[Rule], risk: &str) -> Vec<Remedy> {
    let remedy = |label: String, text: String, undo: &str| Remedy {
        kind: RemedyKind::Cloudflare,
        label,
        text,
        lock: None,
        risk: risk.to_owned(),
        undo: Some(undo.to_owned()),
    };
    let phase = rules.first().map_or(CACHE_RULES, Rule::phase);
    vec![
        remedy(label.to_owned(), api_text(phase, rules), "Delete the rules."),
        remedy(format!("{label}: Terraform"), terraform_text(phase, rules), "Take the rules out of the resource and apply again."),
    ]
}

fn api_text(phase: Phase, rules: &[Rule]) -> String {
    let mut text = format!(
        "// Dashboard: {}\n// API: POST /zones/{{zone_id}}/rulesets/{{ruleset_id}}/rules, one call a rule (each is appended to the end);\n\
         // {{ruleset_id}} is the id in GET /zones/{{zone_id}}/rulesets/phases/{}/entrypoint\n\
         // (a zone without such rules has none yet: PUT {{ \"rules\": [ … ] }} to that address)\n",
        phase.dashboard, phase.name
    );
    for rule in rules {
        writeln!(text, "// \"{}\": {}\n{}", rule.description, rule.dashboard(), laid_out(&rule.api())).expect("writing to a string");
    }
    text.trim_end().to_owned()
}

fn terraform_text(phase: Phase, rules: &[Rule]) -> String {
    let Phase { name, resource, holds, .. } = phase;
    let rules: String = rules.iter().map(terraform).collect();
    format!(
        "# Provider cloudflare/cloudflare 5. The resource holds all {holds} of the zone: put these behind the ones you have.\n\
         resource \"cloudflare_ruleset\" \"{resource}\" {{\n  zone_id = var.zone_id\n  name    = \"default\"\n  kind    = \"zone\"\n  \
         phase   = \"{name}\"\n  rules = [\n{rules}  ]\n}}"
    )
}

fn terraform(rule: &Rule) -> String {
    let mut text = format!(
        "    {{\n      action      = {}\n      description = {}\n      expression  = {}\n      enabled     = true\n      action_parameters = {{\n",
        quoted(rule.phase().action),
        quoted(rule.description),
        quoted(&rule.expression)
    );
    for (name, value) in rule.parameters().as_object().into_iter().flatten() {
        writeln!(text, "        {name} = {}", hcl(value)).expect("writing to a string");
    }
    text.push_str("      }\n    },\n");
    text
}

/// A rule as the API takes it.
pub fn rule_json(action: &str, parameters: &Value, description: &str, expression: &str) -> Value {
    json!({ "action": action, "action_parameters": parameters, "description": description, "enabled": true, "expression": expression })
}

/// The same, laid out.
pub fn rule_text(action: &str, parameters: &Value, description: &str, expression: &str) -> String {
    laid_out(&rule_json(action, parameters, description, expression))
}

fn laid_out(json: &Value) -> String {
    serde_json::to_string_pretty(json).expect("a rule holds only texts and numbers")
}

/// A JSON value as Terraform writes it.
fn hcl(value: &Value) -> String {
    match value {
        Value::Object(map) => format!("{{ {} }}", map.iter().map(|(n, v)| format!("{n} = {}", hcl(v))).collect::<Vec<_>>().join(", ")),
        Value::Array(all) => format!("[{}]", all.iter().map(hcl).collect::<Vec<_>>().join(", ")),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{"))
}
