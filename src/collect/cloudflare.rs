//! (being written)
use super::Collected;
use super::run::Lane;
use crate::connect::profile::{CloudflareProfile, Limits};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::{Gap, Layer, Section};
use crate::secret::Secret;

pub async fn collect(_: &CloudflareProfile, _: Option<&Secret<String>>, _: &Limits, _: &Lane) -> Collected<Cloudflare> {
    Collected::nothing(Layer::Cdn, Gap::not_configured(Section::Cdn))
}
