//! What the roles with sessions here bring to them: timeouts, memory, limits.

use sqlx::FromRow;

use super::reader::{Reader, small};
use crate::evidence::postgres::{RoleSetting, RoleSettings};
use crate::evidence::{Section, Seen};

#[derive(FromRow)]
struct RoleSettingRow {
    role: String,
    sessions: i32,
    connection_limit: i32,
    name: Option<String>,
    value: Option<String>,
    source: Option<String>,
}

/// One entry a role that has sessions in this database.
pub async fn read(reader: &mut Reader<'_>) -> Seen<Vec<RoleSettings>> {
    let rows: Vec<RoleSettingRow> = reader.rows(Section::PgRoles, include_str!("sql/role_settings.sql")).await?;
    let mut roles: Vec<RoleSettings> = Vec::new();
    for row in rows {
        if roles.last().is_none_or(|r| r.role != row.role) {
            roles.push(RoleSettings { role: row.role, sessions: small(row.sessions), settings: Vec::new(), connection_limit: row.connection_limit });
        }
        if let (Some(role), Some(name), Some(value), Some(source)) = (roles.last_mut(), row.name, row.value, row.source) {
            role.settings.push(RoleSetting { name, value, source });
        }
    }
    Ok(roles)
}
