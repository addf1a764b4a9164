//! Structured logs, on standard error. Standard output has the output of commands.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::settings::{LogFormat, Settings};

/// Starts logging.
pub fn start(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let registry = tracing_subscriber::registry().with(filter(&settings.log_level)?);
    // A log line that cannot be written is lost. To report that on the same closed output would panic.
    let layer = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    match settings.log_format {
        LogFormat::Pretty => {
            registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init()?;
        }
        LogFormat::Json => registry.with(layer.json()).try_init()?,
    }
    Ok(())
}

/// Parses `LOG_LEVEL`. A single word must be a level: `EnvFilter` would read an unknown word as the name of a crate, and
/// log nothing.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let refuse = |why: String| {
        format!(
            "LOG_LEVEL {text:?} is invalid: {why}; write a level, or directives such as info,multitenancy_core=debug"
        )
    };
    for word in text.split(',').filter(|directive| !directive.contains(['=', '[', ']', '{', '}'])) {
        if word.is_empty() || word.parse::<LevelFilter>().is_err() {
            return Err(refuse(format!("{word:?} is not one of off, error, warn, info, debug, trace")));
        }
    }
    EnvFilter::try_new(text).map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_accepts_levels_and_directives() {
        for right in ["info", "WARN", "off", "info,multitenancy_core=debug", "a[span]=trace"] {
            assert!(filter(right).is_ok(), "{right}");
        }
        for wrong in ["nope", "", "info,", "debug,nope", "multitenancy_core=nope", "infos", "info;debug"] {
            let error = filter(wrong).unwrap_err();
            assert!(error.starts_with(&format!("LOG_LEVEL {wrong:?}")), "{error}");
        }
    }
}
