//! What a patch set by the control port: it holds until the host moves the same thing.

use std::sync::atomic::{AtomicBool, Ordering};

use tocco_models::Policy;

use crate::published::AtomicF32;

/// The patch's word. The audio thread reads it.
#[derive(Debug)]
pub struct Remote {
    /// The gate's threshold in dBFS; not a number where nobody set one.
    gate_dbfs: AtomicF32,
    /// The parameter's value when it was set.
    at_dbfs: AtomicF32,
    off: AtomicBool,
}

impl Default for Remote {
    fn default() -> Self {
        let remote =
            Self { gate_dbfs: AtomicF32::default(), at_dbfs: AtomicF32::default(), off: AtomicBool::new(false) };
        remote.gate_dbfs.set(f32::NAN);
        remote.at_dbfs.set(f32::NAN);
        remote
    }
}

impl Remote {
    /// Sets the gate; false where the value can't be one.
    pub fn set_gate(&self, dbfs: f32) -> bool {
        let is_gate = (-90.0..=0.0).contains(&dbfs);
        if is_gate {
            self.at_dbfs.set(f32::NAN);
            self.gate_dbfs.set(dbfs);
        }
        is_gate
    }

    /// Switches recognising on or off; always true.
    pub fn enable(&self, on: bool) -> bool {
        self.off.store(!on, Ordering::Relaxed);
        true
    }

    /// Whether recognising is switched off.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    /// Nobody speaks any more: the host's word counts.
    pub fn forget(&self) {
        self.gate_dbfs.set(f32::NAN);
        self.off.store(false, Ordering::Relaxed);
    }

    /// The policy of the parameters with the patch's gate in it.
    pub fn bend(&self, mut policy: Policy) -> Policy {
        let gate = self.gate_dbfs.get();
        if gate.is_nan() {
            return policy;
        }
        if self.at_dbfs.get().is_nan() {
            self.at_dbfs.set(policy.gate_dbfs);
        }
        if self.at_dbfs.get().to_bits() == policy.gate_dbfs.to_bits() {
            policy.gate_dbfs = gate;
        } else {
            // The host moved its own: that one counts again.
            self.gate_dbfs.set(f32::NAN);
        }
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(remote: &Remote, parameter: f32) -> f32 {
        remote.bend(Policy { gate_dbfs: parameter, ..Policy::default() }).gate_dbfs
    }

    #[test]
    fn the_patch_s_gate_holds_until_the_host_moves_its_own() {
        let remote = Remote::default();
        assert_eq!(heard(&remote, -55.0).to_bits(), (-55.0_f32).to_bits());
        assert!(remote.set_gate(-30.0) && !remote.set_gate(3.0) && !remote.set_gate(f32::NAN));
        assert_eq!([heard(&remote, -55.0), heard(&remote, -55.0)].map(f32::to_bits), [(-30.0_f32).to_bits(); 2]);
        assert_eq!([heard(&remote, -54.0), heard(&remote, -55.0)], [-54.0, -55.0]);
    }
}
