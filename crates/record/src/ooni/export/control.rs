//! What a helper saw, as Web Connectivity's `control` (ts-017).

use serde_json::{Map, Value, json};

use crate::model::{Observation, Purpose, StepData};

use super::failure;

/// The control, and why there is none where a helper was asked and did not answer.
pub(super) fn of(rows: &[Observation]) -> (Value, Option<String>) {
    let rows: Vec<&Observation> =
        rows.iter().filter(|row| row.purpose == Purpose::Helper && row.outcome.not_run().is_none()).collect();
    let Some(first) = rows.first() else { return (Value::Null, None) };
    // The first row is the errand itself: a request to the helper.
    if let (StepData::Http(_), Some(failed)) = (&first.data, failure(first.outcome)) {
        return (Value::Null, Some(failed));
    }
    let (mut dns, mut dials, mut shakes, mut page) = (Value::Null, Map::new(), Map::new(), Value::Null);
    for row in rows.iter().skip(usize::from(matches!(first.data, StepData::Http(_)))) {
        let socket = row.address.zip(row.port).map(|(ip, port)| std::net::SocketAddr::new(ip, port).to_string());
        let failed = failure(row.outcome);
        match (&row.data, socket) {
            (StepData::Dns(seen), _) => {
                let known = dns["addrs"].as_array().cloned().unwrap_or_default();
                let given = seen.addresses().map(|ip| Value::from(ip.to_string()));
                let all: Vec<Value> = known.into_iter().chain(given).collect();
                let failed = failed.filter(|_| all.is_empty());
                dns = json!({"failure": failed, "addrs": all});
            }
            (StepData::Tcp, Some(socket)) => {
                dials.insert(socket, json!({"status": row.outcome.is_ok(), "failure": failed}));
            }
            (StepData::Tls(tls), Some(socket)) => {
                let name = tls.sni.as_deref().unwrap_or("");
                shakes.insert(socket, json!({"server_name": name, "status": row.outcome.is_ok(), "failure": failed}));
            }
            (StepData::Http(http), _) if page.is_null() => {
                let headers: Map<String, Value> =
                    http.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
                page = json!({"body_length": http.body_length, "failure": failed, "title": http.title.as_deref().unwrap_or(""),
                              "headers": headers, "status_code": http.status});
            }
            _ => {}
        }
    }
    (json!({"dns": dns, "tcp_connect": dials, "tls_handshake": shakes, "http_request": page}), None)
}
