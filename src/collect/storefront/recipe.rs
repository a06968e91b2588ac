//! What is asked of each path, and in which order: twice a second apart, then with a cart cookie, then with a random parameter.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use url::Url;

use super::client::{ACCEPT_ANY, ACCEPT_IMAGE, ACCEPT_PAGE, Ask, Prober};
use super::headers::without_query;
use crate::evidence::storefront::{PathClass, Probe, Target, Variant};

/// A shared cache stores asynchronously; a second later it answers from what it stored.
const SECOND_AFTER: Duration = Duration::from_secs(1);
const CART_COOKIE: &str = "_medusa_cart_id=probe";

/// One path and the requests it gets.
#[derive(Debug, Clone)]
pub struct Planned {
    pub class: PathClass,
    pub url: Url,
    pub variants: &'static [Variant],
    pub headers: Vec<(&'static str, String)>,
}

const ALL: &[Variant] = &[Variant::First, Variant::Second, Variant::WithCartCookie, Variant::WithQuery];
const WITH_COOKIE: &[Variant] = &[Variant::First, Variant::Second, Variant::WithCartCookie];
const TWICE: &[Variant] = &[Variant::First, Variant::Second];
const ONCE: &[Variant] = &[Variant::First];

impl Planned {
    pub fn new(class: PathClass, url: Url) -> Self {
        let variants = match class {
            PathClass::Home | PathClass::Product | PathClass::Collection | PathClass::Category => ALL,
            PathClass::Personal | PathClass::ApiPersonal => WITH_COOKIE,
            PathClass::Health => ONCE,
            _ => TWICE,
        };
        Self { class, url, variants, headers: Vec::new() }
    }

    fn ask(&self, variant: Variant) -> Ask {
        let accept = match self.class {
            PathClass::Home | PathClass::Product | PathClass::Collection | PathClass::Category | PathClass::Personal => ACCEPT_PAGE,
            PathClass::Media | PathClass::OptimizedImage => ACCEPT_IMAGE,
            _ => ACCEPT_ANY,
        };
        let mut url = self.url.clone();
        if variant == Variant::WithQuery {
            url.query_pairs_mut().append_pair("advisor", &random_token());
        }
        let cookie = (variant == Variant::WithCartCookie).then_some(CART_COOKIE);
        Ask { cookie, headers: self.headers.clone(), ..Ask::new(url, accept) }
    }
}

/// Differs from run to run, so that no cache has seen it.
fn random_token() -> String {
    use std::hash::{BuildHasher, Hasher};
    format!("{:016x}", std::collections::hash_map::RandomState::new().build_hasher().finish())
}

/// Runs all paths through the recipe. A path whose first request failed gets no further ones.
pub async fn run(prober: &Prober<'_>, planned: &[Planned]) -> Vec<Target> {
    let mut targets: Vec<Target> =
        planned.iter().map(|p| Target { class: p.class, url: without_query(&p.url), probes: Vec::new(), timings_ms: Vec::new() }).collect();
    for variant in ALL {
        if *variant == Variant::Second {
            tokio::time::sleep_until(Instant::now() + SECOND_AFTER).await;
        }
        let wanted = planned.iter().zip(&mut targets).filter(|(p, t)| p.variants.contains(variant) && has_answered(t));
        let asked = wanted.map(|(p, target)| async move {
            let answer = prober.fetch(&p.ask(*variant)).await.map(|f| f.answer);
            target.probes.push(Probe { variant: *variant, answer });
        });
        join_all(asked).await;
    }
    targets
}

fn has_answered(target: &Target) -> bool {
    target.probes.iter().all(|p| p.answer.is_ok())
}
