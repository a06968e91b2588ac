//! (being written)
use super::Collected;
use super::run::Lane;
use crate::connect::profile::{Limits, ShopProfile};
use crate::evidence::medusa::MediaHost;
use crate::evidence::storefront::Storefront;
use crate::evidence::{Gap, Layer, Section};
use std::sync::Arc;
use tokio::sync::watch;

pub async fn collect(_: &ShopProfile, _: watch::Receiver<Option<Arc<Vec<MediaHost>>>>, _: &Limits, _: &Lane) -> Collected<Storefront> {
    Collected::nothing(Layer::App, Gap::not_configured(Section::Storefront))
}
