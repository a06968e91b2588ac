//! Edits of the wizard: single values, and whole `.env` files.

use super::{Field, NodeForm, RedisForm, Wizard, WizardStep};
use crate::connect::profile::{WINDOW_S_MAX, WINDOW_S_MIN, parse_postgres, parse_redis};
use crate::secret::Secret;

impl Wizard {
    /// What was tested is no longer what is filled in.
    pub(super) fn forget_test(&mut self, step: WizardStep) {
        self.tests[step as usize] = None;
    }

    pub(super) fn set_node_url(&mut self, i: usize, text: &str) {
        self.forget_test(WizardStep::Postgres);
        let nodes = &mut self.postgres.nodes;
        let kept = nodes.get(i).map(|n| n.password.clone()).unwrap_or_default();
        let form = match parse_postgres(text) {
            Ok((profile, password)) => NodeForm { url: profile.url(), url_error: None, password: password.unwrap_or(kept) },
            Err(_) if text.trim().is_empty() => NodeForm::default(),
            Err(e) => NodeForm { url: crate::secret::redact(text), url_error: Some(e.to_string()), password: kept },
        };
        match nodes.get_mut(i) {
            Some(node) => *node = form,
            None => nodes.push(form),
        }
        // One in the middle stays while it is empty: another address may be on its way.
        while nodes.last().is_some_and(|n| n.url.is_empty()) {
            nodes.pop();
        }
    }

    pub(super) fn set_cdn(&mut self, field: Field, text: String) {
        match field {
            Field::Token => self.token = Secret::new(text),
            Field::Distributions => self.distributions = text,
            Field::AwsProfile => self.aws_profile = text,
            Field::AwsRegion => self.aws_region = text,
            _ => self.zone = text,
        }
        self.forget_test(WizardStep::Cdn);
    }

    pub(super) fn set_shop(&mut self, field: Field, text: String) {
        match field {
            Field::StorefrontUrl => self.storefront_url = text,
            Field::BackendUrl => self.backend_url = text,
            Field::Resolve => self.resolve = text,
            _ => self.publishable_key = text,
        }
        self.shop_error = None;
        self.forget_test(WizardStep::Shop);
    }

    /// A number outside its range becomes the nearest inside; what is no number changes nothing.
    pub(super) fn set_limit(&mut self, field: Field, text: &str) {
        let Ok(n) = text.trim().parse::<u32>() else { return };
        let l = &mut self.limits;
        match field {
            Field::WindowSeconds => l.window_s = n.clamp(WINDOW_S_MIN, WINDOW_S_MAX),
            Field::StatementTimeoutMs => l.statement_timeout_ms = n.clamp(100, 60_000),
            Field::LockTimeoutMs => l.lock_timeout_ms = n.clamp(10, 10_000),
            Field::RedisCommandsPerS => l.redis_commands_per_s = n.clamp(10, 100_000),
            Field::RedisKeysMax => l.redis_keys_max = n.clamp(100, 1_000_000),
            Field::ProbeRequestsMax => l.probe_requests_max = n.clamp(1, 1_000),
            Field::ProbeTimings => l.probe_timings = n.clamp(1, 200),
            _ => {}
        }
    }

    /// Takes an address or the lines of a `.env` file; says whether anything in it was understood.
    pub fn paste(&mut self, text: &str) -> bool {
        let mut found = Vec::new();
        for line in text.lines() {
            let line = line.trim().trim_start_matches("export ");
            let (name, value) = match line.split_once('=') {
                Some((n, v)) if !n.contains("://") => (n.trim(), v.trim().trim_matches(['"', '\''])),
                _ => ("", line),
            };
            if let Some(what) = self.take(name, value) {
                found.push(if name.is_empty() { what.to_owned() } else { format!("{name} → {what}") });
            }
        }
        let any = !found.is_empty();
        if any {
            self.found = found;
        }
        any
    }

    fn take(&mut self, name: &str, value: &str) -> Option<&'static str> {
        if parse_postgres(value).is_ok() {
            self.set_postgres_url(value.to_owned());
            return Some("Postgres");
        }
        if parse_redis(value).is_ok() {
            let free = self.redis.iter().position(|r| !r.is_set_up() || r.url == value);
            let i = free.unwrap_or_else(|| {
                self.redis.push(RedisForm::empty());
                self.redis.len() - 1
            });
            self.set_redis_url(i, value.to_owned());
            return Some("Redis");
        }
        let is_url = value.starts_with("http://") || value.starts_with("https://");
        match name {
            "CLOUDFLARE_API_TOKEN" | "CF_API_TOKEN" if !value.is_empty() => {
                self.token = Secret::new(value.to_owned());
                Some("Cloudflare token")
            }
            "MEDUSA_BACKEND_URL" | "NEXT_PUBLIC_MEDUSA_BACKEND_URL" | "BACKEND_URL" if is_url => {
                value.clone_into(&mut self.backend_url);
                Some("backend")
            }
            "NEXT_PUBLIC_BASE_URL" | "STOREFRONT_URL" if is_url => {
                value.clone_into(&mut self.storefront_url);
                Some("storefront")
            }
            "NEXT_PUBLIC_MEDUSA_PUBLISHABLE_KEY" | "MEDUSA_PUBLISHABLE_KEY" if value.starts_with("pk_") => {
                value.clone_into(&mut self.publishable_key);
                Some("publishable key")
            }
            "" if is_url => {
                value.clone_into(&mut self.storefront_url);
                Some("storefront")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::profile::{Limits, TlsMode};

    #[test]
    fn nodes_come_and_go() {
        let mut w = Wizard::new(Limits::default(), true);
        w.set(Field::Name, "Example".into());
        w.set(Field::PgUrl, "postgres://advisor@one/medusa?sslmode=verify-full".into());
        w.set(Field::PgNodeUrl(0), "postgres://advisor:hunter2@two/medusa".into());
        w.set(Field::PgNodeUrl(1), "three".into());
        assert!(w.postgres.nodes[1].url_error.is_some());
        assert_eq!(w.profile("x").unwrap_err().0, WizardStep::Postgres);
        w.set(Field::PgNodeUrl(1), String::new());
        let nodes = w.profile("x").unwrap().postgres.unwrap().nodes;
        assert_eq!(nodes.iter().map(|n| (n.host.as_str(), n.tls)).collect::<Vec<_>>(), [("two", TlsMode::VerifyFull)]);
        assert_eq!(w.secrets().node_passwords[0].as_ref().unwrap().expose(), "hunter2");
        assert!(!w.postgres.nodes[0].url.contains("hunter2"));
    }
}
