//! Tells the local network by mDNS where the control port is, as `_osc._udp`, so that patches and tablets find it.

use std::time::Duration;

use mdns_sd::{ServiceDaemon, ServiceInfo};

/// The kind of service under which OSC is looked for.
pub const KIND: &str = "_osc._udp.local.";
/// So long the daemon's thread may take to end: it says goodbye to the network first.
const LONGEST: Duration = Duration::from_millis(200);

/// An announcement; it is taken back when this goes.
pub struct Announcement {
    daemon: ServiceDaemon,
    fullname: String,
}

impl Announcement {
    /// Announces a port under the instance's name.
    ///
    /// # Errors
    /// Where the network does not allow it.
    pub fn new(name: &str, port: u16) -> Result<Self, mdns_sd::Error> {
        let daemon = ServiceDaemon::new()?;
        let host = format!("tocco-{}.local.", std::process::id());
        let about = [("vendor", "Tocco"), ("control", "model slot gate enable")];
        let service = ServiceInfo::new(KIND, name, &host, "", port, &about[..])?.enable_addr_auto();
        let fullname = service.get_fullname().to_owned();
        daemon.register(service)?;
        Ok(Self { daemon, fullname })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // What can't be taken back is forgotten by the network within two minutes.
        let _ = self.daemon.unregister(&self.fullname).map(|answer| drop(answer.recv_timeout(LONGEST)));
        let _ = self.daemon.shutdown().map(|answer| drop(answer.recv_timeout(LONGEST)));
    }
}
