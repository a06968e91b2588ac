//! (being written)
use super::Collected;
use super::run::Lane;
use crate::connect::profile::{Limits, RedisProfile};
use crate::evidence::redis::Redis;
use crate::evidence::{Gap, Layer, Section};
use crate::secret::Secret;

pub async fn collect(_: &[RedisProfile], _: &[Option<Secret<String>>], _: &Limits, _: &Lane) -> Collected<Redis> {
    Collected::nothing(Layer::Redis, Gap::not_configured(Section::Redis))
}
