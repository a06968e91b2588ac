//! The texts that make a read-only role, user or token, from the connectors that need them.

use crate::connect::{aws, cloudflare, postgres, redis};

pub const POSTGRES: &str = postgres::GRANTS;
pub const REDIS: &str = redis::GRANTS;
pub const CLOUDFLARE: &str = cloudflare::GRANTS;
pub const AWS: &str = aws::GRANTS;
