//! `twilio-sim`: plays Twilio to the service.

mod command;
mod report;

use std::process::ExitCode;

use clap::Parser;
use twilio_sim::{DeliveryError, LocalTwilio};

use crate::command::{Command, Inbound, Serve, TwilioSim};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match TwilioSim::parse().command {
        Command::Inbound(inbound) => deliver(&inbound).await,
        Command::Serve(serve) => play(&serve).await,
    };
    outcome.unwrap_or_else(|error| report::failure(&error))
}

/// Plays until the process is ended: there is nothing to put in order.
async fn play(serve: &Serve) -> anyhow::Result<ExitCode> {
    let simulator = serve.start().await?;
    report::serving(&simulator.base_url(), serve.account_sid(), serve.has_local_token())?;
    std::future::pending().await
}

/// Success only where Twilio would be content with the answer.
async fn deliver(inbound: &Inbound) -> anyhow::Result<ExitCode> {
    let (url, text) = (inbound.url(), inbound.text());
    let twilio = LocalTwilio::builder(inbound.auth_token()).build()?;
    let request = twilio.request(&url, &text.fields());
    report::sending(&request, text.message_sid())?;
    match twilio.deliver(&request).await {
        Ok(answer) => {
            report::answer(&answer, &inbound.conversation_url())?;
            let success = answer.is_success();
            Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(DeliveryError::NotRunning(_)) => {
            report::not_running(&url)?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}
