//! Asks the storefront, its media and the store API as a shopper's browser would, twice and with a cookie, and times the store API
//! over the observation window. GET only: no cart is created.

mod client;
mod headers;
mod links;
mod recipe;
mod timing;
mod tls;
mod tls_old;

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use url::Url;

use super::Collected;
use super::run::Lane;
use crate::connect::profile::{Limits, ShopProfile};
use crate::connect::shop::Shop;
use crate::evidence::medusa::MediaHost;
use crate::evidence::storefront::{PathClass, Storefront, Target, Tls};
use crate::evidence::{Cause, Gap, Layer, LayerCost, Section, Seen};
use client::{ACCEPT_ANY, ACCEPT_PAGE, Ask, Fetched, Prober};
use links::Links;
use recipe::Planned;
use timing::Endpoint;
pub use tls_old::accepted as old_tls_versions;

/// How long the database may take to tell where the media lie.
const MEDIA_WAIT: Duration = Duration::from_secs(15);
/// Media hosts probed, those with most addresses first.
const MEDIA_HOSTS_MAX: usize = 3;
const STEPS: u32 = 4;
/// Bytes of a page, unpacked, that are read for links.
const HTML_BYTES_MAX: u64 = 2_000_000;
/// Files weighed beside those that are asked twice.
const WEIGHED_MAX: usize = 12;
/// Requests that weighing leaves to media and the store API, which are asked at the same time.
const KEPT_FOR_OTHERS: u32 = 14;
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
    let (window, product) = tokio::join!(lane.window_opens(), probes.one_product());
    let endpoints = probes.endpoints(product.as_deref());
    let ((storefront, media_targets), api, tls, timed) = tokio::join!(
        probes.storefront_and_media(media),
        probes.api(product.as_deref()),
        probes.tls(),
        timing::run(&prober, lane, window, &endpoints, limits),
    );
    let (pages, assets) = storefront;
    let storefront = Storefront {
        storefront_url: shop.storefront.as_ref().map(origin),
        backend_url: shop.backend.as_ref().map(origin),
        pages,
        assets,
        media: media_targets,
        api: api.map(|targets| with_timings(targets, &endpoints, timed.timings_ms)),
        tls,
        limits_met: probes.limits_met.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner),
    };
    storefront.gaps().iter().for_each(|gap| lane.gap(gap.detail.clone()));
    lane.reading("storefront", STEPS, STEPS);
    lane.done(None);
    let (calls, bytes) = prober.spent();
    let wall_ms = (start.elapsed().as_secs_f64() - timed.window_s).max(0.0) * 1e3;
    Collected {
        seen: Ok(storefront),
        cost: LayerCost { layer: Layer::App, calls, busy_ms: None, wall_ms, bytes },
        timelines: timed.timeline.into_iter().collect(),
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

fn with_timings(mut targets: Vec<Target>, endpoints: &[Endpoint], timings: Vec<Vec<f64>>) -> Vec<Target> {
    for (endpoint, timings_ms) in endpoints.iter().zip(timings) {
        let url = headers::without_query(&endpoint.url);
        if let Some(target) = targets.iter_mut().find(|t| t.url == url) {
            target.timings_ms = timings_ms;
        }
    }
    targets
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
    /// The path of one product in the store API, for timing it.
    async fn one_product(&self) -> Option<String> {
        let list = self.shop.backend.as_ref()?.join(PRODUCT_LIST).ok()?;
        let ask = Ask { headers: self.api_headers.clone(), ..Ask::plain(list, ACCEPT_ANY) };
        let fetched = self.prober.fetch(&ask).await.ok()?;
        let body: serde_json::Value = serde_json::from_str(&text_of(&fetched)).ok()?;
        let id = body["products"][0]["id"].as_str()?;
        let is_plain = !id.is_empty() && id.len() <= 100 && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        is_plain.then(|| format!("/store/products/{id}"))
    }

    fn endpoints(&self, product: Option<&str>) -> Vec<Endpoint> {
        let Some(backend) = &self.shop.backend else { return Vec::new() };
        let paths = std::iter::once(PRODUCT_LIST).chain(product);
        paths.filter_map(|p| backend.join(p).ok()).map(|url| Endpoint { url, headers: self.api_headers.clone() }).collect()
    }

    async fn api(&self, product: Option<&str>) -> Seen<Vec<Target>> {
        let Some(backend) = &self.shop.backend else {
            let detail = "No backend address is set for this store, so the store API was not asked.";
            return Err(Gap::new(Section::StoreApi, Cause::NotConfigured, detail));
        };
        let list = [(PathClass::Health, "/health"), (PathClass::ApiCatalogue, PRODUCT_LIST), (PathClass::ApiCatalogue, "/store/regions")];
        let paths = list.into_iter().chain(product.map(|p| (PathClass::ApiCatalogue, p)));
        let planned: Vec<Planned> = paths
            .filter_map(|(class, path)| Some(Planned { headers: self.api_headers.clone(), ..Planned::new(class, backend.join(path).ok()?) }))
            .collect();
        answered(Section::StoreApi, recipe::run(self.prober, &planned).await)
    }

    async fn storefront_and_media(&self, media: MediaReceiver) -> ((Seen<Vec<Target>>, Seen<Vec<Target>>), Seen<Vec<Target>>) {
        tokio::join!(self.storefront(), self.media(media))
    }

    /// Pages and assets.
    async fn storefront(&self) -> (Seen<Vec<Target>>, Seen<Vec<Target>>) {
        let Some(home) = &self.shop.storefront else {
            let gap = |s| Gap::new(s, Cause::NotConfigured, "No storefront address is set for this store.");
            return (Err(gap(Section::StorefrontPages)), Err(gap(Section::StorefrontAssets)));
        };
        let found = match self.prober.fetch(&Ask::plain(home.clone(), ACCEPT_PAGE)).await {
            Ok(found) => found,
            Err(sentence) => {
                let gap = |s| Gap::new(s, Cause::Unreachable, sentence.clone());
                return (Err(gap(Section::StorefrontPages)), Err(gap(Section::StorefrontAssets)));
            }
        };
        self.lane.reading("storefront pages", 1, STEPS);
        let links = self.links(&found).await;
        let (pages, mut assets) = (page_plan(home, &found.url, &links), asset_plan(&links));
        let all: Vec<Planned> = pages.iter().chain(&assets).cloned().collect();
        let mut targets = recipe::run(self.prober, &all).await;
        let mut asset_targets = targets.split_off(pages.len());
        assets.extend(pages);
        asset_targets.extend(self.weigh(&found.url, &links, &assets).await);
        self.lane.activity(format!("{} pages and {} assets asked", targets.len(), asset_targets.len()));
        let assets = if asset_targets.is_empty() {
            Err(Gap::new(Section::StorefrontAssets, absent("static assets"), "The home page names no script, stylesheet or image to probe."))
        } else {
            answered(Section::StorefrontAssets, asset_targets)
        };
        (answered(Section::StorefrontPages, targets), assets)
    }

    /// Links of the home page, of the store page where home names no product, and of the product's page.
    async fn links(&self, home: &Fetched) -> Links {
        let mut links = Links::read(&home.url, &text_of(home));
        if links.product.is_none()
            && let Ok(store) = home.url.join(&format!("{}/store", links::locale_prefix(home.url.path())))
        {
            links = self.with_page(links, store).await;
        }
        match links.product.clone() {
            Some(product) => self.with_page(links, product).await,
            None => links,
        }
    }

    async fn with_page(&self, links: Links, page: Url) -> Links {
        match self.prober.fetch(&Ask { is_returning: true, ..Ask::plain(page, ACCEPT_PAGE) }).await {
            Ok(found) => links.or(Links::read(&found.url, &text_of(&found))),
            Err(_) => links,
        }
    }

    /// What else the pages load, once each, as far as the requests of a run reach; the media and the API keep theirs.
    async fn weigh(&self, page: &Url, links: &Links, asked: &[Planned]) -> Vec<Target> {
        let mut wanted: Vec<&Url> = links.parts.iter().filter(|u| asked.iter().all(|p| p.url != **u)).collect();
        // Pictures vary most in weight, so they come first.
        wanted.sort_by_key(|u| !is_picture(u));
        let room = (self.prober.left().saturating_sub(KEPT_FOR_OTHERS) as usize).min(WEIGHED_MAX);
        let left_out = wanted.len().saturating_sub(room);
        if left_out > 0 {
            let why = if room == WEIGHED_MAX { format!("{WEIGHED_MAX} files are weighed") } else { "the limit of requests a run".to_owned() };
            self.limit(format!("{left_out} of {} files that the pages load were not weighed: {why}.", links.parts.len()));
        }
        let planned: Vec<Planned> = wanted.into_iter().take(room).map(|u| Planned::once(part_class(page, u), u.clone())).collect();
        recipe::run(self.prober, &planned).await
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
        let planned: Vec<Planned> =
            hosts.iter().take(MEDIA_HOSTS_MAX).filter_map(|m| Some(Planned::new(PathClass::Media, self.media_url(m)?))).collect();
        self.lane.reading("media", 2, STEPS);
        answered(Section::StorefrontMedia, recipe::run(self.prober, &planned).await)
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

    async fn tls(&self) -> Seen<Vec<Tls>> {
        let mut urls: Vec<&Url> = self.shop.storefront.iter().chain(&self.shop.backend).filter(|u| u.scheme() == "https").collect();
        urls.dedup_by(|a, b| a.host_str() == b.host_str() && a.port() == b.port());
        let tried = join_all(urls.iter().map(|u| tls::handshake(u, self.limits.connect_timeout()))).await;
        let (mut seen, mut failed) = (Vec::new(), None);
        for outcome in tried {
            match outcome {
                Ok(tls) => seen.push(tls),
                Err(sentence) => failed = Some(sentence),
            }
        }
        match failed {
            Some(sentence) if seen.is_empty() => Err(Gap::new(Section::StorefrontTls, Cause::Unreachable, sentence)),
            _ => Ok(seen),
        }
    }
}

fn page_plan(home: &Url, landed: &Url, links: &Links) -> Vec<Planned> {
    let mut plan = vec![Planned::new(PathClass::Home, home.clone())];
    let catalogue = [(PathClass::Product, &links.product), (PathClass::Collection, &links.collection), (PathClass::Category, &links.category)];
    plan.extend(catalogue.into_iter().filter_map(|(class, url)| Some(Planned::new(class, url.clone()?))));
    // Product links carry the country even where the home page does not.
    let known = links.product.as_ref().unwrap_or(landed);
    let prefix = links::locale_prefix(known.path());
    let personal = ["cart", "account", "checkout"].into_iter().filter_map(|p| landed.join(&format!("{prefix}/{p}")).ok());
    plan.extend(personal.map(|url| Planned::new(PathClass::Personal, url)));
    plan
}

fn asset_plan(links: &Links) -> Vec<Planned> {
    let hashed = links.hashed.iter().map(|u| Planned::new(PathClass::HashedAsset, u.clone()));
    let asset = links.asset.iter().map(|u| Planned::new(PathClass::Asset, u.clone()));
    let image = links.image.iter().map(|u| Planned::new(PathClass::OptimizedImage, u.clone()));
    hashed.chain(asset).chain(image).collect()
}

fn is_picture(url: &Url) -> bool {
    url.path() == "/_next/image" || links::is_picture(url.path())
}

fn part_class(page: &Url, url: &Url) -> PathClass {
    if url.path() == "/_next/image" {
        PathClass::OptimizedImage
    } else if links::is_hashed(url.path()) {
        PathClass::HashedAsset
    } else if url.host_str() == page.host_str() {
        PathClass::Asset
    } else {
        PathClass::Media
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

/// The body as text; servers that compress unasked are tolerated.
fn text_of(fetched: &Fetched) -> String {
    if !fetched.answer.header("content-encoding").is_some_and(|e| e.contains("gzip")) {
        return String::from_utf8_lossy(&fetched.body).into_owned();
    }
    let mut plain = Vec::new();
    // A bomb must not fill memory: links of a page that is longer than this are found in its beginning.
    let limit = HTML_BYTES_MAX;
    // What was decoded before an error still holds links.
    let _ = flate2::read::GzDecoder::new(fetched.body.as_slice()).take(limit).read_to_end(&mut plain);
    String::from_utf8_lossy(&plain).into_owned()
}
