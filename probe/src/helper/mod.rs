//! The helper outside: tries a target from where nobody interferes, in the same minute as the vantage, by the same
//! drivers. From one place a dead address and a blocked one look alike; the helper's word is the control that tells
//! them apart.
//!
//! `message` is what goes over the wire (`faultline/helper/1`), `answer` makes it from observations, `server` is
//! `probe helper serve`, `client` asks. What the client does with an answer is `measure`'s, what it is worth the rules'.

mod answer;
pub mod client;
#[cfg(fuzzing)]
pub mod fuzz;
mod guard;
pub mod message;
pub mod server;

pub use client::HelperClient;
pub use server::{Server, ServerOptions};
