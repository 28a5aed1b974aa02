//! What a server of OpenVPN's says within its control channel, and packets of its data channel. What is spent is never more than there is,
//! and what was understood is understood the same with more behind it.
#![no_main]

use faultline_wire::openvpn_data;
use faultline_wire::openvpn_login::{Said, control, server};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let more = [octets, &[0xff; 3]].concat();
    if let Said::This(_, spent) = server(octets) {
        assert!(spent <= octets.len());
    }
    if let Said::This(said, spent) = control(octets) {
        assert!((1..=octets.len()).contains(&spent));
        assert_eq!(control(&more), Said::This(said, spent));
    }
    if let Some(parts) = openvpn_data::parts(octets) {
        assert!(openvpn_data::is_data(octets));
        assert_eq!([parts.head, parts.tag, parts.body].concat(), octets);
        assert!(openvpn_data::covered(parts.head).ends_with(&parts.number));
    }
});
