//! Asks the storefront, its media and the store API as a shopper's browser would, twice and with a cookie, and times the store API
//! over the observation window. GET only: no cart is created.

mod body;
mod budget;
mod client;
mod headers;
mod links;
mod plan;
mod recipe;
mod timing;
mod tls;
mod tls_old;
mod trust;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use url::Url;

use super::Collected;
use super::run::Lane;
use crate::connect::profile::{Limits, ShopProfile};
use crate::connect::shop::Shop;
use crate::evidence::medusa::MediaHost;
use crate::evidence::storefront::{PathClass, Resolved, Storefront, Target, Tls, Variant};
use crate::evidence::{Cause, Gap, Layer, LayerCost, Section, Seen};
use body::text_of;
use client::{ACCEPT_PAGE, Ask, Prober};
use links::Links;
use plan::{asset_plan, first_product, is_picture, page_plan, part_class};
use recipe::{Page, Path};
use timing::{Endpoint, Timing};
pub use tls::Server as TlsServer;
pub use tls_old::accepted as old_tls_versions;

/// How long the database may take to tell where the media lie.
const MEDIA_WAIT: Duration = Duration::from_secs(15);
/// Media hosts probed, those with most addresses first.
const MEDIA_HOSTS_MAX: usize = 3;
/// A media address is asked twice.
const MEDIA_REQUESTS: usize = 2;
const STEPS: u32 = 4;
/// Files weighed beside those that are asked twice.
const WEIGHED_MAX: usize = 12;
/// What the recipe takes of a store that has everything: its storefront with media, redirects and all, and its store API.
const STOREFRONT_REQUESTS: u32 = 38;
const API_REQUESTS: u32 = 7;
/// Small enough to be answered quickly by a large catalogue, the page size of the storefront starter.
const PRODUCT_LIST: &str = "/store/products?limit=12";

/// Media addresses, `None` until the database has told them.
pub type MediaReceiver = watch::Receiver<Option<Arc<Vec<MediaHost>>>>;

/// Probes everything the profile names. Never fails as a whole.
pub async fn collect(profile: &ShopProfile, media: MediaReceiver, limits: &Limits, lane: &Lane) -> Collected<Storefront> {
    let start = Instant::now();
    let opened = Shop::from_profile(profile).and_then(|shop| Prober::new(&shop.guard, limits, lane).map(|prober| (shop, prober)));
    let (shop, prober) = match opened {
        Ok(both) => both,
        Err(sentence) => {
            lane.done(Some(sentence.clone()));
            return Collected::nothing(Layer::App, Gap::new(Section::Storefront, Cause::Unreadable, sentence));
        }
    };
    if shop.storefront.is_none() && shop.backend.is_none() {
        return Collected::nothing(Layer::App, Gap::not_configured(Section::Storefront));
    }
    lane.reading("store API", 0, STEPS);
    let probes = Probes { shop: &shop, prober: &prober, lane, limits, api_headers: api_headers(profile, &shop), limits_met: Mutex::default() };
    let (window, (list, product)) = tokio::join!(lane.window_opens(), probes.product_list());
    let endpoints = probes.endpoints(product.as_ref());
    // The recipe's second request for an endpoint is one of its timings.
    let mut timing = Timing::new(&prober, &endpoints, limits.probe_timings.saturating_sub(1));
    let ((seen, media_targets, api), window_s) = tokio::join!(probes.recipe(media, list, product), timing.over(window, limits.window_s, lane));
    // What the recipe left may replace timings that failed.
    prober.budget(|b| b.keep(b.left()));
    let (timings_ms, timeline) = timing.finish(lane).await;
    let (pages, assets, tls) = seen;
    let mut limits_met = probes.limits_met.into_inner().unwrap_or_else(PoisonError::into_inner);
    limits_met.extend(prober.budget(|b| b.met()));
    let storefront = Storefront {
        storefront_url: shop.storefront.as_ref().map(origin),
        backend_url: shop.backend.as_ref().map(origin),
        pages,
        assets,
        media: media_targets,
        api: api.map(|targets| with_timings(targets, &endpoints, timings_ms)),
        tls,
        limits_met,
        resolved: profile.resolve.iter().map(|r| Resolved { host: r.host.clone(), address: r.address.to_string() }).collect(),
    };
    storefront.gaps().iter().for_each(|gap| lane.gap(gap.detail.clone()));
    storefront.notes().into_iter().for_each(|note| lane.activity(note));
    lane.reading("storefront", STEPS, STEPS);
    lane.done(None);
    let (calls, bytes) = prober.spent();
    let wall_ms = (start.elapsed().as_secs_f64() - window_s).max(0.0) * 1e3;
    Collected {
        seen: Ok(storefront),
        cost: LayerCost { layer: Layer::App, calls, busy_ms: None, wall_ms, bytes },
        timelines: timeline.into_iter().collect(),
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Headers of store API requests. Behind plain HTTP a production Medusa keeps its `Secure` session cookie back; naming the scheme of
/// the shopper's connection shows what a proxy in front of it gets.
fn api_headers(profile: &ShopProfile, shop: &Shop) -> Vec<(&'static str, String)> {
    let key = profile.publishable_key.as_deref().map(str::trim).filter(|k| !k.is_empty());
    let mut all: Vec<(&'static str, String)> = key.map(|k| ("x-publishable-api-key", k.to_owned())).into_iter().collect();
    if shop.backend.as_ref().is_some_and(|b| b.scheme() == "http") {
        all.push(("x-forwarded-proto", "https".to_owned()));
    }
    all
}

/// Adds the repeats of an endpoint to the recipe's second request for it. The first opened the connection, so it is not one of them.
fn with_timings(mut targets: Vec<Target>, endpoints: &[Endpoint], timings: Vec<Vec<f64>>) -> Vec<Target> {
    for (endpoint, timings_ms) in endpoints.iter().zip(timings) {
        let url = headers::without_query(&endpoint.url);
        if let Some(target) = targets.iter_mut().find(|t| t.url == url) {
            let second = target.probes.iter().find(|p| p.variant == Variant::Second).and_then(|p| p.answer.as_ref().ok());
            target.timings_ms = second.filter(|a| a.status == 200).map(|a| a.total_ms).into_iter().chain(timings_ms).collect();
        }
    }
    targets
}

type Targets = Seen<Vec<Target>>;

/// What the storefront answered, and the files of its pages that were not asked yet.
struct Walk {
    /// The home page after redirects.
    landed: Url,
    pages: Vec<Target>,
    assets: Vec<Target>,
    unasked: Vec<Url>,
    parts: usize,
}

struct Probes<'a> {
    shop: &'a Shop,
    prober: &'a Prober<'a>,
    lane: &'a Lane,
    limits: &'a Limits,
    api_headers: Vec<(&'static str, String)>,
    /// What a limit kept from being asked.
    limits_met: Mutex<Vec<String>>,
}

impl Probes<'_> {
    /// The product list of the store API, and the path of one product in it.
    async fn product_list(&self) -> (Option<Path>, Option<Url>) {
        let url = self.shop.backend.as_ref().and_then(|b| b.join(PRODUCT_LIST).ok());
        let Some(mut list) = url.map(|url| self.api_path(PathClass::ApiCatalogue, url)) else { return (None, None) };
        let page = list.read(self.prober).await;
        let product = page.ok().and_then(|page| first_product(&page.text)).and_then(|path| self.shop.backend.as_ref()?.join(&path).ok());
        (Some(list), product)
    }

    fn api_path(&self, class: PathClass, url: Url) -> Path {
        Path::new(class, url).with_headers(&self.api_headers)
    }

    /// What is timed, with the requests for it put aside: the product list before all, one product where the limit has room for both.
    fn endpoints(&self, product: Option<&Url>) -> Vec<Endpoint> {
        let Some(list) = self.shop.backend.as_ref().and_then(|b| b.join(PRODUCT_LIST).ok()) else { return Vec::new() };
        let (limit, wanted) = (self.limits.probe_requests_max, self.limits.probe_timings.saturating_sub(1));
        if wanted == 0 {
            return Vec::new();
        }
        let kept = wanted.min(limit / 2);
        if kept < wanted {
            self.limit(format!("The product list was timed {kept} times at most: the limit is {limit} requests a run."));
        }
        let recipe = API_REQUESTS + if self.shop.storefront.is_some() { STOREFRONT_REQUESTS } else { 0 };
        let has_room = limit >= recipe.saturating_add(wanted.saturating_mul(2)).saturating_add(timing::SPARE_ATTEMPTS);
        if let Some(product) = product.filter(|_| !has_room) {
            self.limit(format!("{} was not timed: the limit of {limit} requests a run leaves timings of the product list only.", product.path()));
        }
        let timed: Vec<&Url> = std::iter::once(&list).chain(product.filter(|_| has_room)).collect();
        self.prober.budget(|b| b.keep(kept.saturating_mul(timed.len() as u32)));
        timed.into_iter().map(|url| Endpoint { url: url.clone(), headers: self.api_headers.clone() }).collect()
    }

    /// Everything but the timed repeats. Media, then the weighing of files, get what the pages and the store API leave.
    async fn recipe(&self, media: MediaReceiver, list: Option<Path>, product: Option<Url>) -> ((Targets, Targets, Seen<Vec<Tls>>), Targets, Targets) {
        let (mut walk, api) = tokio::join!(self.storefront(), self.api(list, product));
        let media = self.media(media).await;
        let landed = walk.as_ref().ok().map(|w| w.landed.clone());
        if let Ok(walk) = &mut walk {
            walk.assets.extend(self.weigh(walk).await);
            self.lane.activity(format!("{} pages and {} assets asked", walk.pages.len(), walk.assets.len()));
        }
        let (pages, assets) = pages_and_assets(walk);
        ((pages, assets, self.tls(landed).await), media, api)
    }

    async fn api(&self, list: Option<Path>, product: Option<Url>) -> Targets {
        let Some(backend) = &self.shop.backend else {
            let detail = "No backend address is set for this store, so the store API was not asked.";
            return Err(Gap::new(Section::StoreApi, Cause::NotConfigured, detail));
        };
        let path = |class, url: Url| self.api_path(class, url);
        let health = backend.join("/health").ok().map(|url| path(PathClass::Health, url));
        let regions = backend.join("/store/regions").ok().map(|url| path(PathClass::ApiCatalogue, url));
        let product = product.map(|url| path(PathClass::ApiCatalogue, url));
        let paths = [health, list, regions, product].into_iter().flatten().collect();
        answered(Section::StoreApi, recipe::run(self.prober, paths).await)
    }

    /// Pages and assets.
    async fn storefront(&self) -> Result<Walk, Option<String>> {
        let Some(home) = &self.shop.storefront else { return Err(None) };
        let mut home = Path::new(PathClass::Home, home.clone());
        let page = home.read(self.prober).await.map_err(Some)?;
        self.lane.reading("storefront pages", 1, STEPS);
        let (links, product) = self.links(&page).await;
        let mut paths = vec![home];
        paths.extend(product);
        paths.extend(page_plan(&page.url, &links));
        let pages = paths.len();
        paths.extend(asset_plan(&links));
        let asked: BTreeSet<Url> = paths.iter().map(|p| p.url.clone()).collect();
        let mut targets = recipe::run(self.prober, paths).await;
        let assets = targets.split_off(pages);
        let parts = links.parts.len();
        Ok(Walk { landed: page.url, pages: targets, assets, unasked: links.parts.into_iter().filter(|u| !asked.contains(u)).collect(), parts })
    }

    /// Links of the home page, of the store page where home names no product, and of the product's page, which is asked with that.
    async fn links(&self, home: &Page) -> (Links, Option<Path>) {
        let mut links = Links::read(&home.url, &home.text);
        if links.product.is_none()
            && let Ok(store) = home.url.join(&format!("{}/store", links::locale_prefix(home.url.path())))
            && let Ok(found) = self.prober.fetch(&Ask { is_returning: true, keeps_body: true, ..Ask::new(store, ACCEPT_PAGE) }).await
        {
            links = links.or(Links::read(&found.url, &text_of(&found).await));
        }
        let Some(mut product) = links.product.clone().map(|url| Path::new(PathClass::Product, url)) else { return (links, None) };
        if let Ok(page) = product.read(self.prober).await {
            links = links.or(Links::read(&page.url, &page.text));
        }
        (links, Some(product))
    }

    /// What else the pages load, once each, as far as the requests of a run reach.
    async fn weigh(&self, walk: &Walk) -> Vec<Target> {
        let mut wanted: Vec<&Url> = walk.unasked.iter().collect();
        // Pictures vary most in weight, so they come first.
        wanted.sort_by_key(|u| !is_picture(u));
        let room = (self.prober.budget(|b| b.left()).saturating_sub(timing::SPARE_ATTEMPTS) as usize).min(WEIGHED_MAX);
        let left_out = wanted.len().saturating_sub(room);
        if left_out > 0 {
            let limit = || format!("the limit is {}", self.prober.budget(|b| b.limit()));
            let why = if room == WEIGHED_MAX { format!("{WEIGHED_MAX} files are weighed") } else { limit() };
            self.limit(format!("{left_out} of {} files that the pages load were not weighed: {why}.", walk.parts));
        }
        let paths = wanted.into_iter().take(room).map(|u| Path::once(part_class(&walk.landed, u), u.clone())).collect();
        recipe::run(self.prober, paths).await
    }

    fn limit(&self, sentence: String) {
        if let Ok(mut met) = self.limits_met.lock() {
            met.push(sentence);
        }
    }

    async fn media(&self, mut media: MediaReceiver) -> Seen<Vec<Target>> {
        let told = tokio::time::timeout(MEDIA_WAIT, media.wait_for(Option::is_some)).await;
        let hosts = told.ok().and_then(Result::ok).and_then(|hosts| hosts.clone()).filter(|h| !h.is_empty());
        let Some(hosts) = hosts else {
            let detail = "The database told no media addresses, so no product image was probed.";
            return Err(Gap::new(Section::StorefrontMedia, absent("media addresses"), detail));
        };
        let mut hosts: Vec<&MediaHost> = hosts.iter().collect();
        hosts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.host.cmp(&b.host)));
        let mut seen = BTreeSet::new();
        hosts.retain(|m| seen.insert(m.host.as_str()));
        let room = self.prober.budget(|b| b.left()) as usize / MEDIA_REQUESTS;
        let wanted = hosts.len().min(MEDIA_HOSTS_MAX);
        if room < wanted {
            let limit = self.prober.budget(|b| b.limit());
            self.limit(format!("{} of {wanted} media hosts were not asked: the limit is {limit}.", wanted - room));
        }
        let paths = hosts.iter().take(wanted.min(room)).filter_map(|m| Some(Path::new(PathClass::Media, self.media_url(m)?))).collect();
        self.lane.reading("media", 2, STEPS);
        answered(Section::StorefrontMedia, recipe::run(self.prober, paths).await)
    }

    /// Addresses without a host belong to the storefront, else to the backend.
    fn media_url(&self, media: &MediaHost) -> Option<Url> {
        let base = self.shop.storefront.as_ref().or(self.shop.backend.as_ref())?;
        let full = if media.example.contains("://") || media.host == "relative" {
            media.example.clone()
        } else {
            format!("{}/{}", media.host, media.example.trim_start_matches('/'))
        };
        base.join(&full).ok()
    }

    /// Of the hosts that were entered with https, and of the storefront where its http leads there.
    async fn tls(&self, landed: Option<Url>) -> Seen<Vec<Tls>> {
        let typed = self.shop.storefront.iter().chain(&self.shop.backend);
        let is_own = |url: &&Url| self.shop.storefront.as_ref().is_some_and(|s| s.host_str() == url.host_str());
        let mut urls: Vec<&Url> = typed.chain(landed.as_ref().filter(is_own)).filter(|u| u.scheme() == "https").collect();
        let mut seen = BTreeSet::new();
        urls.retain(|u| seen.insert((u.host_str(), u.port())));
        let tried = join_all(urls.iter().map(|u| tls::handshake(u, &self.shop.guard, self.limits.connect_timeout()))).await;
        let (mut seen, mut failed) = (Vec::new(), Vec::new());
        for outcome in tried {
            match outcome {
                Ok(tls) => seen.push(tls),
                Err(sentence) => failed.push(sentence),
            }
        }
        if seen.is_empty() && !failed.is_empty() {
            return Err(Gap::new(Section::StorefrontTls, Cause::Unreachable, failed.join(" ")));
        }
        // A host without a handshake is missing from what was seen; why is told while it is asked.
        failed.into_iter().for_each(|sentence| self.lane.gap(sentence));
        Ok(seen)
    }
}

fn pages_and_assets(walk: Result<Walk, Option<String>>) -> (Targets, Targets) {
    match walk {
        Ok(walk) if walk.assets.is_empty() => {
            let detail = "The home page names no script, stylesheet or image to probe.";
            let gap = Gap::new(Section::StorefrontAssets, absent("static assets"), detail);
            (answered(Section::StorefrontPages, walk.pages), Err(gap))
        }
        Ok(walk) => (answered(Section::StorefrontPages, walk.pages), answered(Section::StorefrontAssets, walk.assets)),
        Err(failed) => {
            let cause = if failed.is_some() { Cause::Unreachable } else { Cause::NotConfigured };
            let detail = failed.unwrap_or_else(|| "No storefront address is set for this store.".to_owned());
            let gap = |section| Gap::new(section, cause.clone(), detail.clone());
            (Err(gap(Section::StorefrontPages)), Err(gap(Section::StorefrontAssets)))
        }
    }
}

fn absent(feature: &str) -> Cause {
    Cause::Absent { feature: feature.to_owned(), remedy: String::new() }
}

/// The targets, or a gap when not one of them answered.
fn answered(section: Section, targets: Vec<Target>) -> Seen<Vec<Target>> {
    if targets.iter().any(|t| t.probes.iter().any(|p| p.answer.is_ok())) {
        return Ok(targets);
    }
    let first = targets.iter().flat_map(|t| &t.probes).find_map(|p| p.answer.as_ref().err());
    let detail = first.cloned().unwrap_or_else(|| format!("No {} could be asked.", section.name()));
    Err(Gap::new(section, Cause::Unreachable, detail))
}
