//! Stable names of targets that no service file knows.

use url::Url;

use super::endpoint::Endpoint;

/// The host, with its port where that is odd and its path where there is one.
pub fn endpoint_name(endpoint: &Endpoint) -> String {
    let (host, port) = endpoint.host_and_port();
    match endpoint {
        Endpoint::Web(url) => format!("{}{}", web_authority(url), web_path(url)),
        Endpoint::Tls { .. } if port == 443 => host.to_string(),
        Endpoint::Tcp { .. } | Endpoint::Tls { .. } => format!("{host}:{port}"),
        Endpoint::Quic { .. } if port == 443 => format!("quic:{host}"),
        Endpoint::Quic { .. } => format!("quic:{host}:{port}"),
        Endpoint::Vpn { protocol, .. } => format!("{protocol}:{host}:{port}"),
        Endpoint::Dns { name, .. } => format!("{name}@{host}"),
        Endpoint::Foreign(url) => format!("{host}{}", web_path(url)),
    }
}

fn web_authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn web_path(url: &Url) -> String {
    let path = if url.path() == "/" { "" } else { url.path() };
    url.query().map_or_else(|| path.to_owned(), |query| format!("{}?{query}", if path.is_empty() { "/" } else { path }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_host_with_what_is_odd_about_it() {
        for (input, name) in [
            ("https://dawn.com/", "dawn.com"),
            ("http://dawn.com/", "dawn.com"),
            ("https://dawn.com:8443/", "dawn.com:8443"),
            ("https://dawn.com/news", "dawn.com/news"),
            ("https://dawn.com/?q=1", "dawn.com/?q=1"),
            ("tls://example.org:443", "example.org"),
            ("tls://example.org:853", "example.org:853"),
            ("quic://example.org:443", "quic:example.org"),
            ("tcp://192.0.2.1:443", "192.0.2.1:443"),
            ("dns://9.9.9.9/x.com", "x.com@9.9.9.9"),
        ] {
            assert_eq!(endpoint_name(&Endpoint::parse(input).unwrap()), name);
        }
    }
}
