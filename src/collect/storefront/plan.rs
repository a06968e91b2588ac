//! Which addresses of a store are asked, from what its pages name.

use url::Url;

use super::links::{self, Links};
use super::recipe::Path;
use crate::evidence::storefront::PathClass;

/// The path of the first product of a list, when its id is one.
pub fn first_product(list: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(list).ok()?;
    let id = body["products"][0]["id"].as_str()?;
    let is_plain = !id.is_empty() && id.len() <= 100 && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    is_plain.then(|| format!("/store/products/{id}"))
}

/// The pages beside home and product.
pub fn page_plan(landed: &Url, links: &Links) -> Vec<Path> {
    let catalogue = [(PathClass::Collection, &links.collection), (PathClass::Category, &links.category)];
    let catalogue = catalogue.into_iter().filter_map(|(class, url)| Some(Path::new(class, url.clone()?)));
    // Product links carry the country even where the home page does not.
    let prefix = links::locale_prefix(links.product.as_ref().unwrap_or(landed).path());
    let personal = ["cart", "account", "checkout"].into_iter().filter_map(|p| landed.join(&format!("{prefix}/{p}")).ok());
    catalogue.chain(personal.map(|url| Path::new(PathClass::Personal, url))).collect()
}

pub fn asset_plan(links: &Links) -> impl Iterator<Item = Path> {
    let hashed = links.hashed.iter().map(|u| Path::new(PathClass::HashedAsset, u.clone()));
    let asset = links.asset.iter().map(|u| Path::new(PathClass::Asset, u.clone()));
    let image = links.image.iter().map(|u| Path::new(PathClass::OptimizedImage, u.clone()));
    hashed.chain(asset).chain(image)
}

/// By its address.
pub fn is_picture(url: &Url) -> bool {
    url.path() == "/_next/image" || links::is_picture(url.path())
}

/// What a file of `page` is to a cache.
pub fn part_class(page: &Url, url: &Url) -> PathClass {
    if url.path() == "/_next/image" {
        PathClass::OptimizedImage
    } else if links::is_hashed(url.path()) && (url.host_str() == page.host_str() || links::is_built(url.path())) {
        PathClass::HashedAsset
    } else if url.host_str() == page.host_str() {
        PathClass::Asset
    } else {
        PathClass::Media
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_products_are_words() {
        assert_eq!(first_product(r#"{"products":[{"id":"prod_01H"}]}"#).as_deref(), Some("/store/products/prod_01H"));
        for list in
            ["", "{}", r#"{"products":[]}"#, r#"{"products":[{"id":"../admin"}]}"#, r#"{"products":[{"id":""}]}"#, r#"{"products":[{"id":7}]}"#]
        {
            assert_eq!(first_product(list), None, "{list}");
        }
    }

    #[test]
    fn parts_are_told_by_their_address() {
        let page = Url::parse("https://shop.example/us").unwrap();
        let class = |url: &str| part_class(&page, &page.join(url).unwrap());
        assert_eq!(class("/_next/image?url=%2Fa.png&w=640"), PathClass::OptimizedImage);
        assert_eq!(class("/_next/static/css/a1b2c3d4e5f6a7b8.css"), PathClass::HashedAsset);
        assert_eq!(class("/logo.svg"), PathClass::Asset);
        assert_eq!(class("https://media.example.net/b.jpg"), PathClass::Media);
        assert_eq!(class("https://media.example.net/shirt-3f2a9c1b0d.jpg"), PathClass::Media);
        assert_eq!(class("https://cdn.example.net/_next/static/media/a.3f2a9c1b.png"), PathClass::HashedAsset);
    }
}
