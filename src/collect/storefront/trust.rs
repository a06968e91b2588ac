//! Looks at a certificate without depending on it: what a server agrees to is worth telling before its certificate is in place, too. The
//! connection ends after the handshake, so nothing is ever sent to a server that is not trusted.

use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::connect::http::{ALPN, crypto, system_roots};

/// TLS with this system's authorities that completes whatever they say of the certificate, and what they said.
///
/// # Errors
/// A sentence when TLS cannot be set up.
pub fn noting_config() -> Result<(Arc<ClientConfig>, Arc<Noting>), String> {
    let failed = |e: &dyn std::fmt::Display| format!("TLS could not be set up: {e}.");
    let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(system_roots()), crypto()).build().map_err(|e| failed(&e))?;
    let noting = Arc::new(Noting { roots, distrust: Mutex::default() });
    let builder = ClientConfig::builder_with_provider(crypto()).with_safe_default_protocol_versions().map_err(|e| failed(&e))?;
    let verifier = Arc::<Noting>::clone(&noting);
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok((Arc::new(config), noting))
}

/// Notes why a certificate is not trusted, and goes on.
#[derive(Debug)]
pub struct Noting {
    roots: Arc<WebPkiServerVerifier>,
    distrust: Mutex<Option<String>>,
}

impl Noting {
    /// Why the certificate that was shown is not trusted, in a few words; `None` when it is.
    pub fn distrust(&self) -> Option<String> {
        self.distrust.lock().ok()?.clone()
    }
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if let (Err(e), Ok(mut distrust)) = (judged, self.distrust.lock()) {
            *distrust = Some(words(&e));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

fn words(error: &Error) -> String {
    let Error::InvalidCertificate(why) = error else { return error.to_string() };
    match why {
        CertificateError::UnknownIssuer => "its issuer is not known to this system".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is for another name".to_owned(),
        other => other.to_string(),
    }
}
