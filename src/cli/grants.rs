//! `medusa-advisor grants`: the least privilege each service needs.

use super::{GrantService, output};
use crate::connect;

pub fn print(service: GrantService) {
    output::print(match service {
        GrantService::Postgres => connect::postgres::GRANTS,
        GrantService::Redis => connect::redis::GRANTS,
        GrantService::Cloudflare => connect::cloudflare::GRANTS,
        GrantService::Aws => connect::aws::GRANTS,
    });
}
