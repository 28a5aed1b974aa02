//! How the program ends: the exit codes that scripts rely on (design, section 6).

use std::io;

use faultline_record::RecordError;

/// How a command ended that did what it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It is done, whatever the verdicts.
    Done,
    /// Nothing could be read; what is wrong has been said.
    Nothing,
    /// Something could not be read; it has been named.
    Storage,
    /// Figures are worse than committed ones; which has been said.
    Worse,
    /// The user or a signal ended it.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Worse => 1,
            Self::Nothing => 3,
            Self::Storage => 4,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzerError {
    /// A bug, or this machine.
    #[error("failed to watch for signals: {0}")]
    Signals(io::Error),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Nothing(String),
    /// A database cannot be used.
    #[error(transparent)]
    Storage(#[from] RecordError),
    /// A file cannot be used; how has been said in words.
    #[cfg(feature = "engine")]
    #[error("{0}")]
    File(String),
    /// The engine cannot go on: a bug, or this machine.
    #[cfg(feature = "engine")]
    #[error("the query engine gave up: {0}")]
    Engine(String),
    /// A process of a cluster cannot do its part.
    #[cfg(feature = "cluster")]
    #[error("{0}")]
    Cluster(String),
    /// Standard output cannot be written.
    #[error("failed to write the output: {0}")]
    Output(#[from] io::Error),
}

impl AnalyzerError {
    /// The process's exit code. A reader that has seen enough, like `head`, is no error.
    pub fn code(&self) -> u8 {
        match self {
            Self::Output(_) if self.is_closed_pipe() => 0,
            Self::Signals(_) => 1,
            #[cfg(feature = "engine")]
            Self::Engine(_) => 1,
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => 1,
            Self::Usage(_) => 2,
            Self::Nothing(_) => 3,
            #[cfg(feature = "engine")]
            Self::File(_) => 4,
            Self::Storage(_) | Self::Output(_) => 4,
        }
    }

    /// Whether whoever read our output went away.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
