//! The built program from outside: usage, storage, and what it says where there is no network.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a mistake of its own may panic")]

mod import;
mod no_network;
mod storage;
mod support;
mod terminal;
mod usage;
