//! The live tests of Postgres: on real servers, with faults made for the purpose.

#[path = "../common/live.rs"]
mod live;
#[path = "../common/servers.rs"]
mod servers;

mod check_again;
mod checks;
mod collect;
mod health_checks;
mod index_advice;
mod index_hygiene;
mod medusa_data;
mod nodes;
mod personal_data;
mod roles;
mod scale;
mod settings_checks;
mod statement_checks;
mod tls;
