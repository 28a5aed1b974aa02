//! Ctrl-C and SIGTERM: the first ends the work at the next measurement, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::{AnalyzerError, Exit};

/// Whether a signal came.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches from now on.
    pub fn install() -> Result<Self, AnalyzerError> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let second = i32::from(Exit::Interrupted.code());
            flag::register_conditional_shutdown(signal, second, Arc::clone(&came)).map_err(AnalyzerError::Signals)?;
            flag::register(signal, Arc::clone(&came)).map_err(AnalyzerError::Signals)?;
        }
        Ok(Self(came))
    }

    /// Ends when it is time to end.
    #[cfg(feature = "cluster")]
    pub async fn wait(&self) {
        while !self.came() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Whether it is time to end.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
