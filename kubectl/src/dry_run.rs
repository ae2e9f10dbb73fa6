//! `--dry-run`.

use clap::ValueEnum;

/// Kind of dry run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// No dry run.
    #[default]
    None,
    /// The object is printed; it is not sent to the API server.
    Client,
    /// The API server validates the object and applies defaults, without persisting it.
    Server,
}

impl DryRun {
    /// Whether nothing is persisted.
    pub fn is_dry(self) -> bool {
        self != Self::None
    }

    /// The end of a message, as kubectl writes it.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

/// The option of commands that change units.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct DryRunArgs {
    /// Must be "none", "server" or "client". If client, only print the object; if server, submit the request without
    /// persisting it. Without a value: "client"
    #[arg(
        long,
        value_name = "none|client|server",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        default_value = "none",
        value_enum,
        hide_possible_values = true,
        hide_default_value = true,
    )]
    pub dry_run: DryRun,
}
