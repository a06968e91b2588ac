//! The zone's real paths: probed pages and the paths of its analytics, with what the zone does to each.

use super::{Decision, Fate, Request, Stored, decide, stored};
use crate::checks::http::{PathKind, good, host, path, path_kind};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::storefront::{Answer, PathClass};
use crate::evidence::{Cause, Gap, Section, Snapshot};

/// What [`real_paths`] reads, each where it is there.
pub const PATHS_USES: [Section; 6] =
    [Section::CdnZone, Section::CdnAnalytics, Section::StorefrontPages, Section::StorefrontAssets, Section::StorefrontMedia, Section::StoreApi];

/// A path that shoppers ask for.
#[derive(Debug, Clone)]
pub struct RealPath<'s> {
    pub host: String,
    /// Without a query.
    pub path: String,
    pub kind: PathKind,
    /// What it answered to the probe, where it was probed.
    pub answer: Option<&'s Answer>,
    /// Requests that reached the origin, by analytics; 0 where they are not listed.
    pub requests: u64,
}

impl RealPath<'_> {
    pub fn request(&self) -> Request {
        Request::get(&self.host, &self.path)
    }

    /// Pages of the catalogue, not the API's lists.
    pub fn is_catalogue_page(&self) -> bool {
        self.kind == PathKind::Catalogue && !self.path.starts_with("/store/")
    }

    /// What sort of catalogue page: one of each that was seen speaks for the others the zone treats alike.
    pub fn sort(&self) -> &str {
        let sorts = ["products", "collections", "categories"];
        self.path.split('/').find(|segment| sorts.contains(segment)).unwrap_or(&self.path)
    }

    /// What becomes of the probe's answer; `None` where it was not probed.
    pub fn stored(&self, zone: &Cloudflare, request: &Request) -> Option<Stored> {
        self.answer.map(|a| stored(&decide(zone, request), request, a))
    }
}

/// Paths listed as evidence or judged; analytics lists a hundred.
const PATHS_MAX: usize = 200;

/// Probed paths first, then those of the analytics, each once, of hosts in the zone.
pub fn real_paths<'s>(snapshot: &'s Snapshot, zone: &Cloudflare) -> Vec<RealPath<'s>> {
    let mut all: Vec<RealPath> = Vec::new();
    if let Ok(shop) = snapshot.shop() {
        let lists = [shop.pages(), shop.assets(), shop.media(), shop.api()];
        for target in lists.into_iter().flatten().flatten().filter(|t| is_in_zone(zone, host(&t.url))) {
            let kind = match target.class {
                PathClass::Product | PathClass::Collection | PathClass::Category | PathClass::ApiCatalogue => PathKind::Catalogue,
                PathClass::Personal | PathClass::ApiPersonal => PathKind::Personal,
                _ => path_kind(path(&target.url)),
            };
            let (host, path) = (host(&target.url).to_owned(), path(&target.url).to_owned());
            all.push(RealPath { host, path, kind, answer: good(target), requests: 0 });
        }
    }
    if let Ok(analytics) = zone.analytics() {
        for row in &analytics.by_path.rows {
            let has_room = all.len() < PATHS_MAX;
            match all.iter_mut().find(|p| p.host == row.host && p.path == row.path) {
                Some(known) => known.requests += row.requests,
                None if has_room && is_in_zone(zone, &row.host) => all.push(RealPath {
                    host: row.host.clone(),
                    path: row.path.clone(),
                    kind: path_kind(&row.path),
                    answer: None,
                    requests: row.requests,
                }),
                None => {}
            }
        }
    }
    all
}

/// The zone's name or a name under it; without the zone's name every host counts.
pub fn is_in_zone(zone: &Cloudflare, host: &str) -> bool {
    let Ok(told) = zone.zone() else { return true };
    let (host, name) = (host.to_ascii_lowercase(), told.name.to_ascii_lowercase());
    host == name || host.strip_suffix(&name).is_some_and(|h| h.ends_with('.'))
}

/// Pages of the catalogue among the real paths.
///
/// # Errors
/// A gap when none is known: nothing is judged then.
pub fn catalogue_pages<'s>(snapshot: &'s Snapshot, zone: &Cloudflare) -> Result<Vec<RealPath<'s>>, Gap> {
    let pages: Vec<RealPath> = real_paths(snapshot, zone).into_iter().filter(RealPath::is_catalogue_page).collect();
    if pages.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "catalogue pages in the zone".into() };
        let detail = "Neither the probe nor the analytics saw a product, collection or category page in this zone.";
        return Err(Gap::new(Section::CdnAnalytics, cause, detail));
    }
    Ok(pages)
}

/// Why it cannot be told what the zone does to one of these, where that is so.
pub fn unclear(zone: &Cloudflare, paths: &[RealPath]) -> Option<Gap> {
    let decision = paths.iter().map(|p| decide(zone, &p.request())).find(|d| d.fate == Fate::Unclear)?;
    Some(not_told(&decision))
}

/// The gap where a page's lifetime is left to the store and no page of its sort was seen; `why` where an answer was seen that does not tell it.
pub fn lifetime_not_seen(snapshot: &Snapshot, path: &RealPath, why: Option<&str>) -> Gap {
    let head = format!("How long {} is kept is not known", path.path);
    match snapshot.shop().and_then(|shop| shop.pages()) {
        Err(gap) => Gap::new(gap.section, gap.cause, format!("{head}: the zone leaves it to the storefront, which was not seen. {}", gap.detail)),
        Ok(_) => {
            let cause = Cause::TooFew { have: 0, need: 1, what: "answers of such a page that tell its lifetime".into() };
            let why = why.unwrap_or("the zone leaves it to the storefront, and no page of its sort answered the probe");
            Gap::new(Section::StorefrontPages, cause, format!("{head}: {why}."))
        }
    }
}

/// The gap of a decision that hangs on what nobody can tell from outside.
pub fn not_told(decision: &Decision) -> Gap {
    let what = decision.unknown.join(", ");
    let detail = format!("What happens to a request hangs on what the zone's rules ask for and cannot be told from outside: {what}.");
    Gap::new(Section::CdnCacheRules, Cause::Absent { feature: what, remedy: String::new() }, detail)
}

/// Hosts of the storefront and the backend that lie in the zone: storefront, backend. Without a storefront's address, the zone's own name.
pub fn hosts(snapshot: &Snapshot, zone: &Cloudflare) -> (Option<String>, Option<String>) {
    let shop = snapshot.shop().ok();
    let of = |url: Option<&String>| url.map(|u| host(u).to_owned()).filter(|h| is_in_zone(zone, h));
    let told = shop.and_then(|s| s.storefront_url.as_ref());
    let storefront = if told.is_some() { of(told) } else { zone.zone().ok().map(|z| z.name.clone()) };
    (storefront, shop.and_then(|s| of(s.backend_url.as_ref())))
}
