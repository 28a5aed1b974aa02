//! Lists of targets: the embedded ones and the user's files, parsed once into targets, before a packet leaves.

pub mod category;
pub mod controls;
pub mod csv_list;
pub mod embedded;
pub mod problem;
pub mod providers;
pub mod select;
pub mod service;
mod source;

use std::collections::HashMap;

use faultline_record::{Availability, Endpoint, Target};
use faultline_verdict::service::{Service, ServiceEndpoint};

use csv_list::CsvRow;

pub use category::{Categories, CategoryChoice};
pub use controls::Controls;
pub use problem::{ListErrors, ListProblem};
pub use select::{Selection, select};
pub(crate) use source::read_file;
pub use source::{ListSource, LoadedList, VPN_NAME as VPN_LIST, load_all};

/// What the embedded service files know about endpoints: an input that is one of them takes its name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    known: HashMap<Endpoint, Target>,
}

impl Catalog {
    /// The catalogue of the embedded service files.
    pub fn embedded() -> Result<Self, ListErrors> {
        let mut known = HashMap::new();
        for (list, files) in [(source::SERVICES_NAME, embedded::SERVICES), (source::VPN_NAME, embedded::VPN)] {
            for (file, text) in files {
                let service = service::parse(file, text.as_bytes()).map_err(ListErrors)?;
                for target in service_targets(&service, list) {
                    known.entry(target.endpoint.clone()).or_insert(target);
                }
            }
        }
        Ok(Self { known })
    }

    /// The target of an input: a service's endpoint by the service's name, anything else by its host.
    pub fn target(&self, input: &str, endpoint: Endpoint, category: Option<String>, list: Option<&str>) -> Target {
        let known = self.known.get(&endpoint);
        Target {
            input: input.to_owned(),
            name: known.map_or_else(|| faultline_record::endpoint_name(&endpoint), |target| target.name.clone()),
            category: category.or_else(|| known.and_then(|target| target.category.clone())),
            list: list.map(str::to_owned),
            availability: known.map_or(Availability::Unknown, |target| target.availability),
            private_ca: known.is_some_and(|target| target.private_ca),
            endpoint,
        }
    }

    fn row(&self, row: CsvRow, list: &str) -> Target {
        self.target(&row.input, row.endpoint, row.category, Some(list))
    }
}

fn service_targets(service: &Service, list: &str) -> Vec<Target> {
    let target = |endpoint: &ServiceEndpoint| Target {
        input: endpoint.input.clone(),
        name: service.target_name(&endpoint.role),
        endpoint: endpoint.endpoint.clone(),
        category: service.category.clone(),
        list: Some(list.to_owned()),
        availability: service.availability_of(&endpoint.role),
        private_ca: endpoint.private_ca,
    };
    service.endpoints.iter().map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(input: &str) -> Target {
        Catalog::embedded().unwrap().target(input, Endpoint::parse(input).unwrap(), None, None)
    }

    #[test]
    fn a_services_endpoint_keeps_the_services_name_whoever_gives_it() {
        for input in ["https://x.com/", "x.com", "HTTPS://X.com"] {
            let target = named(input);
            assert_eq!((target.name.as_str(), target.availability), ("x/web", Availability::High), "{input}");
            assert_eq!(target.input, input);
        }
    }

    #[test]
    fn anything_else_is_named_by_its_host() {
        let target = named("https://example.org/");
        assert_eq!((target.name.as_str(), target.availability), ("example.org", Availability::Unknown));
    }
}
