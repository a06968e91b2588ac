//! What window and command line share of starting an audit.

use crate::checks::scans;
use crate::collect::{Asked, Candidate, Request};
use crate::connect::profile::{PostgresProfile, Profile, Secrets, TlsMode};
use crate::evidence::{Snapshot, Targets};
use crate::secret::Secret;

/// An audit of this store.
pub fn request(profile: Profile, secrets: Secrets, targets: Targets) -> Request {
    Request { profile, secrets, targets, candidates }
}

/// Which indexes to ask the planner about.
fn candidates(snapshot: &Snapshot) -> Vec<Candidate> {
    let asked = |(id, rows_a_call): (String, f64)| Asked { id, rows_a_call };
    let of_checks = scans::candidates(snapshot).into_iter();
    of_checks
        .map(|c| Candidate {
            statements: c.statements.into_iter().map(asked).collect(),
            schema: c.schema,
            table: c.table,
            columns: c.columns,
            create_sql: c.create_sql,
        })
        .collect()
}

/// Secrets from the environment: libpq's `PGPASSWORD`, `MEDUSA_ADVISOR_REDIS_PASSWORD`, `MEDUSA_ADVISOR_SENTINEL_PASSWORD`,
/// `CLOUDFLARE_API_TOKEN`.
pub fn secrets_of_environment(profile: &Profile) -> Secrets {
    let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty()).map(Secret::new);
    Secrets {
        postgres_password: var("PGPASSWORD"),
        // PGPASSWORD is all nodes' password, as it is libpq's for every host.
        node_passwords: Vec::new(),
        redis_passwords: profile.redis.iter().map(|_| var("MEDUSA_ADVISOR_REDIS_PASSWORD")).collect(),
        sentinel_passwords: profile.redis.iter().map(|r| r.sentinel.as_ref().and_then(|_| var("MEDUSA_ADVISOR_SENTINEL_PASSWORD"))).collect(),
        cloudflare_token: var("CLOUDFLARE_API_TOKEN"),
    }
}

/// `PGSSLMODE` and `PGSSLROOTCERT` where the address says nothing itself, as libpq does.
pub fn with_environment(mut postgres: PostgresProfile, address: &str) -> PostgresProfile {
    let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    if !address.contains("sslmode=")
        && !address.contains("ssl-mode=")
        && let Some(mode) = var("PGSSLMODE").and_then(|word| TlsMode::ALL.into_iter().find(|m| m.id() == word))
    {
        postgres.tls = mode;
    }
    postgres.ca_file = postgres.ca_file.or_else(|| var("PGSSLROOTCERT"));
    postgres
}
