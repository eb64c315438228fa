//! TLS to the server, with the words and meanings of libpq's `sslmode` and `sslrootcert`
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
//!
//! Three things differ. `allow` is not known. Where certificates are checked and no root certificate
//! is named, those of the system are trusted, as with `sslrootcert=system`; libpq looks for a file
//! in the home folder. And there is no client certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::settings::InvalidSettings;

/// What is asked of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsMode {
    /// In the clear.
    Disable,
    /// Encrypted where the server can, without proof of who it is.
    Prefer,
    /// Encrypted, without proof of who it is; with a root certificate, as [`VerifyCa`](Self::VerifyCa).
    Require,
    /// Encrypted, with a certificate from an authority that we trust.
    VerifyCa,
    /// The same, for the host that we asked for.
    VerifyFull,
}

impl TlsMode {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// What tokio-postgres, which knows fewer words, is told.
    pub(crate) fn negotiation(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}

/// What an address says about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsWish {
    pub(crate) mode: TlsMode,
    /// A file, or the word `system`.
    root: Option<PathBuf>,
}

impl TlsWish {
    /// Reads `sslmode` and `sslrootcert` and gives the address without them: tokio-postgres does not
    /// know all of them. A root certificate in the address wins over that of the settings; one that
    /// nothing would be checked with is refused, as libpq refuses `system` then.
    pub(crate) fn of(
        address: &str,
        root: Option<&Path>,
    ) -> Result<(Self, String), InvalidSettings> {
        let (mut mode, mut own) = (TlsMode::Prefer, None);
        let rest = without(address, |name, value| {
            match name {
                "sslmode" => mode = TlsMode::from_word(value).ok_or(InvalidSettings::TlsMode)?,
                "sslrootcert" => own = Some(unescaped(value)?.into()),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let is_named_here = own.is_some();
        let wish = Self { mode, root: own.or_else(|| root.map(Path::to_owned)) };
        if is_named_here && !wish.verifies() {
            return Err(InvalidSettings::IdleRootCertificate);
        }
        Ok((wish, rest))
    }

    /// Whether the server has to prove who it is.
    pub(crate) fn verifies(&self) -> bool {
        match self.mode {
            TlsMode::Disable | TlsMode::Prefer => false,
            TlsMode::Require => self.root.is_some(),
            TlsMode::VerifyCa | TlsMode::VerifyFull => true,
        }
    }

    /// Reads the file of authorities where one is named and needed. Those of the system are the machine's
    /// matter: they are found when it connects.
    pub(crate) fn check_root(&self) -> Result<(), InvalidSettings> {
        match &self.root {
            Some(root) if self.verifies() => check_root(root),
            _ => Ok(()),
        }
    }

    /// How to connect; `None` in the clear.
    pub(crate) fn connector(&self) -> Result<Option<MakeRustlsConnect>, InvalidSettings> {
        let verifier = match (self.mode, &self.root) {
            (TlsMode::Disable, _) => return Ok(None),
            (TlsMode::Prefer, _) | (TlsMode::Require, None) => Verifier::new(None, false),
            (TlsMode::Require | TlsMode::VerifyCa, _) => Verifier::new(Some(self.web()?), false),
            (TlsMode::VerifyFull, _) => Verifier::new(Some(self.web()?), true),
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|_| InvalidSettings::RootCertificate)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(config)))
    }

    fn web(&self) -> Result<Arc<WebPkiServerVerifier>, InvalidSettings> {
        let roots = Arc::new(roots(self.root.as_deref())?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        verifier.map_err(|_| InvalidSettings::RootCertificate)
    }
}

/// Whether authorities can be read from that file; `system` is not looked at.
pub(crate) fn check_root(file: &Path) -> Result<(), InvalidSettings> {
    if is_system(file) { Ok(()) } else { roots(Some(file)).map(drop) }
}

fn is_system(file: &Path) -> bool {
    file == Path::new("system")
}

/// The authorities in that file, or those that the system trusts.
fn roots(file: Option<&Path>) -> Result<RootCertStore, InvalidSettings> {
    let mut roots = RootCertStore::empty();
    match file.filter(|file| !is_system(file)) {
        Some(file) => {
            let certificates = CertificateDer::pem_file_iter(file);
            for certificate in certificates.map_err(|_| InvalidSettings::RootCertificate)? {
                let certificate = certificate.map_err(|_| InvalidSettings::RootCertificate)?;
                roots.add(certificate).map_err(|_| InvalidSettings::RootCertificate)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() { Err(InvalidSettings::RootCertificate) } else { Ok(roots) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Checks as much as the mode asks for. Signatures are always checked: without that, encryption
/// would be with nobody in particular.
#[derive(Debug)]
struct Verifier {
    /// Knows the authorities; `None` where any certificate will do.
    web: Option<Arc<WebPkiServerVerifier>>,
    checks_host: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(web: Option<Arc<WebPkiServerVerifier>>, checks_host: bool) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self { web, checks_host, algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(web) = &self.web else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            web.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is the last thing that is looked at: all else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_host => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The address without the parameters that `take` takes: those behind `?` in a URL, else words.
fn without(
    address: &str,
    mut take: impl FnMut(&str, &str) -> Result<bool, InvalidSettings>,
) -> Result<String, InvalidSettings> {
    let (head, parameters, separator) = if address.contains("://") {
        match address.split_once('?') {
            Some((head, query)) => (Some(head), query, '&'),
            None => return Ok(address.to_owned()),
        }
    } else {
        (None, address, ' ')
    };
    let mut kept = Vec::new();
    for parameter in parameters.split(separator).filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !take(name, value)? {
            kept.push(parameter);
        }
    }
    let kept = kept.join(separator.encode_utf8(&mut [0; 4]));
    Ok(match head {
        Some(head) if kept.is_empty() => head.to_owned(),
        Some(head) => format!("{head}?{kept}"),
        None => kept,
    })
}

/// Undoes percent-encoding.
fn unescaped(text: &str) -> Result<String, InvalidSettings> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| InvalidSettings::Url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_tls_is_taken_out_of_the_address() {
        for (address, mode, root, rest) in [
            ("postgres://a@h/d", TlsMode::Prefer, None, "postgres://a@h/d"),
            ("postgres://a@h/d?sslmode=verify-full", TlsMode::VerifyFull, None, "postgres://a@h/d"),
            (
                "postgres://a@h/d?connect_timeout=3&sslrootcert=%2Fetc%2Froot.pem&sslmode=verify-ca",
                TlsMode::VerifyCa,
                Some("/etc/root.pem"),
                "postgres://a@h/d?connect_timeout=3",
            ),
            ("host=h user=a sslmode=disable", TlsMode::Disable, None, "host=h user=a"),
        ] {
            let (wish, kept) = TlsWish::of(address, None).unwrap();
            assert_eq!((wish.mode, wish.root), (mode, root.map(PathBuf::from)), "{address}");
            assert_eq!(kept, rest);
        }
    }

    #[test]
    fn a_mode_that_does_not_exist_is_refused() {
        for word in ["allow", "Require", "verify_full", ""] {
            let refused = TlsWish::of(&format!("postgres://a@h/d?sslmode={word}"), None);
            assert_eq!(refused, Err(InvalidSettings::TlsMode), "{word:?}");
        }
    }

    #[test]
    fn a_root_certificate_that_is_none_is_refused() {
        for file in ["/nowhere/root.pem", file!()] {
            let root = Some(Path::new(file));
            for mode in ["require", "verify-ca", "verify-full"] {
                let address = format!("postgres://a@h/d?sslmode={mode}");
                let (wish, _) = TlsWish::of(&address, root).unwrap();
                assert_eq!(wish.check_root(), Err(InvalidSettings::RootCertificate), "{file}");
                assert!(matches!(wish.connector(), Err(InvalidSettings::RootCertificate)));
            }
        }
    }

    #[test]
    fn a_root_certificate_that_nothing_is_checked_with_is_refused_in_an_address() {
        for (mode, verifies) in [
            ("", false),
            ("sslmode=disable", false),
            ("sslmode=prefer", false),
            ("sslmode=require", true),
            ("sslmode=verify-ca", true),
            ("sslmode=verify-full", true),
        ] {
            let own = TlsWish::of(&format!("postgres://a@h/d?sslrootcert=system&{mode}"), None);
            let refused = own.is_err_and(|error| error == InvalidSettings::IdleRootCertificate);
            assert_eq!(refused, !verifies, "{mode}");
            // Another way to the same database may need it.
            let shared = Some(Path::new("system"));
            let (wish, _) = TlsWish::of(&format!("postgres://a@h/d?{mode}"), shared).unwrap();
            assert_eq!(wish.verifies(), verifies, "{mode}");
        }
        let (wish, _) = TlsWish::of("postgres://a@h/d?sslmode=require", None).unwrap();
        assert!(!wish.verifies(), "there is nothing to check it with");
    }
}
