//! The demo store: a recorded audit of a real Medusa v2 store under load, embedded in the binary. `scripts/record-demo.sh` records it.

use crate::connect::profile::{Environment, KeepSecrets, Limits, Profile};
use crate::evidence::{Snapshot, file};

static RECORDED: &[u8] = include_bytes!("../assets/demo.snapshot");

const NAME: &str = "Demo store";

/// The recorded snapshot.
///
/// # Panics
/// Never with the embedded file: a test opens it.
pub fn snapshot() -> Snapshot {
    let mut snapshot = file::read(RECORDED).expect("the embedded snapshot is whole: a test opens it");
    // Recorded under the name of its database.
    NAME.clone_into(&mut snapshot.meta.store);
    Environment::Demo.id().clone_into(&mut snapshot.meta.environment);
    snapshot
}

/// The demo store's line on the Stores page.
pub fn profile(id: &str) -> Profile {
    Profile {
        id: id.to_owned(),
        name: NAME.to_owned(),
        environment: Environment::Demo,
        postgres: None,
        redis: Vec::new(),
        cloudflare: None,
        cloudfront: None,
        shop: None,
        keep_secrets: KeepSecrets::AskEachTime,
        limits: Limits::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_store_opens_and_has_every_layer() {
        let s = snapshot();
        assert!(s.postgres.is_ok() && s.redis.is_ok() && s.storefront.is_ok() && s.cdn.is_ok());
        assert!(s.meta.window_s > 0.0);
    }
}
