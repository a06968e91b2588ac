//! What is asked of each path, and in which order: twice a second apart, and of a product's page with a cart cookie and a random parameter too.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use url::Url;

use super::body::text_of;
use super::client::{ACCEPT_ANY, ACCEPT_IMAGE, ACCEPT_PAGE, Ask, Fetched, Prober};
use super::headers::without_query;
use super::links::is_picture;
use crate::evidence::edge;
use crate::evidence::storefront::{Answer, PathClass, Probe, Target, Variant};

/// A shared cache stores asynchronously; a second later it answers from what it stored.
const SECOND_AFTER: Duration = Duration::from_secs(1);
const CART_COOKIE: &str = "_medusa_cart_id=probe";
/// Next.js's own pictures come in this width in every version: 64 pixels cannot weigh what a page's picture weighs.
const OTHER_WIDTH: &str = "64";

/// One path, the requests it gets and what it has answered so far.
#[derive(Debug)]
pub struct Path {
    pub url: Url,
    /// Where the requests after the first go.
    again: Url,
    variants: &'static [Variant],
    headers: Vec<(&'static str, String)>,
    target: Target,
}

/// The first answer of a path, read.
pub struct Page {
    /// After redirects.
    pub url: Url,
    pub text: String,
}

/// In this order. The last two would harm shoppers where a cache ignores what tells them apart and holds nothing yet: they follow a hit only.
const ORDER: &[Variant] =
    &[Variant::First, Variant::Second, Variant::Conditional, Variant::WithCartCookie, Variant::WithQuery, Variant::Rsc, Variant::OtherWidth];
const PRODUCT: &[Variant] = &[Variant::First, Variant::Second, Variant::WithCartCookie, Variant::WithQuery, Variant::Rsc];
/// The first request fills a careless cache, the one with the cookie finds it.
const PERSONAL: &[Variant] = &[Variant::First, Variant::WithCartCookie];
const FILE: &[Variant] = &[Variant::First, Variant::Second, Variant::Conditional];
const PICTURE: &[Variant] = &[Variant::First, Variant::Second, Variant::OtherWidth];
const TWICE: &[Variant] = &[Variant::First, Variant::Second];
const ONCE: &[Variant] = &[Variant::First];

impl Path {
    pub fn new(class: PathClass, url: Url) -> Self {
        let variants = match class {
            PathClass::Product => PRODUCT,
            PathClass::Personal | PathClass::ApiPersonal => PERSONAL,
            PathClass::Asset => FILE,
            PathClass::OptimizedImage => PICTURE,
            PathClass::Health => ONCE,
            // What a cookie or a parameter changes is asked of one page, the product's: requests are few.
            PathClass::Home | PathClass::Collection | PathClass::Category => TWICE,
            PathClass::HashedAsset | PathClass::Media | PathClass::ApiCatalogue => TWICE,
        };
        let target = Target { class, url: without_query(&url), probes: Vec::new(), timings_ms: Vec::new() };
        Self { again: url.clone(), url, variants, headers: Vec::new(), target }
    }

    /// Asked once, for its weight.
    pub fn once(class: PathClass, url: Url) -> Self {
        Self { variants: ONCE, ..Self::new(class, url) }
    }

    pub fn with_headers(mut self, headers: &[(&'static str, String)]) -> Self {
        self.headers = headers.to_vec();
        self
    }

    /// Asks for the first time, and reads the answer.
    ///
    /// # Errors
    /// One sentence on why nothing came back.
    pub async fn read(&mut self, prober: &Prober<'_>) -> Result<Page, String> {
        let ask = Ask { keeps_body: true, ..self.ask(Variant::First).ok_or("There is nothing to ask.")? };
        let fetched = prober.fetch(&ask).await;
        let page = match &fetched {
            Ok(fetched) => Ok(Page { url: fetched.url.clone(), text: text_of(fetched).await }),
            Err(sentence) => Err(sentence.clone()),
        };
        self.note(Variant::First, &ask, fetched);
        page
    }

    fn is_due(&self, variant: Variant) -> bool {
        let probes = &self.target.probes;
        self.variants.contains(&variant) && probes.iter().all(|p| p.variant != variant && p.answer.is_ok())
    }

    /// `None` where there is nothing to ask: no validator to send back, or no cache that holds the path.
    fn ask(&self, variant: Variant) -> Option<Ask> {
        let class = self.target.class;
        let accept = match class {
            PathClass::Home | PathClass::Product | PathClass::Collection | PathClass::Category | PathClass::Personal => ACCEPT_PAGE,
            PathClass::Media | PathClass::OptimizedImage => ACCEPT_IMAGE,
            _ if is_picture(self.url.path()) => ACCEPT_IMAGE,
            _ => ACCEPT_ANY,
        };
        let url = if variant == Variant::First { &self.url } else { &self.again };
        // Who opens a cart has seen other pages before.
        let is_returning = variant != Variant::First || class == PathClass::Personal;
        let mut ask = Ask { headers: self.headers.clone(), is_returning, ..Ask::new(url.clone(), accept) };
        match variant {
            Variant::First | Variant::Second => {}
            Variant::WithCartCookie => ask.cookie = Some(CART_COOKIE),
            Variant::WithQuery => {
                ask.url.query_pairs_mut().append_pair("advisor", &random_token());
            }
            Variant::Conditional => ask.headers.push(validator(answer(&self.target, Variant::First)?)?),
            Variant::Rsc => {
                is_kept(&self.target).then_some(())?;
                ask.accept = ACCEPT_ANY;
                ask.headers.push(("rsc", "1".to_owned()));
                ask.url.query_pairs_mut().append_pair("_rsc", "advisor");
            }
            Variant::OtherWidth => {
                is_kept(&self.target).then_some(())?;
                ask.url = with_width(url)?;
            }
        }
        Some(ask)
    }

    fn note(&mut self, variant: Variant, ask: &Ask, fetched: Result<Fetched, String>) {
        // The way to a page has been seen with the first request. A personal page that leads elsewhere is asked itself each time: what it
        // leads to is nobody's.
        if let Ok(fetched) = &fetched
            && variant == Variant::First
            && self.target.class != PathClass::Personal
        {
            self.again = fetched.url.clone();
        }
        self.target.probes.push(Probe { variant, sent: ask.sent(), answer: fetched.map(|f| f.answer) });
    }
}

fn answer(target: &Target, variant: Variant) -> Option<&Answer> {
    target.probes.iter().find(|p| p.variant == variant).and_then(|p| p.answer.as_ref().ok())
}

/// A later answer came from a cache: what is asked under the same key now is answered from it, and replaces nothing.
fn is_kept(target: &Target) -> bool {
    let is_hit = |v| answer(target, v).is_some_and(edge::is_kept);
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
pub async fn run(prober: &Prober<'_>, mut paths: Vec<Path>) -> Vec<Target> {
    for variant in ORDER.iter().copied() {
        let mut due: Vec<&mut Path> = paths.iter_mut().filter(|p| p.is_due(variant)).collect();
        if variant == Variant::Second && !due.is_empty() {
            tokio::time::sleep_until(Instant::now() + SECOND_AFTER).await;
        }
        let asked = due.iter_mut().filter_map(|path| Some((path.ask(variant)?, path)));
        join_all(asked.map(|(ask, path)| async move { path.note(variant, &ask, prober.fetch(&ask).await) })).await;
    }
    paths.into_iter().map(|p| p.target).collect()
}
