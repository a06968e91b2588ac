//! What the storefront, its media and the store API answered to probes.

use serde::{Deserialize, Serialize};

use super::{Seen, sections};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Storefront {
    /// Scheme, host and port of the storefront, when one was given.
    pub storefront_url: Option<String>,
    pub backend_url: Option<String>,
    pub pages: Seen<Vec<Target>>,
    pub assets: Seen<Vec<Target>>,
    pub media: Seen<Vec<Target>>,
    pub api: Seen<Vec<Target>>,
    pub tls: Seen<Vec<Tls>>,
    /// What a limit kept from being asked, in sentences.
    #[serde(default)]
    pub limits_met: Vec<String>,
    /// Hosts that were asked at an address of the user's choice instead of the one DNS names.
    #[serde(default)]
    pub resolved: Vec<Resolved>,
}

/// A host and the address it was asked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Lower case, without a port.
    pub host: String,
    pub address: String,
}

impl Storefront {
    /// What a reader of the answers must know of how they were got, in sentences.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.addresses();
        notes.extend(self.limits_met.iter().cloned());
        notes
    }

    /// Where hosts were asked that DNS has elsewhere, in sentences.
    pub fn addresses(&self) -> Vec<String> {
        self.resolved.iter().map(|r| format!("{} was asked at {}, as given, not where DNS has it.", r.host, r.address)).collect()
    }
}

sections!(Storefront {
    pages: Vec<Target> => StorefrontPages,
    assets: Vec<Target> => StorefrontAssets,
    media: Vec<Target> => StorefrontMedia,
    api: Vec<Target> => StoreApi,
    tls: Vec<Tls> => StorefrontTls,
});

/// What kind of path was probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathClass {
    Home,
    Product,
    Collection,
    Category,
    /// Cart, checkout, account, order: must never be cached.
    Personal,
    /// A bundle, font or stylesheet with a hash in its name.
    HashedAsset,
    Asset,
    OptimizedImage,
    Media,
    /// Product and region lists of the store API.
    ApiCatalogue,
    /// Cart, customer and auth endpoints.
    ApiPersonal,
    Health,
}

/// One address and everything it answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub class: PathClass,
    /// Without query values; scheme, host and path.
    pub url: String,
    /// In the order sent.
    pub probes: Vec<Probe>,
    /// Timed repeats without judging headers, milliseconds each; empty for targets that are not timed.
    pub timings_ms: Vec<f64>,
}

/// Which request of the recipe this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    First,
    /// The same again, one second later.
    Second,
    /// With a cart cookie.
    WithCartCookie,
    /// With a random query parameter.
    WithQuery,
    /// As Next.js asks for a page it navigates to: `RSC: 1` and `_rsc`. Sent only after a hit, so that no cache keeps it as the page.
    Rsc,
    /// The optimised picture at another width. Sent only after a hit, for the same reason.
    OtherWidth,
    /// With the first answer's `ETag`, else its `Last-Modified`.
    Conditional,
}

impl Variant {
    /// The words on screen.
    pub fn name(self) -> &'static str {
        match self {
            Variant::First => "first",
            Variant::Second => "a second later",
            Variant::WithCartCookie => "with a cart cookie",
            Variant::WithQuery => "with a random parameter",
            Variant::Rsc => "as Next.js navigates (RSC)",
            Variant::OtherWidth => "at another width",
            Variant::Conditional => "with the validator",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub variant: Variant,
    /// Lower-case name and value of the headers sent at first, without what the client adds on its own; cookies by their names. Empty in
    /// snapshots of earlier versions.
    #[serde(default)]
    pub sent: Vec<(String, String)>,
    /// What came back, or one sentence on why nothing did.
    pub answer: Result<Answer, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// After redirects.
    pub status: u16,
    /// Addresses passed on the way, status and location.
    pub redirects: Vec<(u16, String)>,
    /// "HTTP/1.1", "HTTP/2".
    pub protocol: String,
    /// Time to the first byte and to the last, milliseconds.
    pub first_byte_ms: f64,
    pub total_ms: f64,
    /// Lower-case name and value, in the order received; `set-cookie` values are reduced to the cookie's name and attributes.
    pub headers: Vec<(String, String)>,
    /// Bytes received, as encoded; the cap bit when `body_cut`.
    pub body_bytes: u64,
    pub body_cut: bool,
}

impl Answer {
    /// All values of a header joined by ", "; `None` when absent.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        if values.is_empty() { None } else { Some(values.join(", ")) }
    }

    /// Names of the cookies it sets.
    pub fn cookies_set(&self) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == "set-cookie").filter_map(|(_, v)| v.split(['=', ';']).next()).map(str::trim).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    pub host: String,
    /// "TLSv1.3".
    pub version: String,
    /// "h2", "http/1.1".
    pub alpn: Option<String>,
    pub issuer: Option<String>,
    /// 0 where nothing newer than TLS 1.1 was agreed to: that handshake is not completed.
    pub handshake_ms: f64,
    /// Versions before 1.2 that the host still agrees to: "TLSv1.0", "TLSv1.1". `None`: not asked, or no answer told.
    #[serde(default)]
    pub old_versions: Option<Vec<String>>,
    /// Why this system does not trust the certificate, as a clause: "it has expired". `None`: it does, or earlier versions did not note it.
    #[serde(default)]
    pub distrust: Option<String>,
}
