//! A request for a tunnel through an HTTP proxy (RFC 9110 section 9.3.6) and what answers it. That a login is wanted (407) is a
//! proof of life. A refusal counts only where a proxy signs it: web servers refuse as well, and so do pages of censors.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::dialogue::{Answer, Dialogue, Turn};
use crate::http_head::{Head, Response};

/// Fields that proxies sign with: RFC 9110 section 7.6.3, and those that Squid and Apache's and Microsoft's proxies add.
const SIGNS: [&str; 6] = ["via", "proxy-agent", "proxy-connection", "x-squid-error", "x-cache", "proxy-status"];
/// Parts of the names that proxies give themselves.
const NAMES: [&str; 2] = ["proxy", "squid"];

/// The client's side.
#[derive(Clone, Debug)]
pub struct Client {
    authority: String,
}

impl Client {
    /// One that asks for a tunnel to this host.
    pub fn new(host: &str, port: u16) -> Self {
        Self { authority: format!("{host}:{port}") }
    }
}

impl Dialogue for Client {
    fn opening(&self) -> Vec<u8> {
        let authority = &self.authority;
        // As curl writes it, but for its name.
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Connection: Keep-Alive\r\n\r\n")
            .into_bytes()
    }

    fn hear(&mut self, heard: &[u8]) -> Turn {
        let response = match Head::read(heard) {
            Head::Response(response) => response,
            Head::More => return Turn::More,
            Head::Other => return Turn::Other,
        };
        match response.status {
            // A tunnel has no content: what has some is a page.
            200..=299 if response.body() == 0 && response.field("content-type").is_none() => {
                Turn::end(Answer::Accepted, response.length)
            }
            407 if response.field("proxy-authenticate").is_some() => Turn::end(Answer::WantsLogin, response.length),
            400.. if is_signed(&response) => Turn::end(Answer::Refused, response.length),
            _ => Turn::Other,
        }
    }
}

fn is_signed(response: &Response<'_>) -> bool {
    let by_name = |server: &str| NAMES.iter().any(|name| server.to_ascii_lowercase().contains(name));
    SIGNS.iter().any(|name| response.field(name).is_some()) || response.field("server").is_some_and(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::tests::every_truncation_is_waited_for;

    fn heard(text: &str) -> Turn {
        every_truncation_is_waited_for(&mut Client::new("example.com", 443), text.as_bytes())
    }

    #[test]
    fn the_opening_names_the_host_twice() {
        let opening = Client::new("example.com", 443).opening();
        let wanted =
            b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Connection: Keep-Alive\r\n\r\n";
        assert_eq!(opening, wanted);
    }

    #[test]
    fn a_tunnel_a_login_and_a_signed_refusal_are_answers() {
        for (text, answer) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Answer::Accepted),
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
                Answer::WantsLogin,
            ),
            ("HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n", Answer::Refused),
            ("HTTP/1.0 403 Access violation\r\nServer: tinyproxy/1.11.1\r\n\r\n", Answer::Refused),
            ("HTTP/1.1 503 No\r\nVia: 1.1 cache (squid/5.7)\r\n\r\n", Answer::Refused),
        ] {
            assert_eq!(heard(text), Turn::end(answer, text.len()), "{text}");
        }
    }

    #[test]
    fn a_page_a_redirect_and_a_web_server_s_refusal_are_none() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: http://block.example/\r\n\r\n",
            "HTTP/1.1 403 Forbidden\r\nServer: nginx\r\n\r\n",
            "HTTP/1.1 405 Not Allowed\r\nServer: nginx\r\n\r\n",
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        ] {
            assert_eq!(heard(text), Turn::Other, "{text}");
        }
    }
}
