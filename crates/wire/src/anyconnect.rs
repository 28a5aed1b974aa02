//! AnyConnect, inside TLS: the first request of a client and the form that answers it
//! (draft-mavrogiannopoulos-openconnect, section 2.1). The form is not filled in. What DTLS would carry is silent before a
//! login, and is not asked.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::dialogue::{Answer, Dialogue, Turn};
use crate::http_head::{Head, Response};

/// The name that clients of the free kind give themselves; some servers want one that they know.
const AGENT: &str = "Open AnyConnect VPN Agent v9.01";
/// Octets of a form that are read.
const LONGEST: usize = 16 * 1_024;
/// What a form begins with, and what it says where a login is wanted.
const FORM: &[u8] = b"<config-auth";
const WANTS_LOGIN: &[u8] = b"type=\"auth-request\"";
/// Cookies that servers of the make set, whatever they answer.
const COOKIES: [&str; 2] = ["webvpn", "acSamlv2"];

/// The client's side.
#[derive(Clone, Debug)]
pub struct Client {
    host: String,
}

impl Client {
    /// One for a server of this name.
    pub fn new(host: &str) -> Self {
        Self { host: host.into() }
    }
}

impl Dialogue for Client {
    fn opening(&self) -> Vec<u8> {
        let host = &self.host;
        let form = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<config-auth client=\"vpn\" type=\"init\" \
             aggregate-auth-version=\"2\"><version who=\"vpn\">v9.01</version><device-id>linux-64</device-id>\
             <group-access>https://{host}/</group-access></config-auth>\n"
        );
        let fields = "Accept: */*\r\nAccept-Encoding: identity\r\nX-Transcend-Version: 1\r\nX-Aggregate-Auth: 1\r\n\
                      X-Support-HTTP-Auth: true\r\nContent-Type: application/xml; charset=utf-8\r\n";
        let length = form.len();
        format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {AGENT}\r\n{fields}Content-Length: {length}\r\n\r\n{form}"
        )
        .into_bytes()
    }

    fn hear(&mut self, heard: &[u8]) -> Turn {
        match Head::read(heard) {
            Head::More => Turn::More,
            Head::Other => Turn::Other,
            Head::Response(response) => form(&response, heard),
        }
    }
}

/// The form, as far as it is needed to know it; servers send it with a length, or in chunks, or end the connection behind it.
fn form(response: &Response<'_>, heard: &[u8]) -> Turn {
    let body = heard.get(response.length..).unwrap_or_default();
    let has = |part: &[u8]| body.windows(part.len()).any(|octets| octets == part);
    let is_own = response.field("x-transcend-version").is_some()
        || response.field("set-cookie").is_some_and(|cookie| COOKIES.iter().any(|name| cookie.starts_with(name)));
    let expected = response.body();
    match (response.status, is_own || has(FORM)) {
        (200, _) if has(FORM) && has(WANTS_LOGIN) => Turn::end(Answer::WantsLogin, heard.len()),
        (200, _) if body.len() < expected.min(LONGEST) => Turn::More,
        (200, true) => Turn::end(Answer::Accepted, heard.len()),
        (_, true) => Turn::end(Answer::Refused, heard.len()),
        (_, false) => Turn::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::tests::every_truncation_is_waited_for;

    /// What ocserv 1.1.6 answers, shortened.
    const FORM_BODY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<config-auth client=\"vpn\" type=\"auth-request\">\
        <auth id=\"main\"><form method=\"post\" action=\"/auth\"></form></auth></config-auth>";

    fn answer(head: &str, body: &str) -> String {
        format!("HTTP/1.1 {head}Content-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn the_opening_says_how_long_its_form_is() {
        let opening = String::from_utf8(Client::new("vpn.example.net").opening()).unwrap();
        let (head, form) = opening.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", form.len())), "{head}");
        assert!(head.contains("\r\nX-Transcend-Version: 1\r\nX-Aggregate-Auth: 1\r\n"), "{head}");
        assert!(form.contains("type=\"init\"") && form.contains("https://vpn.example.net/"), "{form}");
    }

    #[test]
    fn a_form_for_a_login_is_an_answer_as_soon_as_it_is_known() {
        let text = answer("200 OK\r\nContent-Type: text/xml\r\nX-Transcend-Version: 1\r\n", FORM_BODY);
        let end = text.find("auth-request\"").unwrap() + "auth-request\"".len();
        let turn = every_truncation_is_waited_for(&mut Client::new("a"), &text.as_bytes()[..end]);
        assert_eq!(turn, Turn::end(Answer::WantsLogin, end));
    }

    #[test]
    fn other_words_of_such_servers_are_answers_and_a_web_site_s_are_none() {
        let mut client = Client::new("a");
        let mut hear = |text: &str| client.hear(text.as_bytes());
        let redirect = "HTTP/1.1 303 See Other\r\nSet-Cookie: webvpncontext=0; path=/\r\n\r\n";
        assert_eq!(hear(redirect), Turn::end(Answer::Refused, redirect.len()));
        let refused = "HTTP/1.1 403 Forbidden\r\nX-Transcend-Version: 1\r\n\r\n";
        assert_eq!(hear(refused), Turn::end(Answer::Refused, refused.len()));
        assert_eq!(hear(&answer("200 OK\r\n", "<html>hello</html>")), Turn::Other);
        assert_eq!(hear("HTTP/1.1 405 Not Allowed\r\n\r\n"), Turn::Other);
        assert_eq!(hear("SSH-2.0-OpenSSH\r\n"), Turn::Other);
    }
}
