#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::params::ToccoParams;

#[test]
fn a_socket_that_lost_its_network_is_opened_again() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let address = receiver.local_addr().unwrap();
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    instance.target.store(Some(Arc::new(Target { address: Ok(address) })));
    // It can't send: it is connected to nothing.
    let lost = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sender = Sender { socket: Some((address, lost)), ..Sender::default() };
    sender.connect(&instance);
    sender.datagram(b"lost");
    assert!(sender.socket.is_none());
    assert!(sender.trouble.as_ref().unwrap().1.contains("is lost"), "{:?}", sender.trouble);
    sender.connect(&instance);
    sender.datagram(b"arrives");
    let mut bytes = [0; 16];
    let length = receiver.recv(&mut bytes).unwrap();
    assert_eq!(bytes[..length], *b"arrives");
}
