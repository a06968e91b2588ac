//! (being written)
use super::run::Lane;
use super::{Collected, Prove};
use crate::connect::profile::{Limits, PostgresProfile};
use crate::evidence::postgres::Postgres;
use crate::evidence::{Gap, Layer, Section};
use crate::secret::Secret;

pub async fn collect(_: &PostgresProfile, _: Option<&Secret<String>>, _: &Limits, _: &Lane, _: &Prove) -> Collected<Postgres> {
    Collected::nothing(Layer::Postgres, Gap::not_configured(Section::Postgres))
}
