//! Tenants, as the Collections Monitor names them.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The id of a tenant: 1 to 64 letters, digits, `-` and `_`. Real ones are UUIDs, big integers and
/// short strings, so it is text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantId(String);

/// The text cannot be the id of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to 64 letters, digits, '-' or '_'")]
pub struct InvalidTenantId;

impl TenantId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`InvalidTenantId`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidTenantId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned())).ok_or(InvalidTenantId)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The lane of jobs that change what is kept of the tenant elsewhere: one after the other.
    #[must_use]
    pub fn lane(&self) -> Uuid {
        let hash: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        hash.first_chunk().map_or(Uuid::nil(), |half| Uuid::from_bytes(*half))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_deployment_are_accepted() {
        for id in ["0195f2a0-7c1e-7000-8000-000000000001", "9007199254740993", "T_12"] {
            assert_eq!(TenantId::parse(id).unwrap().as_str(), id);
        }
        for odd in ["", "a b", "../x", &"1".repeat(65)] {
            assert_eq!(TenantId::parse(odd), Err(InvalidTenantId));
        }
    }
}
