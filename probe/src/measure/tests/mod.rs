//! Whole measurements against servers of our own: loopback only.

mod dns;
mod http;
mod tls;
mod walk;
mod world;
