//! The Connect page: what the user has typed so far, and what testing it showed.

mod cloudfront;
mod edit;
mod redis;
mod shop;

use crate::connect::profile::{
    CloudflareProfile, Environment, KeepSecrets, Limits, PostgresProfile, Profile, Secrets, TlsMode, memory_text, parse_memory, parse_postgres,
};
use crate::connect::steps::{TestReport, TestStep};
use crate::secret::Secret;

pub use redis::RedisForm;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WizardStep {
    Store,
    Postgres,
    Redis,
    Cdn,
    Shop,
}

impl WizardStep {
    pub const ALL: [WizardStep; 5] = [WizardStep::Store, WizardStep::Postgres, WizardStep::Redis, WizardStep::Cdn, WizardStep::Shop];

    pub fn name(self) -> &'static str {
        match self {
            WizardStep::Store => "Store",
            WizardStep::Postgres => "Postgres",
            WizardStep::Redis => "Redis",
            WizardStep::Cdn => "CDN",
            WizardStep::Shop => "Storefront and API",
        }
    }

    pub fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    pub fn previous(self) -> Option<Self> {
        (self as usize).checked_sub(1).map(|i| Self::ALL[i])
    }
}

/// A text field of the wizard. The number is the Redis instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    Name,
    PgUrl,
    PgHost,
    PgPort,
    PgDatabase,
    PgUser,
    PgPassword,
    PgCaFile,
    /// Memory of the server's machine.
    PgMemory,
    /// One more node; the number after the last adds one.
    PgNodeUrl(usize),
    RedisUrl(usize),
    RedisHost(usize),
    RedisPort(usize),
    RedisDatabase(usize),
    RedisUser(usize),
    RedisPassword(usize),
    RedisCaFile(usize),
    RedisCertFile(usize),
    RedisKeyFile(usize),
    /// Name in the server's certificate.
    RedisServerName(usize),
    /// The master that Sentinels know.
    RedisMaster(usize),
    /// What differs at the Sentinels from the servers behind them.
    SentinelUser(usize),
    SentinelPassword(usize),
    SentinelCaFile(usize),
    SentinelServerName(usize),
    /// What keys of the store's own prefixes are for.
    RedisRoles(usize),
    Zone,
    Token,
    /// Ids or aliases of CloudFront distributions, or "all".
    Distributions,
    AwsProfile,
    AwsRegion,
    StorefrontUrl,
    BackendUrl,
    PublishableKey,
    Resolve,
    WindowSeconds,
    StatementTimeoutMs,
    LockTimeoutMs,
    RedisCommandsPerS,
    RedisKeysMax,
    ProbeRequestsMax,
    ProbeTimings,
}

/// A service's test, as far as it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    pub run: u64,
    pub steps: Vec<TestStep>,
    pub report: Option<TestReport>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PostgresForm {
    pub url: String,
    pub url_error: Option<String>,
    pub host: String,
    pub port: String,
    pub database: String,
    pub user: String,
    pub password: Secret<String>,
    pub tls: TlsMode,
    pub ca_file: String,
    /// As typed: "16GiB"; empty: not told.
    pub memory: String,
    /// Replicas, as a rule.
    pub nodes: Vec<NodeForm>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeForm {
    pub url: String,
    pub url_error: Option<String>,
    /// From its address; empty: as the store's.
    pub password: Secret<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Wizard {
    /// Id of the store being edited; `None`: a new one.
    pub editing: Option<String>,
    pub step: WizardStep,
    pub name: String,
    pub name_error: Option<String>,
    pub environment: Environment,
    pub postgres: PostgresForm,
    pub redis: Vec<RedisForm>,
    pub zone: String,
    pub token: Secret<String>,
    /// As typed, between commas or spaces; empty: no CloudFront.
    pub distributions: String,
    pub aws_profile: String,
    pub aws_region: String,
    /// Another endpoint for emulators and proxies, which no field shows.
    pub aws_endpoint: Option<String>,
    pub storefront_url: String,
    pub backend_url: String,
    pub publishable_key: String,
    /// `HOST=ADDRESS`, apart by commas or spaces.
    pub resolve: String,
    pub shop_error: Option<String>,
    pub keep: KeepSecrets,
    pub limits: Limits,
    /// The Redis instance whose certificate is being chosen; `None`: Postgres'.
    pub file_for: Option<Field>,
    /// What a pasted or chosen `.env` held: "DATABASE_URL → Postgres".
    pub found: Vec<String>,
    /// In the order of [`WizardStep::ALL`].
    pub tests: [Option<Test>; 5],
}

impl Wizard {
    pub fn new(limits: Limits, has_keychain: bool) -> Self {
        Self {
            editing: None,
            step: WizardStep::Store,
            name: String::new(),
            name_error: None,
            environment: Environment::Production,
            postgres: PostgresForm {
                url: String::new(),
                url_error: None,
                host: String::new(),
                port: "5432".into(),
                database: String::new(),
                user: String::new(),
                password: Secret::default(),
                tls: TlsMode::Prefer,
                ca_file: String::new(),
                memory: String::new(),
                nodes: Vec::new(),
            },
            redis: vec![RedisForm::empty()],
            zone: String::new(),
            token: Secret::default(),
            distributions: String::new(),
            aws_profile: String::new(),
            aws_region: String::new(),
            aws_endpoint: None,
            storefront_url: String::new(),
            backend_url: String::new(),
            publishable_key: String::new(),
            resolve: String::new(),
            shop_error: None,
            keep: if has_keychain { KeepSecrets::Keychain } else { KeepSecrets::AskEachTime },
            limits,
            file_for: None,
            found: Vec::new(),
            tests: [const { None }; 5],
        }
    }

    /// A wizard filled from a saved store; secrets stay where they are until typed anew.
    pub fn edit(profile: &Profile, has_keychain: bool) -> Self {
        let mut w = Self::new(profile.limits.clone(), has_keychain);
        w.editing = Some(profile.id.clone());
        w.name = profile.name.clone();
        w.environment = profile.environment;
        w.keep = profile.keep_secrets;
        if let Some(p) = &profile.postgres {
            w.fill_postgres(p);
            w.postgres.memory = p.memory_bytes.map(memory_text).unwrap_or_default();
            w.postgres.nodes = p.nodes.iter().map(|n| NodeForm { url: n.url(), url_error: None, password: Secret::default() }).collect();
        }
        if !profile.redis.is_empty() {
            w.redis = profile.redis.iter().map(RedisForm::of).collect();
        }
        if let Some(c) = &profile.cloudflare {
            w.zone = c.zone.clone();
        }
        profile.cloudfront.iter().for_each(|c| w.take_cloudfront(c));
        if let Some(s) = &profile.shop {
            w.storefront_url = s.storefront_url.clone().unwrap_or_default();
            w.backend_url = s.backend_url.clone().unwrap_or_default();
            w.publishable_key = s.publishable_key.clone().unwrap_or_default();
            w.resolve = s.resolve.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        }
        w
    }

    /// Whether this step has something filled in.
    pub fn is_set_up(&self, step: WizardStep) -> bool {
        match step {
            WizardStep::Store => !self.name.trim().is_empty(),
            WizardStep::Postgres => !self.postgres.host.trim().is_empty(),
            WizardStep::Redis => self.redis.iter().any(RedisForm::is_set_up),
            WizardStep::Cdn => !self.zone.trim().is_empty() || self.cloudfront_profile().is_some(),
            WizardStep::Shop => !self.storefront_url.trim().is_empty() || !self.backend_url.trim().is_empty(),
        }
    }

    pub fn test(&self, step: WizardStep) -> Option<&Test> {
        self.tests[step as usize].as_ref()
    }

    /// Sets one field and keeps URL and fields in step.
    pub fn set(&mut self, field: Field, text: String) {
        match field {
            Field::Name => {
                self.name = text;
                self.name_error = None;
            }
            Field::PgUrl => self.set_postgres_url(text),
            Field::PgHost => self.set_postgres(|p| p.host = text),
            Field::PgPort => self.set_postgres(|p| p.port = text),
            Field::PgDatabase => self.set_postgres(|p| p.database = text),
            Field::PgUser => self.set_postgres(|p| p.user = text),
            Field::PgPassword => {
                self.postgres.password = Secret::new(text);
                self.forget_test(WizardStep::Postgres);
            }
            Field::PgCaFile => {
                self.postgres.ca_file = text;
                self.forget_test(WizardStep::Postgres);
            }
            Field::PgMemory => self.postgres.memory = text,
            Field::PgNodeUrl(i) => self.set_node_url(i, &text),
            Field::Zone | Field::Token | Field::Distributions | Field::AwsProfile | Field::AwsRegion => self.set_cdn(field, text),
            Field::StorefrontUrl | Field::BackendUrl | Field::PublishableKey | Field::Resolve => self.set_shop(field, text),
            other => match other.of_redis() {
                Some(i) => self.set_redis(i, other, text),
                None => self.set_limit(other, &text),
            },
        }
    }

    fn set_postgres(&mut self, edit: impl FnOnce(&mut PostgresForm)) {
        edit(&mut self.postgres);
        if let Ok(p) = self.postgres_profile() {
            self.postgres.url = p.url();
            self.postgres.url_error = None;
        }
        self.tests[WizardStep::Postgres as usize] = None;
    }

    fn set_postgres_url(&mut self, text: String) {
        self.tests[WizardStep::Postgres as usize] = None;
        match parse_postgres(&text) {
            Ok((profile, password)) => {
                self.fill_postgres(&profile);
                if let Some(password) = password {
                    self.postgres.password = password;
                }
            }
            Err(e) => {
                self.postgres.url_error = (!text.trim().is_empty()).then(|| e.to_string());
                // What was typed stays, but never a password: it would be on screen.
                self.postgres.url = crate::secret::redact(&text);
            }
        }
    }

    fn fill_postgres(&mut self, p: &PostgresProfile) {
        let f = &mut self.postgres;
        f.url = p.url();
        f.url_error = None;
        f.host = p.host.clone();
        f.port = p.port.to_string();
        f.database = p.database.clone();
        f.user = p.user.clone();
        f.tls = p.tls;
        f.ca_file = p.ca_file.clone().unwrap_or_default();
    }

    fn postgres_profile(&self) -> Result<PostgresProfile, String> {
        let f = &self.postgres;
        let port = f.port.trim().parse().map_err(|_| format!("\"{}\" is not a port: a number from 1 to 65535 is needed.", f.port))?;
        if f.host.trim().is_empty() || f.database.trim().is_empty() {
            return Err("Postgres needs a host and a database.".to_owned());
        }
        let mut profile = PostgresProfile {
            host: f.host.trim().to_owned(),
            port,
            database: f.database.trim().to_owned(),
            user: if f.user.trim().is_empty() { "postgres".to_owned() } else { f.user.trim().to_owned() },
            tls: f.tls,
            ca_file: filled(&f.ca_file),
            memory_bytes: filled(&f.memory).map(|t| parse_memory(&t)).transpose()?,
            nodes: Vec::new(),
        };
        let node = |n: &NodeForm| parse_postgres(&n.url).map(|(node, _)| node.as_node_of(&profile)).map_err(|e| e.to_string());
        profile.nodes = f.nodes.iter().filter(|n| !n.url.is_empty()).map(node).collect::<Result<_, _>>()?;
        Ok(profile)
    }

    /// The store as typed, or the step and the sentence that stands against it.
    pub fn profile(&self, id: &str) -> Result<Profile, (WizardStep, String)> {
        if self.name.trim().is_empty() {
            return Err((WizardStep::Store, "The store needs a name.".to_owned()));
        }
        let postgres = match self.is_set_up(WizardStep::Postgres) {
            true => Some(self.postgres_profile().map_err(|e| (WizardStep::Postgres, e))?),
            false if self.postgres.url_error.is_some() => {
                return Err((WizardStep::Postgres, self.postgres.url_error.clone().unwrap_or_default()));
            }
            false => None,
        };
        let redis = self.redis_profiles().map_err(|e| (WizardStep::Redis, e))?;
        let shop = self.shop_profile().map_err(|e| (WizardStep::Shop, e))?;
        Ok(Profile {
            id: id.to_owned(),
            name: self.name.trim().to_owned(),
            environment: self.environment,
            postgres,
            redis,
            cloudflare: filled(&self.zone).map(|zone| CloudflareProfile { zone, base_url: None }),
            cloudfront: self.cloudfront_profile(),
            shop,
            keep_secrets: self.keep,
            limits: self.limits.clone(),
        })
    }

    /// The secrets typed in this session; what was not typed is absent.
    pub fn secrets(&self) -> Secrets {
        let given = |s: &Secret<String>| (!s.expose().is_empty()).then(|| s.clone());
        Secrets {
            postgres_password: given(&self.postgres.password),
            node_passwords: self.postgres.nodes.iter().filter(|n| !n.url.is_empty()).map(|n| given(&n.password)).collect(),
            redis_passwords: self.redis.iter().filter(|r| r.is_set_up()).map(|r| given(&r.password)).collect(),
            sentinel_passwords: self.redis.iter().filter(|r| r.is_set_up()).map(RedisForm::sentinel_password).collect(),
            cloudflare_token: given(&self.token),
        }
    }
}

fn filled(text: &str) -> Option<String> {
    let t = text.trim();
    (!t.is_empty()).then(|| t.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_and_fields_stay_in_step() {
        let mut w = Wizard::new(Limits::default(), true);
        w.set(Field::PgUrl, "postgres://advisor:hunter2@db.example.com:6543/medusa".into());
        assert_eq!((w.postgres.host.as_str(), w.postgres.port.as_str()), ("db.example.com", "6543"));
        assert_eq!(w.postgres.password.expose(), "hunter2");
        assert!(!w.postgres.url.contains("hunter2"));
        w.set(Field::PgHost, "other.example.com".into());
        assert_eq!(w.postgres.url, "postgres://advisor@other.example.com:6543/medusa");
    }

    #[test]
    fn the_memory_stays_with_another_address() {
        let mut w = Wizard::new(Limits::default(), true);
        w.set(Field::Name, "Example".into());
        w.set(Field::PgMemory, "16 GB".into());
        w.set(Field::PgUrl, "postgres://advisor@db.example.com/medusa".into());
        let profile = w.profile("x").unwrap();
        assert_eq!(profile.postgres.as_ref().unwrap().memory_bytes, Some(16 * 1_024 * 1_024 * 1_024));
        assert_eq!(Wizard::edit(&profile, true).postgres.memory, "16GiB");
        w.set(Field::PgMemory, "much".into());
        assert!(w.profile("x").unwrap_err().1.contains("16GiB"));
    }

    #[test]
    fn an_env_file_fills_every_service() {
        let mut w = Wizard::new(Limits::default(), true);
        let env = "# x\nDATABASE_URL=postgres://u:p@h/d\nREDIS_URL=\"redis://r:6379\"\nCACHE_REDIS_URL=redis://c:6379\nMEDUSA_BACKEND_URL=https://api.example.com\nJWT_SECRET=zzz";
        assert!(w.paste(env));
        assert_eq!(w.redis.iter().map(|r| r.url.as_str()).collect::<Vec<_>>(), ["redis://r:6379/0", "redis://c:6379/0"]);
        assert_eq!(w.found.len(), 4);
        assert!(!format!("{w:?}").contains("zzz"));
        assert!(!w.paste("nothing here"));
    }

    #[test]
    fn a_store_without_services_is_a_store() {
        let mut w = Wizard::new(Limits::default(), false);
        assert_eq!(w.profile("x").unwrap_err().0, WizardStep::Store);
        w.set(Field::Name, "Example".into());
        assert_eq!(w.profile("x").unwrap().postgres, None);
        w.set(Field::PgUrl, "mysql://h/d".into());
        assert_eq!(w.profile("x").unwrap_err().0, WizardStep::Postgres);
        assert_eq!(w.keep, KeepSecrets::AskEachTime);
    }
}
