//! How the program ends: the exit codes that scripts rely on (design, section 6).

use faultline_record::RecordError;

use crate::lists::ListErrors;

/// How a command ended that did what it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It is done, whatever the verdicts.
    Done,
    /// Nothing could be measured; what is wrong has been said.
    Nothing,
    /// Some measurements could not be stored; they have been printed.
    Unsaved,
    /// The user or a signal ended it; what was measured is kept.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Nothing => 3,
            Self::Unsaved => 4,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A bug, or this machine.
    #[error("{0}")]
    Internal(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A list is wrong.
    #[error("{0}")]
    Lists(#[from] ListErrors),
    /// There is nothing to read or to measure.
    #[error("{0}")]
    Nothing(String),
    /// The database cannot be used.
    #[error(transparent)]
    Storage(#[from] RecordError),
}

impl ProbeError {
    /// The process's exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::Usage(_) | Self::Lists(_) => 2,
            Self::Nothing(_) | Self::Storage(RecordError::NotFound { .. }) => 3,
            Self::Storage(_) => 4,
        }
    }

    /// An embedded file that does not parse is a bug of ours.
    pub fn embedded(error: &toml::de::Error) -> Self {
        Self::Internal(format!("failed to read an embedded list: {error}"))
    }
}
