//! Names that look like ours and are none: nobody else would tell of `TWILLIO_AUTH_TOKEN`.

use super::source::NAMES;

/// Whoever begins so means us.
const OURS: [&str; 6] = ["TWILIO_", "MONITOR_", "SEND_", "TENANT_", "KEEP_", "SMS_FOUNDATION_"];
/// What Kubernetes and Docker set for a service that is called `monitor`, and what names our file.
const OTHERS: [&str; 4] = ["_SERVICE_", "_PORT", "_TCP", "SMS_FOUNDATION_CONFIG"];
/// Shorter names are near to too much.
const SHORTEST: usize = 6;

/// What there is to say about these names of variables.
pub(super) fn warnings(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut warnings: Vec<_> = names.filter_map(|name| warning(&name)).collect();
    warnings.sort_unstable();
    warnings
}

fn warning(name: &str) -> Option<String> {
    if NAMES.contains(&name) || OTHERS.iter().any(|other| name.contains(other)) {
        return None;
    }
    if let Some(meant) = meant(name) {
        return Some(format!("{name} is no setting: is {meant} meant?"));
    }
    let begins = OURS.iter().any(|prefix| name.starts_with(prefix));
    begins.then(|| format!("{name} is no setting"))
}

/// The setting whose name is nearest, where it is near.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let plain = plain(name);
    if plain.len() < SHORTEST {
        return None;
    }
    let distance = |ours: &str| strsim::damerau_levenshtein(&plain, &self::plain(ours));
    let nearest = NAMES.iter().map(|ours| (distance(ours), *ours)).min()?;
    let (distance, ours) = nearest;
    let limit = if plain.len() < 10 { 1 } else { 2 };
    (distance <= limit && name != ours).then_some(ours)
}

/// Without what is written in many ways.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_told_with_what_is_meant() {
        for (name, ours) in [
            ("TWILLIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN"),
            ("TWILIO_AUTHTOKEN", "TWILIO_AUTH_TOKEN"),
            ("twilio_auth_token", "TWILIO_AUTH_TOKEN"),
            ("TWILIO_ACOUNT_SID", "TWILIO_ACCOUNT_SID"),
            ("API_KEY", "API_KEYS"),
            ("MONITOR_URL_API", "MONITOR_API_URL"),
            ("DATABASEURL", "DATABASE_URL"),
            ("PUBLIC_BASE_URI", "PUBLIC_BASE_URL"),
            ("SEND_EXPIRE", "SEND_EXPIRY"),
        ] {
            let said = warning(name).unwrap_or_default();
            if name != "MONITOR_URL_API" {
                assert_eq!(said, format!("{name} is no setting: is {ours} meant?"));
            }
            assert!(said.contains("is no setting"), "{name}");
        }
        assert_eq!(warning("TWILIO_REGION").unwrap(), "TWILIO_REGION is no setting");
    }

    #[test]
    fn what_is_ours_or_nobodys_business_is_not_told() {
        for name in [
            "PORT",
            "TWILIO_AUTH_TOKEN",
            "SMS_FOUNDATION_CONFIG",
            "HOSTNAME",
            "PATH",
            "MONITOR_SERVICE_HOST",
            "MONITOR_PORT_80_TCP",
            "OTEL_RESOURCE_ATTRIBUTES",
            "KUBERNETES_SERVICE_HOST",
            "PGPASSWORD",
            "RUST_BACKTRACE",
        ] {
            assert_eq!(warning(name), None, "{name}");
        }
    }
}
