//! What is asked of each path, and in which order: twice a second apart, then with a cart cookie, then with a random parameter.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use url::Url;

use super::client::{ACCEPT_ANY, ACCEPT_IMAGE, ACCEPT_PAGE, Ask, Prober};
use super::headers::without_query;
use super::links::is_picture;
use crate::evidence::edge::{Verdict, verdict};
use crate::evidence::storefront::{Answer, PathClass, Probe, Target, Variant};

/// A shared cache stores asynchronously; a second later it answers from what it stored.
const SECOND_AFTER: Duration = Duration::from_secs(1);
const CART_COOKIE: &str = "_medusa_cart_id=probe";
/// Next.js's own pictures come in this width in every version: 64 pixels cannot weigh what a page's picture weighs.
const OTHER_WIDTH: &str = "64";

/// One path and the requests it gets.
#[derive(Debug, Clone)]
pub struct Planned {
    pub class: PathClass,
    pub url: Url,
    pub variants: &'static [Variant],
    pub headers: Vec<(&'static str, String)>,
}

/// In this order. The last two would harm shoppers where a cache ignores what tells them apart and holds nothing yet: they follow a hit only.
const ORDER: &[Variant] =
    &[Variant::First, Variant::Second, Variant::Conditional, Variant::WithCartCookie, Variant::WithQuery, Variant::Rsc, Variant::OtherWidth];
const PRODUCT: &[Variant] = &[Variant::First, Variant::Second, Variant::WithCartCookie, Variant::WithQuery, Variant::Rsc];
const PAGE: &[Variant] = &[Variant::First, Variant::Second, Variant::WithCartCookie];
/// The first request fills a careless cache, the one with the cookie finds it.
const PERSONAL: &[Variant] = &[Variant::First, Variant::WithCartCookie];
const FILE: &[Variant] = &[Variant::First, Variant::Second, Variant::Conditional];
const PICTURE: &[Variant] = &[Variant::First, Variant::Second, Variant::OtherWidth];
const TWICE: &[Variant] = &[Variant::First, Variant::Second];
const ONCE: &[Variant] = &[Variant::First];

impl Planned {
    pub fn new(class: PathClass, url: Url) -> Self {
        let variants = match class {
            PathClass::Product => PRODUCT,
            PathClass::Home | PathClass::Collection | PathClass::Category => PAGE,
            PathClass::Personal | PathClass::ApiPersonal => PERSONAL,
            PathClass::Asset => FILE,
            PathClass::OptimizedImage => PICTURE,
            PathClass::Health => ONCE,
            PathClass::HashedAsset | PathClass::Media | PathClass::ApiCatalogue => TWICE,
        };
        Self { class, url, variants, headers: Vec::new() }
    }

    /// Asked once, for its weight.
    pub fn once(class: PathClass, url: Url) -> Self {
        Self { variants: ONCE, ..Self::new(class, url) }
    }

    /// `None` where there is nothing to ask: no validator to send back, or no cache that holds the path.
    fn ask(&self, variant: Variant, so_far: &Target) -> Option<Ask> {
        let accept = match self.class {
            PathClass::Home | PathClass::Product | PathClass::Collection | PathClass::Category | PathClass::Personal => ACCEPT_PAGE,
            PathClass::Media | PathClass::OptimizedImage => ACCEPT_IMAGE,
            _ if is_picture(self.url.path()) => ACCEPT_IMAGE,
            _ => ACCEPT_ANY,
        };
        let mut ask = Ask { headers: self.headers.clone(), is_returning: variant != Variant::First, ..Ask::new(self.url.clone(), accept) };
        match variant {
            Variant::First | Variant::Second => {}
            Variant::WithCartCookie => ask.cookie = Some(CART_COOKIE),
            Variant::WithQuery => {
                ask.url.query_pairs_mut().append_pair("advisor", &random_token());
            }
            Variant::Conditional => ask.headers.push(validator(answer(so_far, Variant::First)?)?),
            Variant::Rsc => {
                is_kept(so_far).then_some(())?;
                ask.accept = ACCEPT_ANY;
                ask.headers.push(("rsc", "1".to_owned()));
                ask.url.query_pairs_mut().append_pair("_rsc", "advisor");
            }
            Variant::OtherWidth => {
                is_kept(so_far).then_some(())?;
                ask.url = with_width(&self.url)?;
            }
        }
        Some(ask)
    }
}

fn answer(target: &Target, variant: Variant) -> Option<&Answer> {
    target.probes.iter().find(|p| p.variant == variant).and_then(|p| p.answer.as_ref().ok())
}

/// A later answer came from a cache: what is asked under the same key now is answered from it, and replaces nothing.
fn is_kept(target: &Target) -> bool {
    let is_hit = |v| answer(target, v).is_some_and(|a| verdict(a) == Verdict::Hit);
    is_hit(Variant::Second) || is_hit(Variant::WithCartCookie)
}

fn validator(first: &Answer) -> Option<(&'static str, String)> {
    let tag = first.header("etag").map(|v| ("if-none-match", v));
    tag.or_else(|| first.header("last-modified").map(|v| ("if-modified-since", v)))
}

fn with_width(url: &Url) -> Option<Url> {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    pairs.iter().any(|(name, value)| name == "w" && value != OTHER_WIDTH).then_some(())?;
    let mut other = url.clone();
    let changed = pairs.iter().map(|(name, value)| (name.as_str(), if name == "w" { OTHER_WIDTH } else { value.as_str() }));
    other.query_pairs_mut().clear().extend_pairs(changed);
    Some(other)
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
    let is_wanted = |variant: &Variant| planned.iter().any(|p| p.variants.contains(variant));
    for variant in ORDER.iter().filter(|v| is_wanted(v)) {
        if *variant == Variant::Second {
            tokio::time::sleep_until(Instant::now() + SECOND_AFTER).await;
        }
        let wanted = planned.iter().zip(&mut targets).filter(|(p, t)| p.variants.contains(variant) && has_answered(t));
        let asked = wanted.filter_map(|(p, target)| p.ask(*variant, target).map(|ask| (ask, target))).map(|(ask, target)| async move {
            let answer = prober.fetch(&ask).await.map(|f| f.answer);
            target.probes.push(Probe { variant: *variant, sent: ask.sent(), answer });
        });
        join_all(asked).await;
    }
    targets
}

fn has_answered(target: &Target) -> bool {
    target.probes.iter().all(|p| p.answer.is_ok())
}
