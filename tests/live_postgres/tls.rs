//! Postgres over TLS: a private authority, a certificate for `localhost` alone, and what is said when one of them does not fit.

use std::sync::Mutex;
use std::time::Duration;

use crate::servers::Servers;
use medusa_advisor::audit;
use medusa_advisor::collect::{collect, run::Run};
use medusa_advisor::connect::postgres::{self, OpenErrorKind};
use medusa_advisor::connect::profile::{Environment, KeepSecrets, Limits, PostgresProfile, Profile, Secrets, TlsMode, parse_postgres};
use medusa_advisor::connect::steps::StepState;
use medusa_advisor::evidence::{Cause, Targets};
use medusa_advisor::secret::Secret;

struct Server {
    profile: PostgresProfile,
    password: Option<Secret<String>>,
    ca: String,
    other_ca: String,
}

impl Server {
    fn of(servers: &Servers) -> Self {
        let (profile, password) = parse_postgres(servers.value("SERVER")).unwrap();
        Self { profile, password, ca: servers.value("CA").to_owned(), other_ca: servers.value("OTHER_CA").to_owned() }
    }

    fn with(&self, host: &str, tls: TlsMode, ca: Option<&str>) -> PostgresProfile {
        PostgresProfile { host: host.to_owned(), tls, ca_file: ca.map(str::to_owned), ..self.profile.clone() }
    }

    /// Why no session opened; `None`: one did.
    async fn refused(&self, host: &str, tls: TlsMode, ca: Option<&str>) -> Option<(OpenErrorKind, String)> {
        match postgres::open(&self.with(host, tls, ca), self.password.as_ref(), &Limits::default()).await {
            Ok(session) => {
                session.close().await;
                None
            }
            Err(e) => Some((e.kind, e.sentence)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mode_takes_what_it_should() {
    let Some(servers) = Servers::start("tls") else { return };
    let server = Server::of(&servers);
    let (ca, other) = (Some(server.ca.clone()), Some(server.other_ca.clone()));
    for (host, tls, ca) in [
        ("localhost", TlsMode::Prefer, &None),
        ("127.0.0.1", TlsMode::Require, &None),
        ("127.0.0.1", TlsMode::VerifyCa, &ca),
        ("127.0.0.1", TlsMode::Require, &ca),
        ("localhost", TlsMode::VerifyFull, &ca),
    ] {
        let refused = server.refused(host, tls, ca.as_deref()).await;
        assert_eq!(refused, None, "{host} {}", tls.id());
    }
    for (host, tls, ca, words) in [
        // The name in the certificate, and what to do.
        ("127.0.0.1", TlsMode::VerifyFull, &ca, &["certificate is for localhost", "not 127.0.0.1", "verify-ca"][..]),
        ("localhost", TlsMode::VerifyFull, &other, &["authority", "CA certificate file"]),
        ("localhost", TlsMode::VerifyCa, &other, &["authority", "CA certificate file"]),
        ("127.0.0.1", TlsMode::Require, &other, &["authority", "CA certificate file"]),
        ("localhost", TlsMode::VerifyFull, &None, &["authority", "CA certificate file"]),
    ] {
        let (kind, sentence) = server.refused(host, tls, ca.as_deref()).await.unwrap_or_else(|| panic!("{host} {} signed in", tls.id()));
        println!("{host} {}: {sentence}", tls.id());
        assert_eq!(kind, OpenErrorKind::Tls, "{sentence}");
        assert!(words.iter().all(|w| sentence.contains(w)), "{sentence}");
    }
    // pg_hba.conf lets nobody in without TLS.
    let (kind, sentence) = server.refused("localhost", TlsMode::Disable, None).await.unwrap();
    assert_eq!(kind, OpenErrorKind::SignIn, "{sentence}");
    assert!(sentence.contains("TLS mode"), "{sentence}");
    let missing = server.refused("localhost", TlsMode::VerifyFull, Some("/no/such/ca.pem")).await.unwrap();
    assert!(missing.1.contains("/no/such/ca.pem"), "{}", missing.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_test_of_a_profile_stops_at_the_certificate() {
    let Some(servers) = Servers::start("tls") else { return };
    let server = Server::of(&servers);
    let steps = Mutex::new(Vec::new());
    let wrong = server.with("127.0.0.1", TlsMode::VerifyFull, Some(&server.ca));
    let report = postgres::test(&wrong, server.password.as_ref(), &Limits::default(), |step| steps.lock().unwrap().push(step.clone())).await;
    assert!(!report.is_connected());
    let failed: Vec<_> = report.steps.iter().filter(|s| matches!(s.state, StepState::Failed(..))).collect();
    assert_eq!(failed.len(), 1, "{:?}", report.steps);
    assert!(failed[0].name.contains("TLS"), "{:?}", failed[0]);
    let right = server.with("localhost", TlsMode::VerifyFull, Some(&server.ca));
    let report = postgres::test(&right, server.password.as_ref(), &Limits::default(), |_| {}).await;
    // The last step looks for Medusa's tables, which are not here.
    assert!(report.steps.iter().take(5).all(|s| s.state == StepState::Done), "{:?}", report.steps);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_over_verified_tls_and_one_that_is_refused() {
    let Some(servers) = Servers::start("tls") else { return };
    let server = Server::of(&servers);
    for (host, is_audited) in [("localhost", true), ("127.0.0.1", false)] {
        let profile = Profile {
            id: "tls".into(),
            name: "tls".into(),
            environment: Environment::Production,
            postgres: Some(server.with(host, TlsMode::VerifyFull, Some(&server.ca))),
            redis: Vec::new(),
            cloudflare: None,
            cloudfront: None,
            shop: None,
            keep_secrets: KeepSecrets::AskEachTime,
            limits: Limits::default(),
        };
        let secrets = Secrets { postgres_password: server.password.clone(), ..Secrets::default() };
        let snapshot = collect(&audit::request(profile, secrets, Targets::default()), &Run::new(Duration::from_secs(1), |_| {})).await;
        assert_eq!(snapshot.postgres.is_ok(), is_audited);
        if let Err(gap) = &snapshot.postgres {
            assert_eq!(gap.cause, Cause::Unreachable);
            assert!(gap.detail.contains("not 127.0.0.1"), "{}", gap.detail);
        }
    }
}
