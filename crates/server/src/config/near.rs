//! Names that look like ours and are none: nobody else would tell of `TWILLIO_AUTH_TOKEN`.

use super::source::{FILE, NAMES};

/// Whoever begins so means us.
const OURS: [&str; 6] = ["TWILIO_", "MONITOR_", "SEND_", "TENANT_", "KEEP_", "SMS_FOUNDATION_"];
/// Shorter names are near to too much.
const SHORTEST: usize = 6;

/// What there is to say about these names of variables.
pub(super) fn warnings(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut warnings: Vec<_> = names.filter_map(|name| warning(&name)).collect();
    warnings.sort_unstable();
    warnings
}

fn warning(name: &str) -> Option<String> {
    if name == FILE || NAMES.contains(&name) {
        return None;
    }
    if let Some(meant) = meant(name).or_else(|| nearest(name, &[FILE])) {
        return Some(format!("{name} is no setting: is {meant} meant?"));
    }
    let begins = OURS.iter().any(|prefix| name.starts_with(prefix));
    (begins && !is_of_a_neighbour(name)).then(|| format!("{name} is no setting"))
}

/// Whether Kubernetes or Docker set it, so that another service is found: for one that is called `monitor`
/// these are `MONITOR_SERVICE_HOST`, `MONITOR_SERVICE_PORT_HTTP`, `MONITOR_PORT`, `MONITOR_PORT_80_TCP_ADDR`.
fn is_of_a_neighbour(name: &str) -> bool {
    let has_number = |(_, rest): (&str, &str)| rest.starts_with(|c: char| c.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.split_once("_PORT_").is_some_and(has_number)
}

/// The setting whose name is nearest, where it is near.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    nearest(name, NAMES)
}

fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = plain(name);
    if plain.len() < SHORTEST {
        return None;
    }
    let distance = |ours: &str| strsim::damerau_levenshtein(&plain, &self::plain(ours));
    let (distance, ours) = known.iter().map(|ours| (distance(ours), *ours)).min()?;
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
            ("DATABASEURL", "DATABASE_URL"),
            ("PUBLIC_BASE_URI", "PUBLIC_BASE_URL"),
            ("SEND_EXPIRE", "SEND_EXPIRY"),
            // These look like what is set for a neighbour.
            ("DATABASE_TCP_USER_TIMOUT", "DATABASE_TCP_USER_TIMEOUT"),
            ("DATABSE_TCP_USER_TIMEOUT", "DATABASE_TCP_USER_TIMEOUT"),
            ("OTEL_SERVICE_NAMES", "OTEL_SERVICE_NAME"),
            ("OTL_SERVICE_NAME", "OTEL_SERVICE_NAME"),
            ("SMS_FOUNDATION_CONFIGS", "SMS_FOUNDATION_CONFIG"),
            ("SMS_FOUNDATION_CONFG", "SMS_FOUNDATION_CONFIG"),
            ("SMS_FOUNDATIONS_CONFIG", "SMS_FOUNDATION_CONFIG"),
        ] {
            let said = warning(name).unwrap_or_default();
            assert_eq!(said, format!("{name} is no setting: is {ours} meant?"));
        }
    }

    #[test]
    fn what_begins_as_ours_is_told_also_where_nobody_knows_what_is_meant() {
        for name in ["TWILIO_REGION", "MONITOR_URL_API", "SEND_PORTION", "MONITOR_PORT_NAME"] {
            assert_eq!(warning(name), Some(format!("{name} is no setting")));
        }
    }

    #[test]
    fn what_is_ours_or_nobodys_business_is_not_told() {
        for name in [
            "PORT",
            "TWILIO_AUTH_TOKEN",
            "DATABASE_TCP_USER_TIMEOUT",
            "OTEL_SERVICE_NAME",
            "SMS_FOUNDATION_CONFIG",
            "HOSTNAME",
            "PATH",
            "MONITOR_SERVICE_HOST",
            "MONITOR_SERVICE_PORT",
            "MONITOR_SERVICE_PORT_HTTP",
            "MONITOR_PORT",
            "MONITOR_PORT_80_TCP",
            "MONITOR_PORT_80_TCP_ADDR",
            "MONITOR_PORT_80_TCP_PROTO",
            "MONITOR_API_PORT",
            "SMS_FOUNDATION_PORT_8080_TCP_PORT",
            "SMS_FOUNDATION_SERVICE_PORT",
            "OTEL_RESOURCE_ATTRIBUTES",
            "KUBERNETES_SERVICE_HOST",
            "PGPASSWORD",
            "RUST_BACKTRACE",
        ] {
            assert_eq!(warning(name), None, "{name}");
        }
    }
}
