//! TLS to an engine: which certificates, and how the server's is verified.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::model::text::clean;

use super::endpoint::Env;
use super::error::EngineError;

/// The files of a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsMaterial {
    /// Whom the server's certificate must come from; `None` is the system's own roots.
    pub ca: Option<PathBuf>,
    /// Our certificate with its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether the server's certificate is verified.
    pub verify: bool,
    /// The folder where the files were looked for.
    pub folder: PathBuf,
}

impl TlsMaterial {
    /// As docker has it: TLS where `DOCKER_TLS_VERIFY` or `DOCKER_TLS` is set to anything, with the files
    /// of `DOCKER_CERT_PATH`, else those of Docker's configuration folder that exist.
    pub(super) fn from_env(env: &Env) -> Option<Self> {
        let verify = env.var("DOCKER_TLS_VERIFY").is_some();
        if !verify && env.var("DOCKER_TLS").is_none() {
            return None;
        }
        if let Some(dir) = env.var("DOCKER_CERT_PATH") {
            let folder = PathBuf::from(dir);
            return Some(Self {
                ca: Some(folder.join("ca.pem")).filter(|_| verify),
                identity: Some((folder.join("cert.pem"), folder.join("key.pem"))),
                verify,
                folder,
            });
        }
        let folder = env.config_dir().unwrap_or_default();
        Some(Self::existing(folder, verify))
    }

    /// A context's own; `None` where it has no files and verifies: then it is plain.
    pub(super) fn of_context(folder: &Path, skip_verify: bool) -> Option<Self> {
        let found = Self::existing(folder.to_owned(), !skip_verify);
        (skip_verify || found.ca.is_some() || found.identity.is_some()).then_some(found)
    }

    fn existing(folder: PathBuf, verify: bool) -> Self {
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
        Self {
            ca: file("ca.pem"),
            identity: file("cert.pem").zip(file("key.pem")),
            verify,
            folder,
        }
    }

    /// Reads the files. A given CA is then the only one that is trusted.
    pub(super) fn client_config(&self) -> Result<ClientConfig, EngineError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| EngineError::Tls(e.to_string()))?;
        let builder = match self.verify {
            true => builder.with_root_certificates(self.roots()?),
            false => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified(provider))),
        };
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some((cert, key)) => {
                let key_der = PrivateKeyDer::from_pem_file(key).map_err(|e| in_file(key, &e))?;
                builder
                    .with_client_auth_cert(certificates(cert)?, key_der)
                    .map_err(|e| in_file(key, &e))
            }
        }
    }

    fn roots(&self) -> Result<RootCertStore, EngineError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(ca) => {
                for certificate in certificates(ca)? {
                    roots.add(certificate).map_err(|e| in_file(ca, &e))?;
                }
            }
            None => {
                let system = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(system.certs);
                if roots.is_empty() {
                    return Err(EngineError::Tls(
                        "this machine has no root certificates, and no ca.pem is given".into(),
                    ));
                }
            }
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, EngineError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|e| in_file(path, &e))?
        .collect();
    let read = read.map_err(|e| in_file(path, &e))?;
    if read.is_empty() {
        return Err(in_file(path, &"no certificate in it"));
    }
    Ok(read)
}

fn in_file(path: &Path, why: &dyn std::fmt::Display) -> EngineError {
    EngineError::Tls(clean(&format!("{}: {why}", path.display()), 300))
}

/// Whom a certificate of `host:port` must name.
pub(super) fn server_name(authority: &str) -> Result<ServerName<'static>, EngineError> {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| {
        EngineError::Tls(format!(
            "{} is no name that a certificate can have",
            clean(host, 200)
        ))
    })
}

/// For `SkipTLSVerify`: the server may be anyone, as the user asked; signatures are still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
