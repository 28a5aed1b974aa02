//! Service files, as lists: what is wrong with one is reported as with any other list.

use faultline_verdict::service::{self, Service, ServiceProblem};

use super::problem::ListProblem;

/// Parses a service file; everything wrong with it is a problem.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Service, Vec<ListProblem>> {
    let of = |ServiceProblem { file, line, reason }: ServiceProblem| ListProblem { file, line, reason };
    service::parse(file, bytes).map_err(|problems| problems.into_iter().map(of).collect())
}
