//! Settings of the Postgres server as quantities, and how each platform changes them. Shared by the checks that judge settings.

use crate::evidence::postgres::{RoleSettings, Setting, Statement, quote};
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::finding::{Remedy, RemedyKind};
use crate::text;

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;
const GIB: u64 = 1_024 * MIB;

/// Pages are 8 kB unless Postgres was built otherwise.
pub const PAGE_BYTES: u64 = 8 * KIB;

/// The settings that were read, by name.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'s> {
    rows: &'s [Setting],
}

impl<'s> Settings<'s> {
    /// # Errors
    /// The gap of the settings.
    pub fn of(snapshot: &'s Snapshot) -> Result<Self, Gap> {
        Ok(Self { rows: snapshot.pg()?.settings()? })
    }

    /// None where they could not be read: an undo is then a reset.
    pub fn known(snapshot: &'s Snapshot) -> Self {
        Self::of(snapshot).unwrap_or(Self { rows: &[] })
    }

    pub fn find(&self, name: &str) -> Option<&'s Setting> {
        self.rows.iter().find(|s| s.name == name)
    }

    /// # Errors
    /// A gap when the setting was not among those read; the same holds below.
    pub fn get(&self, name: &str) -> Result<&'s Setting, Gap> {
        self.find(name).ok_or_else(|| Gap::new(Section::PgSettings, Cause::Unreadable, format!("The setting {name} was not among those read.")))
    }

    pub fn number(&self, name: &str) -> Result<f64, Gap> {
        self.read(name, |s| s.value.parse().ok())
    }

    pub fn is_on(&self, name: &str) -> Result<bool, Gap> {
        Ok(self.get(name)?.value == "on")
    }

    pub fn bytes(&self, name: &str) -> Result<u64, Gap> {
        self.read(name, |s| bytes_of(&s.value, s.unit.as_deref()?))
    }

    pub fn millis(&self, name: &str) -> Result<f64, Gap> {
        self.read(name, |s| millis_of(&s.value, s.unit.as_deref()?))
    }

    fn read<T>(&self, name: &str, parse: impl Fn(&Setting) -> Option<T>) -> Result<T, Gap> {
        let setting = self.get(name)?;
        parse(setting).ok_or_else(|| Gap::new(Section::PgSettings, Cause::Unreadable, format!("The setting {name} could not be read as a quantity.")))
    }

    /// Amazon Aurora shares the roles of RDS, but has a storage of its own: no checkpoints, no double caching.
    fn is_aurora(&self) -> bool {
        self.rows.iter().any(|s| s.name.starts_with("aurora_") || s.name.starts_with("apg_"))
    }
}

/// Bytes of a value in Postgres' words: "16MB", "65536" in `unit` ("kB", "8kB").
pub fn bytes_of(value: &str, unit: &str) -> Option<u64> {
    let (count, own) = amount(value)?;
    let scale = byte_scale(if own.is_empty() { unit } else { own })?;
    (count >= 0.0).then_some((count * scale as f64) as u64)
}

fn byte_scale(unit: &str) -> Option<u64> {
    let digits = unit.len() - unit.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let times = if digits == 0 { 1 } else { unit[..digits].parse().ok()? };
    let scale = match &unit[digits..] {
        "B" => 1,
        "kB" => KIB,
        "MB" => MIB,
        "GB" => GIB,
        "TB" => 1_024 * GIB,
        _ => return None,
    };
    Some(times * scale)
}

/// Milliseconds of a value in Postgres' words: "2min", "60000" in `unit`.
pub fn millis_of(value: &str, unit: &str) -> Option<f64> {
    let (count, own) = amount(value)?;
    let scale = match if own.is_empty() { unit } else { own } {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "min" => 60e3,
        "h" => 3_600e3,
        "d" => 86_400e3,
        _ => return None,
    };
    Some(count * scale)
}

fn amount(value: &str) -> Option<(f64, &str)> {
    let value = value.trim().trim_matches('\'');
    let end = value.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(value.len());
    Some((value[..end].parse().ok()?, value[end..].trim()))
}

/// A size as a configuration takes it: the largest unit that divides it.
pub fn config_bytes(bytes: u64) -> String {
    match bytes {
        b if b >= GIB && b % GIB == 0 => format!("{}GB", b / GIB),
        b if b >= MIB && b % MIB == 0 => format!("{}MB", b / MIB),
        b => format!("{}kB", b / KIB),
    }
}

/// Who runs the server: "plain", "rds", "aurora", "cloud-sql", "azure", "supabase", "neon".
///
/// # Errors
/// The gap of the server.
pub fn platform(snapshot: &Snapshot) -> Result<&str, Gap> {
    let named = snapshot.pg()?.server()?.platform.as_str();
    let is_aurora = named == "rds" && Settings::of(snapshot).is_ok_and(|s| s.is_aurora());
    Ok(if is_aurora { "aurora" } else { named })
}

/// The platform's name for readers; `None`: run by its owner.
pub fn managed_name(platform: &str) -> Option<&'static str> {
    Some(match platform {
        "rds" => "Amazon RDS",
        "aurora" => "Amazon Aurora",
        "cloud-sql" => "Cloud SQL",
        "azure" => "Azure Database for PostgreSQL",
        "supabase" => "Supabase",
        "neon" => "Neon",
        _ => return None,
    })
}

/// The gap of checks that need the machine's memory.
pub fn memory_gap(detail: impl Into<String>) -> Gap {
    let cause = Cause::Absent {
        feature: "the memory of the server's machine".to_owned(),
        remedy: "Tell the memory of the Postgres machine: Connect, Postgres, Limits in the window, or --postgres-memory 16GiB on the command line."
            .to_owned(),
    };
    Gap::new(Section::PgServer, cause, detail)
}

/// Memory of the machine as it was told.
pub fn memory(snapshot: &Snapshot) -> Option<u64> {
    snapshot.pg().and_then(|pg| pg.server()).ok()?.memory_bytes.filter(|m| *m > 0)
}

/// What one role's sessions get: its own value in this database, its own, the database's, else the server's.
pub fn of_role<'r>(roles: &'r [RoleSettings], role: &str, name: &str) -> Option<&'r str> {
    let settings = &roles.iter().find(|r| r.role == role)?.settings;
    let from = |source: &str| settings.iter().find(|s| s.name == name && s.source == source).map(|s| s.value.as_str());
    from("role in database").or_else(|| from("role")).or_else(|| from("database"))
}

/// The role that all of these statements ran as.
pub fn only_role<'s>(statements: impl Iterator<Item = &'s Statement>) -> Option<&'s str> {
    let mut only: Option<&str> = None;
    for statement in statements {
        let role = statement.role.as_deref()?;
        if only.is_some_and(|r| r != role) {
            return None;
        }
        only = Some(role);
    }
    only
}

/// A setting and its new value, as SQL takes it and in the setting's own unit as parameter groups take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub name: &'static str,
    pub sql: String,
    pub native: String,
    /// `None`: as shipped, so that a reset undoes the change.
    pub before: Option<String>,
}

impl Change {
    pub fn plain(settings: &Settings, name: &'static str, value: &str) -> Self {
        Self { name, sql: value.to_owned(), native: value.to_owned(), before: before(settings, name) }
    }

    /// A value that the setting's own unit spells otherwise: `'30s'` is 30000 milliseconds.
    pub fn spelt(settings: &Settings, name: &'static str, sql: &str, native: &str) -> Self {
        Self { name, sql: sql.to_owned(), native: native.to_owned(), before: before(settings, name) }
    }

    /// On a server whose settings were not read: its undo is a reset.
    pub fn elsewhere(name: &'static str, sql: &str, native: &str) -> Self {
        Self { name, sql: sql.to_owned(), native: native.to_owned(), before: None }
    }

    pub fn bytes(settings: &Settings, name: &'static str, bytes: u64) -> Self {
        let scale = settings.find(name).and_then(|s| byte_scale(s.unit.as_deref()?)).unwrap_or(KIB);
        Self { name, sql: format!("'{}'", config_bytes(bytes)), native: (bytes / scale).to_string(), before: before(settings, name) }
    }
}

fn before(settings: &Settings, name: &str) -> Option<String> {
    let setting = settings.find(name).filter(|s| s.source != "default")?;
    let size = setting.unit.as_deref().and_then(|u| bytes_of(&setting.value, u));
    Some(match size {
        Some(bytes) => format!("'{}'", config_bytes(bytes)),
        None => format!("'{}{}'", setting.value, setting.unit.as_deref().unwrap_or("")),
    })
}

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Reload,
    Restart,
}

const RELOAD_COST: &str = "None: a reload, no restart.";
const RESTART_COST: &str = "None, but it takes a restart: every connection is cut, the shop answers with errors for some seconds to a minute, and the \
                            cache starts cold. Do it at the quietest hour.";

/// Changes settings of the whole server, in the words of the platform that runs it.
pub fn for_server(platform: &str, label: &str, changes: &[Change], effect: Effect, risk: &str) -> Remedy {
    let remedy = |kind, text, undo: String| Remedy {
        kind,
        label: label.to_owned(),
        text,
        lock: Some(if effect == Effect::Restart { RESTART_COST } else { RELOAD_COST }.to_owned()),
        risk: risk.to_owned(),
        undo: Some(undo),
    };
    let join = |one: &dyn Fn(&Change) -> String, between: &str| changes.iter().map(one).collect::<Vec<_>>().join(between);
    match platform {
        "rds" | "aurora" => {
            let method = if effect == Effect::Restart { "pending-reboot" } else { "immediate" };
            // A parameter group knows a switch as 1 and 0.
            let value = |native: &str| match native {
                "on" => "1".to_owned(),
                "off" => "0".to_owned(),
                other => other.to_owned(),
            };
            let set = join(&|c| format!("\"ParameterName={},ParameterValue={},ApplyMethod={method}\"", c.name, value(&c.native)), " ");
            let reset = join(&|c| format!("\"ParameterName={},ApplyMethod={method}\"", c.name), " ");
            let reboot = if effect == Effect::Restart { "\naws rds reboot-db-instance --db-instance-identifier INSTANCE" } else { "" };
            let text = format!("aws rds modify-db-parameter-group --db-parameter-group-name GROUP --parameters {set}{reboot}");
            remedy(RemedyKind::Shell, text, format!("aws rds reset-db-parameter-group --db-parameter-group-name GROUP --parameters {reset}{reboot}"))
        }
        "cloud-sql" => {
            let flags = join(&|c| format!("{}={}", c.name, c.native), ",");
            let text = format!(
                "# The list replaces all flags of the instance: repeat those that are set already.\ngcloud sql instances patch INSTANCE --database-flags={flags}"
            );
            remedy(RemedyKind::Shell, text, "Patch the instance with the flags it had.".to_owned())
        }
        "azure" => {
            let command = |c: &Change, value: &str| {
                format!("az postgres flexible-server parameter set --resource-group GROUP --server-name SERVER --name {}{value}", c.name)
            };
            let restart = if effect == Effect::Restart { "\naz postgres flexible-server restart --resource-group GROUP --name SERVER" } else { "" };
            let text = format!("{}{restart}", join(&|c| command(c, &format!(" --value {}", c.native)), "\n"));
            remedy(RemedyKind::Shell, text, format!("{}{restart}", join(&|c| command(c, ""), "\n")))
        }
        "supabase" => {
            let set = join(&|c| format!("--config {}={}", c.name, c.sql.trim_matches('\'')), " ");
            let unset = changes.iter().map(|c| c.name).collect::<Vec<_>>().join(",");
            let text = format!("supabase --experimental --project-ref REF postgres-config update {set}");
            remedy(RemedyKind::Shell, text, format!("supabase --experimental --project-ref REF postgres-config delete --config {unset}"))
        }
        _ => {
            let lines = |one: &dyn Fn(&Change) -> String| format!("{}\nselect pg_reload_conf();", join(one, "\n"));
            let restart = if effect == Effect::Restart { "-- Takes effect when the server is restarted: systemctl restart postgresql\n" } else { "" };
            let text = format!("{restart}{}", lines(&|c| format!("alter system set {} = {};", c.name, c.sql)));
            let undo = lines(&|c| match &c.before {
                Some(value) => format!("alter system set {} = {value};", c.name),
                None => format!("alter system reset {};", c.name),
            });
            remedy(RemedyKind::Sql, text, format!("{restart}{undo}"))
        }
    }
}

/// Changes settings of the whole server on the platform it runs on, with a reload. `None`: Neon offers no such settings.
pub fn server_wide(snapshot: &Snapshot, label: &str, changes: &[Change], risk: &str) -> Option<Remedy> {
    let platform = snapshot.pg().and_then(|pg| pg.server()).map_or("plain", |s| s.platform.as_str());
    (platform != "neon").then(|| for_server(platform, label, changes, Effect::Reload, risk))
}

/// The same for another server of the store, on the same platform.
pub fn on_another(place: &str, remedy: Remedy) -> Remedy {
    let mark = if remedy.kind == RemedyKind::Sql { "--" } else { "#" };
    let there = |text: &str| format!("{mark} On the {place}:\n{text}");
    Remedy { text: there(&remedy.text), undo: remedy.undo.as_deref().map(there), ..remedy }
}

/// Changes settings of one role's new sessions; works on every platform and needs no reload.
pub fn for_role(role: &str, label: &str, changes: &[Change], risk: &str) -> Remedy {
    let role = quote(role);
    let set: Vec<String> = changes.iter().map(|c| format!("alter role {role} set {} = {};", c.name, c.sql)).collect();
    let reset: Vec<String> = changes.iter().map(|c| format!("alter role {role} reset {};", c.name)).collect();
    Remedy {
        kind: RemedyKind::Sql,
        label: label.to_owned(),
        text: set.join("\n"),
        lock: Some("None. New connections have it; restart the Medusa instances so that their pools reconnect.".to_owned()),
        risk: risk.to_owned(),
        undo: Some(reset.join("\n")),
    }
}

/// For the role where one role ran it all, for the server otherwise or besides.
pub fn for_workload(platform: &str, role: Option<&str>, what: &str, changes: &[Change], risk: &str) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if let Some(role) = role {
        remedies.push(for_role(role, &format!("{what} for {role}"), changes, risk));
    }
    // Neon offers no settings of the whole server.
    if platform != "neon" {
        remedies.push(for_server(platform, &format!("{what} for the server"), changes, Effect::Reload, risk));
    }
    remedies
}

/// A setting with its value and where it comes from, as a row of evidence.
pub fn shown(setting: &Setting) -> String {
    let size = setting.unit.as_deref().and_then(|u| bytes_of(&setting.value, u)).map(text::bytes_memory);
    let time = || setting.unit.as_deref().and_then(|u| millis_of(&setting.value, u)).map(text::millis);
    let value = size.or_else(time).unwrap_or_else(|| setting.value.clone());
    format!("{value} ({})", setting.source)
}

/// Rounded up to a power of two of MiB.
pub fn round_up(bytes: u64) -> u64 {
    bytes.div_ceil(MIB).max(1).next_power_of_two() * MIB
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::checks::fixtures::store;
    use crate::evidence::postgres::{Postgres, RoleSetting};

    /// A setting in the unit Postgres gives it, from the configuration file.
    pub fn setting(name: &str, value: &str, unit: &str) -> Setting {
        Setting {
            name: name.into(),
            value: value.into(),
            unit: (!unit.is_empty()).then(|| unit.into()),
            source: "configuration file".into(),
            boot_value: None,
            pending_restart: false,
        }
    }

    pub fn role(name: &str, sessions: u32, settings: &[(&str, &str, &str)]) -> RoleSettings {
        let one = |(name, value, source): &(&str, &str, &str)| RoleSetting { name: (*name).into(), value: (*value).into(), source: (*source).into() };
        RoleSettings { role: name.into(), sessions, settings: settings.iter().map(one).collect(), connection_limit: -1 }
    }

    /// The same store elsewhere.
    pub fn run_by(pg: &mut Postgres, platform: &str) {
        if let Ok(server) = &mut pg.server {
            server.platform = platform.into();
        }
    }

    #[test]
    fn quantities_are_read_in_their_units() {
        assert_eq!(bytes_of("16384", "8kB"), Some(128 * MIB));
        assert_eq!(bytes_of("64MB", "kB"), Some(64 * MIB));
        assert_eq!(bytes_of("4 GB", "8kB"), Some(4 * GIB));
        assert_eq!(bytes_of("-1", "kB"), None);
        assert_eq!(bytes_of("1.5GB", "kB"), Some(GIB + GIB / 2));
        assert_eq!(millis_of("2min", "ms"), Some(120_000.0));
        assert_eq!(millis_of("0", "ms"), Some(0.0));
        assert_eq!(millis_of("5", "s"), Some(5_000.0));
        assert_eq!(millis_of("soon", "ms"), None);
        assert_eq!(config_bytes(3 * GIB), "3GB");
        assert_eq!(config_bytes(1_536 * MIB), "1536MB");
        assert_eq!(round_up(17 * MIB), 32 * MIB);
        assert_eq!(round_up(1), MIB);
    }

    #[test]
    fn each_platform_has_its_own_words() {
        let snapshot = store(|pg| pg.settings = Ok(vec![setting("work_mem", "4096", "kB")]));
        let settings = Settings::of(&snapshot).unwrap();
        let changes = [Change::bytes(&settings, "work_mem", 16 * MIB)];
        let text = |platform: &str| for_server(platform, "Raise it", &changes, Effect::Reload, "More memory.").text;
        assert_eq!(text("plain"), "alter system set work_mem = '16MB';\nselect pg_reload_conf();");
        assert!(text("rds").ends_with("\"ParameterName=work_mem,ParameterValue=16384,ApplyMethod=immediate\""));
        assert!(text("cloud-sql").ends_with("--database-flags=work_mem=16384"));
        assert!(text("azure").ends_with("--name work_mem --value 16384"));
        assert!(text("supabase").ends_with("--config work_mem=16MB"));
        assert_eq!(for_workload("neon", Some("medusa"), "Raise it", &changes, "").len(), 1);
        assert_eq!(for_workload("plain", None, "Raise it", &changes, "")[0].kind, RemedyKind::Sql);
        let undo = for_server("plain", "", &changes, Effect::Restart, "").undo.unwrap();
        assert!(undo.contains("alter system set work_mem = '4MB';"), "what was set before comes back: {undo}");
        assert_eq!(for_role("Shop", "", &changes, "").text, "alter role \"Shop\" set work_mem = '16MB';");
    }

    #[test]
    fn another_server_is_named_and_switches_are_numbers_to_rds() {
        let mut snapshot = store(|pg| pg.settings = Ok(vec![setting("hot_standby_feedback", "on", "")]));
        // What this server has says nothing of the other.
        let off = |s: &Snapshot| {
            let changes = [Change::elsewhere("hot_standby_feedback", "off", "off")];
            server_wide(s, "Turn it off", &changes, "").map(|r| on_another("standby", r))
        };
        let plain = off(&snapshot).unwrap();
        assert_eq!(plain.text, "-- On the standby:\nalter system set hot_standby_feedback = off;\nselect pg_reload_conf();");
        assert_eq!(plain.undo.unwrap(), "-- On the standby:\nalter system reset hot_standby_feedback;\nselect pg_reload_conf();");
        let mut elsewhere = |platform: &str| {
            run_by(snapshot.postgres.as_mut().unwrap(), platform);
            off(&snapshot)
        };
        let rds = elsewhere("rds").unwrap();
        assert!(rds.text.starts_with("# On the standby:\naws rds") && rds.text.contains("ParameterValue=0,"), "{}", rds.text);
        assert!(elsewhere("neon").is_none());
    }

    #[test]
    fn the_nearest_value_of_a_role_wins() {
        let roles = [role("medusa", 3, &[("jit", "off", "role"), ("jit", "on", "database"), ("work_mem", "8MB", "database")])];
        assert_eq!(of_role(&roles, "medusa", "jit"), Some("off"));
        assert_eq!(of_role(&roles, "medusa", "work_mem"), Some("8MB"));
        assert_eq!(of_role(&roles, "other", "jit"), None);
        let roles = [role("medusa", 3, &[("jit", "on", "role in database"), ("jit", "off", "role")])];
        assert_eq!(of_role(&roles, "medusa", "jit"), Some("on"));
    }

    #[test]
    fn aurora_is_told_from_rds() {
        let mut snapshot = store(|pg| run_by(pg, "rds"));
        assert_eq!(platform(&snapshot), Ok("rds"));
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        pg.settings = Ok(vec![setting("apg_plan_mgmt.max_plans", "1000", "")]);
        assert_eq!(platform(&snapshot), Ok("aurora"));
        assert_eq!(managed_name("plain"), None);
    }
}
