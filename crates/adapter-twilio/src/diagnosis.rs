//! Why a signature does not fit: what an operator should look at. For the log only; whatever is
//! found here, the request stays outside.

use domain::ports::{RawWebhook, SignatureMistake};

use crate::form::Form;
use crate::gate::header;
use crate::public_url::{PublicUrl, PublicUrls};
use crate::signature::{Fields, Key, Payload, Signature, verify_exactly};

/// The most bytes of a body that are worth it: what Twilio sends is far smaller.
const LARGEST_BODY: usize = 64 * 1024;
/// The most signatures to compute for one request.
const MOST_TRIES: u32 = 20;

/// A request whose signature fits none of the URLs that it should.
pub(crate) struct Suspect<'a> {
    pub(crate) request: &'a RawWebhook<'a>,
    pub(crate) payload: &'a Payload<'a>,
    /// The fields, where the payload is a form.
    pub(crate) form: Option<&'a Form<'a>>,
    pub(crate) signature: Signature,
    pub(crate) keys: &'a [Key],
    pub(crate) public_urls: &'a PublicUrls,
}

impl Suspect<'_> {
    /// The first mistake that explains the signature. Only the canonical base URL is looked at.
    pub(crate) fn likely_mistake(&self) -> SignatureMistake {
        if self.request.body.len() > LARGEST_BODY {
            return SignatureMistake::Unexplained;
        }
        let mut tries = MOST_TRIES;
        let found =
            self.other_urls().into_iter().find(|(_, url)| self.fits(url, self.payload, &mut tries));
        match found {
            Some((mistake, _)) => mistake,
            None if self.fits_trimmed(&mut tries) => SignatureMistake::TrimmedValues,
            None => SignatureMistake::Unexplained,
        }
    }

    fn fits(&self, url: &str, payload: &Payload<'_>, tries: &mut u32) -> bool {
        self.keys.iter().any(|key| {
            let Some(left) = tries.checked_sub(1) else {
                return false;
            };
            *tries = left;
            verify_exactly(url, payload, &self.signature, key)
        })
    }

    fn fits_trimmed(&self, tries: &mut u32) -> bool {
        let Some(form) = self.form else {
            return false;
        };
        let fields = form.fields().iter();
        let trimmed: Fields<'_> =
            fields.map(|field| (&*field.name, field.value.trim_ascii())).collect();
        let url = self.base().candidates(self.request.target);
        let url = url.first().map_or("", String::as_str);
        self.fits(url, &Payload::Form(trimmed), tries)
    }

    /// What Twilio may have called instead, in the order of likelihood.
    fn other_urls(&self) -> Vec<(SignatureMistake, String)> {
        let mut urls = Vec::new();
        let mut add = |mistake, urls_of_mistake: Vec<String>| {
            urls.extend(urls_of_mistake.into_iter().map(|url| (mistake, url)));
        };
        add(SignatureMistake::Scheme, self.with_other_schemes());
        add(SignatureMistake::Host, self.with_hosts_of_the_request());
        add(SignatureMistake::Port, self.with_ports_of_the_request());
        add(SignatureMistake::Path, self.with_other_paths());
        add(SignatureMistake::Query, self.without_query());
        urls
    }

    fn with_other_schemes(&self) -> Vec<String> {
        let other = self.base().with_other_scheme();
        let mut urls = other.candidates(self.request.target);
        // `http://h:8080` for `https://h`: with the scheme goes the port.
        urls.extend(other.without_port().candidates(self.request.target));
        urls.dedup();
        urls
    }

    fn with_hosts_of_the_request(&self) -> Vec<String> {
        let forwarded = first_of_list(self.request, "x-forwarded-proto");
        let schemes = match forwarded {
            Some(scheme) => vec![scheme],
            None => vec!["https", "http"],
        };
        let elsewhere = self.authorities().into_iter();
        elsewhere
            .filter(|authority| !self.base().is_host_of(authority))
            .map(|authority| self.base().with_authority(authority))
            .flat_map(|base| schemes.iter().map(move |scheme| base.with_scheme(scheme)))
            .flat_map(|base| base.candidates(self.request.target))
            .collect()
    }

    fn with_ports_of_the_request(&self) -> Vec<String> {
        let authorities = self.authorities().into_iter();
        authorities
            .filter(|authority| self.base().is_host_of(authority))
            .map(|authority| self.base().with_authority(authority))
            .flat_map(|base| base.candidates(self.request.target))
            .collect()
    }

    fn with_other_paths(&self) -> Vec<String> {
        let (base, target) = (self.base(), self.request.target);
        let shorter = base.without_prefix(target).unwrap_or(target);
        let mut urls = base.candidates(&with_slash_toggled(target));
        urls.push(base.at_root(shorter));
        urls
    }

    fn without_query(&self) -> Vec<String> {
        let cut = self.request.target.split_once('?');
        cut.map_or_else(Vec::new, |(path, _)| self.base().candidates(path))
    }

    /// The hosts, with port, that the request names. Anybody can set these headers.
    fn authorities(&self) -> Vec<&str> {
        let mut authorities: Vec<&str> = ["x-forwarded-host", "host"]
            .into_iter()
            .filter_map(|name| first_of_list(self.request, name))
            .collect();
        authorities.dedup();
        authorities
    }

    fn base(&self) -> &PublicUrl {
        self.public_urls.canonical_url()
    }
}

fn with_slash_toggled(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    match path.strip_suffix('/') {
        Some(path) => format!("{path}{query}"),
        None => format!("{path}/{query}"),
    }
}

/// The first entry of a header that proxies append to.
fn first_of_list<'a>(request: &RawWebhook<'a>, name: &str) -> Option<&'a str> {
    let value = std::str::from_utf8(header(request, name).next()?).ok()?;
    let first = value.split(',').next()?.trim();
    (!first.is_empty()).then_some(first)
}
