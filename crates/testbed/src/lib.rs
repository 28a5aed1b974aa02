//! An internet of our own with a censor in it.
//!
//! One [`world::World`] is a handful of network namespaces joined by one user-space [`router`]: a client, its ISP, and
//! the rest of the world, with real daemons (nginx, unbound) in them. A [`scenario`] says what goes wrong and what the
//! truth is; the unmodified `probe` is run in the client's place and its words are compared with the [`truth`].
//!
//! Nothing here has a route out, and everything lives in namespaces that vanish with their first process
//! ([`sandbox`]). What is not here: any protocol code that the probe uses. The judge is made of other people's daemons.

pub mod certificates;
pub mod cli;
pub mod controls;
pub mod daemon;
pub mod doctor;
pub mod internet;
pub mod label;
pub mod measure;
pub mod netns;
pub mod round;
pub mod router;
pub mod sandbox;
pub mod scenario;
pub mod speed;
pub mod support;
pub mod truth;
pub mod vary;
pub mod world;
