//! `sms-foundation doctor`: says in plain words what is wrong, and how to mend it. Reads settings,
//! database and Twilio's side, and changes nothing.

mod facts;
mod findings;

use std::process::ExitCode;

use crate::config::Settings;

use facts::Facts;
use findings::{Finding, Kind, check};

/// Looks at everything and tells. Success where all is well.
pub(crate) async fn run(settings: &Settings) -> ExitCode {
    let facts = Box::pin(Facts::gather(settings)).await;
    let findings = check(&facts);
    for finding in &findings {
        say(&shown(finding));
    }
    let wrong = findings.iter().filter(|finding| finding.kind == Kind::Wrong).count();
    say(&format!("looked at: {}", facts.looked_at().join(", ")));
    match wrong {
        0 => {
            say("all is well");
            ExitCode::SUCCESS
        }
        1 => {
            say("one thing is wrong");
            ExitCode::FAILURE
        }
        more => {
            say(&format!("{more} things are wrong"));
            ExitCode::FAILURE
        }
    }
}

fn shown(finding: &Finding) -> String {
    let kind = match finding.kind {
        Kind::Wrong => "wrong",
        Kind::Note => "note ",
    };
    format!("{kind}  {}\n       {}", finding.what, finding.mend)
}

#[expect(clippy::print_stdout, reason = "a command that answers")]
fn say(text: &str) {
    println!("{text}");
}
