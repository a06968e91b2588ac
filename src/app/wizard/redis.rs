//! The Redis step: an address as a URL or as fields, kept in step.

use super::{Field, Wizard, WizardStep, filled};
use crate::connect::profile::{RedisProfile, Sentinel, parse_redis, parse_roles, roles_text, sentinel_password};
use crate::secret::Secret;

#[derive(Debug, Clone, PartialEq)]
pub struct RedisForm {
    pub url: String,
    pub url_error: Option<String>,
    pub host: String,
    pub port: String,
    pub database: String,
    pub user: String,
    pub password: Secret<String>,
    pub is_tls: bool,
    pub ca_file: String,
    pub cert_file: String,
    pub key_file: String,
    pub server_name: String,
    /// Name of the master that the Sentinels at this address know; empty: a server stands there.
    pub master: String,
    /// What the Sentinels have of their own; empty fields: what the servers behind them have.
    pub sentinel_user: String,
    pub sentinel_password: Secret<String>,
    pub sentinel_ca_file: String,
    pub sentinel_server_name: String,
    /// Whether the Sentinels speak TLS where the servers do, and the other way round.
    pub sentinels_differ_in_tls: bool,
    /// Prefixes and their roles as typed: "acme:=cache".
    pub roles: String,
    /// Further Sentinels, which only a URL names.
    pub others: Vec<String>,
}

impl Wizard {
    pub(super) fn redis_profiles(&self) -> Result<Vec<RedisProfile>, String> {
        self.redis.iter().filter(|r| r.is_set_up()).map(RedisForm::profile).collect()
    }
}

impl RedisForm {
    pub fn empty() -> Self {
        Self {
            url: String::new(),
            url_error: None,
            host: String::new(),
            port: "6379".to_owned(),
            database: "0".to_owned(),
            user: String::new(),
            password: Secret::default(),
            is_tls: false,
            ca_file: String::new(),
            cert_file: String::new(),
            key_file: String::new(),
            server_name: String::new(),
            master: String::new(),
            sentinel_user: String::new(),
            sentinel_password: Secret::default(),
            sentinel_ca_file: String::new(),
            sentinel_server_name: String::new(),
            sentinels_differ_in_tls: false,
            roles: String::new(),
            others: Vec::new(),
        }
    }

    pub fn of(profile: &RedisProfile) -> Self {
        let mut form = Self::empty();
        form.fill(profile);
        form
    }

    /// Whether something was filled in: an address that is wrong counts too.
    pub fn is_set_up(&self) -> bool {
        !self.url.trim().is_empty() || !self.host.trim().is_empty()
    }

    pub fn has_port(&self) -> bool {
        self.port.trim().parse::<u16>().is_ok_and(|p| p > 0)
    }

    /// What is wrong with the prefixes and their roles, if anything.
    pub fn roles_error(&self) -> Option<String> {
        parse_roles(&self.roles).err()
    }

    pub fn has_database(&self) -> bool {
        self.database.trim().parse::<u32>().is_ok()
    }

    /// The address as typed, or the sentence that stands against it.
    pub fn profile(&self) -> Result<RedisProfile, String> {
        if let Some(error) = &self.url_error {
            return Err(error.clone());
        }
        if self.host.trim().is_empty() {
            return Err("Redis needs a host.".to_owned());
        }
        if !self.has_port() {
            return Err(format!("\"{}\" is not a port: a number from 1 to 65535 is needed.", self.port));
        }
        let database = self.database.trim().parse().map_err(|_| format!("\"{}\" is not a database: Redis numbers them from 0.", self.database))?;
        Ok(RedisProfile {
            host: self.host.trim().to_owned(),
            port: self.port.trim().parse().map_err(|_| format!("\"{}\" is not a port.", self.port))?,
            database,
            user: self.user.trim().to_owned(),
            is_tls: self.is_tls,
            ca_file: filled(&self.ca_file),
            cert_file: filled(&self.cert_file),
            key_file: filled(&self.key_file),
            server_name: filled(&self.server_name),
            roles: parse_roles(&self.roles)?,
            sentinel: filled(&self.master).map(|master| self.sentinel(master)),
        })
    }

    fn sentinel(&self, master: String) -> Sentinel {
        Sentinel {
            master,
            others: self.others.clone(),
            user: self.sentinel_user.trim().to_owned(),
            is_tls: self.sentinels_differ_in_tls.then_some(!self.is_tls),
            ca_file: filled(&self.sentinel_ca_file),
            server_name: filled(&self.sentinel_server_name),
        }
    }

    /// The Sentinels' own password, as far as there are Sentinels.
    pub fn sentinel_password(&self) -> Option<Secret<String>> {
        let is_given = filled(&self.master).is_some() && !self.sentinel_password.expose().is_empty();
        is_given.then(|| self.sentinel_password.clone())
    }

    /// Whether the Sentinels speak TLS.
    pub fn has_tls_at_sentinels(&self) -> bool {
        self.is_tls != self.sentinels_differ_in_tls
    }

    fn fill(&mut self, p: &RedisProfile) {
        self.url = p.url();
        self.url_error = None;
        self.host = p.host.clone();
        self.port = p.port.to_string();
        self.database = p.database.to_string();
        self.user = p.user.clone();
        self.is_tls = p.is_tls;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        self.ca_file = text(&p.ca_file);
        self.cert_file = text(&p.cert_file);
        self.key_file = text(&p.key_file);
        self.server_name = text(&p.server_name);
        self.roles = roles_text(&p.roles);
        let sentinel = p.sentinel.clone().unwrap_or_default();
        (self.master, self.others, self.sentinel_user) = (sentinel.master, sentinel.others, sentinel.user);
        self.sentinel_ca_file = text(&sentinel.ca_file);
        self.sentinel_server_name = text(&sentinel.server_name);
        self.sentinels_differ_in_tls = sentinel.is_tls.is_some_and(|on| on != p.is_tls);
    }
}

impl Field {
    /// The instance that a field of the Redis step belongs to.
    pub(super) fn of_redis(self) -> Option<usize> {
        match self {
            Field::RedisUrl(i) | Field::RedisHost(i) | Field::RedisPort(i) | Field::RedisDatabase(i) | Field::RedisUser(i) => Some(i),
            Field::RedisPassword(i) | Field::RedisCaFile(i) | Field::RedisCertFile(i) | Field::RedisKeyFile(i) => Some(i),
            Field::RedisServerName(i) | Field::RedisMaster(i) | Field::RedisRoles(i) => Some(i),
            Field::SentinelUser(i) | Field::SentinelPassword(i) | Field::SentinelCaFile(i) | Field::SentinelServerName(i) => Some(i),
            _ => None,
        }
    }
}

impl Wizard {
    pub(super) fn set_redis(&mut self, i: usize, field: Field, text: String) {
        match field {
            Field::RedisUrl(_) => self.set_redis_url(i, text),
            Field::RedisPassword(_) | Field::SentinelPassword(_) => self.set_redis_password(i, field, text),
            _ => self.set_redis_part(i, field, text),
        }
    }

    pub(super) fn set_redis_url(&mut self, i: usize, text: String) {
        self.forget_test(WizardStep::Redis);
        let Some(form) = self.redis.get_mut(i) else { return };
        match parse_redis(&text) {
            Ok((profile, password)) => {
                form.fill(&profile);
                if let Some(password) = password {
                    form.password = password;
                }
                if let Some(password) = sentinel_password(&text) {
                    form.sentinel_password = password;
                }
            }
            Err(e) => {
                form.url_error = (!text.trim().is_empty()).then(|| e.to_string());
                form.url = crate::secret::redact(&text);
                // An address that was wiped takes its fields along.
                if text.trim().is_empty() {
                    form.host.clear();
                }
            }
        }
    }

    pub(super) fn set_redis_part(&mut self, i: usize, field: Field, text: String) {
        self.forget_test(WizardStep::Redis);
        let Some(form) = self.redis.get_mut(i) else { return };
        match field {
            Field::RedisHost(_) => form.host = text,
            Field::RedisPort(_) => form.port = text,
            Field::RedisDatabase(_) => form.database = text,
            Field::RedisCaFile(_) => form.ca_file = text,
            Field::RedisCertFile(_) => form.cert_file = text,
            Field::RedisKeyFile(_) => form.key_file = text,
            Field::RedisServerName(_) => form.server_name = text,
            Field::RedisMaster(_) => form.master = text,
            Field::SentinelUser(_) => form.sentinel_user = text,
            Field::SentinelCaFile(_) => form.sentinel_ca_file = text,
            Field::SentinelServerName(_) => form.sentinel_server_name = text,
            Field::RedisRoles(_) => form.roles = text,
            _ => form.user = text,
        }
        // The fields say the whole address: what was wrong in the URL is no longer there.
        form.url_error = None;
        form.url = form.profile().map_or_else(|_| String::new(), |p| p.url());
    }

    pub(super) fn set_redis_password(&mut self, i: usize, field: Field, text: String) {
        self.forget_test(WizardStep::Redis);
        let Some(form) = self.redis.get_mut(i) else { return };
        match field {
            Field::SentinelPassword(_) => form.sentinel_password = Secret::new(text),
            _ => form.password = Secret::new(text),
        }
    }

    /// Turns TLS of one Redis instance on or off, in its address too. Its Sentinels follow.
    pub fn set_redis_tls(&mut self, i: usize, on: bool) {
        self.set_tls(i, |form| form.is_tls = on);
    }

    /// Turns TLS of the Sentinels before one instance on or off.
    pub fn set_sentinel_tls(&mut self, i: usize, on: bool) {
        self.set_tls(i, |form| form.sentinels_differ_in_tls = on != form.is_tls);
    }

    fn set_tls(&mut self, i: usize, set: impl FnOnce(&mut RedisForm)) {
        self.forget_test(WizardStep::Redis);
        let Some(form) = self.redis.get_mut(i) else { return };
        set(form);
        if let Ok(profile) = form.profile() {
            form.url = profile.url();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::profile::Limits;

    #[test]
    fn url_and_fields_stay_in_step() {
        let mut w = Wizard::new(Limits::default(), true);
        w.set(Field::RedisUrl(0), "rediss://advisor:hunter2@cache.example.com:6380/2".into());
        let form = &w.redis[0];
        assert_eq!(
            (form.host.as_str(), form.port.as_str(), form.database.as_str(), form.user.as_str()),
            ("cache.example.com", "6380", "2", "advisor")
        );
        assert!(form.is_tls && form.password.expose() == "hunter2" && !form.url.contains("hunter2"));
        w.set(Field::RedisHost(0), "other.example.com".into());
        assert_eq!(w.redis[0].url, "rediss://advisor@other.example.com:6380/2");
        w.set_redis_tls(0, false);
        assert_eq!(w.redis[0].url, "redis://advisor@other.example.com:6380/2");
    }

    #[test]
    fn sentinels_keep_what_is_their_own() {
        let mut w = Wizard::new(Limits::default(), true);
        w.set(Field::Name, "Example".into());
        w.set(Field::RedisUrl(0), "rediss+sentinel://s1,s2/shop?sentinel_password=hunter2&sentinel_tls=no&sentinel_user=watch".into());
        let form = &w.redis[0];
        assert!(form.is_tls && !form.has_tls_at_sentinels() && !form.url.contains("hunter2"), "{form:?}");
        let given = |w: &Wizard| w.secrets().redis(0).sentinels.map(|s| s.expose().clone());
        assert_eq!(given(&w).as_deref(), Some("hunter2"));
        w.set_sentinel_tls(0, true);
        w.set(Field::SentinelUser(0), String::new());
        w.set(Field::SentinelCaFile(0), "/s.pem".into());
        assert_eq!(w.redis[0].url, "rediss+sentinel://s1:26379,s2/shop/0?sentinel_ca=/s.pem");
        w.set_redis_tls(0, false);
        assert!(!w.redis[0].has_tls_at_sentinels(), "they follow");
        w.set(Field::SentinelPassword(0), "other".into());
        assert_eq!(given(&w).as_deref(), Some("other"));
        w.set(Field::RedisMaster(0), String::new());
        assert_eq!((given(&w), w.profile("x").unwrap().redis[0].sentinel.clone()), (None, None));
    }

    #[test]
    fn fields_alone_make_an_instance() {
        let mut w = Wizard::new(Limits::default(), true);
        w.set(Field::Name, "Example".into());
        assert!(!w.is_set_up(WizardStep::Redis));
        w.set(Field::RedisHost(0), "cache.example.com".into());
        w.set(Field::RedisCaFile(0), "/ca.pem".into());
        let redis = &w.profile("x").unwrap().redis[0];
        assert_eq!((redis.address().as_str(), redis.ca_file.as_deref()), ("cache.example.com:6379/0", Some("/ca.pem")));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let mut w = Wizard::new(Limits::default(), true);
        w.set(Field::Name, "Example".into());
        w.set(Field::RedisHost(0), "cache.example.com".into());
        w.set(Field::RedisPort(0), "no".into());
        let (step, sentence) = w.profile("x").unwrap_err();
        assert_eq!(step, WizardStep::Redis);
        assert!(sentence.contains("is not a port"));
        w.set(Field::RedisPort(0), "6379".into());
        w.set(Field::RedisUrl(0), "http://cache".into());
        assert!(w.profile("x").is_err());
        w.set(Field::RedisUrl(0), String::new());
        assert!(w.profile("x").unwrap().redis.is_empty());
    }
}
