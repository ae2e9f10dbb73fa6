//! Errors of commands, and exit codes.

use std::{io, process::ExitCode};

use crate::{connection, jsonpath, stdio};

/// Exit code after Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Error that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client cannot be created.
    #[error(transparent)]
    Connect(#[from] connection::Error),
    /// A request failed.
    #[error("{}", .0.join("\n"))]
    Messages(Vec<String>),
    /// The result cannot be serialized.
    #[error("{0}")]
    Print(String),
    /// A path or a template does not fit the result.
    #[error(transparent)]
    Template(#[from] jsonpath::Error),
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

impl Error {
    /// An error with one message.
    pub fn message(message: impl Into<String>) -> Self {
        Self::Messages(vec![message.into()])
    }
}

impl From<Vec<String>> for Error {
    fn from(messages: Vec<String>) -> Self {
        Self::Messages(messages)
    }
}

/// Writes the error, and returns the exit code.
pub fn exit(result: Result<ExitCode, Error>) -> ExitCode {
    match result {
        Ok(code) => code,
        // The reader of the output has closed the pipe.
        Err(Error::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            stdio::write_errors([error.to_string()]);
            ExitCode::FAILURE
        }
    }
}
