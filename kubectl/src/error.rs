//! Why a command did not do what it was asked to, and what a shell is told of it.

use std::{io, process::ExitCode};

use crate::{connection, print, stdio};

/// What a shell reports of a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way to the cluster.
    #[error(transparent)]
    Connect(#[from] connection::Error),
    /// A request came to nothing.
    #[error("{}", .0.join("\n"))]
    Sentences(Vec<String>),
    /// The result has no text.
    #[error(transparent)]
    Print(#[from] print::Error),
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

impl From<Vec<String>> for Error {
    fn from(sentences: Vec<String>) -> Self {
        Self::Sentences(sentences)
    }
}

/// What the shell is told; the person is told why.
pub fn exit(result: Result<ExitCode, Error>) -> ExitCode {
    match result {
        Ok(code) => code,
        // Whoever read the output has gone.
        Err(Error::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            stdio::complain([error.to_string()]);
            ExitCode::FAILURE
        }
    }
}
