//! `twilio-sim`: plays Twilio to the service.

mod command;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;
use tokio_util::sync::CancellationToken;
use twilio_sim::{DeliveryError, LocalTwilio, verify};

use crate::command::{Command, Inbound, LoadTest, Serve, TwilioSim};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match TwilioSim::parse().command {
        Command::Inbound(inbound) => deliver(&inbound).await,
        Command::Serve(serve) => play(&serve).await,
        Command::Run(command) => run::run(&command).await,
        Command::Load(load) => press(&load).await,
        Command::Guarded(guarded) => run::become_guarded(&guarded),
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

/// Success only where every text was acknowledged and, if that is asked for, is there.
async fn press(test: &LoadTest) -> anyhow::Result<ExitCode> {
    let load = test.load()?;
    report::loading(&load)?;
    let stop = CancellationToken::new();
    let on_interrupt = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt.cancel();
        }
    });
    let loaded = load.run(stop).await?;
    report::load(&loaded)?;
    let mut success = loaded.is_clean();
    if test.verifies() {
        let verification = verify(test.base_url(), test.api_key().as_ref(), &loaded).await?;
        report::verification(&verification)?;
        success &= verification.is_clean();
    }
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
