//! The storefront and the backend, as the form has them.

use super::{Wizard, filled};
use crate::connect::profile::{ShopProfile, parse_resolve, parse_shop};

impl Wizard {
    pub(super) fn shop_profile(&self) -> Result<Option<ShopProfile>, String> {
        let checked = |text: &str| match filled(text) {
            None => Ok(None),
            Some(t) => parse_shop(&t).map(|u| Some(u.to_string())).map_err(|e| e.to_string()),
        };
        let (storefront_url, backend_url) = (checked(&self.storefront_url)?, checked(&self.backend_url)?);
        let given = self.resolve.split([',', ';']).flat_map(str::split_whitespace);
        let resolve = given.map(parse_resolve).collect::<Result<_, _>>()?;
        Ok((storefront_url.is_some() || backend_url.is_some()).then(|| ShopProfile {
            storefront_url,
            backend_url,
            publishable_key: filled(&self.publishable_key),
            resolve,
        }))
    }
}
