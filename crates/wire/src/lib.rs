//! Codecs and handshake machines: bytes in, meaning out.
//!
//! No socket, no clock, no randomness, no dependency: `no_std` with `alloc` is the guard.

#![no_std]

pub mod tls;
