#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{SocketAddr, UdpSocket};

use super::*;
use crate::params::ToccoParams;
use crate::state::{ControlPort, ModelChoice};

#[test]
fn a_socket_that_lost_its_network_is_opened_again() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let address = receiver.local_addr().unwrap();
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    instance.targets.store(Arc::new(vec![Target { address: Ok(address) }]));
    let mut sender = Sender::default();
    sender.connect(&instance);
    // It can't send: it is connected to nothing.
    sender.lines[0].socket = Some(UdpSocket::bind("127.0.0.1:0").unwrap());
    sender.datagram(b"lost");
    assert!(sender.lines[0].socket.is_none());
    assert!(sender.lines[0].trouble().unwrap().contains("is lost"), "{:?}", sender.lines[0]);
    sender.lines[0].opened = None;
    sender.connect(&instance);
    sender.datagram(b"arrives");
    let mut bytes = [0; 16];
    let length = receiver.recv(&mut bytes).unwrap();
    assert_eq!(bytes[..length], *b"arrives");
}

fn receiver() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn aim(instance: &Instance, ports: &[u16]) {
    let target = |port: &u16| Target { address: Ok(SocketAddr::from(([127, 0, 0, 1], *port))) };
    instance.targets.store(Arc::new(ports.iter().map(target).collect()));
}

#[test]
fn several_targets_get_the_same_and_a_dead_one_harms_nobody() {
    let (first, first_port) = receiver();
    let (second, second_port) = receiver();
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    let dead = receiver().1;
    aim(&instance, &[first_port, dead, second_port]);
    let mut sender = Sender::default();
    sender.connect(&instance);
    for _ in 0..3 {
        sender.datagram(b"same");
    }
    let mut bytes = [0; 16];
    for receiver in [&first, &second] {
        for _ in 0..3 {
            let length = receiver.recv(&mut bytes).unwrap();
            assert_eq!(bytes[..length], *b"same");
        }
    }
    sender.show_trouble(&instance);
    let trouble = lock(&instance.notices).osc.clone().unwrap();
    assert_eq!(trouble, format!("Nothing listens at 127.0.0.1:{dead}."));
    // One target less: the sockets of the others stay what they are.
    let before = sender.lines[2].socket.as_ref().unwrap().local_addr().unwrap();
    aim(&instance, &[second_port]);
    sender.connect(&instance);
    assert_eq!(sender.lines[0].socket.as_ref().unwrap().local_addr().unwrap(), before);
}

/// An instance whose control port is open, and a socket that speaks to it.
fn controlled() -> (Arc<Instance>, Control, ControlPort, UdpSocket) {
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    let (free, port) = receiver();
    drop(free);
    let wanted = ControlPort { on: true, port, anyone: false };
    let mut control = Control::default();
    control.serve(&instance, wanted, "Cello");
    let patch = UdpSocket::bind("127.0.0.1:0").unwrap();
    patch.connect(("127.0.0.1", port)).unwrap();
    (instance, control, wanted, patch)
}

fn say(patch: &UdpSocket, addr: &str, args: Vec<rosc::OscType>) {
    let packet = rosc::OscPacket::Message(rosc::OscMessage { addr: addr.into(), args });
    patch.send(&rosc::encoder::encode(&packet).unwrap()).unwrap();
}

#[test]
fn a_patch_switches_model_gate_and_recognising() {
    let (instance, mut control, wanted, patch) = controlled();
    say(&patch, "/tocco/Cello/model", vec!["instruments".into()]);
    say(&patch, "/tocco/*/gate", vec![(-30.0_f32).into()]);
    say(&patch, "/tocco/Cello/enable", vec![0.into()]);
    control.serve(&instance, wanted, "Cello");
    assert_eq!(instance.params.settings.snapshot().settings.model, ModelChoice::Library("instruments".into()));
    assert_eq!(instance.controls().policy.gate_dbfs.to_bits(), (-30.0_f32).to_bits());
    assert!(instance.remote.is_off() && !instance.controls().midi_on);
    say(&patch, "/tocco/Cello/enable", vec![1.into()]);
    control.serve(&instance, wanted, "Cello");
    assert!(!instance.remote.is_off());

    // Pure Data sends every number as a float, Max a whole one as an integer.
    instance.params.settings.change(|settings| {
        settings.slots.insert(2, ModelChoice::Library("techniques".into()));
    });
    say(&patch, "/tocco/Cello/slot", vec![2.0_f32.into()]);
    say(&patch, "/tocco/Cello/gate", vec![(-40).into()]);
    say(&patch, "/tocco/Cello/enable", vec![0.0_f32.into()]);
    control.serve(&instance, wanted, "Cello");
    assert_eq!(instance.params.settings.snapshot().settings.model, ModelChoice::Library("techniques".into()));
    assert_eq!(instance.controls().policy.gate_dbfs.to_bits(), (-40.0_f32).to_bits());
    assert!(instance.remote.is_off());
    // Where nobody can speak any more, the host's word counts.
    control.serve(&instance, ControlPort { on: false, ..wanted }, "Cello");
    assert!(!instance.remote.is_off());
    assert_eq!(instance.controls().policy, instance.params.policy());
}

#[test]
fn instances_share_a_port_and_each_hears_its_own() {
    let (cello, mut control, wanted, patch) = controlled();
    let viola = Instance::new(Arc::new(ToccoParams::default()));
    let mut other = Control::default();
    say(&patch, "/tocco/*/gate", vec![(-20.0_f32).into()]);
    control.serve(&cello, wanted, "Cello");
    other.serve(&viola, wanted, "Viola");
    assert!(lock(&viola.notices).control.clone().unwrap().starts_with("open at port"));
    assert_eq!(viola.controls().policy, viola.params.policy(), "that came before");
    say(&patch, "/tocco/*/enable", vec![0.into()]);
    say(&patch, "/tocco/Viola/gate", vec![(-30.0_f32).into()]);
    other.serve(&viola, wanted, "Viola");
    control.serve(&cello, wanted, "Cello");
    assert!(cello.remote.is_off() && viola.remote.is_off());
    assert_eq!([&cello, &viola].map(|instance| instance.controls().policy.gate_dbfs), [-20.0, -30.0]);
    // One leaves: the other's port stays open.
    drop(control);
    say(&patch, "/tocco/*/enable", vec![1.into()]);
    other.serve(&viola, wanted, "Viola");
    assert!(!viola.remote.is_off());
    drop(other);
    assert!(UdpSocket::bind(("127.0.0.1", wanted.port)).is_ok(), "the last one closes it");
}

#[test]
fn what_is_for_others_or_not_understood_changes_nothing() {
    let (instance, mut control, wanted, patch) = controlled();
    let before = instance.params.settings.snapshot().settings;
    say(&patch, "/tocco/Viola/enable", vec![0.into()]);
    say(&patch, "/tocco/Cello/gate", vec![f32::NAN.into()]);
    say(&patch, "/tocco/Cello/slot", vec![9.into()]);
    say(&patch, "/tocco/Cello/slot", vec![3.into()]);
    say(&patch, "/tocco/Cello/slot", vec![1.5_f32.into()]);
    say(&patch, "/tocco/Cello/enable", vec!["off".into()]);
    say(&patch, "/tocco/Cello/model", vec![3.into()]);
    patch.send(b"/tocco/Cello/enable\0\0,").unwrap();
    patch.send(&[0xff; 1400]).unwrap();
    control.serve(&instance, wanted, "Cello");
    assert!(!instance.remote.is_off());
    assert_eq!(instance.params.settings.snapshot().settings, before);
    assert_eq!(instance.controls().policy, instance.params.policy());
    let said = lock(&instance.notices).control.clone().unwrap();
    assert!(said.ends_with("not understood"), "{said}");
}

#[test]
fn a_control_port_that_is_taken_says_so_and_opens_once_it_is_free() {
    let (taken, port) = receiver();
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    let wanted = ControlPort { on: true, port, anyone: false };
    let mut control = Control::default();
    control.serve(&instance, wanted, "Cello");
    let said = lock(&instance.notices).control.clone().unwrap();
    assert!(said.contains(&format!("port {port} can't be opened")), "{said}");
    drop(taken);
    control.serve(&instance, ControlPort { on: false, ..wanted }, "Cello");
    assert_eq!(lock(&instance.notices).control, None);
    control.serve(&instance, wanted, "Cello");
    assert_eq!(lock(&instance.notices).control.as_deref(), Some(format!("open at port {port}").as_str()));
}

/// Whether a service of this name and port is found within some seconds.
fn is_found(name: &str, port: u16) -> bool {
    let browser = mdns_sd::ServiceDaemon::new().unwrap();
    let found = browser.browse(announce::KIND).unwrap();
    let end = Instant::now() + Duration::from_secs(8);
    let mut answer = false;
    while let Ok(event) = found.recv_deadline(end) {
        if let mdns_sd::ServiceEvent::ServiceResolved(service) = event
            && service.get_fullname() == format!("{name}.{}", announce::KIND)
        {
            answer = service.get_port() == port;
            break;
        }
    }
    let _ = browser.shutdown().map(|answer| drop(answer.recv_timeout(Duration::from_secs(1))));
    answer
}

#[test]
fn a_control_port_for_everyone_is_found_on_the_network_and_leaves_it() {
    let (free, port) = receiver();
    drop(free);
    let probe = format!("Probe-{}", std::process::id());
    let carried = announce::Announcement::new(&probe, port).is_ok_and(|_probe| is_found(&probe, port));
    if !carried {
        println!("SKIPPED: this network carries no multicast");
        return;
    }
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    let wanted = ControlPort { on: true, port, anyone: true };
    let mut control = Control::default();
    let name = format!("Cello-{}", std::process::id());
    control.serve(&instance, wanted, &name);
    assert!(is_found(&name, port));
    control.serve(&instance, ControlPort { on: false, ..wanted }, &name);
    assert!(!is_found(&name, port));
}
