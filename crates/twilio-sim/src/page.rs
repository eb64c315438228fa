//! The phone page. Its files are compiled in, so that it works without the Internet and without a
//! build step.

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

use crate::server::{Answer, Heard};

/// Everything comes from here, nothing is written into elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// One of the page's files.
pub(crate) struct File {
    path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const FILES: &[File] = &[
    File { path: "/", media_type: HTML, content: include_str!("../page/index.html") },
    File { path: "/page/style.css", media_type: CSS, content: include_str!("../page/style.css") },
    File {
        path: "/page/icon.svg",
        media_type: "image/svg+xml",
        content: include_str!("../page/icon.svg"),
    },
    File { path: "/page/main.js", media_type: JS, content: include_str!("../page/main.js") },
    File { path: "/page/backend.js", media_type: JS, content: include_str!("../page/backend.js") },
    File { path: "/page/dom.js", media_type: JS, content: include_str!("../page/dom.js") },
    File { path: "/page/live.js", media_type: JS, content: include_str!("../page/live.js") },
    File { path: "/page/people.js", media_type: JS, content: include_str!("../page/people.js") },
    File { path: "/page/network.js", media_type: JS, content: include_str!("../page/network.js") },
    File { path: "/page/bubbles.js", media_type: JS, content: include_str!("../page/bubbles.js") },
];

impl File {
    /// The file that is asked for; `None` where it is none of the page's.
    pub(crate) fn find(request: &Heard) -> Option<&'static Self> {
        FILES.iter().find(|file| request.method == "GET" && file.path == request.path)
    }

    pub(crate) fn answer(&self) -> Answer {
        let answer = Answer::new(200, HeaderValue::from_static(self.media_type), self.content);
        HEADERS.into_iter().fold(answer, |answer, (name, value)| {
            answer.with_header(name, HeaderValue::from_static(value))
        })
    }
}

const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // The next version of the program has other files.
    (CACHE_CONTROL, "no-store"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between quotes after `before`, wherever that stands.
    fn quoted_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap_or_default())
    }

    #[test]
    fn every_file_that_the_page_loads_is_there() {
        let mut loaded = 0;
        for File { path, content, .. } in FILES {
            let named = quoted_after(content, "src=\"").chain(quoted_after(content, "href=\""));
            let imported = quoted_after(content, "from \"./").map(|name| format!("page/{name}"));
            for file in named.map(str::to_owned).chain(imported) {
                let file = format!("/{}", file.trim_start_matches('/'));
                assert!(FILES.iter().any(|known| known.path == file), "{file} in {path}");
                loaded += 1;
            }
        }
        assert!(loaded >= FILES.len() - 1);
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for File { path, content, .. } in FILES {
            // The name of a namespace is no address.
            let content = content.replace("http://www.w3.org/2000/svg", "");
            assert!(!content.contains("://"), "{path}");
        }
    }
}
