//! The storefront's and the backend's addresses.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{AddressError, host_of};

const SHOP_EXAMPLE: &str = "https://www.example.com";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopProfile {
    pub storefront_url: Option<String>,
    /// The Medusa backend, where the store API answers.
    pub backend_url: Option<String>,
    /// v2's publishable key; public by design, so no secret.
    pub publishable_key: Option<String>,
    /// Hosts asked at an address of the user's choice instead of the one DNS names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolve: Vec<FixedAddress>,
}

/// A host and the address it is asked at, as in curl's `--resolve`: a store before its DNS is switched, or one server of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedAddress {
    /// Lower case, without a port.
    pub host: String,
    pub address: IpAddr,
}

impl fmt::Display for FixedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.host, self.address)
    }
}

/// Reads a storefront or backend address; `www.example.com` is taken as https.
pub fn parse_shop(text: &str) -> Result<Url, AddressError> {
    let text = text.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&with_scheme).map_err(|_| AddressError::NotAnAddress { example: SHOP_EXAMPLE })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(AddressError::WrongScheme { found: url.scheme().to_owned(), expected: "https://" });
    }
    match host_of(&url) {
        Some(_) => Ok(url),
        None => Err(AddressError::Missing { what: "host", example: SHOP_EXAMPLE }),
    }
}

/// Reads `shop.example.com=203.0.113.7`. The port is that of the store's address, so none is taken here.
///
/// # Errors
/// A sentence on what is wrong with it.
pub fn parse_resolve(text: &str) -> Result<FixedAddress, String> {
    let wrong = |why: &str| format!("\"{}\" {why}. Write HOST=ADDRESS, like shop.example.com=203.0.113.7.", text.trim());
    let (host, address) = text.trim().split_once('=').ok_or_else(|| wrong("has no \"=\""))?;
    let (host, address) = (host.trim().trim_end_matches('.'), address.trim());
    let host = match Host::parse(host) {
        Ok(Host::Domain(name)) => name,
        Ok(_) => return Err(wrong("names an address instead of a host")),
        Err(_) => return Err(wrong("names no host; leave https://, port and path out")),
    };
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    let address: IpAddr = bare.parse().map_err(|_| wrong("has no IP address after \"=\"; leave a port out, it is the store's own"))?;
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]) {
        return Err(wrong("has an address that no server has"));
    }
    Ok(FixedAddress { host, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_shop_are_http() {
        assert!(parse_shop("shop.example.com").is_ok());
        assert!(parse_shop("ftp://x").is_err());
    }

    #[test]
    fn a_host_and_its_address_are_read() {
        for (text, read) in [
            ("shop.example.com=203.0.113.7", "shop.example.com=203.0.113.7"),
            (" Shop.Example.com. = 10.0.0.7 ", "shop.example.com=10.0.0.7"),
            ("shop.example.com=2001:db8::7", "shop.example.com=2001:db8::7"),
            ("shop.example.com=[2001:db8::7]", "shop.example.com=2001:db8::7"),
            ("b\u{fc}cher.example=127.0.0.1", "xn--bcher-kva.example=127.0.0.1"),
        ] {
            assert_eq!(parse_resolve(text).unwrap().to_string(), read);
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, why) in [
            ("", "has no \"=\""),
            ("shop.example.com:443:203.0.113.7", "has no \"=\""),
            ("=203.0.113.7", "names no host"),
            ("https://shop.example.com=203.0.113.7", "names no host"),
            ("shop.example.com:443=203.0.113.7", "names no host"),
            ("shop.example.com/us=203.0.113.7", "names no host"),
            ("203.0.113.8=203.0.113.7", "names an address"),
            ("shop.example.com=", "has no IP address"),
            ("shop.example.com=203.0.113.7:8443", "leave a port out"),
            ("shop.example.com=origin.example.net", "has no IP address"),
            ("shop.example.com=0.0.0.0", "no server has"),
            ("shop.example.com=255.255.255.255", "no server has"),
            ("shop.example.com=ff02::1", "no server has"),
        ] {
            let told = parse_resolve(text).unwrap_err();
            assert!(told.contains(why) && told.ends_with("like shop.example.com=203.0.113.7."), "{text}: {told}");
        }
    }

    #[test]
    fn stores_that_were_saved_before_still_read() {
        let old = r#"{"storefront_url":"https://shop.example.com","backend_url":null,"publishable_key":null}"#;
        let shop: ShopProfile = serde_json::from_str(old).unwrap();
        assert!(shop.resolve.is_empty() && !serde_json::to_string(&shop).unwrap().contains("resolve"));
        let fixed = ShopProfile { resolve: vec![parse_resolve("shop.example.com=10.0.0.7").unwrap()], ..shop };
        assert_eq!(serde_json::from_str::<ShopProfile>(&serde_json::to_string(&fixed).unwrap()).unwrap(), fixed);
    }
}
