//! Whole measurements against servers of our own: loopback only.

mod dns;
mod doh;
mod http;
mod tls;
mod walk;
mod world;
