//! The built program from outside: usage, storage, and what it says where there is no network.

mod no_network;
mod storage;
mod support;
mod usage;
