//! HTTP clients that follow nothing on their own and reach private addresses only where the user named them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use super::profile::FixedAddress;

/// How the advisor names itself to every server.
pub const USER_AGENT: &str = concat!("medusa-advisor/", env!("CARGO_PKG_VERSION"));

/// Which hosts may lie on private addresses: those the user typed, at the ports typed. A public server must not send the probe into a private
/// network, nor to another service of a host that is part of the store.
#[derive(Debug, Clone, Default)]
pub struct HostGuard {
    typed: BTreeSet<String>,
    /// Hosts with ports; both default ports where one was typed, for http leads to https.
    servers: BTreeSet<(String, u16)>,
    /// Hosts whose address the user gave: that one is asked, private or not, and DNS is not.
    fixed: BTreeMap<String, IpAddr>,
}

impl HostGuard {
    /// From the addresses the user typed.
    pub fn new<'a>(typed: impl IntoIterator<Item = &'a Url>) -> Self {
        let mut guard = Self::default();
        for url in typed {
            let (Some(host), Some(port)) = (url.host_str().map(str::to_ascii_lowercase), url.port_or_known_default()) else { continue };
            let ports = if DEFAULT_PORTS.contains(&port) { DEFAULT_PORTS.to_vec() } else { vec![port] };
            guard.servers.extend(ports.into_iter().map(|port| (host.clone(), port)));
            guard.typed.insert(host);
        }
        guard
    }

    /// With hosts at addresses of the user's choice.
    pub fn with_addresses(mut self, fixed: &[FixedAddress]) -> Self {
        self.fixed.extend(fixed.iter().map(|f| (f.host.to_ascii_lowercase(), f.address)));
        self
    }

    /// Where the user says a host is.
    pub fn address_of(&self, host: &str) -> Option<IpAddr> {
        self.fixed.get(&host.to_ascii_lowercase()).copied()
    }

    /// Whether every typed host is on this machine: then the store's other services, such as its media, may be there too.
    pub fn is_all_loopback(&self) -> bool {
        !self.typed.is_empty() && self.typed.iter().all(|h| Url::parse(&format!("http://{h}/")).is_ok_and(|u| is_loopback_host(&u)))
    }

    /// Whether the user named this server, by its address or by giving the address of its host.
    fn is_entered(&self, host: &str, port: u16) -> bool {
        let is_given = self.fixed.contains_key(host) && !self.typed.contains(host) && DEFAULT_PORTS.contains(&port);
        is_given || self.servers.contains(&(host.to_owned(), port))
    }

    /// Whether the address itself may be asked; names are looked at again when they have been resolved.
    ///
    /// # Errors
    /// A sentence that names the host.
    pub fn permits(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("The address uses {}:, which is not asked.", url.scheme()));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err("The address names no host.".to_owned()) };
        let host = host.to_ascii_lowercase();
        let is_private = is_private_host(url) || self.address_of(&host).is_some_and(is_private_ip);
        if !is_private || self.is_entered(&host, port) || (self.is_all_loopback() && is_loopback_host(url)) {
            return Ok(());
        }
        Err(refusal(&self.typed, &host, port))
    }

    /// The same for a host that was typed as a name, at a port that was not: its name is looked up, for the resolver, which trusts it, sees no port.
    ///
    /// # Errors
    /// A sentence that names the host.
    pub async fn permits_resolved(&self, url: &Url) -> Result<(), String> {
        self.permits(url)?;
        let (Some(Host::Domain(name)), Some(port)) = (url.host(), url.port_or_known_default()) else { return Ok(()) };
        let name = name.to_ascii_lowercase();
        let is_settled = !self.typed.contains(&name) || self.is_entered(&name, port) || self.fixed.contains_key(&name) || is_localhost(&name);
        if is_settled {
            return Ok(());
        }
        // A name that cannot be looked up here is told by the client, or is the proxy's to resolve.
        let Ok(mut found) = tokio::net::lookup_host((name.as_str(), port)).await else { return Ok(()) };
        if found.any(|a| is_private_ip(a.ip())) { Err(refusal(&self.typed, &name, port)) } else { Ok(()) }
    }

    /// Whether a server at `from` may send the probe to `to`.
    ///
    /// # Errors
    /// A sentence when a public server points into a private network.
    pub fn permits_redirect(&self, from: &Url, to: &Url) -> Result<(), String> {
        if is_private_host(to) && !is_private_host(from) && from.host_str() != to.host_str() {
            let (from, to) = (from.host_str().unwrap_or("It"), to.host_str().unwrap_or("a private address"));
            return Err(format!("{from} redirects to {to}, a private address; the redirect was not followed."));
        }
        self.permits(to)
    }
}

/// Of http and https.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

fn refusal(typed: &BTreeSet<String>, host: &str, port: u16) -> String {
    let what =
        if typed.contains(host) { format!("{host} is a private address, and its port {port}") } else { format!("{host} is a private address that") };
    format!("{what} was not entered for this store, so it was not asked.")
}

/// Private, loopback, link-local and otherwise unroutable addresses.
pub fn is_private_ip(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast() || is_shared
        }
        IpAddr::V6(v6) => {
            let is_mapped_private = v6.to_ipv4_mapped().is_some_and(|v4| is_private_ip(IpAddr::V4(v4)));
            v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast() || is_mapped_private
        }
    }
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => is_localhost(name),
        None => false,
    }
}

/// By the address alone, without resolving names.
pub fn is_private_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => is_private_ip(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => is_private_ip(IpAddr::V6(ip)),
        Some(Host::Domain(name)) => is_localhost(name),
        None => false,
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// What is offered in a TLS handshake, the better first.
pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

pub fn crypto() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// This system's certificate authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn tls_config() -> Result<ClientConfig, String> {
    let builder =
        ClientConfig::builder_with_provider(crypto()).with_safe_default_protocol_versions().map_err(|e| format!("TLS could not be set up: {e}."))?;
    let mut config = builder.with_root_certificates(system_roots()).with_no_client_auth();
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// A client without redirects, cookies or decompression, that resolves names under `guard`.
///
/// # Errors
/// A sentence when TLS cannot be set up.
pub fn client(guard: &HostGuard, timeout: Duration) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .tls_backend_preconfigured(tls_config()?)
        .redirect(reqwest::redirect::Policy::none())
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .referer(false)
        .timeout(timeout)
        .connect_timeout(timeout)
        .pool_max_idle_per_host(2)
        .dns_resolver(Arc::new(GuardedResolver { guard: guard.clone(), proxies: proxy_hosts() }));
    if guard.is_all_loopback() || !guard.fixed.is_empty() {
        // A proxy cannot reach this machine's own loopback, and looks names up by itself.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|e| format!("The HTTP client could not be set up: {}.", reason(&e)))
}

struct GuardedResolver {
    guard: HostGuard,
    proxies: BTreeSet<String>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let is_trusted = self.guard.typed.contains(&host) || self.proxies.contains(&host) || (self.guard.is_all_loopback() && is_localhost(&host));
        let fixed = self.guard.address_of(&host);
        Box::pin(async move {
            if let Some(address) = fixed {
                return Ok(Box::new(std::iter::once(SocketAddr::new(address, 0))) as Addrs);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if !is_trusted && found.iter().any(|a| is_private_ip(a.ip())) {
                return Err(format!("{host} resolves to a private address that was not entered for this store").into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Proxies are named by the user's environment, so they may be private.
fn proxy_hosts() -> BTreeSet<String> {
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let values = names.iter().filter_map(|n| std::env::var(n).ok());
    let urls = values.filter_map(|v| Url::parse(&v).or_else(|_| Url::parse(&format!("http://{v}"))).ok());
    urls.filter_map(|u| u.host_str().map(str::to_ascii_lowercase)).collect()
}

/// The innermost cause of a client error, on one line, without address or secret.
pub fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text: String = cause.to_string().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    crate::secret::redact(text.trim().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn private_addresses_need_typing() {
        let guard = HostGuard::new([&url("https://shop.example.com")]);
        assert!(guard.permits(&url("https://cdn.example.net/a.jpg")).is_ok());
        for private in [
            "http://10.0.0.7/",
            "http://127.0.0.1:9000/",
            "http://localhost:9000/",
            "http://[::1]/",
            "http://169.254.169.254/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert!(guard.permits(&url(private)).is_err(), "{private}");
        }
        assert!(guard.permits(&url("file:///etc/passwd")).is_err());
        let typed = HostGuard::new([&url("http://10.0.0.7:8000")]);
        assert!(typed.permits(&url("http://10.0.0.7:8000/us")).is_ok());
        assert!(typed.permits(&url("http://10.0.0.8:8000/")).is_err());
    }

    /// A picture of a public page must not reach the database beside the backend.
    #[tokio::test]
    async fn other_ports_of_a_private_host_need_typing_too() {
        let guard = HostGuard::new([&url("https://shop.example.com"), &url("http://10.0.0.7:9000"), &url("http://localhost:9001")]);
        for (address, is_permitted) in [
            ("http://10.0.0.7:9000/store", true),
            ("http://10.0.0.7:6379/", false),
            ("http://10.0.0.7/", false),
            ("http://localhost:9001/store", true),
            ("http://localhost:6379/", false),
            ("http://127.0.0.1:9001/", false),
            ("https://shop.example.com:8443/", true),
        ] {
            assert_eq!(guard.permits(&url(address)).is_ok(), is_permitted, "{address}");
        }
        let told = guard.permits(&url("http://10.0.0.7:6379/")).unwrap_err();
        assert!(told.contains("10.0.0.7") && told.contains("port 6379"), "{told}");
        // http leads to https: the default ports count as one.
        let plain = HostGuard::new([&url("http://10.0.0.7")]);
        assert!(plain.permits_redirect(&url("http://10.0.0.7/"), &url("https://10.0.0.7/")).is_ok());
        assert!(plain.permits_redirect(&url("http://10.0.0.7/"), &url("http://10.0.0.7:8080/")).is_err());
        // A name of the user's own is looked up at a port that was not typed; the name of this machine stands for one.
        let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_ascii_lowercase();
        let resolves = tokio::net::lookup_host((name.as_str(), 0)).await.is_ok_and(|mut all| all.any(|a| is_private_ip(a.ip())));
        if !name.is_empty() && resolves {
            let named = HostGuard::new([&url(&format!("http://{name}:9000"))]);
            assert!(named.permits_resolved(&url(&format!("http://{name}:9000/"))).await.is_ok());
            assert!(named.permits_resolved(&url(&format!("http://{name}:6379/"))).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_given_address_is_that_of_one_host_only() {
        let fixed = [FixedAddress { host: "shop.example.com".into(), address: "10.0.0.7".parse().unwrap() }];
        let guard = HostGuard::new([&url("https://shop.example.com")]).with_addresses(&fixed);
        assert_eq!(guard.address_of("Shop.example.com"), Some(fixed[0].address));
        assert_eq!(guard.address_of("www.shop.example.com"), None);
        assert!(guard.permits(&url("https://shop.example.com/")).is_ok());
        assert!(guard.permits(&url("https://10.0.0.7/")).is_err(), "the address itself was not typed as a host");
        assert!(guard.permits(&url("http://shop.example.com/")).is_ok() && guard.permits(&url("http://shop.example.com:6379/")).is_err());
        let media = HostGuard::new([&url("https://shop.example.com")])
            .with_addresses(&[FixedAddress { host: "media.example.com".into(), address: "10.0.0.8".parse().unwrap() }]);
        assert!(media.permits(&url("https://media.example.com/a.jpg")).is_ok() && media.permits(&url("http://media.example.com:6379/")).is_err());
        assert!(!guard.is_all_loopback());
        let resolver = GuardedResolver { guard, proxies: BTreeSet::new() };
        let found: Vec<SocketAddr> = resolver.resolve("shop.example.com".parse().unwrap()).await.unwrap().collect();
        assert_eq!(found, [SocketAddr::new(fixed[0].address, 0)]);
        assert!(resolver.resolve("localhost".parse().unwrap()).await.is_err());
    }

    #[test]
    fn a_store_on_this_machine_may_have_its_media_here() {
        let guard = HostGuard::new([&url("http://localhost:8000")]);
        assert!(guard.permits(&url("http://127.0.0.1:9000/static/1.jpg")).is_ok());
        assert!(guard.is_all_loopback());
        assert!(guard.permits(&url("http://192.168.1.4/")).is_err());
    }

    #[test]
    fn a_public_server_cannot_send_us_inside() {
        let both = HostGuard::new([&url("https://shop.example.com"), &url("http://10.0.0.7:9000")]);
        assert!(both.permits_redirect(&url("https://shop.example.com/"), &url("http://10.0.0.7:9000/")).is_err());
        assert!(both.permits_redirect(&url("http://10.0.0.7:9000/"), &url("http://10.0.0.7:9000/us")).is_ok());
        assert!(both.permits_redirect(&url("https://shop.example.com/"), &url("https://www.shop.example.com/")).is_ok());
    }
}
