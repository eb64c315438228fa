//! Connections that are encrypted, to a server with a certificate of its own.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use adapter_postgres::{PgSettings, PgStore};
use domain::ports::{MessageStore, StoreError};
use pg_cluster::{Cluster, Durability};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::runtime::Handle;

/// A server that is called `localhost`, not 127.0.0.1, by an authority; and another authority.
struct Secured {
    cluster: Cluster,
    folder: TempDir,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Secured {
    fn start() -> Self {
        let (right, wrong) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &right).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("right.pem"), right.pem()).unwrap();
        fs::write(folder.path().join("wrong.pem"), wrong.pem()).unwrap();
        let cluster = Cluster::builder(Durability::Fast)
            .tls(certificate.pem(), key.serialize_pem())
            .start()
            .unwrap();
        Self { cluster, folder }
    }

    fn root(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Connects as `host` and says whether that was encrypted, or why there is no connection.
    async fn connect(&self, host: &str, mode: &str, root: Option<&str>) -> Result<bool, String> {
        let url = self.cluster.url().replace("127.0.0.1", host);
        let mut settings = PgSettings::new(format!("{url}?sslmode={mode}"));
        settings.root_certificate = root.map(|name| self.root(name));
        let store =
            PgStore::new(&settings, Handle::current()).map_err(|error| error.to_string())?;
        store.check().await.map_err(|error| match &error {
            StoreError::Unavailable(cause) | StoreError::Rejected(cause) => cause.to_string(),
        })?;
        let (client, connection) =
            tokio_postgres::connect(&self.cluster.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let ours = "select ssl from pg_stat_ssl join pg_stat_activity using (pid)
                    where application_name = 'sms-foundation'";
        Ok(client.query_one(ours, &[]).await.unwrap().get(0))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mode_checks_what_libpq_checks() {
    let server = Secured::start();
    adapter_postgres::migrate(&PgSettings::new(server.cluster.url())).await.unwrap();
    let (right, wrong) = (Some("right.pem"), Some("wrong.pem"));
    for (host, mode, root, encrypted) in [
        ("127.0.0.1", "disable", None, false),
        ("127.0.0.1", "prefer", None, true),
        ("127.0.0.1", "prefer", wrong, true),
        ("127.0.0.1", "require", None, true),
        ("127.0.0.1", "require", right, true),
        ("127.0.0.1", "verify-ca", right, true),
        ("localhost", "verify-ca", right, true),
        ("localhost", "verify-full", right, true),
    ] {
        let connected = server.connect(host, mode, root).await;
        assert_eq!(connected, Ok(encrypted), "{host} {mode} {root:?}");
    }
    for (host, mode, root) in [
        ("localhost", "require", wrong),
        ("localhost", "verify-ca", wrong),
        ("localhost", "verify-full", wrong),
        // The right authority vouches for another name.
        ("127.0.0.1", "verify-full", right),
        // The authorities of the system do not know it.
        ("localhost", "verify-full", None),
    ] {
        let refused = server.connect(host, mode, root).await;
        assert!(refused.is_err(), "{host} {mode} {root:?}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_encrypt_is_not_talked_to_where_it_must() {
    let cluster = Cluster::start(Durability::Fast).unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let settings = PgSettings::new(format!("{}?sslmode={mode}", cluster.url()));
        let Ok(store) = PgStore::new(&settings, Handle::current()) else {
            // A system without any authority.
            assert_ne!(mode, "require");
            continue;
        };
        let error = store.check().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{mode}");
        assert!(error.source().unwrap().to_string().contains("TLS"), "{mode}: {error:?}");
    }
    let settings = PgSettings::new(format!("{}?sslmode=prefer", cluster.url()));
    adapter_postgres::migrate(&settings).await.unwrap();
    PgStore::new(&settings, Handle::current()).unwrap().check().await.unwrap();
}
