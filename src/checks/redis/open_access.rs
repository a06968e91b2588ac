//! `redis-open-access`: a server that lets anybody in, or that is spoken to in clear text over a public network.

use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{PLAIN, is_managed, platform_name};
use crate::checks::{Check, always};
use crate::evidence::redis::{Access, Instance, Network, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};

/// Open servers on the internet are found by scanners within hours and taken over or wiped.
const WEIGHT_OPEN: f64 = 1.0;
/// Somebody must sit on the path.
const WEIGHT_CLEAR: f64 = 0.25;
/// Somebody must be inside the network.
const WEIGHT_INSIDE: f64 = 0.05;
/// What the user calls a store nobody but developers reaches.
const DEVELOPMENT: &str = "development";

pub static CHECK: Check = Check {
    id: "redis-open-access",
    layer: Layer::Redis,
    title: "Redis lets anybody in, or is reached in clear text",
    passed: "Redis asks for a password or a client certificate, and over public networks it is reached through TLS.",
    why: "Whoever may send commands reads every session and cart, can log in as an admin with a session of theirs, delete the queues, and on many versions run code on the \
          server. Without TLS the password itself can be read on the way.",
    remedy: "Set a password, bind Redis to the private network, and use TLS (rediss://) wherever the way leaves it.",
    method: "How the audit's own session got in, and what the server did with a second connection that gave neither password nor client certificate: let in at a public address \
             is Critical, clear text at one Medium, let in at a private address Low (Info in an environment called development). On the same machine nothing is reported. \
             Addresses are told by their range; a firewall in front is not seen.",
    effort: Effort::Hours,
    references: &[
        "https://redis.io/docs/latest/operate/oss_and_stack/management/security/",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/security/encryption/",
    ],
    needs: &[Section::RedisServer],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let is_development = snapshot.meta.environment == DEVELOPMENT;
    over_instances(snapshot, |instance| {
        let server = instance.server()?;
        let access = server.access.ok_or_else(|| {
            let detail = "The snapshot was written before it was noted how the session got in.";
            Gap::new(Section::RedisServer, Cause::Unreadable, detail)
        })?;
        Ok(judge(instance, server, access, is_development)?.into_iter().collect())
    })
}

fn judge(instance: &Instance, server: &Server, access: Access, is_development: bool) -> Result<Option<Finding>, Gap> {
    Ok(match (access.network, access.is_open(), access.is_tls) {
        (Network::Loopback, ..) => None,
        (Network::Public, Some(true), _) => Some(open(instance, server, access)),
        (Network::Public, _, false) => Some(clear(instance, server, access)),
        (Network::Private, Some(true), _) => Some(inside(instance, server, access, is_development)),
        (_, Some(_), _) => None,
        (_, None, _) => return Err(untried(instance, access)),
    })
}

/// Whoever is let in by name, or for a certificate, says nothing of those who have neither.
fn untried(instance: &Instance, access: Access) -> Gap {
    let given = if access.has_password { "the password of a user by name" } else { "a client certificate" };
    let tls = if access.is_tls { " --tls" } else { "" };
    let remedy =
        format!("redis-cli -h \"$REDIS_HOST\"{tls} PING  # without user, password and certificate: NOAUTH, or no connection, is how it should be");
    let cause = Cause::Absent { feature: "an answer to a connection without either".into(), remedy };
    let detail = format!("{} let the audit in for {given}; whether it asks everybody for one could not be tried.", instance.name);
    Gap::new(Section::RedisServer, cause, detail)
}

/// Why the audit's own password is no proof.
fn own_words(access: Access) -> &'static str {
    match (access.has_password, access.has_certificate) {
        (true, _) => " The audit's own user has a password, the default user has none.",
        (false, true) => " A client certificate is accepted and not asked for.",
        (false, false) => "",
    }
}

fn open(instance: &Instance, server: &Server, access: Access) -> Finding {
    Finding {
        observed: format!(
            "{} has a public address and lets anybody in without a password{}.{}",
            instance.name,
            clear_words(access),
            own_words(access)
        ),
        step: format!("Set a password on {} and close it to the internet", instance.name),
        severity: Severity::Critical,
        confidence: Confidence::Medium,
        confidence_because: "seen from where the audit ran: a firewall may keep others out".into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: WEIGHT_OPEN },
        averts: Some("all data in Redis read, changed or wiped by strangers".into()),
        remedies: vec![close(server), password(server), url(true)],
        verify: "From another network, redis-cli PING answers NOAUTH or nothing at all.".into(),
        ..finding(instance, server, access)
    }
}

fn clear(instance: &Instance, server: &Server, access: Access) -> Finding {
    Finding {
        observed: format!("{} is reached at a public address without TLS: password, sessions and carts pass in clear text.", instance.name),
        step: format!("Reach {} through TLS", instance.name),
        severity: Severity::Medium,
        confidence: Confidence::Medium,
        confidence_because: "told by the address the audit reached; Medusa may use another one".into(),
        cost: Cost { resource: Resource::Risk, share: WEIGHT_CLEAR },
        averts: Some("the password and sessions read on the way".into()),
        remedies: vec![tls(server), url(true)],
        verify: "redis-cli --tls answers PONG, and the plain port is closed.".into(),
        ..finding(instance, server, access)
    }
}

fn inside(instance: &Instance, server: &Server, access: Access, is_development: bool) -> Finding {
    let usual = if is_managed(server) {
        format!(" {} runs many servers that way inside a private network; whoever gets into it gets in here.", capital(platform_name(server)))
    } else {
        " Whoever gets into that network gets in here.".to_owned()
    };
    Finding {
        observed: format!("{} lets anybody in without a password at a private address.{}{usual}", instance.name, own_words(access)),
        step: format!("Set a password on {}", instance.name),
        severity: if is_development { Severity::Info } else { Severity::Low },
        confidence: Confidence::High,
        confidence_because: "a connection without a password was answered".into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: WEIGHT_INSIDE },
        averts: Some("sessions read from inside the network".into()),
        remedies: vec![password(server), url(false)],
        verify: "redis-cli PING without a password answers NOAUTH.".into(),
        ..finding(instance, server, access)
    }
}

fn clear_words(access: Access) -> &'static str {
    if access.is_tls { "" } else { " and without TLS" }
}

fn capital(name: &str) -> String {
    if name == "the provider" { "The provider".to_owned() } else { name.to_owned() }
}

fn finding(instance: &Instance, server: &Server, access: Access) -> Finding {
    let network = match access.network {
        Network::Loopback => "this machine",
        Network::Private => "private",
        Network::Public => "public",
    };
    let yes = |b: bool| if b { "yes" } else { "no" };
    Finding {
        subject: Subject::new("instance", &instance.name),
        observed: String::new(),
        step: String::new(),
        evidence: vec![
            Evidence::text("Address", network),
            Evidence::text("Password given", yes(access.has_password)),
            Evidence::text("Client certificate given", yes(access.has_certificate)),
            Evidence::text("TLS", yes(access.is_tls)),
            Evidence::text("Lets in who gives neither", access.is_open().map_or("not tried", yes)),
            Evidence::text("Run by", if server.platform == PLAIN { "its own operators" } else { platform_name(server) }),
        ],
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: String::new(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: 0.0 },
        gain: None,
        averts: None,
        remedies: Vec::new(),
        verify: String::new(),
        touches: Vec::new(),
    }
}

fn shell(label: &str, text: String, risk: &str, undo: Option<&str>) -> Remedy {
    Remedy { kind: RemedyKind::Shell, label: label.into(), text, lock: None, risk: risk.into(), undo: undo.map(str::to_owned) }
}

fn close(server: &Server) -> Remedy {
    if is_managed(server) {
        let text = format!("# {}: switch the public endpoint off, or allow the addresses of your servers only.", platform_name(server));
        return shell("Close it to the internet", text, "Medusa must reach the private endpoint: change REDIS_URL first.", None);
    }
    shell(
        "Close it to the internet",
        "# On the server; PRIVATE_NET is the network Medusa runs in, 10.0.0.0/16 for example\nufw allow from \"$PRIVATE_NET\" to any port 6379 proto tcp\nufw deny 6379/tcp"
            .into(),
        "Docker publishes ports past ufw: there, publish 127.0.0.1:6379:6379 or no port at all. Keep a session open while you change the firewall.",
        Some("ufw delete deny 6379/tcp"),
    )
}

fn password(server: &Server) -> Remedy {
    match server.platform.as_str() {
        PLAIN => Remedy {
            kind: RemedyKind::Redis,
            label: "Ask for a password".into(),
            text: "CONFIG SET requirepass CHANGE_ME".into(),
            lock: None,
            risk: "Long and random: openssl rand -hex 32. Every new connection needs it from then on, replicas too (masterauth); restart Medusa with the new REDIS_URL at once, \
                   and run CONFIG REWRITE to keep it."
                .into(),
            undo: Some("CONFIG SET requirepass \"\"".into()),
        },
        "elasticache" => shell(
            "Ask for a password",
            "aws elasticache modify-replication-group --replication-group-id \"$GROUP\" --auth-token \"$NEW_TOKEN\" --auth-token-update-strategy ROTATE --apply-immediately".into(),
            "Needs in-transit encryption. With ROTATE both ways in work until you run it again with SET; change REDIS_URL between the two.",
            None,
        ),
        _ => {
            let text = format!("# {}: switch authentication on in its console and put the password in REDIS_URL.", platform_name(server));
            shell("Ask for a password", text, "Connections without it are refused from then on.", None)
        }
    }
}

fn tls(server: &Server) -> Remedy {
    if is_managed(server) {
        let text = format!("# {}: switch TLS (\"encryption in transit\") on, or use the private endpoint.", platform_name(server));
        return shell("Switch TLS on", text, "Some providers use another port or name for TLS; take REDIS_URL from the console.", None);
    }
    shell(
        "Serve TLS",
        "# redis.conf, with a certificate for the server's name\nport 0\ntls-port 6379\ntls-cert-file /etc/redis/server.pem\ntls-key-file /etc/redis/server.key\ntls-ca-cert-file /etc/redis/ca.pem\ntls-auth-clients no"
            .into(),
        "Needs a restart. Clients that speak plain text are cut off: change REDIS_URL to rediss:// at the same time.",
        Some("# Remove these lines and set port 6379."),
    )
}

fn url(is_tls: bool) -> Remedy {
    let scheme = if is_tls { "rediss" } else { "redis" };
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Give Medusa the password".into(),
        text: format!(
            "# .env of every Medusa process (server and worker); medusa-config reads it as projectConfig.redisUrl\nREDIS_URL={scheme}://default:CHANGE_ME@redis.internal:6379"
        ),
        lock: None,
        risk: "The modules for cache, events, workflows and locks have a redisUrl each: change all of them.".into(),
        undo: Some("Put the former REDIS_URL back.".into()),
    }
}
